-- SPDX-License-Identifier: Apache-2.0
-- The channel as users see it. sendMessage and receiveMessage begin in C and come here only
-- when they must wait or look into the inbox.

local core = require "artel.core"
local dispatch = require "artel.dispatch"
local requests = require "artel.requests"
local scheduler = require "artel.scheduler"
local waiting = require "artel.waiting"

--- One end of a connection that carries whole messages both ways.
---@class artel.Channel
---@field sendMessage fun(self, message: any): true|nil, integer|artel.Error?
---@field receiveMessage fun(self, timeout?: number): any, artel.Error?
---@field getStream fun(self): integer the descriptor to watch in a loop of your own
local Channel, metatable = core.class("artel.Channel")

-- How long close() waits for what is queued when the peer does not read, seconds.
local CLOSE_TIMEOUT = 5

local function closedError()
  return core.newError { kind = "closed", message = "this end was closed" }
end

-- ---- sending ----

-- These are called by C functions, so their caller's caller is level 3.

--- sendMessage when the transport has not taken everything at once: the message is queued.
local function afterSend(channel) return waiting.afterQueueing(channel, 3) end

--- sendMessage when the queue is full: waits for room where waiting is allowed.
local function sendWhenFull(channel, message)
  local state = dispatch.stateOf(channel)
  if waiting.mayWaitToSend() then
    local drained, err = waiting.drain(channel, state, 0, nil, 3)
    if not drained then return nil, err end
    return channel:sendMessage(message)
  end
  if state.onOverload then state.onOverload(channel) end
  return nil, core.newError {
    kind = "overloaded",
    message = ("%d bytes are queued already and the message does not fit beside them")
      :format(core.pending(channel)),
  }
end

--- Waits until everything that was sent has been handed to the system.
---@param timeout? number seconds; nil waits for ever
---@return true|nil flushed
---@return artel.Error? err
function Channel:flush(timeout)
  core.checkOpen(self, 2)
  waiting.checkTimeout(timeout, "flush", 1, 2)
  local state = dispatch.stateOf(self)
  local flushed, err = core.flush(self)
  if flushed then return true end
  if flushed == nil then return nil, waiting.whyGone(self, state, err) end
  local drained
  drained, err = waiting.drain(self, state, 0, timeout, 2)
  return drained, err
end

-- ---- receiving ----

local function abandonReceive(waiter) waiter.queue:remove(waiter) end

--- Waits for the next message that was not set aside.
local function receiveNew(channel, state, timeout, level)
  if state.ended then return nil, state.ended end
  local waiter = { abandon = abandonReceive, queue = state.messageWaiters }
  state.messageWaiters:push(waiter)
  if not waiting.await(channel, state, waiter, timeout, level + 1) then
    return nil, core.newError {
      kind = "timeout", message = ("no message within %g s"):format(timeout),
    }
  end
  if waiter.err then return nil, waiter.err end
  return waiter.value
end

--- receiveMessage when nothing is at hand, or when earlier messages were set aside.
local function receive(channel, timeout)
  local state = dispatch.stateOf(channel)
  local entry = dispatch.takeAside(channel, state)
  if entry then
    if entry[2] then return nil, entry[2] end
    return entry[1] -- one value only: print(channel:receiveMessage()) shows no nil
  end
  local message, err = receiveNew(channel, state, timeout, 3)
  if message == nil then return nil, err end
  return message
end

--- Iterates over the messages until the end, whose reason receiveMessage() then tells.
---@return fun(): any
function Channel:messages()
  core.checkOpen(self, 2)
  local receiveMessage = self.receiveMessage -- found once, not for every message
  return function()
    if not core.isOpen(self) then return nil end
    local message, err = receiveMessage(self)
    if message == nil and core.isOpen(self) and dispatch.stateOf(self).ended == nil then
      -- One message that could not be decoded: its error must not get lost.
      dispatch.stateOf(self).inbox:pushFront({ nil, err })
      core.setQueuedInLua(self, true)
    end
    return message
  end
end

--- Sends a request and waits for its response.
---@param value any what the peer's onRequest gets
---@param options? { timeout: number } seconds
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
    waiting.forget(channel, state)
    state.ended = state.ended or closedError()
    state.listener = nil
  end
  core.closeNow(channel)
  if state then dispatch.endWaits(state, closedError()) end
end

--- Closes, and before that waits for at most `timeout` seconds until what is queued has left.
--- Where one may not wait, a coroutine of ours does.
local function closeFlushed(channel, timeout)
  local state = core.state(channel)
  if core.pending(channel) == 0 or state and state.ended then return closeAtOnce(channel) end
  state = dispatch.stateOf(channel)
  core.setClosing(channel)
  state.listener = nil
  dispatch.endWaits(state, closedError())
  local mode = core.waitMode()
  if mode == "block" or mode == "suspend" then
    waiting.drain(channel, state, 0, timeout, 2)
    if core.isOpen(channel) then closeAtOnce(channel) end
    return
  end
  scheduler.start({ isHandler = true }, function()
    waiting.drain(channel, state, 0, timeout, 2)
    if core.isOpen(channel) then closeAtOnce(channel) end
  end)
end

--- Flushes and closes. May be repeated.
---@return true
function Channel:close()
  if core.isOpen(self) then closeFlushed(self, CLOSE_TIMEOUT) end
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

metatable.__close = function(self) self:close() end
metatable.__tostring = function(self)
  return ("artel channel (%s)"):format(core.isOpen(self) and core.transportName(self) or "closed")
end

core.setSlowPaths { receive = receive, afterSend = afterSend, sendWhenFull = sendWhenFull }

return {
  closeAtOnce = closeAtOnce, closeFlushed = closeFlushed, pair = pair, receiveNew = receiveNew,
  sendQueued = sendQueued,
}
