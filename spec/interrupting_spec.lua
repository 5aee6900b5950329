-- SPDX-License-Identifier: Apache-2.0
-- What uses channels and pools in the middle of what they are at: finalisers, which Lua runs in
-- the middle of anything, and coroutines that a handler makes and no loop knows.

local artel = require "artel"
local core = require "artel.core"
local helper = require "spec.helper"

local TIMEOUT = helper.TIMEOUT
local REFUSAL = "cannot wait here: this interrupts the call that takes in what comes"
local ECHO = [[{
  onRequest = function(_, request) return request end,
  onMessage = function(_, message, channel) channel:sendMessage(message) end,
}]]

--- Calls `fn` in a finaliser at the next call of core[name] for which `isWanted` answers true.
---@return fun(): boolean wasCalled
local function finaliseIn(name, isWanted, fn)
  local original, called = core[name], false
  core[name] = function(...)
    if isWanted() then
      core[name] = original
      setmetatable({}, { __gc = function()
        called = true
        fn()
      end })
      collectgarbage()
    end
    return original(...)
  end
  return function()
    core[name] = original
    return called
  end
end

local function always() return true end

describe("a finaliser", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  describe("that runs while a channel takes in what has come", function()
    --- Calls `fn` in one: who waits for a request sets the message aside that stands before it,
    --- and counts its bytes before and after that.
    local function interrupt(left, right, fn)
      right:sendMessage "first"
      local looks = 0
      local wasCalled = finaliseIn("unread", function()
        looks = looks + 1
        return looks == 2
      end, fn)
      assert.is_nil(left:receiveRequest(0))
      assert.is_true(wasCalled())
    end

    local WAITS = {
      ["a response"] = function(left) left:request("nested", { timeout = TIMEOUT }) end,
      ["a request"] = function(left) left:receiveRequest(TIMEOUT) end,
      ["a message"] = function(left) left:receiveMessage(TIMEOUT) end,
      ["one of several"] = function(left) artel.select({ left }, TIMEOUT) end,
    }
    for what, wait in pairs(WAITS) do
      it("cannot wait there for " .. what, function()
        local pair <close> = helper.pair()
        local left, right = pair.left, pair.right
        local ok, err
        interrupt(left, right, function()
          ok, err = pcall(wait, left)
        end)
        assert.is_false(ok)
        assert.truthy(err:find(REFUSAL, 1, true), err)
        assert.equal("first", left:receiveMessage(0))
        assert.is_nil(right:receiveRequest(0)) -- nothing was sent
        right:sendMessage "second"
        assert.equal("second", left:receiveMessage(TIMEOUT))
      end)
    end

    it("sends and flushes all the same, and waits for room", function()
      local pair <close> = helper.pair()
      local left, right = pair.left, pair.right
      local long, sent, flushed = { ("x"):rep(4 << 20) }, nil, nil
      interrupt(left, right, function()
        sent = left:sendMessage(long)
        flushed = left:flush(TIMEOUT)
      end)
      assert.is_true(sent)
      assert.is_true(flushed)
      assert.same(long, right:receiveMessage(0))
      assert.equal("first", left:receiveMessage(0))
    end)
  end)

  describe("that runs in the middle of a pool's turn", function()
    local pool
    before_each(function()
      -- The time limit is for those who would hang.
      pool = artel.createWorkerPoolWithExpression(ECHO, 1, { queueTimeout = TIMEOUT })
      assert(pool:waitUntilReady(TIMEOUT))
    end)
    after_each(function()
      pool:close()
      pool = nil
    end)

    local MOMENTS = {
      ["while it looks what has come"] = function() return not pool:engine().assigning end,
      ["while it gives requests to workers"] = function() return pool:engine().assigning end,
    }
    for moment, isNow in pairs(MOMENTS) do
      it("cannot ask it, " .. moment, function()
        local ok, err
        local wasCalled = finaliseIn("flush", isNow, function()
          ok, err = pcall(pool.request, pool, "nested")
        end)
        assert.equal("outer", pool:request "outer")
        assert.is_true(wasCalled())
        assert.is_false(ok)
        assert.truthy(err:find(REFUSAL, 1, true), err)
        assert.equal("next", pool:request "next")
      end)
    end

    it("cannot ask it either while one of its workers is asked directly", function()
      local worker = pool[1]
      worker:sendMessage "echo"
      local ok, err
      local wasCalled = finaliseIn("unread", always, function()
        ok, err = pcall(pool.request, pool, "nested")
      end)
      helper.eventually(function()
        worker:receiveRequest(0) -- sets the message aside
        return ok ~= nil
      end)
      assert.is_true(wasCalled())
      assert.is_false(ok)
      assert.truthy(err:find(REFUSAL, 1, true), err)
      assert.equal("next", pool:request "next")
      assert.equal("echo", worker:receiveMessage(0))
    end)

    it("can close another one", function()
      local other = artel.createWorkerPoolWithExpression(ECHO, 1)
      local closed
      local wasCalled = finaliseIn("flush", always, function() closed = other:close() end)
      assert.equal("outer", pool:request "outer")
      assert.is_true(wasCalled())
      assert.is_true(closed)
    end)
  end)

  it("may wait and close anything where it interrupts nothing, as when Lua ends", function()
    local result = helper.script(([[
      local artel = require "artel"
      local function new(what, close)
        local object = { what = what }
        return setmetatable(object, { __gc = function()
          print(what:request(what:request "asked"))
          print((close(what)))
        end })
      end
      local function closeWorker(worker) return worker:close() end
      local function closePool(pool) return pool:close() end
      local unused = new(artel.createWorkerWithExpression(%q), closeWorker)
      unused = nil
      collectgarbage()
      Worker = new(artel.createWorkerWithExpression(%q), closeWorker)
      Pool = new(artel.createWorkerPoolWithExpression(%q, 1), closePool)
    ]]):format(ECHO, ECHO, ECHO))
    assert.equal(0, result.code, result.errors)
    local lines = {}
    for line in result.output:gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.same({ "asked", "0", "asked", "true", "asked", "0" }, lines)
  end)
end)

describe("a coroutine that a handler has made", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  it("cannot wait for its channel while that takes in the handler's message, but sends", function()
    local worker <close> = helper.worker(([[{ onMessage = function(_, message, channel)
      coroutine.wrap(function()
        local ok, err = pcall(channel.receiveMessage, channel, %d)
        channel:sendMessage { tostring(err), ("x"):rep(4 << 20) }
      end)()
    end }]]):format(TIMEOUT))
    worker:sendMessage "go"
    local answer = worker:receiveMessage(TIMEOUT)
    assert.truthy(answer[1]:find(REFUSAL, 1, true), answer[1])
    assert.equal(4 << 20, #answer[2])
  end)
end)
