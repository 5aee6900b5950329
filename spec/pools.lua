-- SPDX-License-Identifier: Apache-2.0
-- Pools for specs: handlers that compute until they are let go, requests that are all sent to
-- one worker at once, and what a pool says of itself.

local artel = require "artel"
local core = require "artel.core"
local helper = require "spec.helper"

local pools = {}

--- For workers. computeUntil(path) computes until the file is there; a handler that computes
--- lets no other one begin.
pools.HELPERS = [[
  local function exists(path)
    local file = io.open(path)
    if file then file:close() end
    return file ~= nil
  end
  local function computeUntil(path) while not exists(path) do end end
  local function killMe() require "luv".kill(require "luv".os_getpid(), "sigkill") end
  local function pid() return require "luv".os_getpid() end
]]

--- A pool whose onRequest(_, request) is the text, which may call what is in HELPERS.
function pools.new(body, count, options, profile)
  profile = profile or {}
  if not (options and options.captureOutput) then profile.outputPath = "/dev/null" end
  profile.stage1Parts = { "helpers = function() " .. pools.HELPERS
    .. " return exists, computeUntil, killMe, pid end" }
  return artel.WorkerFactory.new(profile):createWorkerPoolWithExpression(([[(function()
    local exists, computeUntil, killMe, pid = helpers()
    return { onRequest = function(_, request) %s end }
  end)()]]):format(body), count, options)
end

--- The counters of a pool by their names.
---@return table<string, number>
function pools.status(workers)
  local values = {}
  for _, counter in ipairs(workers:getStatus():getCounters()) do
    values[counter:getName()] = counter:getValue()
  end
  return values
end

--- Starts a request of its own for each value; all of them are sent to the first worker at once.
---@return artel.Task[]
function pools.ask(workers, ...)
  assert(workers:waitUntilReady(helper.TIMEOUT))
  local slots = workers:engine().slots
  for i = 2, #slots do slots[i].depth = 0 end
  local engine, first, count = workers:engine(), slots[1], select("#", ...)
  first.depth = count
  local answered = first.answered
  function first.answered(...) -- what is answered while others are still asked teaches nothing
    local run = answered(...)
    first.depth = count
    return run
  end
  first.freeEntry = {} -- however long it takes to ask, nothing is taken back meanwhile
  local tasks = {}
  for i, value in ipairs { ... } do
    tasks[i] = artel.async(function() return workers:request(value) end)
  end
  first.answered = nil
  assert(pools.status(workers).queued == 0)
  for i = 2, #slots do slots[i].depth = 1 end
  first.freeEntry = nil
  engine:watchFollowers(first)
  return tasks
end

--- Whether a worker has begun one of the requests that it was sent and has not answered.
function pools.hasBegun(workers)
  for _, slot in ipairs(workers:engine().slots) do
    for id in pairs(slot.jobs) do
      if core.claimState(slot.worker, id) ~= "queued" then return true end
    end
  end
  return false
end

--- Makes a request that no worker ends, and answers the error which says that it ran too long.
--- A worker that has not even begun it in time is another error: then it gets more time.
function pools.overrun(workers, value)
  local err
  local seconds = 0.05
  repeat
    err = select(2, workers:request(value, { timeout = seconds }))
    assert(err.kind == "timeout", tostring(err))
    seconds = 2 * seconds
  until err.phase == "running" or seconds > helper.TIMEOUT
  return err
end

--- The outcome of a task: response, err.
function pools.outcome(task) return task:await(helper.TIMEOUT) end

return pools
