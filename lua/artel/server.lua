-- SPDX-License-Identifier: Apache-2.0
-- A shared worker at work: from the implementation that exists to the end of the process.

local core = require "artel.core"
local currentWorker = require "artel.current_worker"
local expression = require "artel.expression"
local handlers = require "artel.handlers"
local Listeners = require "artel.server_listeners"
local luvLoop = require "artel.loop_luv"
local scheduler = require "artel.scheduler"
local serveCrowd = require "artel.server_crowd"
local Server = require "artel.server_core"
local socketContext = require "artel.socket_context"

local sockets = core.sockets
local uv = luvLoop.uv

local EXIT_FAILED = 1

local log = Server.log

--- Calls a handler that belongs to no connection, and lets the loop run until it has ended.
---@return table? failure
local function call(server, name, deadline, ...)
  local handler = server.implementation[name]
  if not handler then return nil end
  local ended, failure = false, nil
  handlers.start(server.own, function(_, ok, err)
    ended = true
    if not ok then failure = err end
  end, handler, ...)
  local isStart = deadline == nil -- without a deadline, but a signal ends it
  Server.turnUntil(function() return ended or isStart and server.stopReason ~= nil end, deadline)
  if not ended and isStart then
    return { message = server.stopReason and ("%s was ended by %s"):format(name, server.stopReason)
      or name .. " waits for something that nothing on the loop will bring" }
  end
  return failure
end

--- A handler of the clean-up: what it raises is logged, and the clean-up goes on.
local function callLogged(server, name, deadline)
  local failure = call(server, name, deadline)
  if failure then log("an error in %s: %s", name, failure.traceback or failure.message) end
end

-- ---- starting ----

--- Signals to stop: the loop hears of them, once code lets it run. What never does so is ended
--- by a timer, where the system has one for us, two seconds after the stop time-out.
local function catchSignals(server)
  for _, name in ipairs { "sigterm", "sigint" } do
    local signal = uv.new_signal()
    signal:start(name, function() server:requestStop(name:upper()) end)
    signal:unref()
    server.signals[#server.signals + 1] = signal
  end
  local plan = server.plan
  if plan.stopTimeout < math.huge then
    sockets.prepareStopLimit(plan.stopTimeout, Server.line(
      "%s: not stopped within %g s; its code computes or waits and does not let the loop run",
      plan.address, plan.stopTimeout))
  end
end

--- setLoop, initialize, listening.
---@return string? step that has failed
---@return table? failure
local function bringUp(server, claim)
  local plan = server.plan
  local loop, failure = expression.loop(plan.loopExpression)
  if not loop then return "loop", failure end
  local context
  context, failure = socketContext.evaluate(plan.socketContextExpression)
  if not context then return "socket", failure end
  server.maxConnections = context.maxConnections
  catchSignals(server)
  currentWorker.set {
    plan = plan, loop = loop, socketContext = context,
    isStopping = function() return server.stopReason ~= nil end,
    stopCurrent = function()
      if #server.listeners.list == 0 and not server.listeners.closed then
        error("SharedWorker.stopCurrent: the worker does not listen yet; raise an error to end "
          .. "its start", 3)
      end
      server.listeners:finish(claim.lock, function() end)
    end,
  }
  failure = call(server, "setLoop", nil, loop)
  if failure then return "loop", failure end
  failure = call(server, "initialize")
  if failure then return "initialize", failure end
  local called, listening, err = pcall(server.listeners.open, server.listeners, claim.inherited,
    plan.address, context)
  if not called then return "socket", { message = listening } end -- no such user or group
  if not listening then return "listen", err end
  local watched, reason = pcall(server.listeners.start, server.listeners)
  if not watched then return "listen", { message = reason } end
end

-- ---- stopping ----

--- The handles that keep the loop alive, for people.
local function describeHandles()
  local names = {}
  uv.walk(function(handle)
    if handle:is_active() and handle:has_ref() and not handle:is_closing() then
      names[#names + 1] = tostring(handle)
    end
  end)
  table.sort(names)
  return #names > 0 and table.concat(names, ", ") or "none"
end

local function listeningEnded(server, claim, deadline)
  local ended = false
  server.listeners:finish(claim.lock, function() ended = true end)
  Server.turnUntil(function() return ended end, deadline)
  server.listeners:close()
end

--- Ends what was asked to end: the order is that of docs/wire.md, "Stopping".
---@return boolean inTime
local function stop(server, claim)
  local deadline = core.now() + server.plan.stopTimeout
  sockets.startStopLimit() -- behind the deadline, which comes first if the loop runs
  log("%s: stopping because of %s", server.plan.address, server.stopReason)
  claim.report:stopping()
  listeningEnded(server, claim, deadline)
  server:holdFrames()
  callLogged(server, "onStop", deadline)
  server:endConnections()
  Server.turnUntil(function() return server.count == 0 end, deadline)
  return Server.turnUntil(function() return not uv.loop_alive() end, deadline)
    and server.own.active == 0
end

--- Serves until it is asked to stop, or until nothing is left that could happen.
---@return boolean inTime
local function serve(server, claim)
  while not server.stopReason do
    if not uv.run "once" and server.listeners.closed and not server.stopReason then
      return true -- stopCurrent, and everything has come to its end
    end
  end
  if stop(server, claim) then return true end
  log("%s: not stopped within %g s; what still holds the loop: %s", server.plan.address,
    server.plan.stopTimeout, describeHandles())
  if server.own.active > 0 then log("%d handlers still wait", server.own.active) end
  return false
end

--- Runs an implementation as a shared worker.
---@param implementation table
---@param plan table lua/artel/plan.lua
---@param claim artel.Claim
---@return integer code exit code of the process
local function run(implementation, plan, claim)
  scheduler.setLoop(luvLoop)
  sockets.raiseDescriptorLimit()
  local server = Server.new(implementation, plan)
  server.listeners = Listeners.new(server)
  luvLoop.serveFirst = serveCrowd(implementation)
  local step, failure = bringUp(server, claim)
  if step then
    server.listeners:close()
    claim.report:failed { step = step, message = failure.message, traceback = failure.traceback,
      errno = failure.errno }
    server:finishClosing()
    return EXIT_FAILED
  end
  claim.report:ready()
  claim.releaseSwitch()
  sockets.pauseLock(claim.lock)
  local inTime = serve(server, claim)
  sockets.startStopLimit() -- for what onDisconnect does
  server:cutConnections()
  local deadline = core.now() + plan.stopTimeout
  sockets.startStopLimit()
  callLogged(server, "terminate", deadline)
  server:finishClosing()
  return inTime and 0 or EXIT_FAILED
end

return run
