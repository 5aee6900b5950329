-- SPDX-License-Identifier: Apache-2.0
-- The channel as users see it. What nearly every program calls begins in C
-- (src/binding/messages.c) and comes here only when it must wait or look into the inbox.

local aside = require "artel.aside"
local core = require "artel.core"
local dispatch = require "artel.dispatch"
local requests = require "artel.requests"
local scheduler = require "artel.scheduler"
local waiting = require "artel.waiting"

--- One end of a connection that carries whole messages both ways.
---@class artel.Channel
---@field sendMessage fun(self, message: any): true|nil, integer|artel.Error?
---@field receiveMessage fun(self, timeout?: number): any, artel.Error?
---@field messages fun(self): fun(): any iterates until the end, which receiveMessage() explains
---@field flush fun(self, timeout?: number): true|nil, artel.Error? until nothing is queued any more
---@field close fun(self): true flushes and closes; may be repeated
---@field getStream fun(self): integer the descriptor to watch in a loop of your own
local Channel, metatable = core.class("artel.Channel")

-- How long close() waits for what is queued when the peer does not read, seconds.
local CLOSE_TIMEOUT = 5

local function closedError()
  return core.newError { kind = "closed", message = "this end was closed" }
end

-- ---- sending ----

-- These, as all that C goes on with, are called by C functions: their caller's caller is level 3.

--- sendMessage when the transport has not taken everything at once: the message is queued.
--- A C function more is between it and its caller.
local function afterSend(channel) return waiting.afterQueueing(channel, 4) end

--- sendMessage when the queue is full: waits for room where waiting is allowed.
local function sendWhenFull(channel, message)
  local state = dispatch.stateOf(channel)
  if waiting.mayWaitToSend() then
    local drained, err = waiting.drain(channel, state, 0, nil, 3)
    if not drained then return nil, err end
    if state.final then return nil, state.final end -- closed meanwhile
    return channel:sendMessage(message)
  end
  if state.onOverload then state.onOverload(channel) end
  return nil, core.newError {
    kind = "overloaded",
    message = ("%d bytes are queued already and the message does not fit beside them; "
      .. "maxQueuedBytes is the limit"):format(core.pending(channel)),
  }
end

--- flush when the transport has not taken everything at once.
local function flush(channel, timeout)
  local state = dispatch.stateOf(channel)
  local flushed, err = core.flush(channel)
  if flushed then return true end
  if flushed == nil then return nil, waiting.whyGone(channel, state, err) end
  local drained
  drained, err = waiting.drain(channel, state, 0, timeout, 3)
  return drained, err
end

-- ---- receiving ----

local function abandonReceive(waiter) waiter.queue:remove(waiter) end

--- Waits for the next message that was not set aside.
local function receiveNew(channel, state, timeout, level)
  if state.ended then return nil, state.ended end
  local waiter = scheduler.newWaiter(abandonReceive, state.messageWaiters)
  if not waiting.await(channel, state, waiter, timeout, level + 1) then
    return nil, core.newError {
      kind = "timeout", message = ("no message within %g s"):format(timeout),
    }
  end
  if waiter.err then return nil, waiter.err end
  return waiter.value
end

--- receiveMessage when nothing is at hand, or when earlier messages were set aside.
---@param level? integer as for error(); the caller of the method by default
local function receive(channel, timeout, level)
  local state = dispatch.stateOf(channel)
  local entry = aside.popMessage(channel, state)
  if entry then
    if entry[2] then return nil, entry[2] end
    return entry[1] -- one value only: print(channel:receiveMessage()) shows no nil
  end
  local message, err = receiveNew(channel, state, timeout, level or 3)
  if message == nil then return nil, err end
  return message
end

--- One message could not be decoded, and whoever iterates gets no errors: the next
--- receiveMessage answers this one.
local function keepError(channel, err)
  aside.putBack(channel, dispatch.stateOf(channel), nil, err)
  return nil
end

--- A step of messages() when nothing is at hand.
local function nextMessage(channel)
  local message, err = receive(channel, nil, 4)
  if message == nil and core.isOpen(channel) and dispatch.stateOf(channel).ended == nil then
    return keepError(channel, err)
  end
  return message
end

--- Sends a request and waits for its response.
---@param value any what the peer's onRequest gets
---@param options? { timeout?: number } seconds
---@return any response
---@return artel.Error? err
function Channel:request(value, options)
  local response, err = requests.request(self, value, options, 2)
  if response == nil then return nil, err end
  return response
end

