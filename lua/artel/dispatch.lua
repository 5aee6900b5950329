-- SPDX-License-Identifier: Apache-2.0
-- What happens to a frame that has come in: who gets it, and what the end of a channel means
-- to everybody who waits.
--
-- Frames stay in the channel's buffer, in bytes, until somebody waits for what is behind
-- them; only then a message or a request is decoded and set aside (lua/artel/aside.lua).

local aside = require "artel.aside"
local core = require "artel.core"
local errorFrames = require "artel.error_frames"
local frame = require "artel.frame"
local Queue = require "artel.queue"
local scheduler = require "artel.scheduler"

local dispatch = {}

---@class artel.ChannelState what Lua keeps for a channel, made at the first call that waits
---@field inbox artel.Queue of { message, err, bytes }: set aside while somebody waited for more
---@field asideBytes integer what all that was set aside took in the stream
---@field messageWaiters artel.Queue
---@field requests artel.Queue of { value, id }: for receiveRequest()
---@field requestsAside artel.Queue? of { id, ok, value, bytes }: they had to wait
---@field asideById table<integer, table>? the same, by id
---@field requestWaiters artel.Queue
---@field writeWaiters artel.Queue those who wait until at most `mark` bytes are queued
---@field pending table<integer, table> our requests by id: the waiter of each
---@field pendingCount integer
---@field firstId integer the first id of those that request() sends
---@field lostResponses integer responses nobody waited for any more
---@field readyWaiter table? the newest of those who wait for the ready report; `next` the others
---@field selectWaiters table<table, boolean> woken when receiveMessage(0) would answer
---@field listener fun(channel)? of registerRead
---@field partner table? { channel }, weak: the other end of a pair in this process
---@field ended artel.Error? why nothing more will come
---@field final artel.Error? the same, from before those who wait are told; while our own close()
--- still flushes too
---@field onMessage (fun(channel): boolean)? takes the next message; false: not now
---@field onRequest (fun(channel, id: integer, value: any))? takes a request
---@field mayTakeRequest (fun(): boolean)? false: requests stay where they are for now
---@field holdsBack boolean? a frame is here that nobody takes for now
---@field awaitsRoom boolean? since too much of what handlers answered has not left
---@field onAdmin (fun(channel, kind: integer): boolean?)? takes a stop, query or status frame
---@field onCancel fun(id: integer)?
---@field flushHeld fun()? sends the replies that are held back
---@field onReport (fun(kind: integer))? told of the ready report
---@field onTurn (fun(channel))? called from the loop, after input was taken in and dispatched
---@field onOverload (fun(channel))? called when a message does not fit into the queue
---@field onClose fun()? called when this end is about to be closed
---@field lingers boolean? what is queued is still to be sent after the peer's end
---@field onAnswered fun()? called when what request() asked was answered or given up
---@field onEnd table? a waiter woken when `ended` is settled, also by our own close
---@field explainEnd (fun(channel, err): artel.Error?)? makes the final error; nil: not known yet
---@field explainLoss (fun(channel, err): artel.Error)? the error of who could not send

---@return artel.ChannelState
function dispatch.stateOf(channel)
  local state = core.state(channel)
  if not state then
    state = {
      inbox = Queue.new(), asideBytes = 0, messageWaiters = Queue.new(),
      requests = Queue.new(), requestWaiters = Queue.new(), writeWaiters = Queue.new(),
      pending = {}, pendingCount = 0, firstId = 1, lostResponses = 0, selectWaiters = {},
    }
    -- Whatever makes tables may run a finaliser, which may use the channel: then it has one.
    if core.state(channel) then return core.state(channel) end
    core.setState(channel, state)
  end
  return state
end

--- Whether anybody waits for frames behind a message that nobody wants yet.
local function wantsBeyondMessages(state)
  return state.pendingCount > 0 or not state.requestWaiters:isEmpty()
    or state.readyWaiter ~= nil
end

--- Wakes everybody who waits for the ready report.
local function wakeReady(state, field, value)
  local waiter = state.readyWaiter
  state.readyWaiter = nil
  while waiter do
    waiter[field] = value
    scheduler.wake(waiter)
    waiter = waiter.next
  end
end

--- Wakes those in artel.select. Runs no code of the application.
function dispatch.wakeSelects(state)
  for waiter in pairs(state.selectWaiters) do scheduler.wake(waiter) end
