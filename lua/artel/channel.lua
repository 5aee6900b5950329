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

--- Suspends or blocks until at most `mark` bytes are queued.
---@return true|nil drained
---@return artel.Error? err
local function drain(channel, state, mark, timeout, level)
  if state.ended then return nil, state.ended end
  if core.pending(channel) <= mark then return true end
  local waiter = { abandon = function(self) state.writeWaiters:remove(self) end, mark = mark }
  state.writeWaiters:push(waiter)
  if not waiting.await(channel, state, waiter, timeout, level + 1) then
    return nil, core.newError {
      kind = "timeout",
      message = ("%d bytes are still queued"):format(core.pending(channel)),
    }
  end
  if waiter.err then return nil, waiter.err end
  return true
end

--- sendMessage when the transport has not taken everything at once: the message is queued.
local function afterSend(channel)
  local flushed, err = core.flush(channel)
  local state = dispatch.stateOf(channel)
  if flushed == nil then
    -- What the peer said before it went tells more than a broken pipe does.
    while core.fill(channel) == "more" do end
    dispatch.pump(channel, state)
    return nil, state.ended or err
  end
  if flushed then return true end
  local mode = core.waitMode()
  local owner = scheduler.currentOwner()
  if mode == "block" then
    return drain(channel, state, 0, nil, 2)
  end
  waiting.update(channel)
  local pending = core.pending(channel)
  if pending <= waiting.HIGH_WATER then return true end
  if mode == "suspend" and not owner.isHandler then
    return drain(channel, state, waiting.HIGH_WATER, nil, 2)
  end
  return true, pending
end

--- sendMessage when the queue is full: waits for room where waiting is allowed.
local function sendWhenFull(channel, message)
  local state = dispatch.stateOf(channel)
  local mode = core.waitMode()
  if mode == "block" or mode == "suspend" and not scheduler.currentOwner().isHandler then
    local drained, err = drain(channel, state, 0, nil, 2)
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
  local state = dispatch.stateOf(self)
  local flushed, err = core.flush(self)
  if flushed then return true end
  if flushed == nil then return nil, state.ended or err end
  return drain(self, state, 0, timeout, 2)
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
  if timeout ~= nil and not (type(timeout) == "number" and timeout >= 0) then
    error("bad argument #1 to 'receiveMessage' (seconds from 0 up expected)", 2)
  end
  local state = dispatch.stateOf(channel)
  local entry = dispatch.takeAside(channel, state)
  if entry then
    if entry[2] then return nil, entry[2] end
    return entry[1] -- one value only: print(channel:receiveMessage()) shows no nil
  end
  return receiveNew(channel, state, timeout, 2)
end

--- Iterates over the messages until the end, whose reason receiveMessage() then tells.
---@return fun(): any
function Channel:messages()
  return function()
    local message, err = self:receiveMessage()
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
function Channel:request(value, options) return requests.request(self, value, options) end

--- Waits for a request of the peer's (raw workers).
---@param timeout? number seconds
---@return any value nil when there is none
---@return function|artel.Error reply called once: `reply(value)` or `reply(nil, reason)`
function Channel:receiveRequest(timeout) return requests.receive(self, timeout) end

-- ---- loops ----

local function checkLoop(loop, name)
  if loop ~= scheduler.loop().uv then
    error(("bad argument #1 to '%s' (what require \"luv\" returns expected)"):format(name), 3)
  end
end

--- Calls `listener(channel, loop)` from luv's loop whenever receiveMessage(0) would answer.
---@param loop table what require "luv" returns
---@param listener fun(channel: artel.Channel, loop: table)
---@param once? boolean only the first time
function Channel:registerRead(loop, listener, once)
  checkLoop(loop, "registerRead")
  if type(listener) ~= "function" then
    error("bad argument #2 to 'registerRead' (function expected)", 2)
  end
  self:unregisterRead(loop)
  local state = dispatch.stateOf(self)
  local observer = {}
  function observer.notify(channel)
    if once or state.ended then self:unregisterRead(loop) end
    listener(channel, loop)
  end
  state.listener = observer
  state.observers[observer] = true
  waiting.update(self)
  waiting.kick(self, state)
end

--- Ends what registerRead began.
---@param loop table what require "luv" returns
function Channel:unregisterRead(loop)
  checkLoop(loop, "unregisterRead")
  if not core.isOpen(self) then error("attempt to use a closed channel", 2) end
  local state = dispatch.stateOf(self)
  if not state.listener then return end
  state.observers[state.listener] = nil
  state.listener = nil
  waiting.update(self)
end

-- ---- the end ----

--- Closes without waiting; what has not been taken by the system is lost.
local function closeAtOnce(channel)
  local state = core.state(channel)
  if state then
    waiting.forget(channel, state)
    state.ended = state.ended or closedError()
    state.observers = {}
  end
  core.closeNow(channel)
  if state then dispatch.endWaits(state, closedError()) end
end

--- Flushes and closes. May be repeated.
---@return true
function Channel:close()
  if not core.isOpen(self) then return true end
  local state = core.state(self)
  if core.pending(self) > 0 and not (state and state.ended) then
    state = dispatch.stateOf(self)
    local mode = core.waitMode()
    if mode == "block" or mode == "suspend" then
      drain(self, state, 0, CLOSE_TIMEOUT, 2)
    elseif mode == "forbidden" then -- may not wait here, so a coroutine of ours does
      scheduler.start({ isHandler = true }, function()
        pcall(drain, self, state, 0, CLOSE_TIMEOUT, 2)
        closeAtOnce(self)
      end)
      return true
    end
  end
  if core.isOpen(self) then closeAtOnce(self) end
  return true
end

metatable.__close = function(self) self:close() end
metatable.__tostring = function(self)
  return ("artel channel (%s)"):format(core.isOpen(self) and core.transportName(self) or "closed")
end

core.setSlowPaths { receive = receive, afterSend = afterSend, sendWhenFull = sendWhenFull }

return { closeAtOnce = closeAtOnce, drain = drain, receiveNew = receiveNew }
