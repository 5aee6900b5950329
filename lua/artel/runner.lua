-- SPDX-License-Identifier: Apache-2.0
-- The host's side in Lua: brings an evented implementation to life and runs it until its
-- master has gone. Raw implementations are run by the host without any of this.

local core = require "artel.core"
local dispatch = require "artel.dispatch"
local errorFrames = require "artel.error_frames"
local frame = require "artel.frame"
local handlers = require "artel.handlers"
local pollLoop = require "artel.loop_poll"
local scheduler = require "artel.scheduler"
local waiting = require "artel.waiting"

local runner = {}

local loaded, pollIsIdle, isIdle = package.loaded, pollLoop.isIdle, scheduler.isIdle

local function log(format, ...)
  io.stderr:write(("artel worker: " .. format .. "\n"):format(...))
end

--- Goes over to luv when the implementation has loaded it.
local function followLoop()
  if scheduler.loop() == pollLoop and package.loaded.luv then
    local luvLoop = require "artel.loop_luv"
    scheduler.setLoop(luvLoop)
    pollLoop.moveTo(luvLoop)
  end
end

--- Whether the channel alone can give this process anything to do.
local function isAlone()
  return not loaded.luv and pollIsIdle() and isIdle()
end

--- One turn of the host: takes in what comes, or lets the loop go round once.
local function turn(run)
  local channel, state = run.channel, dispatch.stateOf(run.channel)
  followLoop() -- also when a handler that has loaded luv still waits
  local loop = scheduler.loop()
  if loop ~= pollLoop then
    state.serving = true
    waiting.update(channel)
    loop.uv.run("once")
  elseif loop.isIdle() and not state.ended and core.pending(channel) == 0 then
    core.fill(channel, true)
    scheduler.run(dispatch.pump, channel, state)
  else
    state.serving = true
    waiting.update(channel)
    loop.runOnce()
    state.serving = false
    waiting.update(channel)
  end
end

--- Whether handlers that still wait can be woken by anything.
local function canGoOn()
  local loop = scheduler.loop()
  if loop == pollLoop then return not loop.isIdle() end
  return loop.uv.loop_alive()
end

--- Runs until no handler is at work any more, for at most `timeout` seconds.
local function settle(run, timeout)
  local deadline = core.now() + timeout
  local timer = run.active > 0 and timeout < math.huge
    and scheduler.loop().after(timeout, function() end, true)
  while run.active > 0 and core.now() < deadline and canGoOn() do turn(run) end
  if timer then timer.stop() end
  if run.active > 0 then log("%d handlers were still waiting at the end", run.active) end
end

--- Calls a handler that has no answer and lets it finish.
---@return table? failure
local function callHandler(run, name, ...)
  local handler = run.implementation[name]
  if not handler then return nil end
  local failure
  handlers.start(run, function(_, ok, err) if not ok then failure = err end end, handler, ...)
  while run.active > 0 and not failure and canGoOn() do turn(run) end
  return failure
end

local function reportFailure(run, step, failure)
  errorFrames.reportFailedStart(run.channel, run.plan,
    { step = step, message = failure.message, traceback = failure.traceback })
  return 1
end

--- setLoop, initialize, and the ready report.
---@return integer? code of a start that failed
local function bringUp(run)
  local implementation, plan = run.implementation, run.plan
  local loop, followed, failure
  if implementation.setLoop or plan.loopExpression then
    loop, failure = require "artel.expression".loop(plan.loopExpression)
    if not loop then return reportFailure(run, "loop", failure) end
  end
  followed, failure = xpcall(followLoop, handlers.toFailure)
  if not followed then return reportFailure(run, "loop", failure) end
  failure = loop and callHandler(run, "setLoop", loop)
  if failure then return reportFailure(run, "loop", failure) end
  failure = callHandler(run, "initialize")
  if failure then return reportFailure(run, "initialize", failure) end
  core.queue(run.channel, frame.READY, 0)
  core.flush(run.channel)
end

--- Tells the master why its worker ends, as far as it still listens.
local function sayWhy(run)
  local channel, failure = run.channel, run.failure
  log(failure.traceback and "an error in a handler: %s" or "%s",
    failure.traceback or failure.message)
  if not core.isOpen(channel) then return end
  errorFrames.refuse(channel, 0, failure)
  pcall(channel.flush, channel, run.plan.stopTimeout)
end

--- Logs what a handler of the clean-up raised; the clean-up goes on.
local function callLogged(run, name, ...)
  local failure = callHandler(run, name, ...)
  if failure then log("an error in %s: %s", name, failure.traceback) end
end

--- Runs an evented implementation over the channel of a dedicated worker.
---@param channel artel.Channel
---@param implementation table
---@param plan table lua/artel/plan.lua
---@return integer code exit code of the process
function runner.run(channel, implementation, plan)
  ---@class artel.Run: artel.Connection
  local run = {
    channel = channel, implementation = implementation, plan = plan, active = 0, busy = true,
    connecting = true, handled = followLoop, isAlone = isAlone, log = function(_, ...) log(...) end,
  }
  scheduler.setLoop(pollLoop)
  local state = dispatch.stateOf(channel)
  handlers.attach(run) -- what comes before the implementation is ready waits for it
  local code = bringUp(run)
  if code then return code end
  handlers.connect(run)
  scheduler.run(dispatch.pump, channel, state)
  while not run.failure and not (state.ended and run.active == 0) do
    if state.ended then
      settle(run, plan.stopTimeout)
      break
    end
    turn(run)
  end
  run.failure = run.failure or errorFrames.fault(channel)
  if run.failure then sayWhy(run) end
  run.busy = true
  if implementation.onDisconnect then
    callLogged(run, "onDisconnect", channel, state.ended or core.newError {
      kind = "closed", message = "the worker ended because of an error",
    })
  end
  if core.isOpen(channel) then channel:close() end
  callLogged(run, "terminate")
  return run.failure and 1 or 0
end

return runner