--- Waits for a request of the peer's (raw workers).
---@param timeout? number seconds
---@return any value nil when there is none
---@return function|artel.Error reply called once: `reply(value)` or `reply(nil, reason)`
function Channel:receiveRequest(timeout)
  local value, reply = requests.receive(self, timeout, 2)
  return value, reply
end

-- ---- loops ----

--- For methods: raises where they were called.
local function checkLoop(loop, name)
  if type(loop) ~= "table" or loop ~= package.loaded.luv then
    error(("bad argument #1 to '%s' (what require \"luv\" returns expected)"):format(name), 3)
  end
end

local function stopListening(channel, state)
  state.listener = nil
  core.setWaitsInLua(channel, state.partner ~= nil)
end

--- Calls `listener(channel, loop)` from luv's loop whenever receiveMessage(0) would answer.
---@param loop table what require "luv" returns
---@param listener fun(channel: artel.Channel, loop: table)
---@param once? boolean only the first time
function Channel:registerRead(loop, listener, once)
  core.checkOpen(self, 2)
  checkLoop(loop, "registerRead")
  if type(listener) ~= "function" then
    error("bad argument #2 to 'registerRead' (function expected)", 2)
  end
  local state = dispatch.stateOf(self)
  function state.listener(channel)
    if once or state.ended then stopListening(channel, state) end
    listener(channel, loop)
  end
  core.setWaitsInLua(self, true)
  waiting.update(self)
  waiting.kick(self, state)
end

--- Ends what registerRead began.
---@param loop table what require "luv" returns
function Channel:unregisterRead(loop)
  core.checkOpen(self, 2)
  checkLoop(loop, "unregisterRead")
  local state = dispatch.stateOf(self)
  if not state.listener then return end
  stopListening(self, state)
  waiting.update(self)
end

-- ---- the end ----

--- Closes without waiting; what has not been taken by the system is lost.
local function closeAtOnce(channel)
  local state = core.state(channel)
  if state then
    if state.onClose then state.onClose() end
    waiting.forget(channel, state)
    state.final = state.final or closedError()
    state.ended, state.listener = state.final, nil
  end
  core.closeNow(channel)
  if not state then return end
  dispatch.endWaits(state, state.final)
  if state.onEnd then scheduler.wake(state.onEnd) end
end

local function flushAndClose(channel, timeout)
  waiting.drain(channel, core.state(channel), 0, timeout, 2)
  if core.isOpen(channel) then closeAtOnce(channel) end
end

-- Where one may not wait, or the wait was interrupted (a cancelled task, a closed coroutine), a
-- coroutine of ours goes on: others wait for the end of the channel.
local closing = { __close = function(call)
  if not core.isOpen(call.channel) then return end
  if call.mode == "block" then return closeAtOnce(call.channel) end
  scheduler.start({ isHandler = true }, flushAndClose, call.channel, call.timeout)
end }

--- Closes, and before that waits for at most `timeout` seconds until what is queued has left.
local function closeFlushed(channel, timeout)
  local state = core.state(channel)
  if core.pending(channel) == 0 or state and state.ended then return closeAtOnce(channel) end
  state = dispatch.stateOf(channel)
  local mode = core.waitMode()
  local _ <close> = setmetatable({ channel = channel, timeout = timeout, mode = mode }, closing)
  core.setClosing(channel)
  state.final, state.listener = state.final or closedError(), nil
  dispatch.endWaits(state, state.final, true)
  if mode == "block" or mode == "suspend" then flushAndClose(channel, timeout) end
end

--- close when something is queued or Lua keeps a state for the channel.
local function close(channel)
  closeFlushed(channel, CLOSE_TIMEOUT)
  return true
end

--- Sends what is queued though nobody waits for it.
local function sendQueued(channel)
  waiting.afterQueueing(channel, 2)
end

--- Two channels in this process look after each other while one of them blocks.
local function pair(options)
  local left, right = core.pair(options)
  if not left then return nil, right end
  for channel, other in pairs { [left] = right, [right] = left } do
    dispatch.stateOf(channel).partner = setmetatable({ other }, { __mode = "v" })
    core.setWaitsInLua(channel, true)
  end
  return left, right
end

metatable.__tostring = function(self)
  return ("artel channel (%s)"):format(core.isOpen(self) and core.transportName(self) or "closed")
end

core.setSlowPaths {
  receive = receive, next = nextMessage, keepError = keepError, afterSend = afterSend,
  sendWhenFull = sendWhenFull, flush = flush, close = close,
}

return {
  closeAtOnce = closeAtOnce, closeFlushed = closeFlushed, pair = pair, receiveNew = receiveNew,
  sendQueued = sendQueued, checkLoop = checkLoop,
}
