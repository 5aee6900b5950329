-- SPDX-License-Identifier: Apache-2.0
-- A dedicated worker in its master's hands: a channel with a process behind it.

local channelModule = require "artel.channel"
local core = require "artel.core"
local dispatch = require "artel.dispatch"
local scheduler = require "artel.scheduler"
local waiting = require "artel.waiting"

--- A channel to a process of its own.
---@class artel.Worker: artel.Channel
local Worker, metatable = core.class("artel.Worker")
setmetatable(Worker, { __index = core.class("artel.Channel") })

-- An end of the channel comes a moment before the exit status; nobody waits longer for it.
local EXIT_STATUS_TIMEOUT = 1
-- Between SIGTERM and SIGKILL, seconds.
local TERMINATE_GRACE = 1

-- The label and the stop time-out of each worker.
local details = setmetatable({}, { __mode = "k" })

-- Waits for the end of a process that are under way: nothing else may hold them.
local endings = {}

local function nameOf(worker)
  return ("worker %d (%s)"):format(core.processId(worker), details[worker].label)
end

--- How the process ended, as fields of an error; nil while it runs.
---@return table? fields
local function describeEnd(worker)
  local state, code, peakMemory = core.processState(worker)
  if state == "running" then return nil end
  local fields = { peakMemory = peakMemory }
  if state == "exited" then
    fields.exitCode, fields.text = code, ("exited with code %d"):format(code)
  elseif state == "signaled" then
    fields.signal, fields.text = code, ("was killed by %s"):format(code)
  else
    fields.text = "has ended; another part of the program collected its exit status"
  end
  return fields
end

--- The final error of a worker's channel: what ended it, and how its process ended.
local function explain(worker, err)
  local fields = describeEnd(worker)
  if err.kind ~= "closed" then
    if fields then err.exitCode, err.signal = fields.exitCode, fields.signal end
    return err
  end
  if not fields then
    err.message = nameOf(worker) .. " closed its channel but still runs"
    return err
  end
  err.message = ("%s %s"):format(nameOf(worker), fields.text)
  err.exitCode, err.signal, err.peakMemory = fields.exitCode, fields.signal, fields.peakMemory
  return err
end

--- Calls `callback()` from the loop when the process has ended or the time is over.
local function whenEnded(worker, timeout, callback)
  local loop = scheduler.loop()
  local watch, timer
  local finish
  function finish()
    if timer then timer.stop() end
    if watch then watch:close() end
    if endings[finish] then
      endings[finish] = nil
      scheduler.run(callback)
    end
  end
  endings[finish] = true
  local stream = core.processStream(worker)
  if stream then
    watch = loop.watch(stream, finish, finish)
    watch:set(true, false)
  end
  timer = timeout < math.huge and loop.after(timeout, finish) or nil
end

local function explainEnd(worker, err)
  if core.processState(worker) ~= "running" then return explain(worker, err) end
  if core.waitMode() == "block" then
    core.waitProcess(worker, EXIT_STATUS_TIMEOUT)
    return explain(worker, err)
  end
  local state = core.state(worker)
  if not state.awaitsExit then
    state.awaitsExit = true
    whenEnded(worker, EXIT_STATUS_TIMEOUT, function()
      state.explainEnd = explain
      if core.isOpen(worker) then
        dispatch.pump(worker, state)
        waiting.notify(worker, state)
      end
    end)
  end
  return nil
end

--- Starts a worker. `plan` is what the host is told to do (lua/artel/plan.lua).
---@param options table as core.startWorker, plus label and stopTimeout
---@return artel.Worker?
---@return artel.Error?
local function start(options)
  core.reap()
  core.allowStopTimeout(options.stopTimeout)
  local worker, err = core.startWorker(options)
  if not worker then return nil, err end
  details[worker] = { label = options.label, stopTimeout = options.stopTimeout }
  dispatch.stateOf(worker).explainEnd = explainEnd
  return worker
end

---@return integer
function Worker:getProcessId() return core.processId(self) end

---@return boolean
function Worker:isRunning() return core.processState(self) == "running" end

--- How the process ended: its exit code, or nil and the name of the signal.
---@return integer? code nil while it runs, and after a signal
---@return string? signal
function Worker:getExitStatus()
  local fields = describeEnd(self)
  if fields then return fields.exitCode, fields.signal end
end

--- Sends a signal to the worker's process.
---@param signal? string|integer a name with or without SIG, or a number; SIGTERM by default
---@return true|nil sent
---@return artel.Error? err
function Worker:kill(signal) return core.kill(self, signal or "SIGTERM") end

local function abandonReady(waiter) waiter.state.readyWaiter = nil end

--- Waits until the implementation has been brought to life.
---@param timeout? number seconds
---@return true|nil ready
---@return artel.Error? err kind "bootstrap" with the step that failed
function Worker:waitUntilReady(timeout)
  local state = dispatch.stateOf(self)
  dispatch.pump(self, state)
  if state.isReady then return true end
  if state.ended then return nil, state.ended end
  local waiter = state.readyWaiter or { abandon = abandonReady, state = state }
  state.readyWaiter = waiter
  if not waiting.await(self, state, waiter, timeout, 2) then
    return nil, core.newError {
      kind = "timeout", message = ("%s was not ready within %g s"):format(nameOf(self), timeout),
    }
  end
  if waiter.err then return nil, waiter.err end
  return true
end

--- Waits for the end of the process.
---@return boolean ended false at the time-out
local function awaitEnd(worker, timeout, mode)
  if core.processState(worker) ~= "running" then return true end
  if mode == "block" then return core.waitProcess(worker, timeout) end
  local waiter = {}
  whenEnded(worker, timeout, function() scheduler.wake(waiter) end)
  scheduler.suspend(waiter)
  return core.processState(worker) ~= "running"
end

--- Closes the channel and waits for the worker to finish what it was sent. One that has not
--- ended after `timeout` gets SIGTERM, and a second later SIGKILL with its own children.
---@param timeout? number seconds; the profile's stop time-out by default
---@return integer? code
---@return string? signal
function Worker:close(timeout)
  if timeout ~= nil and not (type(timeout) == "number" and timeout >= 0) then
    error("bad argument #1 to 'close' (seconds from 0 up expected)", 2)
  end
  local wasOpen = core.isOpen(self)
  if not wasOpen and core.processState(self) ~= "running" then return self:getExitStatus() end
  local mode = waiting.check(2)
  timeout = timeout or details[self].stopTimeout
  local deadline = core.now() + timeout
  if wasOpen and core.pending(self) > 0 then
    channelModule.drain(self, dispatch.stateOf(self), 0, timeout, 2)
  end
  if core.isOpen(self) then channelModule.closeAtOnce(self) end
  if not awaitEnd(self, math.max(0, deadline - core.now()), mode) then
    core.kill(self, "SIGTERM")
    if not awaitEnd(self, TERMINATE_GRACE, mode) then
      core.kill(self, "SIGKILL", true)
      awaitEnd(self, math.huge, mode)
    end
  end
  return self:getExitStatus()
end

metatable.__close = function(self) self:close() end
metatable.__tostring = function(self)
  local fields = describeEnd(self)
  local transport = core.isOpen(self) and ", " .. core.transportName(self) or ""
  return ("artel %s%s, %s"):format(nameOf(self), transport, fields and fields.text or "running")
end

return { start = start, describeEnd = describeEnd }
