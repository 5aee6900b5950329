-- SPDX-License-Identifier: Apache-2.0
-- A pool that goes away, however: its workers end, idle or busy, and soon.

local artel = require "artel"
local helper = require "spec.helper"
local pools = require "spec.pools"
local uv = require "luv"

local TIMEOUT = helper.TIMEOUT
local STOP_TIMEOUT = 0.2 -- seconds

local WORKER = [[{ onRequest = function(_, r)
  if r == "spin" then while true do end end
  return r
end }]]

local function pool(options)
  return artel.WorkerFactory.new { outputPath = "/dev/null", stopTimeout = STOP_TIMEOUT }
    :createWorkerPoolWithExpression(WORKER, 2, options)
end

--- Makes one worker spin for a request that nobody waits for any more, and perhaps did not when
--- it began.
local function keepBusy(workers)
  local _, err = workers:request("spin", { timeout = 0.01 })
  assert.equal("timeout", err.kind)
  helper.eventually(function() return pools.hasBegun(workers) end)
end

--- The same after both workers have died once: who came later is found too.
local function keepReplacementBusy(workers)
  for i = 1, #workers do
    assert.is_true(workers[i]:waitUntilReady(TIMEOUT))
    workers[i]:kill "KILL"
    local _, err = workers:receiveMessage(TIMEOUT)
    assert.equal("SIGKILL", err.signal)
  end
  keepBusy(workers)
end

local function leaveIdle(workers) assert.is_true(workers:waitUntilReady(TIMEOUT)) end

--- Waits until all children have ended; who starts the next worker reaps them.
local function allEnd()
  collectgarbage()
  collectgarbage()
  helper.eventually(function()
    uv.run "nowait"
    for _, pid in ipairs(helper.children()) do
      if helper.isAlive(pid) then return false end
    end
    return true
  end)
  local worker <close> = helper.worker(WORKER)
  assert.same({ worker:getProcessId() }, helper.children())
end

-- What is left to the workers before it is over: they would spin for much longer.
local STATES = {
  { "idle", leaveIdle, nil },
  { "busy", keepBusy, { cancelGrace = 1000 } },
  { "busy since a replacement", keepReplacementBusy, { cancelGrace = 1000 } },
}

describe("a pool that goes away", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  for _, state in ipairs(STATES) do
    local name, prepare, options = table.unpack(state, 1, 3)

    it("by garbage collection ends its workers, though " .. name, function()
      do
        local workers = pool(options)
        prepare(workers)
        assert.equal(2, #helper.children())
      end
      allEnd()
    end)

    it("by an error ends its workers, though " .. name, function()
      local ok, err = pcall(function()
        local workers <close> = pool(options)
        prepare(workers)
        error "on the way"
      end)
      assert.is_false(ok)
      assert.matches("on the way", err)
      assert.same({}, helper.children())
    end)

    it("by <close> ends its workers, though " .. name, function()
      do
        local workers <close> = pool(options)
        prepare(workers)
      end
      assert.same({}, helper.children())
    end)

    it("by close() ends its workers, though " .. name .. ", and twice is once", function()
      local workers = pool(options)
      prepare(workers)
      assert.is_true(workers:close())
      assert.same({}, helper.children())
      assert.is_true(workers:close())
      assert.equal("artel worker pool (2 workers, closed)", tostring(workers))
    end)

    it("by the cancelling of a task ends its workers, though " .. name, function()
      local isPrepared = false
      local task = artel.async(function()
        local workers <close> = pool(options)
        prepare(workers)
        assert.equal(2, #helper.children())
        isPrepared = true
        artel.select({ artel.channelPair() }) -- for ever
      end)
      helper.eventually(function()
        uv.run "nowait"
        return isPrepared
      end)
      task:cancel()
      local _, err = task:await(TIMEOUT)
      assert.equal("cancelled", err.kind)
      allEnd()
    end)
  end

  it("before its workers are ready, ends them", function()
    do local _ <close> = pool() end
    assert.same({}, helper.children())
    pool()
    allEnd()
  end)

  it("while a request is running, gives it the stop timeout and then ends it", function()
    local workers = pool { cancelGrace = 1000 }
    helper.await(function()
      local running = artel.async(function() return workers:request "spin" end)
      assert.equal("here", workers:request "here")
      workers:close()
      local response, err = running:await(TIMEOUT)
      assert.is_nil(response)
      assert.equal("cancelled", err.kind)
    end)
    assert.same({}, helper.children())
  end)

  it("with a loop over artel.imap that raises, ends its workers", function()
    local ok = pcall(function()
      for _ in artel.imap(function(n) return n end, { 1, 2, 3, 4 }, { workers = 2 }) do
        error "left"
      end
    end)
    assert.is_false(ok)
    assert.same({}, helper.children())
  end)

  it("with a map whose iterator raises, lets the pool live", function()
    local workers <close> = pool()
    assert.error_matches(function()
      workers:map(function() error "no more" end)
    end, "no more")
    assert.equal(1, workers:request(1))
  end)
end)

describe("a program with a pool", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  -- Prints the workers' process ids, while one of them spins.
  local PROGRAM = [[
    local artel = require "artel"
    pool = artel.WorkerFactory.new { stopTimeout = 0.2 }:createWorkerPoolWithExpression(
      "{ onRequest = function(_, r) while r == 'spin' do end return r end }", 2,
      { cancelGrace = 1000 })
    assert(pool:waitUntilReady())
    pool:request("spin", { timeout = 0.01 })
    print(pool[1]:getProcessId(), pool[2]:getProcessId())
    io.stdout:flush()
  ]]

  for name, ending in pairs {
    ["that ends"] = "",
    ["that raises"] = "error 'it ends here'",
    ["that calls os.exit"] = "os.exit(0)",
    ["that is killed"] = "require 'luv'.kill(require 'luv'.os_getpid(), 'sigkill')",
  } do
    it(name .. " without closing it leaves no worker", function()
      local result = helper.script(PROGRAM .. ending)
      local count = 0
      for pid in result.output:gmatch "%d+" do
        count = count + 1
        helper.eventually(function() return not helper.isAlive(math.tointeger(pid)) end)
      end
      assert.equal(2, count, result.output .. result.errors)
    end)
  end
end)
