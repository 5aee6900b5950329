-- SPDX-License-Identifier: Apache-2.0
-- Messages and requests between masters and a shared worker, and what errors in handlers do.

local artel = require "artel"
local core = require "artel.core"
local helper = require "spec.helper"
local support = require "spec.shared.support"
local uv = require "luv"

local TIMEOUT = support.TIMEOUT

for _, encoding in ipairs { "msgpack", "json" } do
  describe("a shared worker that speaks " .. encoding, function()
    local function start(expression, options)
      options = options or {}
      options.channelFactory = encoding
      return support.start(expression, options)
    end

    before_each(support.setUp)
    after_each(function() support.tearDown() end)

    it("answers messages and requests of several masters", function()
      local factory, address = start [[{
        onMessage = function(self, value, channel)
          channel:sendMessage(value * 2)
          channel:sendMessage(value * 3)
        end,
        onRequest = function(self, value)
          if value == "nothing" then return end
          if value == "reason" then return nil, { why = "because" } end
          return { value, #value }
        end,
      }]]
      local a = assert(factory:connectToSharedWorker(address))
      local b = assert(factory:connectToSharedWorker(address))
      a:sendMessage(2)
      b:sendMessage(5)
      assert.same({ "hello", 5 }, a:request "hello")
      assert.equal(artel.null, a:request "nothing")
      assert.equal(10, b:receiveMessage(TIMEOUT))
      assert.equal(4, a:receiveMessage(TIMEOUT))
      assert.equal(6, a:receiveMessage(TIMEOUT))
      assert.equal(15, b:receiveMessage(TIMEOUT))
      local response, err = b:request "reason"
      assert.is_nil(response)
      assert.same({ why = "because" }, err.value)
      a:close()
      b:close()
      support.stop(factory, address)
    end)

    it("calls onConnect first and onDisconnect last, with the same channel", function()
      local factory, address = start [[(function()
        local log = {}
        return {
          onConnect = function(self, channel, peer)
            require("luv").update_time()
            log[#log + 1] = { "connect", tostring(channel), peer }
          end,
          onMessage = function(self, message, channel, peer)
            log[#log + 1] = { "message", tostring(channel), peer, message }
            if message == "log" then channel:sendMessage(log) end
          end,
          onDisconnect = function(self, channel, err)
            log[#log + 1] = { "disconnect", err.kind }
          end,
        }
      end)()]]
      local worker = assert(factory:connectToSharedWorker(address))
      worker:sendMessage "log"
      local log = worker:receiveMessage(TIMEOUT)
      assert.equal("connect", log[1][1])
      assert.equal("message", log[2][1])
      assert.equal(log[1][3], log[2][3])
      worker:close()
      local other = assert(factory:connectToSharedWorker(address))
      repeat -- the first one's end may still be on its way
        other:sendMessage "log"
        log = other:receiveMessage(TIMEOUT)
      until log[3][1] == "disconnect" or log[4][1] == "disconnect" or #log > 100
      local ends = 0
      for _, entry in ipairs(log) do
        if entry[1] == "disconnect" then
          ends = ends + 1
          assert.equal("closed", entry[2])
        end
      end
      assert.equal(1, ends)
      other:close()
      support.stop(factory, address)
    end)

    it("lets messages of one connection wait for each other, and requests overlap", function()
      local factory, address = start [[(function()
        local order, waiting = {}, {}
        local uv = require "luv"
        local function after(ms, thread)
          local timer = uv.new_timer()
          timer:start(ms, 0, function() timer:close() coroutine.resume(thread) end)
        end
        local function pause(ms)
          after(ms, coroutine.running())
          coroutine.yield()
        end
        return {
          onMessage = function(self, ms, channel)
            order[#order + 1] = "begin " .. ms
            pause(ms)
            order[#order + 1] = "end " .. ms
            if ms == 1 then channel:sendMessage(order) end
          end,
          -- Each but the first is answered after the one before it, which comes later.
          onRequest = function(self, n)
            if n > 1 then
              waiting[n] = coroutine.running()
              coroutine.yield()
            end
            if waiting[n + 1] then after(0, waiting[n + 1]) end
            return n
          end,
        }
      end)()]]
      local worker = assert(factory:connectToSharedWorker(address))
      worker:sendMessage(30)
      worker:sendMessage(1)
      assert.same({ "begin 30", "end 30", "begin 1", "end 1" }, worker:receiveMessage(TIMEOUT))
      local answers = {}
      local tasks = {}
      for index, n in ipairs { 3, 2, 1 } do
        tasks[index] = artel.async(function()
          local answer = worker:request(n)
          answers[#answers + 1] = answer
        end)
      end
      for _, task in ipairs(tasks) do task:await(TIMEOUT) end
      assert.same({ 1, 2, 3 }, answers)
      worker:close()
      support.stop(factory, address)
    end)

    it("may ask its masters, though messages come meanwhile", function()
      local factory, address = start [[{
        onMessage = function(self, message, channel)
          channel:sendMessage { message, channel:request { "what is", message } }
        end,
      }]]
      local worker = assert(factory:connectToSharedWorker(address))
      for n = 1, 3 do worker:sendMessage(n) end
      for n = 1, 3 do
        local question, reply = worker:receiveRequest(TIMEOUT)
        assert.same({ "what is", n }, question)
        assert.is_true(reply(n * n))
        assert.same({ n, n * n }, worker:receiveMessage(TIMEOUT))
      end
      worker:close()
      support.stop(factory, address)
    end)

    it("handles what came before a master's end, also what had to wait for its answer", function()
      local factory, address = start [[{
        onConnect = function(self, channel) self.name = channel:request "name?" or "nobody" end,
        onMessage = function(self, message, channel) channel:sendMessage { self.name, message } end,
        onRequest = function(self, request) return { self.name, request } end,
      }]]
      helper.await(function()
        local worker = assert(factory:connectToSharedWorker(address))
        local question
        local answering = artel.async(function() -- first: what nobody receives is refused
          question = worker:receiveRequest(TIMEOUT)
        end)
        local asked = artel.async(function() return worker:request "asked" end)
        worker:sendMessage "sent"
        answering:await(TIMEOUT)
        assert.equal("name?", question)
        assert.is_true(worker:flush(TIMEOUT))
        core.shutdownWrite(worker)
        assert.same({ "nobody", "asked" }, asked:await(TIMEOUT))
        assert.same({ "nobody", "sent" }, worker:receiveMessage(TIMEOUT))
        worker:close()
      end)
      support.stop(factory, address)
    end)

    it("survives errors in handlers, and ends only the connection concerned", function()
      local factory, address = start [[{
        onConnect = function(self, channel) self.connected = (self.connected or 0) + 1 end,
        onMessage = function(self, message, channel)
          if message == "fail" then error "as you wish" end
          channel:sendMessage(self.connected)
        end,
        onRequest = function(self, what)
          if what == "table" then error { code = 7 } end
          error(what)
        end,
        onDisconnect = function() error "nobody hears this" end,
      }]]
      local worker = assert(factory:connectToSharedWorker(address))
      local other = assert(factory:connectToSharedWorker(address))
      local response, err = worker:request "oh no"
      assert.is_nil(response)
      assert.equal("remote", err.kind)
      assert.matches("oh no", err.message)
      assert.matches("stack traceback", err.traceback)
      response, err = worker:request "table"
      assert.is_nil(response)
      assert.same({ code = 7 }, err.value)
      worker:sendMessage "fail"
      local message
      message, err = worker:receiveMessage(TIMEOUT)
      assert.is_nil(message)
      assert.equal("remote", err.kind)
      assert.matches("as you wish", err.message)
      other:sendMessage "count"
      assert.equal(2, other:receiveMessage(TIMEOUT))
      worker:close()
      other:close()
      support.stop(factory, address)
      assert.matches("as you wish", support.log())
      assert.matches("an error in onDisconnect: .*nobody hears this", support.log())
    end)

    it("tells who sends messages that no onMessage takes, and that one alone", function()
      local factory, address = start "{ onRequest = function(_, request) return request end }"
      local worker = assert(factory:connectToSharedWorker(address))
      local other = assert(factory:connectToSharedWorker(address))
      worker:sendMessage "told"
      local message, err = worker:receiveMessage(TIMEOUT)
      assert.is_nil(message)
      assert.equal("remote", err.kind)
      assert.matches("has no onMessage", err.message)
      assert.equal("asked", other:request "asked")
      worker:close()
      other:close()
      support.stop(factory, address)
    end)

    it("forgets a connection whose channel a handler closes, when that has come back", function()
      local factory, address = start [[(function()
        local log = {}
        return {
          onMessage = function(self, message, channel)
            if message == "log" then return channel:sendMessage(log) end
            channel:sendMessage "the last"
            channel:close()
            if message == "wait" then
              local left, right = require("artel").channelPair()
              right:receiveMessage(0.01)
            end
            log[#log + 1] = "handled"
          end,
          onDisconnect = function(self, channel, err)
            if err.message == "this end was closed" then log[#log + 1] = "gone" end
          end,
        }
      end)()]]
      local other = assert(factory:connectToSharedWorker(address))
      for _, message in ipairs { "go", "wait" } do
        local worker = assert(factory:connectToSharedWorker(address))
        worker:sendMessage(message)
        assert.equal("the last", worker:receiveMessage(TIMEOUT))
        local _, err = worker:receiveMessage(TIMEOUT)
        assert.equal("closed", err.kind)
        worker:close()
      end
      local log
      helper.eventually(function()
        other:sendMessage "log"
        log = other:receiveMessage(TIMEOUT)
        return #log >= 4
      end)
      assert.same({ "handled", "gone", "handled", "gone" }, log)
      local counts = {}
      for _, counter in ipairs(other:query(TIMEOUT):getCounters()) do
        counts[counter:getName()] = counter:getValue()
      end
      assert.equal(1, counts.sys_connections_open)
      assert.equal(3, counts.sys_connections_accepted)
      assert.equal(counts.sys_messages_received, counts.sys_messages_sent)
      other:close()
      support.stop(factory, address)
    end)

    it("ends a connection whose onConnect raises, and tells why", function()
      local factory, address = start [[(function()
        local count = 0
        return {
          onConnect = function()
            count = count + 1
            if count == 1 then error "not you" end
          end,
          onMessage = function(self, message, channel) channel:sendMessage(message) end,
        }
      end)()]]
      local first = assert(factory:connectToSharedWorker(address))
      local second = assert(factory:connectToSharedWorker(address))
      local message, err = first:receiveMessage(TIMEOUT)
      assert.is_nil(message)
      assert.equal("remote", err.kind)
      assert.matches("not you", err.message)
      assert.matches("stack traceback", err.traceback)
      second:sendMessage "hello"
      assert.equal("hello", second:receiveMessage(TIMEOUT))
      first:close()
      second:close()
      support.stop(factory, address)
    end)

    it("lets its code ask what it runs with", function()
      local factory, address = start([[{
        setLoop = function(self, loop) self.loop = loop end,
        onRequest = function(self)
          local runner = require("artel").WorkerRunner
          local context = runner.getSocketContext()
          return { runner.getAdminCookie(), runner.getKillSwitchPath(), runner.getChannelFactory(),
            context.backlog, context.mode, runner.getLoop() == self.loop
              and self.loop == require "luv" }
        end,
      }]], { killSwitchPath = support.path "switch.json", adminCookie = "who asks?",
        socketContextExpression = "{ backlog = 7, mode = '0640' }" })
      local worker = assert(factory:connectToSharedWorker(address))
      assert.same({ "who asks?", support.path "switch.json", encoding, 7, 416, true },
        worker:request(1))
      worker:close()
      support.stop(factory, address)
      os.remove(support.path "switch.json.lock")
    end)

    it("sends on its own, and masters read in their luv loop", function()
      local factory, address = start [[(function()
        local channels = {}
        return {
          onConnect = function(self, channel) channels[channel] = true end,
          onDisconnect = function(self, channel) channels[channel] = nil end,
          onMessage = function(self, message)
            for channel in pairs(channels) do channel:sendMessage(message) end
          end,
        }
      end)()]]
      local received, ends = {}, 0
      local workers = {}
      for n = 1, 3 do
        local worker = assert(factory:connectToSharedWorker(address))
        workers[n] = worker
        worker:registerRead(uv, function(channel)
          local message = channel:receiveMessage(0)
          received[n] = message
          channel:unregisterRead(uv)
          ends = ends + 1
        end)
      end
      artel.async(function()
        local sender <close> = assert(factory:connectToSharedWorker(address))
        sender:sendMessage "to all"
        sender:receiveMessage(TIMEOUT)
      end):await(TIMEOUT)
      helper.runLoopUntil(function() return ends == 3 end)
      assert.same({ "to all", "to all", "to all" }, received)
      for _, worker in ipairs(workers) do worker:close() end
      support.stop(factory, address)
    end)

    it("handles no more than its master reads, so no answer is lost", function()
      local factory, address = start([[{
        onRequest = function(_, length) return ("x"):rep(length) end,
        onMessage = function(_, length, channel) channel:sendMessage(("y"):rep(length)) end,
      }]], { maxQueuedBytes = 4 << 20 })
      local worker = assert(factory:connectToSharedWorker(address))
      local tasks = {}
      for n = 1, 30 do
        tasks[n] = artel.async(function() return worker:request(700 << 10) end)
      end
      for _, task in ipairs(tasks) do assert.equal(700 << 10, #task:await(TIMEOUT)) end
      for _ = 1, 30 do worker:sendMessage(700 << 10) end
      for _ = 1, 30 do assert.equal(700 << 10, #worker:receiveMessage(TIMEOUT)) end
      worker:close()
      support.stop(factory, address)
    end)

    it("carries the largest message there may be, and refuses a larger one", function()
      local factory, address = start([[{ onRequest = function(self, value) return value end }]],
        { maxMessageSize = 1 << 20 })
      local worker = assert(factory:connectToSharedWorker(address))
      local text = ("x"):rep((1 << 20) - 100)
      assert.equal(text, worker:request(text))
      local response, err = worker:request(text .. text)
      assert.is_nil(response)
      assert.equal("oversize", err.kind)
      assert.equal(1, worker:request(1))
      worker:close()
      support.stop(factory, address)
    end)

    it("tells what cannot be sent, to whom it concerns", function()
      local factory, address = start [[{ onRequest = function() return print end }]]
      local worker = assert(factory:connectToSharedWorker(address))
      local response, err = worker:request(1)
      assert.is_nil(response)
      assert.equal("encode", err.kind)
      assert.matches("cannot send a function", err.message)
      response, err = worker:request(print)
      assert.is_nil(response)
      assert.equal("encode", err.kind)
      worker:close()
      support.stop(factory, address)
    end)
  end)
end

describe("a shared worker over TCP", function()
  before_each(support.setUp)
  after_each(function() support.tearDown() end)

  it("shows its code to nobody who has not shown the cookie", function()
    local factory, address = support.start([[{
      onRequest = function() error "secret path" end,
    }]], nil, support.tcpAddress())
    local stranger = support.factory { adminCookie = "wrong" }:connectToSharedWorker(address)
    local _, err = stranger:request(1)
    assert.matches("secret path", err.message)
    assert.is_nil(err.traceback)
    stranger:query(TIMEOUT)
    _, err = stranger:request(1)
    assert.is_nil(err.traceback)
    stranger:close()
    local worker = assert(factory:connectToSharedWorker(address))
    worker:query(TIMEOUT)
    _, err = worker:request(1)
    assert.matches("stack traceback", err.traceback)
    worker:close()
    support.stop(factory, address)
  end)
end)

describe("a custom channel factory", function()
  before_each(support.setUp)
  after_each(function() support.tearDown() end)

  it("is used at both ends of a shared worker's connections", function()
    support.write(support.path "reversed.lua", [[return function()
      return { encode = function(v) return tostring(v):reverse() end,
        decode = function(bytes) return bytes:reverse() end }
    end]])
    local path = package.path
    package.path = support.path "?.lua;" .. path
    finally(function()
      package.path = path
      package.loaded.reversed = nil
    end)
    local factory, address = support.start([[{
      onRequest = function(self, text) return text .. "!" end,
    }]], { channelFactory = { module = "reversed" } })
    local worker = assert(factory:connectToSharedWorker(address))
    assert.equal("hello!", worker:request "hello")
    worker:close()
    support.stop(factory, address)
  end)
end)
