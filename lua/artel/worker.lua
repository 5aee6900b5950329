-- SPDX-License-Identifier: Apache-2.0
-- A dedicated worker in its master's hands: a channel with a process behind it.

local channelModule = require "artel.channel"
local core = require "artel.core"
local dispatch = require "artel.dispatch"
local processEnd = require "artel.process_end"
local scheduler = require "artel.scheduler"
local waiting = require "artel.waiting"
local withLimit = require "artel.with_limit"
local WorkerCounter = require "artel.counter"
local WorkerStatus = require "artel.status"

--- A channel to a process of its own.
---@class artel.Worker: artel.Channel
local Worker, metatable = core.class("artel.Worker")
setmetatable(Worker, { __index = core.class("artel.Channel") })

-- Between SIGTERM and SIGKILL, seconds.
local TERMINATE_GRACE = 1

-- The label and the stop time-out of each worker.
local details = setmetatable({}, { __mode = "k" })

local function nameOf(worker)
  return ("worker %d (%s)"):format(core.processId(worker), details[worker].label)
end

--- Starts a worker. `plan` is what the host is told to do (lua/artel/plan.lua).
---@param options table as core.startWorker, plus label and stopTimeout
---@return artel.Worker?
---@return artel.Error?
local function start(options)
  core.reap()
  core.allowStopTimeout(options.stopTimeout)
  local worker, err = core.startWorker(options)
  if not worker then return nil, withLimit(err) end
  details[worker] = { label = options.label, stopTimeout = options.stopTimeout }
  processEnd.attach(worker, nameOf(worker))
  if core.pending(worker) > 0 then -- a profile longer than the system takes at once
    channelModule.sendQueued(worker)
  end
  return worker
end

---@return integer
function Worker:getProcessId()
  core.checkSelf(self, 2)
  return core.processId(self)
end

---@return boolean
function Worker:isRunning()
  core.checkSelf(self, 2)
  return core.processState(self) == "running"
end

--- How the process ended: its exit code, or nil and the name of the signal.
---@return integer? code nil while it runs, and after a signal
---@return string? signal
function Worker:getExitStatus()
  core.checkSelf(self, 2)
  local fields = processEnd.describe(self)
  if fields then return fields.exitCode, fields.signal end
end

-- How its messages travel, nil once the channel is closed; and how its process is.
local function describe(worker)
  local fields = processEnd.describe(worker)
  return core.isOpen(worker) and core.transportName(worker) or nil,
    fields and fields.text or "running"
end

--- How the worker is, as its master sees it; nothing is asked of the worker.
---@return artel.WorkerStatus
function Worker:getStatus()
  core.checkSelf(self, 2)
  local transport, text = describe(self)
  return WorkerStatus.new(transport and ("%s, %s"):format(transport, text) or text, {
    WorkerCounter.new("shared_memory", transport == "shared-memory" and 1 or 0, nil, 0, 1),
    WorkerCounter.new("queued_bytes", transport and core.pending(self) or 0, "B", 0),
  })
end

--- Sends a signal to the worker's process.
---@param signal? string|integer a name with or without SIG, or a number; SIGTERM by default
---@return true|nil sent
---@return artel.Error? err
function Worker:kill(signal)
  core.checkOpen(self, 2)
  local number = core.signalNumber(signal or "SIGTERM")
  if not number then
    error("bad argument #1 to 'kill' (a signal such as \"SIGTERM\", \"TERM\" or 15 expected)", 2)
  end
  return core.kill(self, number)
end

--- Takes one waiter out of the list of those who wait for the ready report.
local function abandonReady(waiter)
  local holder, field = waiter.state, "readyWaiter"
  while holder[field] do
    if holder[field] == waiter then
      holder[field] = waiter.next
      return
    end
    holder, field = holder[field], "next"
  end
end

--- Waits until the implementation has been brought to life.
---@param timeout? number seconds
---@return true|nil ready
---@return artel.Error? err kind "bootstrap" with the step that failed
function Worker:waitUntilReady(timeout)
  core.checkOpen(self, 2)
  waiting.checkTimeout(timeout, "waitUntilReady", 1, 2)
  local state = dispatch.stateOf(self)
  dispatch.pump(self, state)
  if state.isReady then return true end
  if state.ended then return nil, state.ended end
  local waiter = scheduler.newWaiter(abandonReady)
  waiter.state, waiter.next = state, state.readyWaiter
  state.readyWaiter = waiter
  if not waiting.await(self, state, waiter, timeout, 2) then
    return nil, core.newError {
      kind = "timeout", message = ("%s was not ready within %g s"):format(nameOf(self), timeout),
    }
  end
  if waiter.err then return nil, waiter.err end
  return true
end

--- Ends a process that has not ended by itself.
local function escalate(worker, deadline, mode)
  if processEnd.await(worker, math.max(0, deadline - core.now()), mode) then return end
  core.kill(worker, core.signalNumber "SIGTERM")
  if processEnd.await(worker, TERMINATE_GRACE, mode) then return end
  core.kill(worker, core.signalNumber "SIGKILL", true)
  processEnd.await(worker, math.huge, mode)
end

--- Closes the channel and waits for the worker to finish what it was sent. One that has not
--- ended after `timeout` gets SIGTERM, and a second later SIGKILL with its own children.
---@param timeout? number seconds; the profile's stop time-out by default
---@return integer? code
---@return string? signal
function Worker:close(timeout)
  core.checkSelf(self, 2)
  waiting.checkTimeout(timeout, "close", 1, 2)
  local wasOpen = core.isOpen(self)
  if not wasOpen and core.processState(self) ~= "running" then return self:getExitStatus() end
  local mode = waiting.check(2)
  timeout = timeout or details[self].stopTimeout
  local deadline = core.now() + timeout
  if wasOpen then channelModule.closeFlushed(self, timeout) end
  escalate(self, deadline, mode)
  processEnd.release(self)
  return self:getExitStatus()
end

metatable.__tostring = function(self)
  local transport, text = describe(self)
  return ("artel %s%s, %s"):format(nameOf(self), transport and ", " .. transport or "", text)
end

return { start = start }
