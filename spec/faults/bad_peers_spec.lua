-- SPDX-License-Identifier: Apache-2.0
-- Clients that do what they must not: none of them stops a shared worker from serving.

local core = require "artel.core"
local artel = require "artel"
local helper = require "spec.helper"
local program = require "spec.program"
local support = require "spec.shared.support"
local uv = require "luv"

local TIMEOUT = support.TIMEOUT

local ECHO = [[{
  onMessage = function(self, value, channel) channel:sendMessage(value) end,
  onRequest = function(self, value) return value end,
}]]

local function frame(kind, id, body) return string.pack(">I4I1I4", #body, kind, id) .. body end

describe("a shared worker survives", function()
  support.outliveBrokenPipes { setup = setup, teardown = teardown }

  local factory, address, pid

  local function start(expression, options)
    factory, address, pid = support.start(expression, options)
  end

  --- Memory of the worker.
  local function residentBytes()
    return tonumber(support.read(("/proc/%d/statm"):format(pid)):match "^%d+ (%d+)") * 4096
  end

  --- The worker still answers others.
  local function assertServes()
    local worker <close> = assert(factory:connectToSharedWorker(address))
    assert.equal("still here", worker:request("still here", { timeout = TIMEOUT }))
  end

  --- What a client that sends these bytes hears before the end.
  local function sendAndListen(bytes)
    local client = support.bareClient(address)
    client:send(bytes)
    local heard = client:awaitEnd()
    client:close()
    assertServes()
    return heard
  end

  before_each(support.setUp)
  after_each(function()
    if factory then support.stop(factory, address) end
    factory = nil
    support.tearDown()
  end)

  it("garbage in place of the greeting, and answers it in JSON", function()
    start(ECHO)
    for _, bytes in ipairs { "GET / HTTP/1.1\r\n\r\n", "{\"_query_\":false}\n", "\0\0\0\0", "?" } do
      local heard = sendAndListen(bytes)
      assert.matches('^{"_error_":0,"kind":"protocol","message":".*"}\n$', heard)
    end
    assert.matches('got "GET /"', support.log(), nil, true)
  end)

  it("a greeting of another version, at the first byte that differs", function()
    start(ECHO)
    for _, bytes in ipairs { "ATL2", "ATx", "AB" } do
      local heard = sendAndListen(bytes)
      assert.equal("ATL1", heard:sub(1, 4))
      local length, kind, id = string.unpack(">I4I1I4", heard, 5)
      assert.same({ 3, 0, 13 + length }, { kind, id, #heard })
    end
  end)

  it("a greeting that never comes, or not whole", function()
    start(ECHO)
    local silent, slow = support.bareClient(address), support.bareClient(address)
    slow:send "AT"
    assertServes()
    slow:send "L1"
    assert.equal("ATL1", slow:receive(4))
    silent:close()
    slow:close()
  end)

  -- The worker's own code says how long its peers may take, from the next one on.
  local HASTY_ECHO = [[{
    onRequest = function(self, value)
      if value.pause then io.open(value.pause):close() end -- a pipe: until somebody writes
      require "artel.server_core".GREETING_TIMEOUT = value.greetingTimeout
      return "done"
    end,
  }]]

  it("a greeting that does not come in time: that client is cut off, no other", function()
    start(HASTY_ECHO)
    local worker = assert(factory:connectToSharedWorker(address))
    assert.equal("done", worker:request { greetingTimeout = 0.1 })
    local silent, slow = support.bareClient(address), support.bareClient(address)
    slow:send "ATL"
    assert.equal("", silent:awaitEnd())
    assert.equal("", slow:awaitEnd())
    silent:close()
    slow:close()
    assert.equal(2, select(2, support.log():gsub("cut off: it did not greet in time", "")))
    assert.equal("done", worker:request { greetingTimeout = TIMEOUT })
    worker:close()
  end)

  it("a greeting that it was too busy to read in time, and serves that client", function()
    start(HASTY_ECHO)
    local worker = assert(factory:connectToSharedWorker(address))
    local pipe = support.path "pipe"
    assert.equal(0, program.run({ "mkfifo", pipe }).code)
    local response
    local busy = artel.async(function()
      response = worker:request { greetingTimeout = 0, pause = pipe }
    end)
    local client = support.bareClient(address)
    client:send "ATL1"
    support.write(pipe, "")
    assert.equal("ATL1", client:receive(4))
    busy:await(TIMEOUT)
    assert.equal("done", response)
    assert.equal("done", worker:request { greetingTimeout = TIMEOUT })
    client:close()
    worker:close()
  end)

  it("one byte at a time", function()
    start(ECHO)
    local client = support.bareClient(address)
    for byte in ("ATL1" .. frame(0, 0, "\xa5hello")):gmatch "." do client:send(byte) end
    assert.equal("ATL1" .. frame(0, 0, "\xa5hello"), client:receive(4 + 9 + 6))
    client:close()
    assertServes()
  end)

  it("half a header, half a body, and then the end", function()
    start(ECHO)
    for cut = 1, 14 do
      local client = support.bareClient(address)
      client:send(("ATL1" .. frame(0, 0, "\xa5hello")):sub(1, 4 + cut))
      client:shutdown()
      client:awaitEnd()
      client:close()
    end
    assertServes()
  end)

  it("unknown kinds, kinds of the other direction, and announced gigabytes", function()
    start(ECHO)
    for _, bytes in ipairs { frame(99, 0, ""), frame(6, 0, "\x80"), frame(7, 0, "\xc0"),
      frame(10, 0, "\x80") } do
      assert.matches("protocol", sendAndListen("ATL1" .. bytes))
    end
    for _, length in ipairs { 0xFFFFFFFF, (16 << 20) + 1 } do
      assert.matches("oversize", sendAndListen("ATL1" .. string.pack(">I4I1I4", length, 1, 1)))
    end
  end)

  it("bodies that do not decode: the request ends, the connection lives", function()
    start(ECHO)
    local client = support.bareClient(address)
    client:send("ATL1" .. frame(0, 0, "\xc1") .. frame(1, 1, "\xa5hel") .. frame(1, 2, "\xa2ok"))
    local heard = client:receive "ok"
    assert.matches("decode", heard)
    client:close()
    assert.matches("a message was dropped", support.log())
  end)

  it("a message of 0 bytes, which is none, and serves one of 1 byte", function()
    start(ECHO)
    local client = support.bareClient(address)
    client:send("ATL1" .. frame(0, 0, "") .. frame(0, 0, "\7"))
    assert.equal("ATL1" .. frame(0, 0, "\7"), client:receive(4 + 9 + 1))
    client:close()
    assert.matches("a message was dropped", support.log())
  end)

  it("bodies that would make too many values, or keys that collide", function()
    start(ECHO)
    local client = support.bareClient(address)
    local million = "\xdd" .. string.pack(">I4", 1100000) .. ("\x90"):rep(1100000)
    client:send("ATL1" .. frame(1, 1, million))
    assert.matches("oversize", client:receive "oversize")
    local keys = {}
    for n = 1, 5000 do keys[n] = "\xd3" .. string.pack(">i8", n << 40) .. "\xc0" end
    client:send(frame(1, 2, "\xdf" .. string.pack(">I4", #keys) .. table.concat(keys)))
    assert.matches("number keys", client:receive "number keys")
    client:close()
    assertServes()
  end)

  it("responses nobody waits for, and cancellations of nothing", function()
    start(ECHO)
    local client = support.bareClient(address)
    client:send("ATL1" .. frame(2, 77, "\x01") .. frame(3, 78, "\x80") .. frame(9, 79, "\xc0")
      .. frame(1, 1, "\xa2ok"))
    assert.matches("ok", client:receive "ok")
    client:close()
    assertServes()
  end)

  it("JSON that is none, and tells where", function()
    start(ECHO, { channelFactory = "json" })
    for _, bytes in ipairs { "ATL1", "GET / HTTP/1.1\r\n", "]", "\"\1\"" } do
      local heard = sendAndListen(bytes)
      if bytes == "ATL1" then
        assert.matches("^ATL1", heard)
      elseif bytes ~= '"\1"' then
        assert.matches('"kind":"protocol"', heard)
      end
    end
    local client = support.bareClient(address)
    client:send '{"a":1,"a":\n{"_request_":1,"body":[1,}\n'
    client:shutdown()
    client:awaitEnd()
    client:close()
    assertServes()
  end)

  it("bytes that would forge its log", function()
    for _, channelFactory in ipairs { "json", "msgpack" } do
      start(ECHO, { channelFactory = channelFactory })
      local greeting = channelFactory == "msgpack" and "ATL1" or ""
      local forged = "\n\27[31m\nartel worker: forged"
      local function errorFrame(kind)
        local map = { kind = kind, message = forged }
        if channelFactory == "json" then
          map._error_ = 0
          return core.encode("json", map)
        end
        return frame(3, 0, core.encode("msgpack", map))
      end
      for _, bytes in ipairs { forged, greeting .. forged, greeting .. '["' .. forged,
        errorFrame "protocol", greeting .. errorFrame "protocol",
        greeting .. errorFrame "oversize" .. forged } do
        local client = support.bareClient(address)
        client:send(bytes)
        client:shutdown()
        client:awaitEnd()
        client:close()
      end
      assertServes()
      support.stop(factory, address)
    end
    factory = nil
    assert.matches("\\x0a\\x1b[31", support.log(), nil, true)
    assert.is_nil(support.log():find("\nartel worker: forged", 1, true))
    assert.is_nil(support.log():find "\27")
  end)

  it("cookies that are no texts", function()
    for _, channelFactory in ipairs { "json", "msgpack" } do
      start(ECHO, { channelFactory = channelFactory })
      local client = support.bareClient(address)
      if channelFactory == "msgpack" then client:send "ATL1" end
      for _, cookie in ipairs { "null", "true", "1", '""', "[]", '{"a cookie":"a cookie"}' } do
        if channelFactory == "json" then
          client:send(('{"_stop_":%s}{"_query_":%s}'):format(cookie, cookie))
        else
          local body = core.encode("msgpack", core.decode("json", cookie))
          client:send(frame(4, 0, body) .. frame(5, 0, body))
        end
      end
      client:send(channelFactory == "json" and '{"_request_":1,"body":"last"}'
        or frame(1, 1, "\xa4last"))
      assert.is_nil(client:receive("last"):find "sys_")
      client:close()
      support.stop(factory, address)
    end
    factory = nil
  end)

  it("a client that goes on asking and never reads", function()
    start [[{
      onRequest = function(self, value) return value end,
      onQuery = function() return ("status "):rep(1000) end,
    }]]
    for _, asked in ipairs { frame(1, 1, "\xda\xff\xff" .. ("x"):rep(65535)),
      frame(5, 0, "\xa8a cookie"):rep(100) } do
      local client = support.bareClient(address)
      client:send "ATL1"
      client:receive(4)
      client:stopReading()
      for _ = 1, 1000 do client:push(asked) end -- many more than are ever taken in
      for _ = 1, 20 do assertServes() end
      assert.is_true(residentBytes() < 24 << 20)
      client:close()
    end
  end)

  it("a client that never reads what it asked for", function()
    start([[{
      onMessage = function(self, length, channel)
        for _ = 1, 4 do channel:sendMessage(("x"):rep(length)) end
      end,
      onRequest = function(self, value) return value end,
    }]], { maxQueuedBytes = 1 << 20, stopTimeout = 0.1 })
    local client = support.bareClient(address)
    client:send "ATL1"
    client:receive(4)
    client:stopReading()
    client:push(frame(0, 0, "\xce" .. string.pack(">I4", 600000)))
    while not support.log():find "cut off" do assertServes() end
    client:close()
    assertServes()
  end)

  it("a client that is sent more than it reads: it alone is cut off", function()
    start([[(function()
      local channels = {}
      return {
        onConnect = function(self, channel) channels[channel] = true end,
        onDisconnect = function(self, channel) channels[channel] = nil end,
        onMessage = function(self, message) -- to all, as a chat does
          for channel in pairs(channels) do channel:sendMessage(message) end
        end,
        onRequest = function(self, value) return value end,
      }
    end)()]], { maxQueuedBytes = 4 << 20, stopTimeout = 0.1 })
    local deaf = support.bareClient(address)
    deaf:send "ATL1"
    deaf:receive(4)
    deaf:stopReading()
    local worker = assert(factory:connectToSharedWorker(address))
    local text = ("x"):rep(500000)
    local rounds = 0
    repeat
      worker:sendMessage(text)
      assert.equal(text, worker:receiveMessage(TIMEOUT))
      rounds = rounds + 1
    until support.log():find "cut off" or rounds > 100000
    assert.is_true(residentBytes() < 64 << 20)
    worker:close()
    deaf:close()
    assertServes()
  end)

  it("a client that sends without end while its messages wait", function()
    start([[(function()
      local uv = require "luv"
      return {
        onMessage = function(self, message, channel)
          if message ~= "wait" then return channel:sendMessage(#message) end
          self.thread = coroutine.running()
          coroutine.yield()
        end,
        onRequest = function(self, value)
          if value == "go on" then
            local thread, timer = self.thread, uv.new_timer()
            timer:start(0, 0, function() timer:close() coroutine.resume(thread) end)
          end
          return value
        end,
      }
    end)()]])
    local flooder = support.bareClient(address)
    flooder:send("ATL1" .. frame(0, 0, "\xa4wait"))
    local long = frame(0, 0, "\xda" .. string.pack(">I2", 60000) .. ("x"):rep(60000))
    for _ = 1, 500 do flooder:push(long) end
    for _ = 1, 20 do assertServes() end
    assert.is_true(residentBytes() < 24 << 20, "30 MB were sent and only a little taken in")
    local worker = assert(factory:connectToSharedWorker(address))
    assert.equal("go on", worker:request "go on")
    flooder:receive(4 + 500 * 12)
    worker:close()
    flooder:close()
  end)

  it("unfinished messages that together are too much: the largest goes, and hears why", function()
    start([[{
      onMessage = function(self, value, channel) channel:sendMessage(#value) end,
      onRequest = function(self, value) return value end,
    }]], { maxMessageSize = 40 << 20 })
    -- 7 of 32 MiB are 224 MiB; 33 MiB more are beyond the 256 MiB that there may be.
    local text, rest = ("x"):rep((32 << 20) - 10), ("x"):rep(10)
    local clients, begun = {}, "ATL1" .. string.pack(">I4I1I4", (32 << 20) + 5, 0, 0)
      .. "\xdb" .. string.pack(">I4", 32 << 20)
    for n = 1, 7 do
      clients[n] = support.bareClient(address)
      clients[n]:send(begun .. text)
    end
    local largest = support.bareClient(address)
    largest:send("ATL1" .. string.pack(">I4I1I4", 40 << 20, 0, 0) .. text .. ("x"):rep(1 << 20))
    assert.matches("overloaded", largest:awaitEnd())
    assert.matches("more unfinished messages than it may", largest.received)
    largest:close()
    assert.matches("cut off: it had the largest unfinished message", support.log())
    assertServes()
    for _, client in ipairs(clients) do -- the others go on
      client:send(rest)
      assert.equal("ATL1" .. frame(0, 0, "\xce" .. string.pack(">I4", 32 << 20)),
        client:receive(4 + 9 + 5))
      client:close()
    end
    local _, count = support.log():gsub("cut off", "")
    assert.equal(1, count)
  end)

  it("clients that begin a message behind a long one: it keeps no room for another such", function()
    start [[{ onMessage = function(self, value, channel) channel:sendMessage(#value) end,
      onRequest = function(self, value) return value end }]]
    local long = frame(0, 0, "\xdb" .. string.pack(">I4", 12 << 20) .. ("x"):rep(12 << 20))
    local clients = {}
    for n = 1, 16 do
      clients[n] = support.bareClient(address)
      clients[n]:send("ATL1" .. long .. "\0")
      clients[n]:receive(4 + 9 + 5)
    end
    -- It looks every second.
    helper.eventually(function() return helper.isWatched or residentBytes() < 96 << 20 end)
    assertServes()
    for _, client in ipairs(clients) do -- each goes on where it was
      client:send(frame(0, 0, "\xa3abc"):sub(2))
      client:receive(4 + 9 + 5 + 9 + 1)
      client:close()
    end
  end)

  it("requests whose ids collide, while a handler looks whether it is cancelled", function()
    start [[{
      onRequest = function(self, value)
        if value ~= "compute" then return value end
        local isCancelled = require "artel".isCancelled
        local began, longest = os.clock(), 0.0
        repeat
          local before = os.clock()
          isCancelled()
          longest = math.max(longest, os.clock() - before)
        until before - began > 1
        return longest
      end,
    }]]
    local client = support.bareClient(address)
    client:send("ATL1" .. frame(1, 1, "\xa7compute"))
    -- Lua takes a number's remainder by the size of the table, a power of two less one.
    local many = {}
    for n = 1, 65000 do many[n] = frame(1, n * 65535 & 0xffffffff, "\1") end
    client:push(table.concat(many))
    client:receive(4 + 9 + 9)
    local longest = string.unpack(">d", client.received, 4 + 9 + 2)
    assert.is_true(longest < 0.7, ("one look took %g s"):format(longest))
    client:close()
    assertServes()
  end)

  it("clients that vanish in the middle of everything", function()
    start(ECHO)
    for n = 1, 200 do
      local client = support.bareClient(address)
      client:push(("ATL1" .. frame(1, 1, "\xa5hello")):sub(1, n % 18))
      client:close()
    end
    assertServes()
    uv.run "nowait"
  end)
end)
