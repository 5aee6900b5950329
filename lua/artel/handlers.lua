-- SPDX-License-Identifier: Apache-2.0
-- How the frames of one channel reach the handlers of an implementation: each in a coroutine,
-- messages one after another, requests side by side. The runner of a dedicated worker and the
-- server of a shared one stand on this.

local core = require "artel.core"
local dispatch = require "artel.dispatch"
local errorFrames = require "artel.error_frames"
local frame = require "artel.frame"
local requests = require "artel.requests"
local scheduler = require "artel.scheduler"
local waiting = require "artel.waiting"

local handlers = {}

-- So many requests of one connection are handled at once; further ones stay in bytes.
local REQUESTS_MAX = 1000

---@class artel.Connection a channel whose frames go to an implementation
---@field channel artel.Channel
---@field implementation table
---@field peerName string? what the handlers are told about who is there
---@field active integer handlers of it that have begun and not ended
---@field busy boolean a message (or onConnect) is being handled: the next one waits
---@field connecting boolean? onConnect has not ended: requests wait too
---@field running table<integer, table> the owner of each request's handler, by its id
---@field stopped boolean? no new frames are dispatched any more
---@field failure table? what a raised error becomes for the peer; nothing is dispatched then
---@field hidesTracebacks boolean? the peer does not get to see our code
---@field handled fun(connection)? called when a handler has ended, whichever
---@field isAlone (fun(connection): boolean)? nothing else can give this process anything to do
---@field failed fun(connection, failure)? called once, when onConnect or onMessage has raised
---@field tally table? counts messages, requests and errors
---@field log fun(connection, format: string, ...)
---@field flooded fun(connection)? called when a reply was lost because the queue is full

--- What a handler raised, as the fields of an error frame.
function handlers.toFailure(err)
  local text = errorFrames.textOf(err)
  return { kind = "remote", message = text, traceback = core.traceback(text, 2), value = err }
end

local function count(connection, name)
  local tally = connection.tally
  if not tally then return end
  tally[name] = tally[name] + 1
  connection.hasSpoken = true
end

--- The fields of an error frame as this peer may see them.
local function shown(connection, failure)
  if not connection.hidesTracebacks then return failure end
  return { kind = failure.kind, message = failure.message, value = failure.value }
end

handlers.shown = shown

--- What xpcall answered. When memory has run out Lua calls no message handler.
local function settled(ok, answer, ...)
  if not ok and type(answer) ~= "table" then return false, handlers.toFailure(answer) end
  return ok, answer, ...
end

local function handlerEnded(connection)
  connection.active = connection.active - 1
  if connection.handled then connection:handled() end
end

local function handle(connection, finished, handler, ...)
  finished(connection, settled(xpcall(handler, handlers.toFailure, connection.implementation, ...)))
  handlerEnded(connection)
end

--- Calls `handler(implementation, ...)`, which does not belong to a frame, in a coroutine, then
--- `finished(connection, ok, ...)` with what it answered, or with false and a failure.
function handlers.start(connection, finished, handler, ...)
  connection.active = connection.active + 1
  local owner = { isHandler = true, channel = connection.channel }
  scheduler.start(owner, handle, connection, finished, handler, ...)
end

--- Whether nobody waits any more for what the running handler will answer: its request was
--- cancelled or has timed out, or its channel was closed.
---@return boolean
function handlers.isCancelled()
  local owner = scheduler.currentOwner()
  if not owner or not owner.id then return false end
  if owner.isCancelled then return true end
  if not core.isOpen(owner.channel) then return true end
  if core.claimState(owner.channel, owner.id) == "cancelled" then return true end
  dispatch.lookAhead(owner.channel, core.state(owner.channel))
  return owner.isCancelled == true
end

--- Dispatches what had to wait for a handler that has now ended.
local function goOn(connection)
  local channel = connection.channel
  if not core.isOpen(channel) or connection.failure then return end
  local state = core.state(channel)
  local held = state.holdsBack
  dispatch.pump(channel, state)
  if held and core.isOpen(channel) then waiting.update(channel) end -- there is room to read again
end

--- Messages are handled one after another, and after onConnect: the next one may come.
local function messageHandled(connection, ok, failure)
  connection.busy, connection.connecting = false, nil
  if ok then return end
  count(connection, "errors")
  if connection.failure then return end
  connection.failure = failure
  if connection.failed then connection:failed(failure) end
end

local function connectHandled(connection, ok, failure)
  messageHandled(connection, ok, failure)
  goOn(connection)
end

-- Replies of fast handlers leave together, held back for no longer than this, seconds, as
-- long as handlers take what they took so far.
local HOLD_MAX = 100e-6
local FAST = 20e-6
local AVERAGE_WEIGHT = 0.1

--- Whether the reply to a request that ran so long, seconds, may wait for those of the requests
--- that are here already.
local function mayHold(connection, state, run)
  if run == 0 then return false end -- nobody has measured it
  local average = connection.averageRun or run
  connection.averageRun = average + AVERAGE_WEIGHT * (run - average)
  local held = (state.heldTime or 0) + run
  if run > FAST or connection.averageRun > FAST or held > HOLD_MAX then return false end
  state.heldTime = held
  return true
end

