-- SPDX-License-Identifier: Apache-2.0
-- How a call waits for a channel: blocking, or suspended while a loop watches it.

local core = require "artel.core"
local dispatch = require "artel.dispatch"
local isLack = require "artel.lack"
local scheduler = require "artel.scheduler"

local waiting = {}

local READ, WRITE = 1, 4 -- POLLIN and POLLOUT; the same on every Unix we know

--- Above this many queued bytes sendMessage says so, and a coroutine that sends is suspended.
waiting.HIGH_WATER = 65536

-- So often something is read in one go: a peer that sends faster than we read must not keep
-- anybody from looking at the time. What it sent before its end takes fewer.
waiting.ROUNDS_MAX = 16
local ROUNDS_MAX = waiting.ROUNDS_MAX

-- Channels that something waits for. A waiting coroutine is known to its channel alone, so
-- the channel must not be collected before it.
local anchors = {}

local modes = {}

--- While this process sleeps nobody else looks after the other end of a pair.
function waiting.serveBothEnds(state)
  local partner = state.partner and state.partner[1]
  if partner and core.isOpen(partner) then
    core.flush(partner)
    while core.fill(partner) == "more" do end
    -- The loop never finds what is taken in here, but coroutines may wait for it there.
    local partnerState = core.state(partner)
    dispatch.pump(partner, partnerState)
    waiting.announce(partner, partnerState)
  end
end

--- Whether a call that interrupts pump(), which then serves nobody else, has the room that it
--- waits for.
local function hasRoom(channel, waiter)
  local flushed, err = core.flush(channel)
  if flushed ~= nil and core.pending(channel) > waiter.mark then return false end
  waiter:abandon()
  waiter.err = err
  return true
end

function modes.block(channel, state, waiter, timeout)
  local deadline = timeout and core.now() + timeout
  -- A worker that waits to send reads nothing meanwhile; a master does, so that two sides
  -- that send first never wait for each other.
  local read = not (waiter.mark and core.isWorkerEnd(channel))
  while not waiter.done do
    waiting.serveBothEnds(state)
    local left = deadline and math.max(0, deadline - core.now())
    if not core.waitChannel(channel, read, core.pending(channel) > 0, left) then return false end
    core.flush(channel)
    if read then core.fill(channel) end
    dispatch.pump(channel, state)
    if state.pumping and not waiter.done and hasRoom(channel, waiter) then return true end
    -- While a peer sends without end, the channel is always ready and the time-out never is.
    if left == 0 then return waiter.done end
  end
  return true
end

local function isObserved(state) return state.listener or next(state.selectWaiters) ~= nil end

local function wantsInput(state)
  return state.pendingCount > 0 or not state.messageWaiters:isEmpty()
    or not state.requestWaiters:isEmpty() or state.readyWaiter ~= nil
    or isObserved(state) or state.serving
end

--- Ends a watch that keeps the loop going though nobody waits any more.
local function relax(channel, state)
  if not wantsInput(state) and core.isOpen(channel) then waiting.update(channel) end
end

--- Leaves the channel to those who still wait: what the loop watches for has changed.
local function settle(channel, state)
  if state.watch and core.isOpen(channel) then waiting.update(channel) end
  waiting.announce(channel, state)
end

--- Whoever was not woken leaves: also where somebody has closed the coroutine, of which await()
--- does not learn. Who was woken and has not gone on is no more: what it got is for others.
local leaving = { __close = function(waiter)
  local channel, state = waiter.channel, waiter.state
  if not waiter.done then
    waiter:abandon()
    settle(channel, state)
  elseif waiter.waiting and core.isOpen(channel) and dispatch.passOn(channel, state, waiter) then
    waiting.kick(channel, state) -- a handler may take it, or who listens
  end
end }

function modes.suspend(channel, state, waiter, timeout)
  waiter.channel, waiter.state = channel, state
  local _ <close> = setmetatable(waiter, leaving)
  waiting.update(channel)
  return scheduler.suspend(waiter, timeout)
end

local REFUSALS = {
  forbidden = "this would block the loop: use artel.async",
  unyieldable = "cannot wait here: Lua cannot suspend a coroutine inside a C function such as "
    .. "string.gsub, table.sort or require",
  interrupting = "cannot wait here: this interrupts the call that takes in what comes, as a "
    .. "finaliser may",
}
waiting.INTERRUPTING = REFUSALS.interrupting

