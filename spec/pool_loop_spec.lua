-- SPDX-License-Identifier: Apache-2.0
-- A pool on luv's loop while nobody waits for it: time limits hold, and its workers are
-- replaced, by the loop alone.

local artel = require "artel"
local helper = require "spec.helper"
local pools = require "spec.pools"
local uv = require "luv"

local TIMEOUT = helper.TIMEOUT

local COMPUTES = "if request == 'compute' then while true do end end return request"

describe("a pool on a loop, for which nobody waits,", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  --- A pool of one worker, which computes for a request that was given up, if it has not been
  --- killed already; and the process id of that worker.
  local function abandonedPool(cancelGrace, onWorkerExit)
    local workers = pools.new(COMPUTES, 1,
      { cancelGrace = cancelGrace, onWorkerExit = onWorkerExit })
    local pid = helper.children()[1]
    helper.await(function()
      local _, err = workers:request("compute", { timeout = 0.01 })
      assert.equal("timeout", err.kind)
    end)
    return workers, pid
  end

  it("kills the worker of a request that was given up, and puts others in its place", function()
    local exits = {}
    local abandoned, pid = abandonedPool(0.01, function(_, err) exits[#exits + 1] = err.signal end)
    local workers <close> = abandoned
    local seen = { [pid] = true }
    local function newChild()
      for _, child in ipairs(helper.children()) do
        if not seen[child] and helper.isAlive(child) then
          seen[child] = true
          return child
        end
      end
      return nil
    end
    local child
    for lives = 1, 3 do -- at once, then after a time that grows
      helper.runLoopUntil(function()
        child = child or newChild()
        return #exits == lives and child
      end)
      uv.kill(child, "sigkill")
      child = nil
    end
    helper.runLoopUntil(function() return #exits == 4 end)
    assert.same({ "SIGKILL", "SIGKILL", "SIGKILL", "SIGKILL" }, exits)
    helper.await(function() assert.equal("served", workers:request "served") end)
  end)

  it("ends a request of a loop over imap whose body waits for something else", function()
    helper.await(function()
      local bell = helper.pair()
      local told
      local workers <close> = pools.new(COMPUTES, 1, { cancelGrace = 0.01,
        onWorkerExit = function(_, err)
          told = err.signal
          bell.right:sendMessage "gone"
        end })
      local outcomes = {}
      -- The first cannot be sent, so it has ended while the other one computes.
      for index, _, err in workers:imap({ print, "compute" }, { timeout = 0.05 }) do
        if index == 1 then assert.equal("gone", bell.left:receiveMessage(TIMEOUT)) end
        outcomes[index] = err.kind
      end
      assert.same({ "encode", "timeout" }, outcomes)
      assert.equal("SIGKILL", told)
      assert.equal("served", workers:request "served")
      bell.left:close()
      bell.right:close()
    end)
  end)

  it("starts workers again after a while and keeps the loop, for a listener alone", function()
    local workers <close> = artel.WorkerFactory.new { outputPath = "/dev/null" }
      :createWorkerPoolWithExpression("error 'unable'", 1)
    local told = {}
    workers:registerRead(uv, function(worker)
      told[#told + 1] = select(2, worker:receiveMessage(0)).kind
      if #told == 4 then workers:unregisterRead(uv) end -- at once, then after a time that grows
    end)
    local watchdog = uv.new_timer()
    watchdog:start(TIMEOUT * 1000, 0, uv.stop)
    uv.unref(watchdog)
    assert.is_false(uv.run()) -- and without a listener it ends
    watchdog:close()
    assert.same({ "bootstrap", "bootstrap", "bootstrap", "bootstrap" }, told)
  end)

  it("leaves no zombie of a worker that has served enough and takes its time to end", function()
    local folder <close> = helper.folder()
    local gate = folder.path .. "/gate"
    local workers <close> = artel.createWorkerPoolWithExpression(([[{
      onRequest = function(_, request) return request end,
      terminate = function() while not io.open(%q) do end end }]]):format(gate), 1,
      { maxRequestsPerWorker = 1 })
    local first = workers[1]
    local pid = first:getProcessId()
    helper.await(function()
      for n = 1, 2 do assert.equal(n, workers:request(n)) end -- the second one by the next worker
    end)
    assert.is_true(workers:engine().staff.leaving[first])
    helper.write(gate, "")
    helper.runLoopUntil(function() return helper.state(pid) == nil end)
    assert.is_nil(workers:engine().staff.leaving[first])
  end)

  it("lets the loop end once it has replaced that worker", function()
    local exits = {}
    local workers <close> = abandonedPool(0.01, function(_, err) exits[#exits + 1] = err.signal end)
    local watchdog = uv.new_timer()
    watchdog:start(TIMEOUT * 1000, 0, uv.stop)
    uv.unref(watchdog)
    assert.is_false(uv.run())
    watchdog:close()
    assert.same({ "SIGKILL" }, exits)
    assert.is_true(workers[1]:isRunning())
  end)

  for _, transport in ipairs(helper.TRANSPORTS) do
    it("lets the loop end, whoever took in what it watched for, over " .. transport, function()
      local workers <close> = pools.new("return request", 1, nil, { transport = transport })
      local worker = workers[1]
      helper.await(workers.getStatus, workers) -- from here on the loop looks after the pool
      assert.is_true(workers:waitUntilReady(TIMEOUT))
      helper.runLoopToEnd()
      for _, take in ipairs {
        function() workers:getStatus() end,
        function() workers:receiveMessage(0) end,
        function() workers:request "another" end,
        function() worker:receiveMessage(0) end,
        function() worker:request "another" end,
        function() artel.select({ worker }, 0) end,
      } do
        local finished = workers:engine().finished
        local task = artel.async(workers.request, workers, "asked")
        helper.eventually(function()
          take()
          return workers:engine().finished > finished
        end)
        take() -- for the loop not even the doorbell is left
        helper.runLoopToEnd()
        assert.equal("asked", task:await(0))
      end
    end)
  end

  it("gets the answer to what a coroutine has asked while another call blocked", function()
    local folder <close> = helper.folder()
    local gate = folder.path .. "/gate"
    local workers <close> = pools.new(
      "if request ~= 'short' then computeUntil(request) end return request", 2)
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    local isAsked
    local task = artel.async(function()
      workers:request "short"
      isAsked = true
      return workers:request(gate)
    end)
    helper.eventually(function()
      workers:request "short"
      return isAsked and pools.hasBegun(workers)
    end)
    helper.write(gate, "")
    assert.equal(gate, task:await(TIMEOUT))
    helper.runLoopToEnd()
  end)
end)
