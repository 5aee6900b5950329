-- SPDX-License-Identifier: Apache-2.0
-- Many masters whose frames are there at the same moment: the worker serves them one after another
-- in one coroutine, and nobody can tell.

local artel = require "artel"
local helper = require "spec.helper"
local support = require "spec.shared.support"
local uv = require "luv"

local TIMEOUT = support.TIMEOUT
local MASTERS = 20

-- Whatever a master asks for. What waits goes on when another says "wake".
local IMPLEMENTATION = [[(function()
  local artel, channels, log = require "artel", {}, {}
  local waiting, observer
  local function wait()
    waiting = coroutine.running()
    coroutine.yield()
  end
  local does = {
    wait = wait,
    wake = function()
      local thread = waiting
      waiting = nil
      require("luv").new_timer():start(0, 0, function() coroutine.resume(thread) end)
    end,
    fail = function() error "as you wish" end,
    close = function(channel) channel:close() end,
    closeOther = function(channel, name) channels[name]:close() end,
    askOther = function(channel, name) return channels[name]:request "a question" end,
    hearOther = function(channel, name) return channels[name]:receiveMessage() end,
    isCancelled = function() return artel.isCancelled() end,
    refuse = function() return nil, "no" end,
    observeStop = function(channel) observer = channel end,
    log = function() return log end,
  }
  local function handle(channel, job)
    if job.name then channels[job.name] = channel end
    if job.note then log[#log + 1] = job.note end
    local answer, reason = job.value, nil
    if job.does then answer, reason = does[job.does](channel, job.to) end
    return answer, reason
  end
  return {
    onMessage = function(self, job, channel)
      local answer = handle(channel, job)
      answer = job.value or answer
      if answer then channel:sendMessage(answer) end
    end,
    onRequest = function(self, job, channel) return handle(channel, job) end,
    onDisconnect = function(self, channel)
      for name, each in pairs(channels) do
        if each == channel then
          log[#log + 1], channels[name] = name .. " has gone", nil
        end
      end
    end,
    onStop = function() -- lasts until SIGUSR1 when a master has asked for that
      if not observer then return end
      local thread, signal = coroutine.running(), require("luv").new_signal()
      signal:start("sigusr1", function()
        signal:close()
        coroutine.resume(thread)
      end)
      observer:sendMessage "onStop"
      coroutine.yield()
    end,
  }
end)()]]

--- Everything that is sent meanwhile is there when the worker goes on.
local function whileStopped(pid, send)
  uv.kill(pid, "sigstop")
  send()
  uv.kill(pid, "sigcont")
end

for _, encoding in ipairs { "msgpack", "json" } do
  describe("a crowd of masters that speak " .. encoding, function()
    local factory, address, pid, masters

    before_each(function()
      support.setUp()
      factory, address, pid = support.start(IMPLEMENTATION, { channelFactory = encoding })
      masters = {}
      for n = 1, MASTERS do
        masters[n] = assert(factory:connectToSharedWorker(address))
        for _ = 1, 2 do -- from the second on nothing goes on but that frames come
          masters[n]:sendMessage { name = "m" .. n, value = n }
          assert.equal(n, masters[n]:receiveMessage(TIMEOUT))
        end
      end
    end)

    after_each(function()
      for _, master in ipairs(masters) do master:close() end
      if pid then support.stop(factory, address) end
      support.tearDown()
    end)

    --- Makes requests without waiting for the answers.
    local function ask(master, job)
      return artel.async(function() return master:request(job) end)
    end

    it("is answered, each in the order in which it has asked", function()
      local tasks = {}
      whileStopped(pid, function()
        for n, master in ipairs(masters) do
          for k = 1, 3 do master:sendMessage { value = n * 10 + k } end
          tasks[n] = ask(master, { value = "r" .. n })
          master:sendMessage { value = n * 10 + 4 }
        end
      end)
      for n, master in ipairs(masters) do
        assert.equal("r" .. n, (tasks[n]:await(TIMEOUT)))
        for k = 1, 4 do assert.equal(n * 10 + k, master:receiveMessage(TIMEOUT)) end
      end
    end)

    it("does not wait for a handler that waits, whose own messages do", function()
      whileStopped(pid, function()
        masters[3]:sendMessage { does = "wait", value = "waited" }
        for n, master in ipairs(masters) do
          if n ~= 3 then master:sendMessage { value = n } end
        end
      end)
      for n, master in ipairs(masters) do
        if n ~= 3 then assert.equal(n, master:receiveMessage(TIMEOUT)) end
      end
      whileStopped(pid, function()
        masters[3]:sendMessage { value = "after it" }
        masters[1]:sendMessage { value = "in between" }
      end)
      assert.equal("in between", masters[1]:receiveMessage(TIMEOUT))
      masters[1]:sendMessage { does = "wake", value = "woken" }
      assert.equal("woken", masters[1]:receiveMessage(TIMEOUT))
      assert.equal("waited", masters[3]:receiveMessage(TIMEOUT))
      for _ = 1, 2 do -- and it belongs to the crowd again
        assert.equal("after it", masters[3]:receiveMessage(TIMEOUT))
        masters[3]:sendMessage { value = "after it" }
      end
      assert.equal("after it", masters[3]:receiveMessage(TIMEOUT))
    end)

    it("has requests that overlap, of one master too", function()
      local first, second
      whileStopped(pid, function()
        first = ask(masters[1], { does = "wait" })
        second = ask(masters[1], { does = "wake" })
      end)
      assert.equal(artel.null, (second:await(TIMEOUT)))
      assert.equal(artel.null, (first:await(TIMEOUT)))
    end)

    it("loses the one whose message raises an error, and it alone", function()
      local failed
      whileStopped(pid, function()
        masters[2]:sendMessage { does = "fail" }
        failed = ask(masters[5], { does = "fail" })
        for n, master in ipairs(masters) do
          if n ~= 2 then master:sendMessage { value = n } end
        end
      end)
      for n, master in ipairs(masters) do
        if n ~= 2 then assert.equal(n, master:receiveMessage(TIMEOUT)) end
      end
      local message, err = masters[2]:receiveMessage(TIMEOUT)
      assert.is_nil(message)
      assert.matches("as you wish", err.message)
      message, err = failed:await(TIMEOUT)
      assert.is_nil(message)
      assert.equal("remote", err.kind)
      assert.matches("as you wish", err.traceback)
      assert.equal("again", masters[5]:request { value = "again" })
    end)

    it("hears what a request is refused for", function()
      local refused
      whileStopped(pid, function()
        refused = ask(masters[1], { does = "refuse" })
        masters[2]:sendMessage { value = 2 }
      end)
      local response, err = refused:await(TIMEOUT)
      assert.is_nil(response)
      assert.equal("no", err.value)
      assert.equal(2, masters[2]:receiveMessage(TIMEOUT))
    end)

    it("goes on when a handler closes a channel, also one that has a message", function()
      whileStopped(pid, function()
        masters[1]:sendMessage { does = "close" }
        for n = 2, 4 do masters[n]:sendMessage { does = "closeOther", to = "m" .. n % 3 + 2 } end
        for n = 5, MASTERS do masters[n]:sendMessage { value = n } end
      end)
      for n = 5, MASTERS do assert.equal(n, masters[n]:receiveMessage(TIMEOUT)) end
      local _, err = masters[1]:receiveMessage(TIMEOUT)
      assert.equal("closed", err.kind)
      assert.not_matches("an error", support.log())
    end)

    it("has its messages go to a handler of another's that waits for them", function()
      masters[1]:sendMessage { does = "hearOther", to = "m2" }
      masters[1]:query(TIMEOUT) -- which comes behind it
      whileStopped(pid, function()
        masters[2]:sendMessage { value = "for the other" }
        masters[3]:sendMessage { value = 3 }
      end)
      assert.equal(3, masters[3]:receiveMessage(TIMEOUT))
      assert.same({ value = "for the other" }, masters[1]:receiveMessage(TIMEOUT))
    end)

    it("is asked back, by one message's handler at a time", function()
      whileStopped(pid, function()
        for _ = 1, 3 do masters[1]:sendMessage { does = "askOther", to = "m1" } end
        masters[2]:sendMessage { value = 2 }
      end)
      assert.equal(2, masters[2]:receiveMessage(TIMEOUT))
      for k = 1, 3 do
        local _, reply = masters[1]:receiveRequest(TIMEOUT)
        local second, err = masters[1]:receiveRequest(0)
        assert.is_nil(second)
        assert.equal("timeout", err.kind)
        reply(k)
        assert.equal(k, masters[1]:receiveMessage(TIMEOUT))
      end
    end)

    it("may be asked by a handler of another's", function()
      whileStopped(pid, function()
        masters[1]:sendMessage { does = "askOther", to = "m2" }
        masters[2]:sendMessage { value = "mine" }
      end)
      local question, reply = masters[2]:receiveRequest(TIMEOUT)
      assert.equal("a question", question)
      reply "an answer"
      assert.equal("an answer", masters[1]:receiveMessage(TIMEOUT))
      assert.equal("mine", masters[2]:receiveMessage(TIMEOUT))
    end)

    it("has the end of a connection told after its last frames", function()
      whileStopped(pid, function()
        masters[4]:sendMessage { note = "last words of m4" }
        masters[4]:close()
        masters[6]:sendMessage { value = 6 }
      end)
      assert.equal(6, masters[6]:receiveMessage(TIMEOUT))
      local log
      repeat log = masters[1]:request { does = "log" } until #log >= 2
      assert.same({ "last words of m4", "m4 has gone" }, log)
    end)

    it("is counted in the status", function()
      local function count(name)
        for _, counter in ipairs(masters[1]:query(TIMEOUT):getCounters()) do
          if counter:getName() == "sys_" .. name then return counter:getValue() end
        end
      end
      local messages, requests, sent = count "messages_received", count "requests",
        count "messages_sent"
      for n, master in ipairs(masters) do
        master:sendMessage { value = n }
        assert.equal(n, master:receiveMessage(TIMEOUT))
        assert.equal(n, master:request { value = n })
      end
      assert.equal(messages + MASTERS, count "messages_received")
      assert.equal(requests + MASTERS, count "requests")
      assert.equal(sent + MASTERS, count "messages_sent")
    end)

    it("is not served any more when the worker stops", function()
      masters[1]:sendMessage { does = "observeStop" }
      masters[1]:stop()
      assert.equal("onStop", masters[1]:receiveMessage(TIMEOUT))
      for n = 2, MASTERS do masters[n]:sendMessage { value = n } end
      uv.kill(pid, "sigusr1")
      for n = 2, MASTERS do
        local message, err = masters[n]:receiveMessage(TIMEOUT)
        assert.is_nil(message)
        assert.equal("closed", err.kind)
      end
      support.awaitEnd(pid)
      pid = nil
    end)
  end)
end

describe("a master of a crowd", function()
  before_each(support.setUp)
  after_each(function() support.tearDown() end)

  it("takes no memory for frames while it rests, each time anew", function()
    local factory, address = support.start [[(function()
      local sockets, trims, observed = require("artel.core").sockets, 0, nil
      local trim = sockets.trim
      function sockets.trim(channel)
        if channel == observed then trims = trims + 1 end
        return trim(channel)
      end
      return {
        onMessage = function(self, message, channel)
          observed = channel
          channel:sendMessage(trims)
        end,
        onQuery = function() return tostring(trims) end,
      }
    end)()]]
    local master = assert(factory:connectToSharedWorker(address))
    for _ = 1, 2 do
      local before
      for _ = 1, 3 do -- the last of which nothing else goes on beside
        master:sendMessage "how many?"
        before = master:receiveMessage(TIMEOUT)
      end
      helper.eventually(function()
        local status <close> = assert(factory:connectToSharedWorker(address))
        return tonumber(status:query(TIMEOUT):getTextStatus()) > before
      end)
    end
    master:close()
    support.stop(factory, address)
  end)
end)

describe("a request that is cancelled while its handler computes", function()
  before_each(support.setUp)
  after_each(function() support.tearDown() end)

  it("is known to be so among others that are ready", function()
    local factory, address, pid = support.start(IMPLEMENTATION, { channelFactory = "json" })
    local client = support.bareClient(address)
    for id = 1, 2 do
      client:send(('{"_request_":%d,"body":{"does":"isCancelled"}}\n'):format(id))
      client:receive(('{"_response_":%d,"body":false}\n'):format(id))
    end
    client:send '{"_request_":3,"body":{"does":"isCancelled"}}\n{"_cancel_":3}\n'
    client:receive '{"_response_":3,"body":true}\n'
    client:send '{"_request_":4,"body":{"does":"isCancelled"}}\n'
    client:receive '{"_response_":4,"body":false}\n'
    -- Who sends no more may still read.
    whileStopped(pid, function()
      client:send '{"_request_":5,"body":{"does":"isCancelled"}}\n'
      client:shutdown()
    end)
    client:awaitEnd()
    assert.matches('{"_response_":5,"body":false}\n$', client.received)
    client:close()
    support.stop(factory, address)
  end)
end)
