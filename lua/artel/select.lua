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
    while not dispatch.isReadable(channel, state) and core.fill(channel) == "more" do
      dispatch.pump(channel, state)
    end
    dispatch.pump(channel, state)
    if dispatch.isReadable(channel, state) then ready[#ready + 1] = channel end
  end
  return ready
end

local function block(channels, timeout)
  local deadline = timeout and core.now() + timeout
  local ready = readable(channels)
  while #ready == 0 do
    local left = deadline and math.max(0, deadline - core.now())
    if not core.waitMany(channels, left) then break end
    for _, channel in ipairs(channels) do core.flush(channel) end
    ready = readable(channels)
  end
  return ready
end

local function suspend(channels, timeout)
  local waiter = {}
  local observer = { notify = function() scheduler.wake(waiter) end }
  for _, channel in ipairs(channels) do
    dispatch.stateOf(channel).observers[observer] = true
    waiting.update(channel)
  end
  local ok, err = pcall(scheduler.suspend, waiter, timeout)
  for _, channel in ipairs(channels) do
    if core.isOpen(channel) then
      dispatch.stateOf(channel).observers[observer] = nil
      waiting.update(channel)
    end
  end
  if not ok then error(err, 0) end
  return readable(channels)
end

local function check(channels, timeout)
  if type(channels) ~= "table" or #channels == 0 then
    error("bad argument #1 to 'select' (a list of channels expected)", 3)
  end
  for i, channel in ipairs(channels) do
    local ok, open = pcall(core.isOpen, channel)
    if not ok then
      error(("bad argument #1 to 'select' (entry %d is no channel)"):format(i), 3)
    elseif not open then
      error(("bad argument #1 to 'select' (channel %d is closed)"):format(i), 3)
    end
  end
  if timeout ~= nil and not (type(timeout) == "number" and timeout >= 0) then
    error("bad argument #2 to 'select' (seconds from 0 up expected)", 3)
  end
end

--- Waits until at least one channel has a message, or has ended.
---@param channels artel.Channel[]
---@param timeout? number seconds
---@return artel.Channel[]? ready in the order of `channels`
---@return artel.Error? err kind "timeout"
local function select(channels, timeout)
  check(channels, timeout)
  local ready = readable(channels)
  if #ready == 0 and timeout ~= 0 then
    local mode = waiting.check(2)
    ready = (mode == "block" and block or suspend)(channels, timeout)
  end
  if #ready > 0 then return ready end
  return nil, core.newError {
    kind = "timeout", message = ("nothing to receive within %g s"):format(timeout),
  }
end

return select