end

local function fail(waiter, err)
  waiter.err = err
  scheduler.wake(waiter)
end

local function failAll(queue, err)
  local waiter = queue:pop()
  while waiter do
    fail(waiter, err)
    waiter = queue:pop()
  end
end

--- Ends every wait on the channel with `err`. Takes no memory: who is not told waits for ever.
---@param flushes? boolean what is queued is still sent: who waits for that goes on waiting
function dispatch.endWaits(state, err, flushes)
  failAll(state.messageWaiters, err)
  failAll(state.requestWaiters, err)
  if not flushes then failAll(state.writeWaiters, err) end
  local pending = state.pending
  state.pendingCount = 0
  for id, waiter in next, pending do
    fail(waiter, err)
    pending[id] = nil
  end
  wakeReady(state, "err", err)
  dispatch.wakeSelects(state)
end

--- Settles why the channel has ended. Without a final explanation yet (a worker's exit
--- status may still be on its way) everybody goes on waiting.
---@return boolean settled
function dispatch.finish(channel, state, err)
  if state.ended then return true end
  local final = state.final or err
  if state.explainEnd and not state.final then
    final = state.explainEnd(channel, err)
    if not final then return false end
  end
  state.final = final
  dispatch.endWaits(state, final)
  if state.onEnd then scheduler.wake(state.onEnd) end
  state.ended = final -- when all are told: what memory was short for is tried again
  return true
end

local END_TEXTS = {
  closed = "the peer has closed the channel",
  oversize = "the peer sent a frame longer than the limit (see setMaxMessageSize)",
  overloaded = "more than 256 MiB of messages came that nobody received",
}

--- Why a channel has ended, as core.peek tells it.
local function endOf(kind, detail, errno)
  if errno == "ENOMEM" then
    return core.newError { kind = "oversize", errno = errno,
      message = "there is no memory for what the peer sends" }
  end
  local message = END_TEXTS[kind] or detail
  if kind == "overloaded" then kind = "oversize" end -- the other one is for what we send
  return core.newError { kind = kind, message = message, errno = errno }
end

local function limitAside(channel, state)
  if not aside.isTooMuch(state) then return end
  dispatch.finish(channel, state, core.newError { kind = "oversize",
    message = ("%d bytes of messages came that nobody received"):format(state.asideBytes) })
end

--- Decodes a message that nobody wants yet, since something is wanted that is behind it.
local function setAside(channel, state)
  aside.keepMessage(channel, state)
  limitAside(channel, state)
end

--- Takes the next message, one that was set aside first; there must be one.
---@return true|nil ok
---@return any message or an error
function dispatch.takeNextMessage(channel, state)
  local entry = aside.popMessage(channel, state)
  if not entry then return core.take(channel) end
  if entry[2] then return nil, entry[2] end
  return true, entry[1]
end

--- Gives to the next what a waiter was given whose coroutine somebody has closed before it could
--- go on.
---@return boolean given false when that waiter had been given nothing that others want
function dispatch.passOn(channel, state, waiter)
  local queue, value, err = waiter.queue, waiter.value, waiter.err
  local isMessage = queue == state.messageWaiters and (value ~= nil or err and err ~= state.final)
  if not isMessage and not (queue == state.requestWaiters and waiter.id) then return false end
  local heir = queue:pop()
  if heir then
    heir.value, heir.err, heir.id = value, err, waiter.id
    scheduler.wake(heir)
  elseif isMessage then
    aside.putBack(channel, state, value, err)
  else
    state.requests:pushFront { value = value, id = waiter.id }
  end
  return true
end

local function takeMessage(channel, state)
  if not state.messageWaiters:isEmpty() then
    local ok, value = core.take(channel)
    local waiter = state.messageWaiters:pop()
    if ok then waiter.value = value else waiter.err = value end
    scheduler.wake(waiter)
    return true
  end
  if state.onMessage and state.inbox:isEmpty() and state.onMessage(channel) then return true end
  if wantsBeyondMessages(state) then
    setAside(channel, state)
    return true
  end
  return false
end

local function mayTakeRequest(state) return not state.mayTakeRequest or state.mayTakeRequest() end

