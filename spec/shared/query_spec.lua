-- SPDX-License-Identifier: Apache-2.0
-- Asking a shared worker how it is, and keeping what arrives meanwhile.

local artel = require "artel"
local core = require "artel.core"
local helper = require "spec.helper"
local support = require "spec.shared.support"

local TIMEOUT = support.TIMEOUT

local function countersOf(status)
  local found = {}
  for _, counter in ipairs(status:getCounters()) do found[counter:getName()] = counter end
  return found
end

for _, encoding in ipairs { "msgpack", "json" } do
  describe("a query over " .. encoding, function()
    local function start(expression, options)
      options = options or {}
      options.channelFactory = encoding
      return support.start(expression, options)
    end

    local function query(onQuery)
      local factory, address = start(([[{
        onRequest = function(self, value) return value end,
        onQuery = function(self, privileged) %s end,
      }]]):format(onQuery))
      local known, stranger = factory:querySharedWorker(address),
        support.factory { channelFactory = encoding, adminCookie = "wrong" }
          :querySharedWorker(address)
      local worker = assert(factory:connectToSharedWorker(address))
      assert.equal("alive", worker:request "alive")
      worker:close()
      support.stop(factory, address)
      return known, stranger
    end

    before_each(support.setUp)
    after_each(function() support.tearDown() end)

    it("may be answered with nothing, and then tells strangers nothing", function()
      local known, stranger = query ""
      assert.is_nil(known:getTextStatus())
      assert.is_truthy(countersOf(known).sys_memory_usage)
      assert.is_nil(stranger:getTextStatus())
      assert.same({}, stranger:getCounters())
    end)

    it("may be answered with a text, which may depend on the privilege", function()
      local known, stranger = query "return privileged and 'all is well' or 'fine'"
      assert.equal("all is well", known:getTextStatus())
      assert.equal("fine", stranger:getTextStatus())
      assert.same({}, stranger:getCounters())
    end)

    it("may be answered with a table", function()
      local _, stranger = query [[return { textStatus = "busy",
        counters = { { name = "jobs", value = 7, unit = "c", min = 0 } } }]]
      assert.equal("busy", stranger:getTextStatus())
      local counter = stranger:getCounters()[1]
      assert.same({ "jobs", 7, "c", 0, nil }, { counter:getName(), counter:getValue(),
        counter:getUnit(), counter:getMin(), counter:getMax() })
    end)

    it("may be answered with a WorkerStatus, to which the system's counters come", function()
      local known, stranger = query [[local artel = require "artel"
        return artel.WorkerStatus.new("ok", { artel.WorkerCounter.new("load", 0.5) })]]
      assert.equal("ok", known:getTextStatus())
      assert.equal("load", known:getCounters()[1]:getName())
      local counters = countersOf(known)
      for name, unit in pairs {
        sys_wall_execution_time = "s", sys_memory_usage = "B", sys_processor_time = "s",
        sys_lua_memory_usage = "B", sys_connections_open = false, sys_connections_accepted = "c",
        sys_messages_received = "c", sys_messages_sent = "c", sys_requests = "c", sys_errors = "c",
      } do
        assert.equal(unit or nil, counters[name]:getUnit())
        assert.is_true(counters[name]:getValue() >= 0)
      end
      assert.equal(1, #stranger:getCounters())
    end)

    it("answers an error status when onQuery fails, and the worker lives on", function()
      for _, body in ipairs { "error 'no idea'", "return 42", "return { counters = 'none' }",
        "return { counters = { { value = 1 } } }" } do
        local known = query(body)
        assert.matches("^an error in onQuery: ", known:getTextStatus())
        assert.equal(1, countersOf(known).sys_errors:getValue())
      end
    end)

    it("may have an answer longer than maxMessageSize: then it is answered with that, and logged",
      function()
        local factory, address = start([[{
          onRequest = function(self, value) return value end,
          onQuery = function(self, privileged) return not privileged and "short" or nil end,
        }]], { maxMessageSize = 400 })
        local status = assert(factory:querySharedWorker(address, TIMEOUT))
        assert.matches("^the status cannot be sent: .*400", status:getTextStatus())
        assert.matches("the status cannot be sent", support.log())
        local stranger = support.factory { channelFactory = encoding, adminCookie = "wrong" }
        assert.equal("short", stranger:querySharedWorker(address, TIMEOUT):getTextStatus())
        support.stop(factory, address)
      end)

    it("may wait, and several are answered in order", function()
      local factory, address = start [[(function()
        local count = 0
        return {
          onRequest = function(self, value) return value end,
          onQuery = function()
            count = count + 1
            local mine = count
            local thread, timer = coroutine.running(), require("luv").new_timer()
            timer:start(mine == 1 and 20 or 1, 0, function()
              timer:close()
              coroutine.resume(thread)
            end)
            coroutine.yield()
            return "number " .. mine
          end,
        }
      end)()]]
      local worker = assert(factory:connectToSharedWorker(address))
      local tasks, answers = {}, {}
      for n = 1, 3 do
        tasks[n] = artel.async(function() answers[n] = worker:query(TIMEOUT):getTextStatus() end)
      end
      for _, task in ipairs(tasks) do task:await(TIMEOUT) end
      assert.same({ "number 1", "number 2", "number 3" }, answers)
      worker:close()
      support.stop(factory, address)
    end)

    it("that was given up does not answer a later one", function()
      local gate = support.path "gate"
      local factory, address = start(([[(function()
        local count = 0
        return {
          onMessage = function() end,
          onQuery = function()
            count = count + 1
            while true do -- until the spec lets it go
              local file = io.open(%q)
              if file then file:close() break end
            end
            return "number " .. count
          end,
        }
      end)()]]):format(gate))
      local worker = assert(factory:connectToSharedWorker(address))
      local status, err = worker:query(0.001)
      assert.is_nil(status)
      assert.equal("timeout", err.kind)
      support.write(gate, "")
      assert.equal("number 2", worker:query(TIMEOUT):getTextStatus())
      worker:close()
      support.stop(factory, address)
    end)

    it("keeps the messages that come meanwhile", function()
      local factory, address = start [[{
        onMessage = function(self, count, channel)
          for n = 1, count do channel:sendMessage(n) end
        end,
        onQuery = function() return "here" end,
      }]]
      local worker = assert(factory:connectToSharedWorker(address))
      worker:sendMessage(5)
      assert.equal("here", worker:query(TIMEOUT):getTextStatus())
      assert.equal(5, worker:getUnreceivedMessageCount())
      assert.same({ 1, 2, 3, 4, 5 }, worker:peekUnreceivedMessages())
      assert.equal(2, worker:removeUnreceivedMessage(2))
      assert.is_nil(worker:removeUnreceivedMessage(9))
      worker:sendMessage(1)
      assert.equal(1, worker:receiveMessageDirectly(TIMEOUT))
      assert.same({ 1, 3, 4, 5 }, worker:peekUnreceivedMessages())
      assert.equal(1, worker:receiveMessage(0))
      worker:unreceiveMessage "back"
      assert.equal(4, worker:getUnreceivedMessageCount())
      for _, expected in ipairs { "back", 3, 4, 5 } do
        assert.equal(expected, worker:receiveMessage(0))
      end
      assert.equal(0, worker:getUnreceivedMessageCount())
      assert.equal(0, core.state(worker).asideBytes) -- there is a limit to it
      local message, err = worker:receiveMessageDirectly(0)
      assert.is_nil(message)
      assert.equal("timeout", err.kind)
      local ok, refusal = helper.fromCallback(function() worker:receiveMessageDirectly() end)
      assert.is_false(ok)
      assert.matches("^spec/shared/query_spec.lua:%d+: this would block the loop", refusal)
      worker:close()
      support.stop(factory, address)
    end)
  end)
end

describe("a query", function()
  before_each(support.setUp)
  after_each(function() support.tearDown() end)

  it("counts what happened", function()
    local factory, address = support.start [[{
      onMessage = function(self, value, channel)
        channel:sendMessage(value)
        channel:sendMessage(value)
      end,
      onRequest = function(self, value)
        if value == "bad" then error "bad" end
        return value
      end,
    }]]
    local worker = assert(factory:connectToSharedWorker(address))
    for n = 1, 3 do
      worker:sendMessage(n)
      worker:receiveMessage(TIMEOUT)
      worker:receiveMessage(TIMEOUT)
    end
    worker:request "good"
    worker:request "bad"
    worker:close()
    local counters = countersOf(factory:querySharedWorker(address))
    assert.equal(3, counters.sys_messages_received:getValue())
    assert.equal(6, counters.sys_messages_sent:getValue())
    assert.equal(2, counters.sys_requests:getValue())
    assert.equal(1, counters.sys_errors:getValue())
    assert.is_true(counters.sys_connections_accepted:getValue() >= 2)
    support.stop(factory, address)
  end)

  it("of nobody is an error, and so are bad arguments", function()
    local factory, address = support.factory(), support.unixAddress()
    local status, err = factory:querySharedWorker(address)
    assert.is_nil(status)
    assert.equal("ENOENT", err.errno)
    assert.error_matches(function() factory:querySharedWorker(address, "soon") end, "time%-out")
    assert.error_matches(function() factory:querySharedWorker(7) end, "an address is a string")
  end)
end)
