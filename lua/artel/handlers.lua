-- SPDX-License-Identifier: Apache-2.0
-- How the frames of one channel reach the handlers of an implementation: each in a coroutine,
-- messages one after another, requests side by side. The runner of a dedicated worker and the
-- server of a shared one stand on this.

local core = require "artel.core"
local dispatch = require "artel.dispatch"
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
---@field failed fun(connection, failure)? called once, when onConnect or onMessage has raised
---@field tally table? counts messages, requests and errors
---@field log fun(connection, format: string, ...)
---@field flooded fun(connection)? called when a reply was lost because the queue is full

--- What a handler raised, as the fields of an error frame.
function handlers.toFailure(err)
  local text = dispatch.textOf(err)
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

--- The body of every handler's coroutine.
local function handle(connection, finished, id, handler, ...)
  finished(connection, id,
    settled(xpcall(handler, handlers.toFailure, connection.implementation, ...)))
  connection.active = connection.active - 1
  if id then connection.running[id] = nil end
  if connection.handled then connection:handled() end
end

--- Calls `handler(implementation, ...)` in a coroutine, then
--- `finished(connection, id, ok, ...)` with what it answered, or with false and a failure.
function handlers.start(connection, finished, id, handler, ...)
  connection.active = connection.active + 1
  local owner = { isHandler = true, id = id, channel = connection.channel }
  if id then connection.running[id] = owner end
  scheduler.startHandler(owner, handle, connection, finished, id, handler, ...)
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

local function messageHandled(connection, _, ok, failure)
  connection.busy, connection.connecting = false, nil
  if not ok then
    count(connection, "errors")
    if not connection.failure then
      connection.failure = failure
      if connection.failed then connection:failed(failure) end
    end
  end
  goOn(connection)
end

-- Replies of fast handlers leave together, held back for no longer than this, seconds, as
-- long as handlers take what they took so far.
local HOLD_MAX = 100e-6
local FAST = 20e-6
local AVERAGE_WEIGHT = 0.1

--- Whether the reply may wait for those of the requests that are here already.
local function mayHold(connection, id, state)
  local run = core.claimRunTime(connection.channel, id)
  if run == 0 then return false end -- nobody has measured it
  local average = connection.averageRun or run
  connection.averageRun = average + AVERAGE_WEIGHT * (run - average)
  local held = (state.heldTime or 0) + run
  if not state.pumping or run > FAST or connection.averageRun > FAST or held > HOLD_MAX then
    return false
  end
  state.heldTime = held
  return true
end

local function requestHandled(connection, id, ok, response, reason)
  local channel = connection.channel
  if not ok then count(connection, "errors") end
  if not core.isOpen(channel) then return end
  core.claimFinish(channel, id)
  local state = core.state(channel)
  local hold = mayHold(connection, id, state)
  local told
  if ok then
    local _, _, lost = requests.respond(channel, id, response, reason, true)
    told = not lost
  else
    told = dispatch.refuse(channel, id, shown(connection, response))
  end
  if not told and connection.flooded then return connection:flooded() end
  if hold and told then return end
  state.flushHeld()
  if state.holdsBack then goOn(connection) end
end

--- Handles the next message, one that was set aside first.
local function takeMessage(connection, state)
  local channel, implementation = connection.channel, connection.implementation
  local ok, message
  local entry = dispatch.takeAside(channel, state)
  if entry then
    ok = entry[2] == nil
    if ok then message = entry[1] else message = entry[2] end
  else
    ok, message = core.take(channel)
  end
  count(connection, "messages")
  if not ok then
    connection:log("a message was dropped: %s", message)
  elseif not implementation.onMessage then
    connection:log("a message was dropped: the implementation has no onMessage")
  else
    connection.busy = true
    handlers.start(connection, messageHandled, nil, implementation.onMessage, message, channel,
      connection.peerName)
  end
end

--- Connects the frames that come in with the handlers.
function handlers.attach(connection)
  local state = dispatch.stateOf(connection.channel)
  local implementation = connection.implementation
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

  function state.onMessage()
    if isHeld() or connection.busy then return false end
    takeMessage(connection, state)
    return true
  end

  function state.mayTakeRequest()
    return not isHeld() and (connection.active < REQUESTS_MAX or state.pendingCount > 0)
  end

  function state.onRequest(channel, id, request)
    if not core.claimBegin(channel, id) then return end -- its pool has taken it back
    count(connection, "requests")
    if not implementation.onRequest then
      dispatch.refuse(channel, id, { kind = "remote", message = "the worker answers no requests" })
    elseif connection.active >= REQUESTS_MAX then
      -- Holding it back would hold back the answer that a running handler waits for.
      dispatch.refuse(channel, id, { kind = "overloaded",
        message = ("%d requests of this connection are being handled"):format(REQUESTS_MAX) })
    else
      handlers.start(connection, requestHandled, id, implementation.onRequest, request, channel,
        connection.peerName)
    end
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
  handlers.start(connection, messageHandled, nil, onConnect, connection.channel,
    connection.peerName)
end

return handlers