local function requestHandled(connection, id, ok, response, reason)
  local channel = connection.channel
  if not ok then count(connection, "errors") end
  if not core.isOpen(channel) then return end
  local state = core.state(channel)
  local hold = mayHold(connection, state, core.claimFinish(channel, id))
  local told
  if ok then
    local _, _, lost = requests.respond(channel, id, response, reason, true)
    told = not lost
  else
    told = errorFrames.refuse(channel, id, shown(connection, response))
  end
  if not told and connection.flooded then return connection:flooded() end
  if not (hold and told) then state.flushHeld() end
end

local function handleMessage(connection, ok, message)
  local implementation = connection.implementation
  count(connection, "messages")
  if not ok then
    connection:log("a message was dropped: %s", message)
  elseif not implementation.onMessage then
    connection:log("a message was dropped: the implementation has no onMessage")
  else
    connection.busy = true
    messageHandled(connection, settled(xpcall(implementation.onMessage, handlers.toFailure,
      implementation, message, connection.channel, connection.peerName)))
  end
end

local function handleRequest(connection, owner, id, request)
  local channel, implementation = connection.channel, connection.implementation
  if not core.claimBegin(channel, id) then return end -- its pool has taken it back
  count(connection, "requests")
  if not implementation.onRequest then
    errorFrames.refuse(channel, id, { kind = "remote", message = "the worker answers no requests" })
  elseif connection.active > REQUESTS_MAX then
    -- Holding it back would hold back the answer that a running handler waits for.
    errorFrames.refuse(channel, id, { kind = "overloaded",
      message = ("%d requests of this connection are being handled"):format(REQUESTS_MAX) })
  else
    owner.id, owner.isCancelled = id, nil
    connection.running[id] = owner
    requestHandled(connection, id, settled(xpcall(implementation.onRequest, handlers.toFailure,
      implementation, request, channel, connection.peerName)))
    connection.running[id] = nil
  end
end

--- The next frame for a handler, unless somebody else wants one or none may begin. Where nothing
--- but the channel can give this process anything to do it is even waited for, as a raw worker
--- would, and neither the dispatcher nor the loop needs a turn.
local function nextFrame(connection, state)
  if connection.active > 0 or connection.failure or connection.stopped
    or state.asideBytes > 0 or state.messageWaiters:peek() then return nil end
  local kind, id, ok, value = core.takeWork(connection.channel)
  if kind then return kind, id, ok, value end
  if not (connection.isAlone and connection:isAlone()) then return nil end
  if state.heldTime then state.flushHeld() end
  return core.takeWork(connection.channel, true)
end

--- The body of the coroutine that handles a frame, and perhaps those behind it.
local function handleFrames(owner, connection, kind, id, ok, value)
  local channel = connection.channel
  local state = core.state(channel)
  while kind do
    connection.active = connection.active + 1
    if kind == frame.MESSAGE then
      handleMessage(connection, ok, value)
    elseif ok then
      handleRequest(connection, owner, id, value)
    else
      errorFrames.refuseUndecoded(channel, id, value)
    end
    connection.active = connection.active - 1
    kind, id, ok, value = nextFrame(connection, state)
  end
  if not state.pumping then
    if state.heldTime then state.flushHeld() end
    goOn(connection)
  end
  if connection.handled then connection:handled() end
end

local function startFrames(connection, kind, id, ok, value)
  local owner = { isHandler = true, channel = connection.channel }
  scheduler.startHandler(owner, handleFrames, owner, connection, kind, id, ok, value)
end

--- Starts a handler with the next frame, if that is a message or a request. For when it is
--- certain that nothing holds it back and nobody else wants it, and unless the channel is at
--- rest afterwards dispatch.pump() must follow.
---@return boolean started
function handlers.startNext(connection, state)
  local kind, id, ok, value = core.takeWork(connection.channel)
  if not kind then return false end
  state.pumping = true -- it is us who go on with what comes next
  startFrames(connection, kind, id, ok, value)
  state.pumping = nil
  return true
end

--- Connects the frames that come in with the handlers.
function handlers.attach(connection)
  local state = dispatch.stateOf(connection.channel)
  connection.running = {}

  function state.onCancel(id)
    local owner = connection.running[id]
    if owner then owner.isCancelled = true end
  end

  function state.flushHeld()
    state.heldTime = nil
    local channel = connection.channel
    if not core.isOpen(channel) then return end
    core.flush(channel)
    if core.pending(channel) > 0 then waiting.update(channel) end
  end

  local function isHeld()
    return connection.connecting or connection.stopped or connection.failure ~= nil
  end

  function state.onMessage(channel)
    if isHeld() or connection.busy then return false end
    startFrames(connection, frame.MESSAGE, nil, dispatch.takeNextMessage(channel, state))
    return true
  end

  function state.mayTakeRequest()
    return not isHeld() and (connection.active < REQUESTS_MAX or state.pendingCount > 0)
  end

  function state.onRequest(_, id, request)
    startFrames(connection, frame.REQUEST, id, true, request)
  end
end

--- Tells the implementation that somebody is there; frames are dispatched from then on.
function handlers.connect(connection)
  local onConnect = connection.implementation.onConnect
  if not onConnect then
    connection.busy, connection.connecting = false, nil
    return
  end
  connection.busy, connection.connecting = true, true
  handlers.start(connection, connectHandled, onConnect, connection.channel, connection.peerName)
end

return handlers
