-- SPDX-License-Identifier: Apache-2.0
-- Connecting: names of peers, time-outs, the wrong encoding, and never holding up a loop.

local artel = require "artel"
local core = require "artel.core"
local helper = require "spec.helper"
local support = require "spec.shared.support"
local uv = require "luv"

local ECHO = [[{
  onRequest = function(self, value, channel, peerName) return { value, peerName } end,
  onMessage = function(self, value, channel, peerName) channel:sendMessage(value) end,
}]]

--- A unix socket where somebody listens who says what `onClient(client)` makes it say.
local function startListener(onClient)
  local pipe = uv.new_pipe()
  assert(pipe:bind(support.path "other.sock"))
  local clients = {}
  assert(pipe:listen(16, function()
    local client = uv.new_pipe()
    pipe:accept(client)
    clients[#clients + 1] = client
    if onClient then onClient(client) end
  end))
  return function()
    pipe:close()
    for _, client in ipairs(clients) do
      if not client:is_closing() then client:close() end
    end
    uv.run "nowait"
  end
end

describe("connecting to a shared worker", function()
  before_each(support.setUp)
  after_each(function() support.tearDown() end)

  it("tells the worker who is there, over unix", function()
    local factory, address = support.start(ECHO)
    local worker <close> = assert(factory:connectToSharedWorker(address))
    assert.same({ 1, ("pid:%d uid:%d"):format(uv.os_getpid(), uv.getuid()) }, worker:request(1))
    support.stop(factory, address)
  end)

  it("shows whether the worker is still there", function()
    local factory, address = support.start(ECHO)
    local worker = assert(factory:connectToSharedWorker(address))
    local name = "artel shared worker " .. address
    assert.equal(name .. " (connected)", tostring(worker))
    support.stop(factory, address)
    assert.equal("closed", select(2, worker:receiveMessage(support.TIMEOUT)).kind)
    assert.equal(name .. " (it has gone)", tostring(worker))
    worker:close()
    assert.equal(name .. " (closed)", tostring(worker))
  end)

  it("tells the worker who is there, over TCP", function()
    local patterns = { ["127.0.0.1"] = "^127%.0%.0%.1:%d+$", ["::1"] = "^%[::1%]:%d+$" }
    for host, pattern in pairs(patterns) do
      local factory, address = support.start(ECHO, nil, support.tcpAddress(host))
      local worker = assert(factory:connectToSharedWorker(address))
      assert.matches(pattern, worker:request(1)[2])
      worker:close()
      support.stop(factory, address)
    end
  end)

  it("takes localhost for 127.0.0.1, and its lock too", function()
    local address = support.tcpAddress()
    local named = address:gsub("127%.0%.0%.1", "localhost")
    local factory = support.start(ECHO, nil, address)
    assert.is_false(factory:startSharedWorkerWithExpression(named, ECHO))
    local worker = assert(factory:connectToSharedWorker(named))
    worker:close()
    support.stop(factory, named)
  end)

  it("finds localhost at ::1 too", function()
    local address = support.tcpAddress "::1"
    local factory = support.start(ECHO, nil, address)
    local worker = assert(factory:connectToSharedWorker((address:gsub("%[::1%]", "localhost"))))
    worker:close()
    local task = artel.async(function()
      local other = assert(factory:connectToSharedWorker((address:gsub("%[::1%]", "localhost"))))
      other:close()
      return true
    end)
    assert.is_true(task:await(support.TIMEOUT))
    support.stop(factory, address)
  end)

  it("ends in time when who listens never greets", function()
    local stop = startListener()
    finally(stop)
    local factory = support.factory { connectTimeout = 0.05 }
    local address = support.unixAddress "other.sock"
    local worker, err = factory:connectToSharedWorker(address)
    assert.is_nil(worker)
    assert.equal("timeout", err.kind)
    worker, err = artel.async(function() return factory:connectToSharedWorker(address) end)
      :await(support.TIMEOUT)
    assert.is_nil(worker)
    assert.equal("timeout", err.kind)
  end)

  it("ends in time when the backlog is full", function()
    local pipe = uv.new_pipe()
    assert(pipe:bind(support.path "other.sock"))
    assert(pipe:listen(1, function() end))
    local address, waiting = support.unixAddress "other.sock", {}
    while true do
      local descriptor = core.sockets.connect(address, 0)
      if not descriptor then break end
      waiting[#waiting + 1] = descriptor
    end
    local factory = support.factory { connectTimeout = 0.05 }
    local worker, err = factory:connectToSharedWorker(address)
    assert.is_nil(worker)
    assert.equal("timeout", err.kind)
    worker, err = artel.async(function() return factory:connectToSharedWorker(address) end)
      :await(support.TIMEOUT)
    assert.is_nil(worker)
    assert.equal("timeout", err.kind)
    for _, descriptor in ipairs(waiting) do core.sockets.close(descriptor) end
    pipe:close()
    uv.run "nowait"
  end)

  it("says so when the other side is no worker", function()
    local stop = startListener(function(client)
      client:write "HTTP/1.1 400 Bad Request\r\n\r\n"
    end)
    finally(stop)
    local err
    artel.async(function()
      local _
      _, err = support.factory():connectToSharedWorker(support.unixAddress "other.sock")
    end):await(support.TIMEOUT)
    assert.equal("protocol", err.kind)
    assert.matches('got "HTTP/"', err.message, nil, true)
  end)

  it("says so when the encodings differ, whichever way", function()
    for mine, other in pairs { msgpack = "json", json = "msgpack" } do
      local factory, address = support.start(ECHO, { channelFactory = other })
      local client = support.factory { channelFactory = mine }
      local worker, err = client:connectToSharedWorker(address)
      if worker then -- JSON has no greeting, so it shows with the first answer
        worker:sendMessage "hello"
        err = select(2, worker:receiveMessage(support.TIMEOUT))
        worker:close()
      end
      assert.equal("protocol", err.kind)
      assert.matches("speaks " .. other, err.message)
      support.stop(factory, address)
    end
  end)

  it("never holds up a loop", function()
    -- The worker comes up when the loop has turned.
    local gate = support.path "gate"
    local factory = support.factory { stage1Parts = { ([[repeat
      local file = io.open(%q)
      if file then file:close() end
    until file]]):format(gate) } }
    local address = support.unixAddress()
    local idle, turns = uv.new_idle(), 0
    finally(function()
      idle:close()
      uv.run "nowait"
    end)
    idle:start(function()
      turns = turns + 1
      if turns == 10 then support.write(gate, "") end
    end)
    local answer
    local task = artel.async(function()
      local worker <close> = assert(factory:connectToSharedWorkerWithExpression(address, ECHO))
      answer = worker:request "hello"
    end)
    assert.is_false(task:isDone())
    task:await(support.TIMEOUT)
    assert.equal("hello", answer[1])
    assert.is_true(turns >= 10)
    assert.is_true(artel.async(function()
      return factory:stopSharedWorker(address, support.TIMEOUT)
    end):await(support.TIMEOUT))
  end)

  it("raises where it would hold up a loop", function()
    local factory, address = support.start(ECHO)
    local message
    local timer = uv.new_timer()
    timer:start(0, 0, function()
      timer:close()
      message = select(2, pcall(factory.connectToSharedWorker, factory, address))
    end)
    uv.run()
    assert.matches("would block the loop: use artel.async", message)
    support.stop(factory, address)
  end)

  it("raises misuse where it is called, on a factory and on artel", function()
    for _, maker in ipairs { artel, artel.WorkerFactory.new { adminCookie = "x" } } do
      for _, name in ipairs { "connectToSharedWorker", "startSharedWorker", "stopSharedWorker",
        "querySharedWorker", "getSharedWorkerProcessId" } do
        helper.raisesHere("begins with neither", function()
          if maker == artel then artel[name]("/x", "m") else maker[name](maker, "/x", "m") end
        end)
      end
    end
  end)

  it("asks for names without holding up a loop", function()
    local factory = support.factory()
    local worker, err = artel.async(function()
      return factory:connectToSharedWorker "tcp://no-such-host.invalid:4000"
    end):await(support.TIMEOUT)
    assert.is_nil(worker)
    assert.equal("connect", err.kind)
    assert.matches("no%-such%-host%.invalid", err.message)
    local blocking
    blocking, err = factory:connectToSharedWorker "tcp://no-such-host.invalid:4000"
    assert.is_nil(blocking)
    assert.equal("connect", err.kind)
  end)

  it("works from the handlers of a worker, with and without luv", function()
    local inner = support.unixAddress "inner.sock"
    local template = [[{
      %s
      onRequest = function(self, value)
        local artel = require "artel"
        local factory = artel.WorkerFactory.new { outputPath = %q, adminCookie = "a cookie" }
        local worker <close> = assert(factory:connectToSharedWorkerWithExpression(%q, %q))
        return assert(worker:request(value))[1]
      end,
    }]]
    for _, loop in ipairs { "", "setLoop = function() end," } do
      local expression = template:format(loop, support.path "log", inner, ECHO)
      local factory = support.factory()
      local worker <close> = assert(factory:createWorkerWithExpression(expression))
      assert.equal("through", worker:request("through", { timeout = support.TIMEOUT }))
      worker:close()
      local outer = support.start(expression, nil, support.unixAddress "outer.sock")
      local client <close> = assert(outer:connectToSharedWorker(support.unixAddress "outer.sock"))
      assert.equal("twice", client:request("twice", { timeout = support.TIMEOUT }))
      client:close()
      support.stop(factory, support.unixAddress "outer.sock")
      support.stop(factory, inner)
    end
  end)
end)