--- Raises unless `timeout` is nil or seconds.
---@param position integer of the argument
---@param level integer as for error(), seen from the caller
function waiting.checkTimeout(timeout, method, position, level)
  if timeout == nil or type(timeout) == "number" and timeout >= 0 then return end
  error(("bad argument #%d to '%s' (seconds from 0 up expected)"):format(position, method),
    level + 1)
end

--- How a call may wait for a channel. While it blocks nobody goes on with a pump() that it
--- interrupts, and no other would find what has come.
local function modeFor(state)
  local mode = core.waitMode()
  return mode == "block" and state.pumping and "interrupting" or mode
end

--- Raises when a call may not wait where it is made.
---@param level integer as for error(), seen from the caller of check()
---@param state? artel.ChannelState of the channel that it will wait for
---@return "block"|"suspend" mode
function waiting.check(level, state)
  local mode = state and modeFor(state) or core.waitMode()
  if REFUSALS[mode] then error(REFUSALS[mode], level + 1) end
  return mode
end

--- As await(), which calls it.
local function lookAndWait(channel, state, waiter, timeout, level)
  if waiter.queue then waiter.queue:push(waiter) end
  dispatch.pump(channel, state)
  local rounds = 0
  while not waiter.done and not waiter.mark and rounds < ROUNDS_MAX
    and core.fill(channel) == "more" do
    dispatch.pump(channel, state)
    rounds = rounds + 1
  end
  if not waiter.done then dispatch.pump(channel, state) end -- the end may have been met
  waiting.announce(channel, state)
  if waiter.done then return true end
  if timeout == 0 then
    core.flush(channel) -- in a loop of the user's own nobody else sends what is left
    return false
  end
  local mode = waiter.mark and core.waitMode() or modeFor(state)
  if REFUSALS[mode] then error(REFUSALS[mode], level + 1) end
  if not modes[mode](channel, state, waiter, timeout) then return false end
  settle(channel, state)
  return true
end

--- Waits until `waiter` is done, which pump() finds in `waiter.queue` or where the caller has
--- put it. If that does not come to pass (a time-out, an interrupt, a cancelled task, no
--- memory), `waiter.abandon` takes it away again, so that nothing is delivered to nobody: into
--- its queue it goes only behind the pcall, for which memory may be short.
---@param level integer as for error(), seen from the caller of await()
---@return boolean woken false at the time-out
function waiting.await(channel, state, waiter, timeout, level)
  local ok, woken = pcall(lookAndWait, channel, state, waiter, timeout, level + 2)
  if ok and woken then return true end
  -- What it waited for may have come before memory was short for what came behind it.
  if isLack(woken) and waiter.done and not waiter.timedOut then return true end
  waiter:abandon() -- first: the loop is to watch only for what somebody still waits for
  if timeout ~= 0 or not ok then
    settle(channel, state)
  elseif anchors[channel] then
    relax(channel, state)
  end
  if ok then return false end
  error(woken, 0)
end

local function abandonDrain(waiter) waiter.queue:remove(waiter) end

--- What to tell of a channel that cannot be written to any more: what the peer said before it
--- went, and how its process ended, tell more than a broken pipe does.
function waiting.whyGone(channel, state, err)
  while core.isOpen(channel) and core.fill(channel) == "more" do end
  if core.isOpen(channel) then dispatch.pump(channel, state) end
  waiting.announce(channel, state)
  if state.ended or not state.explainLoss then return state.ended or err end
  return state.explainLoss(channel, err)
end

--- Waits until at most `mark` bytes are queued.
---@return true|nil drained
---@return artel.Error? err
function waiting.drain(channel, state, mark, timeout, level)
  if state.ended then return nil, state.ended end
  if core.pending(channel) <= mark then return true end
  local waiter = scheduler.newWaiter(abandonDrain, state.writeWaiters)
  waiter.mark = mark
  if not waiting.await(channel, state, waiter, timeout, level + 1) then
    return nil, core.newError {
      kind = "timeout",
      message = ("%d bytes are still queued"):format(core.pending(channel)),
    }
  end
  if waiter.err then return nil, waiting.whyGone(channel, state, waiter.err) end
  return true
end

--- Whether a call that sends may wait for room: a handler and a luv callback queue instead.
function waiting.mayWaitToSend()
  local mode = core.waitMode()
  return mode == "block" or mode == "suspend" and not scheduler.currentOwner().isHandler
end

