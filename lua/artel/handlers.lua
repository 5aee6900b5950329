-- SPDX-License-Identifier: Apache-2.0
-- How the frames of one channel reach the handlers of an implementation: each in a coroutine,
-- messages one after another, requests side by side. The runner of a dedicated worker and the
-- server of a shared one stand on this.

local core = require "artel.core"
local dispatch = require "artel.dispatch"
local errorFrames = require "artel.error_frames"
local frame = require "artel.frame"
local Queue = require "artel.queue"
local requests = require "artel.requests"
local scheduler = require "artel.scheduler"
local waiting = require "artel.waiting"

local handlers = {}

-- Used for every frame.
local MESSAGE, RESPONSE = frame.MESSAGE, frame.RESPONSE
local handleMessages, handleRequests = core.handleMessages, core.handleRequests
local takeWork, isBackedUp, peek = core.takeWork, core.isBackedUp, Queue.peek

-- So many requests of one connection are handled at once; further ones stay in bytes.
local REQUESTS_MAX = 1000

local CANCELLED = "cancelled" -- what stands in `running` for a request nobody waits for

---@class artel.Connection a channel whose frames go to an implementation
---@field channel artel.Channel
---@field implementation table
---@field peerName string? what the handlers are told about who is there
---@field active integer handlers of it that have begun and not ended
---@field busy table|boolean a message (or onConnect) is being handled: the next one waits
---@field connecting boolean? onConnect has not ended: requests wait too
---@field running table<integer, true|"cancelled"> the requests that are being handled, by id
---@field stopped boolean? no new frames are dispatched any more
---@field failure table? what a raised error becomes for the peer; nothing is dispatched then
---@field hidesTracebacks boolean? the peer does not get to see our code
---@field handled fun(connection)? called when a handler has ended, whichever
---@field isAlone (fun(): boolean)? nothing else can give this process anything to do
---@field failed fun(connection, failure)? called once, when onConnect or onMessage has raised
---@field tally table? counts messages, requests and errors
---@field log fun(connection, format: string, ...)
---@field flooded fun(connection)? called when a reply was lost because the queue is full

--- What a handler raised, as the fields of an error frame.
local function toFailure(err)
  local text = errorFrames.textOf(err)
  return { kind = "remote", message = text, traceback = core.traceback(text, 2), value = err }
end

handlers.toFailure = toFailure

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
  if not ok and type(answer) ~= "table" then return false, toFailure(answer) end
  return ok, answer, ...
end

handlers.settled = settled

local function handlerEnded(connection)
  connection.active = connection.active - 1
  if connection.handled then connection:handled() end
end

local function handle(connection, finished, handler, ...)
  finished(connection, settled(xpcall(handler, toFailure, connection.implementation, ...)))
  handlerEnded(connection)
end

--- Calls `handler(implementation, ...)`, which does not belong to a frame, in a coroutine, then
--- `finished(connection, ok, ...)` with what it answered, or with false and a failure.
function handlers.start(connection, finished, handler, ...)
  connection.active = connection.active + 1
  local owner = { isHandler = true, channel = connection.channel }
  scheduler.start(owner, handle, connection, finished, handler, ...)
end

--- Whether the peer has closed its channel, and all that came before was taken. One that has only
--- ended its own sending still reads; over TCP the two look the same until it is sent something.
local function hasGone(channel)
  return core.peek(channel) == false and #core.pollStreams({ core.stream(channel) }, { 0 }, 0) > 0
end

--- Whether nobody waits any more for what the running handler will answer: its request was
--- cancelled or has timed out, or its channel was closed.
---@return boolean
function handlers.isCancelled()
  local owner = scheduler.currentOwner()
  local id = owner and owner[1]
  if not id then return false end
  local channel, running = owner.channel, owner.running
  if running[id] == CANCELLED or not core.isOpen(channel) then return true end
  if core.claimState(channel, id) == "cancelled" then return true end
  dispatch.lookAhead(channel, core.state(channel))
  return running[id] == CANCELLED or hasGone(channel)
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

--- Answers a request with an error, or with what could not be sent as it is; `tell` says how.
local function answerRequest(connection, state, tell, id, ...)
  if not core.isOpen(connection.channel) then return end
  if not tell(connection, id, ...) and connection.flooded then return connection:flooded() end
  state.flushHeld()
end

local function tellFailure(connection, id, failure)
  return errorFrames.refuse(connection.channel, id, shown(connection, failure))
end

local function tellResponse(connection, id, response, reason)
  local _, _, lost = requests.respond(connection.channel, id, response, reason, true)
  return not lost
end

--- What becomes of a frame whose handler has raised.
local function handlerFailed(owner, connection, state, failure)
  local id = owner[1]
  if id then
    owner[1], connection.running[id] = false, nil
    core.claimFinish(connection.channel, id)
    count(connection, "errors")
    answerRequest(connection, state, tellFailure, id, failure)
  elseif connection.busy == owner then
    messageHandled(connection, false, failure)
  else
    error(failure.traceback, 0) -- no handler: a bug of ours
  end