--- Gives a request to whoever answers requests.
---@param entry table what becomes of it when receiveRequest() is to find it later
local function giveRequest(channel, state, id, entry, ok, value)
  if not ok then
    errorFrames.refuseUndecoded(channel, id, value)
  elseif state.onRequest then
    state.onRequest(channel, id, value)
  elseif state.requestWaiters:peek() then
    local waiter = state.requestWaiters:pop()
    waiter.value, waiter.id = value, id
    scheduler.wake(waiter)
  elseif state.answersRequests then
    entry.value, entry.id = value, id
    state.requests:push(entry)
  else
    errorFrames.refuse(channel, id, { kind = "remote",
      message = "the peer answers no requests: it has not called receiveRequest()" })
    core.flush(channel)
  end
end

local TOO_MANY = { kind = "overloaded",
  message = ("%d requests wait until one may be handled"):format(aside.REQUESTS_MAX) }

local function takeRequest(channel, state, id)
  if not mayTakeRequest(state) then
    -- What onConnect, or a handler while the worker stops, waits for may stand behind this one.
    if state.pendingCount == 0 and state.messageWaiters:isEmpty() then return false end
    -- Once the peer has read answers there is room for this one; a master always reads on.
    if state.awaitsRoom and not aside.mayKeepFreely(state) then return false end
    if aside.hasPlace(state) then
      aside.keepRequest(channel, state, id)
      limitAside(channel, state)
      return true
    end
    state.awaitsRoom = core.isBackedUp(channel)
    if state.awaitsRoom then return false end
    core.take(channel) -- holding it back would hold back what is waited for
    errorFrames.refuse(channel, id, TOO_MANY)
    return true
  end
  local entry
  if state.answersRequests then
    entry = { value = nil, id = nil }
    state.requests:reserve()
  end
  giveRequest(channel, state, id, entry, core.take(channel))
end

--- Tells who waits for an answer that it is here. A pool learns it at once: what it does then
--- calls nobody. More answers for it stand behind this one, as a rule.
local function answered(channel, state, waiter)
  if waiter.onAnswer then
    waiter.done = true
    waiter:onAnswer()
    if core.isOpen(channel) then core.takeAnswers(channel, state) end
  else
    scheduler.wake(waiter)
    if state.onAnswered then state.onAnswered() end
  end
end

--- Who waits for the answer with this id, no longer from here on; nil when nobody does.
local function takeWaiter(state, id)
  local waiter = state.pending[id]
  if not waiter then
    state.lostResponses = state.lostResponses + 1
    return nil
  end
  state.pending[id] = nil
  state.pendingCount = state.pendingCount - 1
  return waiter
end

local function takeResponse(channel, state, id)
  local ok, value = core.take(channel)
  local waiter = takeWaiter(state, id)
  if not waiter then return end
  if ok then waiter.value = value else waiter.err = value end
  answered(channel, state, waiter)
end

local NO_MEMORY = core.newError { kind = "remote",
  message = "there was no memory for the reason that the peer gave" }

local function takeError(channel, state, id)
  local ok, map = core.take(channel)
  local err = map
  if ok then
    ok, err = pcall(errorFrames.toError, map)
    if not ok then err = NO_MEMORY end -- who waits must hear of it all the same
  end
  if id == 0 then -- about the connection: the peer closes next
    state.connectionError = err
    return
  end
  local waiter = takeWaiter(state, id)
  if not waiter then return end
  waiter.err = err
  answered(channel, state, waiter)
end

local function takeFailure(channel, state)
  state.connectionError = errorFrames.toStartError(core.take(channel))
end

local function takeReady(channel, state)
  state.isReady = true
  core.take(channel)
  wakeReady(state, "value", true)
end

local function takeCancel(channel, state, id)
  core.take(channel)
  -- One that has not begun: nobody waits for it any more.
  if aside.cancelRequest(state, id) then return end
  for entry in state.requests:items() do
    if entry.id == id then
      state.requests:remove(entry)
      return
    end
  end
  if state.onCancel then state.onCancel(id) end
end

-- Only channels that have an onAdmin accept these frames.
local function adminTaker(kind)
  return function(channel, state) return state.onAdmin(channel, kind) end
end

