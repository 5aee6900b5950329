-- SPDX-License-Identifier: Apache-2.0
-- How a worker's process ends, seen from its master: who waits for it, how the loop learns of
-- it, and what the channel's last error says about it.

local core = require "artel.core"
local dispatch = require "artel.dispatch"
local scheduler = require "artel.scheduler"
local waiting = require "artel.waiting"

local processEnd = {}

-- The end of a channel comes a moment before the exit status; nobody waits longer for it.
local EXIT_STATUS_TIMEOUT = 1
-- Where the kernel has no descriptor for a process, it is looked at this often, seconds.
local LOOK_INTERVAL = 0.02

-- Who waits for the end of a process: nothing else may hold them.
local anchors = {} -- luacheck: ignore 241 (it is there to hold, not to be read)

---@class artel.ProcessEnd what the state table of a worker's channel has besides
---@field name string for messages
---@field processWatch table? of the loop `processLoop`; does not keep it going by itself
---@field endWaiters table<table, boolean>
---@field endTold boolean? the loop has been told of the end

--- How the process ended, as fields of an error; nil while it runs.
---@return { exitCode: integer?, signal: string?, peakMemory: integer?, text: string }?
function processEnd.describe(worker)
  local state, code, peakMemory = core.processState(worker)
  if state == "running" then return nil end
  local fields = { peakMemory = peakMemory ~= 0 and peakMemory or nil }
  if state == "exited" then
    fields.exitCode, fields.text = code, ("exited with code %d"):format(code)
  elseif state == "signaled" then
    fields.signal, fields.text = code, ("was killed by %s"):format(code)
  else
    fields.text = "has ended; another part of the program collected its exit status"
  end
  return fields
end

-- How much of what a worker has written tells why it died.
local LAST_LINES = 20

