-- SPDX-License-Identifier: Apache-2.0
-- How a call waits for a channel: blocking, or suspended while a loop watches it.

local core = require "artel.core"
local dispatch = require "artel.dispatch"
local scheduler = require "artel.scheduler"

local waiting = {}

--- Above this many queued bytes sendMessage says so, and a coroutine that sends is suspended.
waiting.HIGH_WATER = 65536

-- Channels that something waits for. A waiting coroutine is known to its channel alone, so
-- the channel must not be collected before it.
local anchors = {} -- luacheck: ignore 241 (it is there to hold, not to be read)

local modes = {}

function modes.block(channel, state, waiter, timeout)
  local deadline = timeout and core.now() + timeout
  -- A worker that waits to send reads nothing meanwhile; a master does, so that two sides
  -- that send first never wait for each other.
  local read = not (waiter.mark and core.isWorkerEnd(channel))
  while not waiter.done do
    local left = deadline and math.max(0, deadline - core.now())
    if not core.waitChannel(channel, read, core.pending(channel) > 0, left) then return false end
    core.flush(channel)
    if read then core.fill(channel) end
    dispatch.pump(channel, state)
  end
  return true
end

function modes.suspend(channel, _, waiter, timeout)
  waiting.update(channel)
  local woken = scheduler.suspend(waiter, timeout)
  if core.isOpen(channel) then waiting.update(channel) end
  return woken
end

local REFUSALS = {
  forbidden = "this would block the loop: use artel.async",
  unyieldable = "cannot wait here: Lua cannot suspend a coroutine inside a C function such as "
    .. "string.gsub, table.sort or require",
}

--- Raises when a call may not wait where it is made.
---@param level integer as for error(), seen from the caller of check()
---@return "block"|"suspend" mode
function waiting.check(level)
  local mode = core.waitMode()
  if REFUSALS[mode] then error(REFUSALS[mode], level + 1) end
  return mode
end

--- Waits until `waiter`, which the caller has put where pump() finds it, is done. If that
--- does not come to pass (a time-out, an interrupt, a cancelled task), `waiter.abandon` takes
--- it away again, so that nothing is delivered to nobody.
---@return boolean woken false at the time-out
function waiting.await(channel, state, waiter, timeout, level)
  dispatch.pump(channel, state)
  while not waiter.done and not waiter.mark and core.fill(channel) == "more" do
    dispatch.pump(channel, state)
  end
  if not waiter.done then dispatch.pump(channel, state) end -- the end may have been met
  if waiter.done then return true end
  if timeout == 0 then
    waiter:abandon()
    return false
  end
  local mode = core.waitMode()
  if REFUSALS[mode] then
    waiter:abandon()
    error(REFUSALS[mode], level + 1)
  end
  local ok, woken = pcall(modes[mode], channel, state, waiter, timeout)
  if not (ok and woken) then waiter:abandon() end
  if not ok then error(woken, 0) end
  return woken
end

local function onWatch(channel)
  scheduler.run(function()
    local state = core.state(channel)
    core.fill(channel)
    core.flush(channel)
    dispatch.pump(channel, state)
    if not core.isOpen(channel) then return end
    waiting.notify(channel, state)
    if state.onTurn and core.isOpen(channel) then state.onTurn(channel) end
    if core.isOpen(channel) then waiting.update(channel) end
  end)
end

--- Tells the observers when there is something for them, and again in the next round of the
--- loop while there still is: a poll handle never fires for what is already in our buffer.
function waiting.notify(channel, state)
  if next(state.observers) == nil or not dispatch.isReadable(channel, state) then return end
  for observer in pairs(state.observers) do observer.notify(channel) end
  if core.isOpen(channel) and next(state.observers) and dispatch.isReadable(channel, state) then
    waiting.kick(channel, state)
  end
end

--- Looks at the channel in the next round of the loop, ready or not.
function waiting.kick(channel, state)
  if state.kicked then return end
  state.kicked = true
  scheduler.loop().soon(function()
    state.kicked = nil
    if core.isOpen(channel) then onWatch(channel) end
  end)
end

local function wantsInput(state)
  return not state.messageWaiters:isEmpty() or state.pendingCount > 0
    or not state.requestWaiters:isEmpty() or state.readyWaiter ~= nil
    or next(state.observers) ~= nil or state.serving
end

--- Makes the loop watch for exactly what somebody waits for now.
function waiting.update(channel)
  local state = dispatch.stateOf(channel)
  local pending = core.pending(channel)
  local read = not state.ended and wantsInput(state) and not core.inputEnded(channel)
  local write = pending > 0 and (not state.ended or state.lingers)
  if core.isWorkerEnd(channel) then
    -- A peer that does not read is not read from, nor one that sends faster than we handle.
    read = read and pending <= waiting.HIGH_WATER
      and not (state.holdsBack and core.unread(channel) > waiting.HIGH_WATER)
  else
    read = read or write -- so that two ends that send first do not wait for each other
  end
  if not read and not write and not state.watch then return end
  local loop = scheduler.loop()
  if state.watchLoop ~= loop then -- a host that has gone over to luv
    if state.watch then state.watch:close() end
    state.watch, state.watchLoop = loop.watch(channel:getStream(), channel, onWatch), loop
  end
  state.watch:set(read, write)
  anchors[channel] = (read or write) or nil
end

--- Ends watching for good; the channel is about to be closed.
function waiting.forget(channel, state)
  if state.watch then state.watch:close() end
  state.watch, state.watchLoop = nil, nil
  anchors[channel] = nil
end

return waiting