--- As drain() for what a call has queued. Whoever is told that it was not sent may count on it:
--- the other end does not get it after all. A peer that only sends no more still gets it all.
local function drainQueued(channel, state, mark, level)
  local drained, err = waiting.drain(channel, state, mark, nil, level + 1)
  if drained or not core.isOpen(channel) then return drained, err end
  if not state.lingers or core.flush(channel) == nil then
    core.endOutput(channel)
    return nil, err
  end
  local pending = core.pending(channel)
  return true, pending > waiting.HIGH_WATER and pending or nil
end

--- What a call does that has queued something: sends it, or leaves it to the loop, or waits.
---@return true|nil sent
---@return integer|artel.Error? pending bytes above the high-water mark, or why it is lost
function waiting.afterQueueing(channel, level)
  local state = dispatch.stateOf(channel)
  local flushed, err = core.flush(channel)
  if flushed == nil then return nil, waiting.whyGone(channel, state, err) end
  if flushed then return true end
  if core.waitMode() == "block" then
    return drainQueued(channel, state, 0, level + 1)
  end
  waiting.update(channel)
  local pending = core.pending(channel)
  if pending <= waiting.HIGH_WATER then return true end
  if waiting.mayWaitToSend() then
    return drainQueued(channel, state, waiting.HIGH_WATER, level + 1)
  end
  return true, pending
end

local function turn(channel)
  local state = core.state(channel)
  core.fill(channel)
  core.flush(channel)
  dispatch.pump(channel, state)
  if not core.isOpen(channel) then return end
  waiting.notify(channel, state)
  if state.onTurn and core.isOpen(channel) then state.onTurn(channel) end
  if core.isOpen(channel) then waiting.update(channel) end
end

--- Takes in what has come, sends what is queued, and dispatches: what the loop does when the
--- channel is ready.
function waiting.turn(channel) scheduler.run(turn, channel) end

--- Tells who wants to know that there is something, and again in the next round of the loop
--- while there still is: a poll handle never fires for what is already in our buffer.
function waiting.notify(channel, state)
  if not isObserved(state) or not dispatch.isReadable(channel, state) then return end
  dispatch.wakeSelects(state)
  if state.listener then state.listener(channel) end
  waiting.announce(channel, state)
end

--- The same, but from the loop: for calls that took something in which others want to know. What
--- has come for a pool, which does not look at what the loop watches for, ends the watch here.
function waiting.announce(channel, state)
  if not core.isOpen(channel) then return end
  if isObserved(state) then
    if dispatch.isReadable(channel, state) then waiting.kick(channel, state) end
  elseif state.watch and anchors[channel] then
    relax(channel, state)
  end
end

--- Looks at the channel in the next round of the loop, ready or not.
function waiting.kick(channel, state)
  if state.kicked then return end
  scheduler.loop().soon(function()
    state.kicked = nil
    if core.isOpen(channel) then waiting.turn(channel) end
  end)
  state.kicked = true
end

--- Makes the watch of the channel, unless a finaliser that ran meanwhile was faster.
local function makeWatch(channel, state, loop)
  local watch = loop.watch(core.stream(channel), channel, waiting.turn)
  if not core.isOpen(channel) or state.watchLoop == loop then return end
  if state.watch then state.watch:close() end -- of a host that has gone over to luv
  state.watch, state.watchLoop = watch, loop
end

--- Makes the loop watch for exactly what somebody waits for now. From where it looks at that to
--- where it has told the loop it makes no table, since a finaliser could send something between.
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
    -- So that two ends that send first do not wait for each other.
    read = read or write and not state.ended and not core.inputEnded(channel)
  end
  -- Somebody else has sent it all; who waited does not know.
  local looks = pending == 0 and (state.awaitsRoom or not state.writeWaiters:isEmpty())
  if read or write or state.watch then
    local loop = scheduler.loop()
    if state.watchLoop ~= loop then
      makeWatch(channel, state, loop)
      if core.isOpen(channel) then return waiting.update(channel) end
      return
    end
    local busy, events = core.arm(channel, read, write)
    state.watch:set(events & READ ~= 0, events & WRITE ~= 0)
    anchors[channel] = (read or write) or nil
    looks = looks or busy
    if state.watchProcess then state.watchProcess(channel) end
  end
  if looks then waiting.kick(channel, state) end
end

--- Ends watching for good; the channel is about to be closed.
function waiting.forget(channel, state)
  if state.watch then state.watch:close() end
  state.watch, state.watchLoop = nil, nil
  anchors[channel] = nil
end

return waiting