-- Each takes the frame that peek() shows; false: it must stay where it is.
local TAKERS = {
  [frame.MESSAGE] = takeMessage, [frame.REQUEST] = takeRequest,
  [frame.RESPONSE] = takeResponse, [frame.ERROR] = takeError,
  [frame.READY] = takeReady, [frame.FAILED] = takeFailure, [frame.CANCEL] = takeCancel,
  [frame.STOP] = adminTaker(frame.STOP), [frame.QUERY] = adminTaker(frame.QUERY),
  [frame.STATUS] = adminTaker(frame.STATUS),
}

--- Dispatches a message or a request that was set aside and can be dispatched now.
---@return boolean dispatched
local function takeFromAside(channel, state)
  if state.onMessage and not state.inbox:isEmpty() and state.onMessage(channel) then return true end
  local requests = state.requestsAside -- looked at for each frame
  if not requests or requests:isEmpty() or not mayTakeRequest(state) then return false end
  local entry = aside.popRequest(state)
  if not entry.isCancelled then
    giveRequest(channel, state, entry.id, entry, entry.ok, entry.value)
  end
  return true
end

--- Takes the next frame. False when there is none, or when it must stay where it is.
local function takeNext(channel, state)
  local kind, id, detail, errno = core.peek(channel)
  if not kind then
    if kind == false then
      dispatch.finish(channel, state, state.connectionError or endOf(id, detail, errno))
    end
    return false
  end
  if TAKERS[kind](channel, state, id) == false then
    state.holdsBack = true
    return false
  end
  return true
end

--- Wakes those who wait for the output queue to shrink, also when it never will.
local function serveWriters(channel, state)
  local waiter = state.writeWaiters:peek()
  while waiter do
    local flushed, err = core.flush(channel)
    if flushed ~= nil and core.pending(channel) > waiter.mark then return end
    waiter.err = err
    scheduler.wake(state.writeWaiters:pop())
    waiter = state.writeWaiters:peek()
  end
end

local function pumpFrames(channel, state)
  state.pumping, state.awaitsRoom, state.holdsBack = true, nil, nil
  serveWriters(channel, state)
  while core.isOpen(channel) do
    if not takeFromAside(channel, state) and not takeNext(channel, state) then return end
  end
end

-- What lookAhead() may dispatch: it wakes somebody and calls nobody.
local CALLS_NOBODY = { [frame.RESPONSE] = true, [frame.ERROR] = true, [frame.CANCEL] = true }

--- Takes in what has come without starting anything, for a handler that computes and wants to
--- know whether it still should.
function dispatch.lookAhead(channel, state)
  local hasFilled = false
  while core.isOpen(channel) and aside.mayKeepFreely(state) do
    local kind, id = core.peek(channel)
    if kind == nil and not hasFilled then -- not before: what it may not dispatch would heap up
      hasFilled = true
      core.fill(channel)
    elseif CALLS_NOBODY[kind] then
      TAKERS[kind](channel, state, id)
    elseif kind == frame.MESSAGE then
      if state.messageWaiters:isEmpty() then
        setAside(channel, state)
      else
        takeMessage(channel, state)
      end
    elseif kind == frame.REQUEST then
      aside.keepRequest(channel, state, id)
    else
      return
    end
  end
end

--- Gives every frame that is here to whoever waits for it, until a message comes up that
--- nobody wants yet. Does no input.
function dispatch.pump(channel, state)
  if state.pumping then return end -- whoever is at it goes on with what we would have done
  repeat
    local ok, err = pcall(pumpFrames, channel, state)
    state.pumping = nil
    if state.flushHeld then state.flushHeld() end
    if not ok then error(err, 0) end
  until not (state.awaitsRoom and core.isOpen(channel)) or core.isBackedUp(channel)
end

--- Sets aside the messages that are here, though nobody waits for what is behind them: the channel
--- is about to be closed. Does no input.
function dispatch.setAllAside(channel, state)
  dispatch.pump(channel, state)
  while core.isOpen(channel) and not state.final and core.peek(channel) == frame.MESSAGE do
    setAside(channel, state)
    dispatch.pump(channel, state)
  end
end

--- Whether receiveMessage(0) would answer something else than a time-out.
function dispatch.isReadable(channel, state)
  if not core.isOpen(channel) then return false end
  return state.ended ~= nil or not state.inbox:isEmpty() or core.peek(channel) == frame.MESSAGE
end

return dispatch
