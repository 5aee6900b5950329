-- SPDX-License-Identifier: Apache-2.0
-- A pool that is closed while it is in use: nobody waits for ever, whoever closes it and when.

local artel = require "artel"
local helper = require "spec.helper"
local pools = require "spec.pools"
local uv = require "luv"

local TIMEOUT = helper.TIMEOUT

-- Spins at what it is told to, else answers.
local WORKER = [[{
  onMessage = function(_, m, channel)
    if m == "spin" then while true do end end
    channel:sendMessage(m)
  end,
  onRequest = function(_, r)
    if r == "spin" then while true do end end
    return r
  end }]]

local function pool(count, options)
  return artel.WorkerFactory.new { outputPath = "/dev/null" }
    :createWorkerPoolWithExpression(WORKER, count, options)
end

describe("closing a pool", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  --- A pool of one worker that spins for a request.
  local function poolThatRuns()
    local workers = pool(1)
    local running = artel.async(function() return workers:request "spin" end)
    helper.eventually(function()
      uv.run "nowait"
      return pools.hasBegun(workers)
    end)
    return workers, running
  end

  --- A pool of one worker that spins for a message, which nobody waits for.
  local function poolThatWillNotEnd()
    local workers = pool(1)
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    workers[1]:sendMessage "spin"
    return workers
  end

  for stage, make in pairs { ["lets a request finish"] = poolThatRuns,
    ["waits for its processes"] = poolThatWillNotEnd } do
    it("goes on where a task was cancelled that " .. stage, function()
      local workers, running = make()
      local worker = workers[1]
      local closer = artel.async(function() return workers:close(math.huge) end)
      closer:cancel()
      assert.equal("cancelled", select(2, closer:await(TIMEOUT)).kind)
      assert.is_true(worker:isRunning())
      assert.is_true(workers:close(0))
      assert.is_false(worker:isRunning())
      if running then assert.equal("cancelled", select(2, running:await(TIMEOUT)).kind) end
    end)

    it("ends the closing by a task that still " .. stage, function()
      local workers, running = make()
      local worker = workers[1]
      local closer = artel.async(function() return workers:close(math.huge) end)
      assert.is_false(closer:isDone())
      assert.is_true(workers:close(0))
      assert.is_false(worker:isRunning())
      assert.is_true(closer:await(TIMEOUT))
      if running then assert.equal("cancelled", select(2, running:await(TIMEOUT)).kind) end
    end)
  end
end)
