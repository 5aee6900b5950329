-- SPDX-License-Identifier: Apache-2.0
-- artel.async: functions that may wait while a luv loop goes on.

local core = require "artel.core"
local methods = require "artel.methods"
local scheduler = require "artel.scheduler"
local waiting = require "artel.waiting"

--- A function that runs, waits and ends on its own.
---@class artel.Task
local Task = {}
local metatable = { __name = "artel.Task", __index = Task }

local hasComplained = false -- that no loop runs: once for all tasks

-- Reports errors that nobody has awaited once nobody can any more: when the task is collected,
-- at the latest when Lua ends. And a program that has let no task go on: it has no loop.
function metatable.__gc(task)
  if task.failed and not task.awaited then
    io.stderr:write("artel: an error in artel.async that nobody awaited: ",
      task.report or tostring(task.err), "\n")
  elseif not task.done and not hasComplained and scheduler.loop().hasTurned == false then
    hasComplained = true
    io.stderr:write("artel: a function of artel.async was still waiting when its program ended: "
      .. "uv.run() or task:await() lets it go on\n")
  end
end

local function toReport(task)
  return function(err)
    task.report = core.traceback(err, 2)
    return err
  end
end

local function run(task, fn, ...)
  local results = table.pack(xpcall(fn, toReport(task), ...))
  if results[1] then
    task.results = results
  elseif task.cancelled and rawequal(results[2], task.cancelled) then
    task.wasCancelled = true
  else
    task.failed, task.err = true, results[2]
  end
end

local function body(task, fn, ...)
  local ok, err = pcall(run, task, fn, ...)
  if not ok then task.failed, task.err = true, err end -- there was no memory for its end
  task.done = true
  local waiters = task.waiters
  for i = 1, #waiters do
    scheduler.wake(waiters[i])
    waiters[i] = nil
  end
end

--- Runs `fn(...)` up to its first wait.
---@param fn function
---@return artel.Task
local function async(fn, ...)
  if type(fn) ~= "function" then
    error(("bad argument #1 to 'async' (function expected, got %s%s)"):format(type(fn),
      type(fn) == "table" and "; is it called with a dot?" or ""), 2)
  end
  scheduler.loop()
  local task = setmetatable({ done = false, failed = false, err = nil, results = nil, report = nil,
    waiters = {} }, metatable)
  scheduler.start(task, body, task, fn, ...)
  return task
end

---@return boolean
function Task:isDone() return self.done end

--- Ends the task at its current or next wait, where an error of kind "cancelled" is raised.
function Task:cancel()
  if self.done or self.cancelled then return end
  self.cancelled = core.newError { kind = "cancelled", message = "the task was cancelled" }
  scheduler.cancel(self, self.cancelled)
end

local function timeoutError(timeout)
  return nil, core.newError {
    kind = "timeout", message = ("the task was not done within %g s"):format(timeout),
  }
end

--- Runs the loop until the task is done, for code outside any coroutine. The waiting is ours
--- and not luv's, since luv does not let Lua run when a signal comes.
---@return boolean done
---@return boolean? stuck nothing on the loop will ever end it
local function runLoop(task, timeout)
  local uv = scheduler.loop().uv
  local deadline = timeout and core.now() + timeout or math.huge
  local POLLIN = 1
  while true do
    uv.run("nowait")
    if task.done or core.now() >= deadline then return task.done end
    if not uv.loop_alive() then return false, true end
    uv.update_time()
    local untilTimer = uv.backend_timeout() / 1000 -- negative: there is no timer
    if untilTimer < 0 then untilTimer = math.huge end
    core.pollStreams({ uv.backend_fd() }, { POLLIN },
      math.max(0, math.min(untilTimer, deadline - core.now())))
  end
end

--- Waits for the end of the task.
---@param timeout? number seconds
---@return any ... what the function returned, or nil and an error at the time-out
function Task:await(timeout)
  if timeout ~= nil and not (type(timeout) == "number" and timeout >= 0) then
    error("bad argument #1 to 'await' (seconds from 0 up expected)", 2)
  end
  if not self.done then
    if timeout == 0 then return timeoutError(timeout) end
    local mode = waiting.check(2)
    local done, stuck
    if mode == "block" then
      done, stuck = runLoop(self, timeout)
      if stuck then error("the task waits for something that nothing on the loop will bring", 2) end
    elseif scheduler.currentOwner() == self then
      error("a task cannot await itself", 2)
    else
      local waiter = {}
      self.waiters[#self.waiters + 1] = waiter
      done = scheduler.suspend(waiter, timeout)
    end
    if not done then return timeoutError(timeout) end
  end
  self.awaited = true
  if self.failed then error(self.err, 0) end
  if self.wasCancelled then return nil, self.cancelled end
  return table.unpack(self.results, 2, self.results.n)
end

metatable.__tostring = function(task)
  return ("artel task (%s)"):format(task.done and "done" or "running")
end

methods.guard(Task, "waiters", "artel.Task", {})
Task.async = async

return Task
