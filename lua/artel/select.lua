-- SPDX-License-Identifier: Apache-2.0
-- artel.select: which of several channels has something to receive.

local core = require "artel.core"
local dispatch = require "artel.dispatch"
local scheduler = require "artel.scheduler"
local waiting = require "artel.waiting"

--- Takes in what is here and answers the channels where receiveMessage(0) would answer.
local function readable(channels)
  local ready = {}
  for _, channel in ipairs(channels) do
    local state = dispatch.stateOf(channel)
    for _ = 1, waiting.ROUNDS_MAX do
      if dispatch.isReadable(channel, state) or core.fill(channel) ~= "more" then break end
      dispatch.pump(channel, state)
    end
    dispatch.pump(channel, state)
    waiting.announce(channel, state)
    if dispatch.isReadable(channel, state) then ready[#ready + 1] = channel end
  end
  return ready
end

local function block(channels, deadline)
  local ready = {}
  while #ready == 0 do
    for _, channel in ipairs(channels) do waiting.serveBothEnds(dispatch.stateOf(channel)) end
    local left = deadline and math.max(0, deadline - core.now())
    if not core.waitMany(channels, left) then break end
    for _, channel in ipairs(channels) do core.flush(channel) end
    ready = readable(channels)
    if left == 0 then break end -- however much comes that is no message
  end
  return ready
end

--- Leaves the channels to others: also where somebody has closed the coroutine that waited.
local sleeping = { __close = function(waiter)
  for _, channel in ipairs(waiter.channels) do
    dispatch.stateOf(channel).selectWaiters[waiter] = nil
  end
  for _, channel in ipairs(waiter.channels) do
    if core.isOpen(channel) then waiting.update(channel) end
  end
end }

--- Sleeps until one of the channels is said to have something.
---@return boolean? woken false at the time-out; nil when one of them was closed
local function sleep(channels, timeout)
  local waiter <close> = setmetatable({ channels = channels }, sleeping)
  for _, channel in ipairs(channels) do
    dispatch.stateOf(channel).selectWaiters[waiter] = true
    waiting.update(channel)
  end
  local woken = scheduler.suspend(waiter, timeout)
  for _, channel in ipairs(channels) do
    if not core.isOpen(channel) then return nil end
  end
  return woken
end

--- What woke one may have been taken by somebody else who was woken before; then it sleeps again.
local function suspend(channels, deadline)
  local ready, woken
  repeat
    local left = deadline and math.max(0, deadline - core.now())
    woken = sleep(channels, left)
    if woken == nil then
      return nil, core.newError { kind = "closed", message = "a channel was closed meanwhile" }
    end
    ready = readable(channels)
  until #ready > 0 or not woken or left == 0
  return ready
end

local function check(channels, timeout)
  if type(channels) ~= "table" or #channels == 0 then
    local given = type(channels) ~= "table" and type(channels)
      or next(channels) == nil and "an empty table"
      or "a table without entry 1; is it called with a dot?"
    error(("bad argument #1 to 'select' (a list of channels expected, got %s)"):format(given), 3)
  end
  for i, channel in ipairs(channels) do
    local fault = core.channelFault(channel)
    if fault then error(("bad argument #1 to 'select' (entry %d: %s)"):format(i, fault), 3) end
  end
  if timeout ~= nil and not (type(timeout) == "number" and timeout >= 0) then
    error("bad argument #2 to 'select' (seconds from 0 up expected)", 3)
  end
end

--- Waits until at least one channel has a message, or has ended.
---@param channels artel.Channel[]
---@param timeout? number seconds
---@return artel.Channel[]? ready in the order of `channels`
---@return artel.Error? err kind "timeout", or "closed" when one of them was closed meanwhile
local function select(channels, timeout)
  check(channels, timeout)
  local ready = readable(channels)
  if #ready == 0 and timeout ~= 0 then
    local deadline = timeout and core.now() + timeout
    local mode, err
    for _, channel in ipairs(channels) do mode = waiting.check(2, dispatch.stateOf(channel)) end
    ready, err = (mode == "block" and block or suspend)(channels, deadline)
    if not ready then return nil, err end
  end
  if #ready > 0 then return ready end
  return nil, core.newError {
    kind = "timeout", message = ("nothing to receive within %g s"):format(timeout),
  }
end

return select