--- The last lines of captured standard error.
local function lastOutput(worker)
  local text = core.capturedErrors(worker)
  if not text or text == "" then return nil end
  local lines = {}
  for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
  return table.concat(lines, "\n", math.max(1, #lines - LAST_LINES + 1))
end

--- The final error of the channel: what ended it, and how the process ended.
local function explain(worker, err)
  local fields = processEnd.describe(worker)
  if fields then
    err.exitCode, err.signal, err.peakMemory = fields.exitCode, fields.signal, fields.peakMemory
    err.lastOutput = lastOutput(worker)
  end
  if err.kind == "closed" then
    local state = core.state(worker)
    err.message = ("%s %s%s"):format(state.name,
      fields and fields.text or "closed its channel but still runs",
      -- By itself: when one is killed tells nothing of how far it had come.
      err.exitCode and not state.isReady and " before it was ready" or "")
  end
  return err
end

--- Dispatches what came before the end, and the end. Somebody else may still hold the channel
--- and send on and on: the loop reads on then.
local function settle(worker)
  local state = core.state(worker)
  for _ = 1, waiting.ROUNDS_MAX do
    dispatch.pump(worker, state)
    if not core.isOpen(worker) or core.fill(worker) ~= "more" then break end
  end
  if not core.isOpen(worker) then return end
  dispatch.pump(worker, state)
  waiting.notify(worker, state)
  if core.isOpen(worker) then waiting.update(worker) end
end

local function closeWatch(state)
  if state.processWatch then state.processWatch:close() end
  state.processWatch, state.processLoop = nil, nil
end

local function closeErrorsWatch(state)
  if state.errorsWatch then state.errorsWatch:close() end
  state.errorsWatch = nil
end

--- Called from the loop when the process has ended.
local function onEnd(worker)
  scheduler.run(function()
    local state = core.state(worker)
    state.endTold = true
    closeWatch(state) -- it would go on saying so
    core.noteExit(worker) -- whoever holds the channel open now is not the worker
    if state.exitTimer then state.exitTimer.stop() end
    for waiter in pairs(state.endWaiters) do scheduler.wake(waiter) end
    settle(worker)
  end)
end

--- Makes the loop tell of the end. By itself this does not keep the loop going: the waits for
--- the channel do.
local function watchProcess(worker)
  local state, loop = core.state(worker), scheduler.loop()
  if state.processLoop == loop or state.endTold then return end
  if core.processState(worker) ~= "running" then
    -- It ended between the last look at the channel and this wait: nothing will tell of it.
    state.endTold = true
    loop.soon(function() onEnd(worker) end)
    return
  end
  closeWatch(state)
  local stream = core.processStream(worker)
  if not stream then return end
  state.processWatch, state.processLoop = loop.watch(stream, worker, onEnd), loop
  state.processWatch:setBackground()
end

--- Makes the loop take in what the worker writes, so that it never waits for us.
local function watchErrors(worker)
  local state, loop = core.state(worker), scheduler.loop()
  if state.errorsLoop == loop then return end
  local stream = core.errorStream(worker)
  if not stream then return end
  closeErrorsWatch(state)
  state.errorsWatch, state.errorsLoop = loop.watch(stream, worker, function(owner)
    core.capturedErrors(owner)
    if not core.errorStream(owner) then closeErrorsWatch(core.state(owner)) end
  end), loop
  state.errorsWatch:setBackground()
end

--- Whether it is this process that has ended the channel: then how the worker is says nothing.
local function isOurs(err) return err.errno == "ENOMEM" end

--- Makes the final error of the channel; nil while the exit status may still come.
local function explainEnd(worker, err)
  if isOurs(err) then return err end
  if core.processState(worker) ~= "running" then return explain(worker, err) end
  if core.waitMode() == "block" then
    core.waitProcess(worker, EXIT_STATUS_TIMEOUT)
    return explain(worker, err)
  end
  local state = core.state(worker)
  if not state.exitTimer then
    watchProcess(worker)
    state.exitTimer = scheduler.loop().after(EXIT_STATUS_TIMEOUT, function()
      state.explainEnd = explain
      scheduler.run(settle, worker)
    end)
  end
  return nil
end

--- Makes the error of a call that could not send, when messages that still wait to be received
--- keep the end from being told.
local function explainLoss(worker, err)
  if isOurs(err) then return err end
  local mode = core.waitMode()
  if mode == "block" or mode == "suspend" then
    processEnd.await(worker, EXIT_STATUS_TIMEOUT, mode)
  end
  return core.state(worker).ended or explain(worker, err)
end

--- Prepares a new worker's channel for its end.
---@param worker artel.Worker
---@param name string for messages
function processEnd.attach(worker, name)
  local state = dispatch.stateOf(worker)
  state.name, state.endWaiters = name, {}
  state.explainEnd, state.explainLoss = explainEnd, explainLoss
  function state.watchProcess(channel)
    watchProcess(channel)
    watchErrors(channel)
  end
end

local leaving = { __close = function(waiter)
  waiter.state.endWaiters[waiter] = nil
  anchors[waiter] = nil
end }

local function suspend(worker, timeout)
  local state = core.state(worker)
  watchProcess(worker)
  local waiter <close> = setmetatable({ state = state }, leaving)
  state.endWaiters[waiter] = true
  anchors[waiter] = true
  -- A timer keeps the loop going, and finds the end where nothing tells of it.
  local interval = state.processWatch and 3600 or LOOK_INTERVAL
  scheduler.suspend(waiter, math.min(timeout, interval))
end

--- Has the loop wake `waiter` when the process has ended. This does not keep the loop going.
---@param waiter table
function processEnd.tell(worker, waiter)
  core.state(worker).endWaiters[waiter] = true
  watchProcess(worker)
end

--- Waits for the end of the process, as waiting.check() has said that one may.
---@param timeout number seconds
---@param mode "block"|"suspend"
---@return boolean ended false at the time-out
function processEnd.await(worker, timeout, mode)
  if mode == "block" then return core.waitProcess(worker, timeout) end
  local deadline = core.now() + timeout
  while core.processState(worker) == "running" and core.now() < deadline do
    suspend(worker, deadline - core.now())
  end
  return core.processState(worker) ~= "running"
end

--- Gives back what watching the process has taken, once it has ended. Who found that may not be
--- the only one who waits for it, and the watch tells nobody any more.
function processEnd.release(worker)
  local state = core.state(worker)
  closeWatch(state)
  closeErrorsWatch(state)
  if state.exitTimer then state.exitTimer.stop() end
  for waiter in pairs(state.endWaiters) do scheduler.wake(waiter) end
  core.releaseProcess(worker)
end

return processEnd