end

--- A frame that came and cannot be handled.
local function refuseFrame(connection, kind, id, err)
  if kind == MESSAGE then
    count(connection, "messages")
    connection:log("a message was dropped: %s", err)
  else
    errorFrames.refuseUndecoded(connection.channel, id, err)
  end
end

local TOO_MANY = { kind = "overloaded",
  message = ("%d requests of this connection are being handled"):format(REQUESTS_MAX) }

--- Whether the next frame may go straight to its handler: nobody else wants one, and one may begin.
local function isFree(connection, state)
  return connection.active == 1 and not connection.failure and not connection.stopped
    and state.asideBytes == 0 and not peek(state.messageWaiters)
end

--- The next frame for a handler. Where nothing but the channel can give this process anything to
--- do it is even waited for, as a raw worker would.
local function nextFrame(connection, state)
  if not isFree(connection, state) then return nil end
  local isAlone = connection.isAlone
  return takeWork(connection.channel, isAlone and isAlone())
end

--- Handles a frame and those behind it, the most of them in C. Raises what a handler raises.
local function handleEach(owner, connection, state, kind, id, ok, value)
  local channel, implementation = connection.channel, connection.implementation
  local peerName, running = connection.peerName, connection.running
  local goesOn = isFree(connection, state) and (connection.isAlone or true)
  while kind do
    if kind == RESPONSE then
      kind = answerRequest(connection, state, tellResponse, id, ok, value)
    elseif not ok then
      kind = refuseFrame(connection, kind, id, value)
    elseif kind == MESSAGE then
      connection.busy = owner
      kind, id, ok, value = handleMessages(channel, implementation, peerName, goesOn, value)
      connection.busy = false
    elseif connection.active > REQUESTS_MAX then
      -- Holding it back would hold back the answer that a running handler waits for.
      kind = refuseFrame(connection, kind, id, TOO_MANY)
    else
      kind, id, ok, value = handleRequests(channel, implementation, peerName, goesOn,
        owner, running, id, value)
    end
    if not kind then
      if kind == false then waiting.update(channel) end -- not all of the answers has left
      if not connection.isAlone then return end -- the dispatcher goes on
      kind, id, ok, value = nextFrame(connection, state)
      goesOn = connection.isAlone
    end
  end
end

--- Goes on in a coroutine that is counted among the connection's handlers: with the frame that was
--- taken, if one was, or with what a handler has raised.
---@param owner table
---@param connection artel.Connection
---@param ok boolean
---@param failure any or the kind of the frame, if there is one
function handlers.proceed(owner, connection, ok, failure, ...)
  local state = core.state(connection.channel)
  if ok then
    ok, failure = settled(xpcall(handleEach, toFailure, owner, connection, state, failure, ...))
  end
  while not ok do
    handlerFailed(owner, connection, state, failure)
    ok, failure = settled(xpcall(handleEach, toFailure, owner, connection, state,
      nextFrame(connection, state)))
  end
  connection.active = connection.active - 1
  if not state.pumping then
    state.flushHeld()
    goOn(connection)
  end
  if connection.handled then connection:handled() end
end

--- The body of the coroutine that handles a frame, and perhaps those behind it. They share one
--- protected call: a handler that raises is rare, and to enter that mode is not cheap.
local function handleFrames(owner, connection, ...)
  connection.active, connection.hasSpoken = connection.active + 1, true
  handlers.proceed(owner, connection, true, ...)
end

local function startFrames(connection, ...)
  local owner = { isHandler = true, channel = connection.channel,
    running = connection.running }
  scheduler.startHandler(owner, handleFrames, owner, connection, ...)
end

--- Connects the frames that come in with the handlers.
function handlers.attach(connection)
  local state = dispatch.stateOf(connection.channel)
  connection.running = {}

  function state.onCancel(id)
    if connection.running[id] then connection.running[id] = CANCELLED end
  end

  function state.flushHeld()
    local channel = connection.channel
    if core.isOpen(channel) and core.flush(channel) == false then waiting.update(channel) end
  end

  local function isHeld()
    return connection.connecting or connection.stopped or connection.failure ~= nil
  end

  local function hasRoom()
    state.awaitsRoom = isBackedUp(connection.channel)
    return not state.awaitsRoom
  end

  function state.onMessage(channel)
    if isHeld() or connection.busy or not hasRoom() then return false end
    startFrames(connection, frame.MESSAGE, nil, dispatch.takeNextMessage(channel, state))
    return true
  end

  function state.mayTakeRequest()
    if isHeld() then return false end
    if state.pendingCount > 0 then return true end -- the answer may stand behind this one
    return connection.active < REQUESTS_MAX and hasRoom()
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
