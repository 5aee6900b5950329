-- SPDX-License-Identifier: Apache-2.0
-- Peers that do what they must not: none of them stops a shared worker from serving.

local support = require "spec.shared.support"
local uv = require "luv"

local TIMEOUT = support.TIMEOUT

local ECHO = [[{
  onMessage = function(self, value, channel) channel:sendMessage(value) end,
  onRequest = function(self, value) return value end,
}]]

local function frame(kind, id, body) return string.pack(">I4I1I4", #body, kind, id) .. body end

describe("a shared worker survives", function()
  local factory, address, pid

  local function start(expression, options)
    factory, address, pid = support.start(expression, options)
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
    assert.matches("got \\\"GET / HTTP", support.log():gsub('"', '\\"'), nil, true)
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
    local resident = tonumber(support.read(("/proc/%d/statm"):format(pid)):match "^%d+ (%d+)")
    assert.is_true(resident * 4096 < 64 << 20)
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
    local resident = tonumber(support.read(("/proc/%d/statm"):format(pid)):match "^%d+ (%d+)")
    assert.is_true(resident * 4096 < 24 << 20, "30 MB were sent and only a little taken in")
    local worker = assert(factory:connectToSharedWorker(address))
    assert.equal("go on", worker:request "go on")
    flooder:receive(4 + 500 * 12)
    worker:close()
    flooder:close()
  end)

  it("unfinished messages that together are too much: the largest goes first", function()
    start(ECHO)
    local clients = {}
    local begun = "ATL1" .. string.pack(">I4I1I4", 16 << 20, 0, 0)
    local body = ("x"):rep((16 << 20) - 100)
    for n = 1, 17 do
      clients[n] = support.bareClient(address)
      clients[n]:send(begun .. body)
    end
    while not support.log():find "cut off: it had the largest unfinished" do assertServes() end
    for _, client in ipairs(clients) do client:close() end
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
