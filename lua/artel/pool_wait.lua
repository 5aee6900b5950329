-- SPDX-License-Identifier: Apache-2.0
-- How a call on a pool waits: a plain script drives the pool itself, a coroutine is woken by
-- the loop, which watches the workers and the pool's deadlines.

local core = require "artel.core"
local dispatch = require "artel.dispatch"
local scheduler = require "artel.scheduler"
local waiting = require "artel.waiting"

local poolWait = {}

local function openWorkers(engine)
  local workers = {}
  for _, slot in ipairs(engine.slots) do
    if slot:isAlive() then workers[#workers + 1] = slot.worker end
    local successor = slot.successor
    if successor and dispatch.stateOf(successor.worker).ended == nil then
      workers[#workers + 1] = successor.worker
    end
  end
  return workers
end

--- Takes in what has come, sends what can be sent, does what is due.
local function turn(engine)
  for _, worker in ipairs(openWorkers(engine)) do
    local state = core.state(worker)
    core.flush(worker)
    core.fill(worker)
    dispatch.pump(worker, state)
    waiting.announce(worker, state)
  end
  engine:assign() -- what a worker is free for is not too late, however short it may wait
  if engine.deadlines:left() == 0 then
    engine.deadlines:run()
    engine:assign()
  end
end

-- A call that blocks would have the loop watch for each answer, and then no longer, for nothing:
-- the loop is told behind the call, of what is still under way.
local blocking = { __close = function(call)
  local engine = call.engine
  engine.blocks = false
  for _, slot in ipairs(engine.slots) do
    if slot:load() > 0 and slot:isAlive() then waiting.update(slot.worker) end
  end
end }

local function beginBlocking(engine)
  local call = setmetatable({ engine = engine }, blocking)
  engine.blocks = true
  return call
end

local function block(engine, isDone, deadline)
  local _ <close> = engine.usesLoop and beginBlocking(engine) or nil
  poolWait.turn(engine)
  while not isDone() do
    local left = deadline and deadline - core.now()
    if left and left <= 0 then return false end
    local due = engine.deadlines:left()
    if due and (not left or due < left) then left = due end
    local workers = openWorkers(engine)
    if #workers == 0 then
      core.pollStreams({}, {}, left or 1)
    else
      core.waitMany(workers, left)
    end
    poolWait.turn(engine)
  end
  return true
end

local arm

--- The loop's timer. Without anybody who waits or listens it holds no dropped pool, nor the loop.
local function newTimer(engine, due)
  local isBackground = engine.sleepers == 0 and not engine.staff.listen
  local holder = setmetatable({ engine = engine }, isBackground and { __mode = "v" } or nil)
  return scheduler.loop().after(due, function()
    local owner = holder.engine
    if not owner then return end
    owner.loopTimer = nil
    scheduler.run(turn, owner)
    arm(owner)
  end, isBackground)
end

--- Makes the loop call back when the pool's next deadline is due.
function arm(engine)
  if engine.loopTimer then engine.loopTimer.stop() end
  engine.loopTimer = nil
  if engine.ending or not engine.usesLoop then return end
  local due = engine.deadlines:left()
  if due then engine.loopTimer = newTimer(engine, due) end
end

--- From here on the loop looks after the pool, whether somebody waits for it or not.
local function useLoop(engine)
  engine.usesLoop = true
  for _, worker in ipairs(openWorkers(engine)) do waiting.update(worker) end
end

--- registerRead() has begun or ended: for a listener the loop looks after the pool.
function poolWait.listenersChanged(engine)
  if engine.staff.listen then useLoop(engine) end
  arm(engine)
end

--- One turn now, for calls that do not wait.
function poolWait.turn(engine)
  if not engine.usesLoop and core.waitMode() == "suspend" then
    useLoop(engine)
    arm(engine)
  end
  scheduler.run(turn, engine)
  engine.staff:tellExits()
end

--- Prepares a pool for those who will wait for it.
function poolWait.attach(engine)
  engine.waiters, engine.sleepers = {}, 0
  function engine.onIdle() poolWait.check(engine) end
  function engine.deadlines.onEarlier() arm(engine) end
  function engine.staff.onChange() poolWait.check(engine) end
  -- Who waits for messages does so for those of a worker that comes meanwhile, too.
  function engine.staff.onArrival()
    for waiter in next, engine.waiters do
      if waiter.observed then scheduler.wake(waiter) end
    end
  end
end

--- The workers are being ended.
function poolWait.detach(engine) arm(engine) end

--- Wakes the coroutines whose condition holds now: those that wait for a pool, whenever a worker
--- has come up or gone or the pool is being closed, or for a map, whenever a part of it has ended.
---@param whose table { waiters }: the engine or the run
function poolWait.check(whose)
  for waiter in next, whose.waiters do
    if waiter.isDone() then scheduler.wake(waiter) end
  end
end

--- Wakes the coroutine that waits for a request, which has ended. There may be as many as there
--- are requests, so each is told of its own alone.
function poolWait.tell(job)
  if job.waiter then scheduler.wake(job.waiter) end
end

--- Has a waiter woken when one of its workers has something to receive, or no longer.
local function observe(waiter, isWanted)
  for _, worker in ipairs(waiter.observed) do
    dispatch.stateOf(worker).selectWaiters[waiter] = isWanted or nil
  end
  for _, worker in ipairs(waiter.observed) do
    if core.isOpen(worker) then waiting.update(worker) end
  end
end

--- The pool goes on without this one: also where somebody has closed the coroutine that waited.
local sleeping = { __close = function(waiter)
  local engine = waiter.engine
  engine.sleepers = engine.sleepers - 1
  if waiter.waiters then waiter.waiters[waiter] = nil end
  if waiter.observed then observe(waiter, false) end
  arm(engine)
end }

local function suspend(engine, isDone, deadline, observes, whose)
  useLoop(engine)
  scheduler.run(turn, engine)
  local waiters = whose.waiters
  local woken = isDone()
  while not woken do
    local waiter <close> = setmetatable({ engine = engine, isDone = isDone, waiters = waiters,
      observed = observes and openWorkers(engine) }, sleeping)
    engine.sleepers = engine.sleepers + 1
    if waiters then waiters[waiter] = true else whose.waiter = waiter end
    if observes then observe(waiter, true) end
    arm(engine)
    scheduler.suspend(waiter, deadline and math.max(0, deadline - core.now()))
    woken = isDone()
    if not woken and (waiter.timedOut or deadline and core.now() >= deadline) then break end
  end
  return woken
end

--- Whether this interrupts what the pool would have to go on with: a finaliser in the middle of
--- a turn (while one runs Lua does not tell whether it collects), or of taking in what one of the
--- workers has sent.
local function interrupts(engine)
  if scheduler.isRunning() and collectgarbage "isrunning" == nil then return true end
  for _, slot in ipairs(engine.slots) do
    if slot.state and slot.state.pumping then return true end
  end
  return false
end

--- Waits until `isDone()`.
---@param level integer where waiting is refused, as for error()
---@param observes? boolean it may depend on messages of the workers too
---@param whose? table what it depends on, if not on the whole pool: a map, which calls check(), or
--- a request, with tell() as its onEnd
---@return boolean done false at the time-out
function poolWait.until_(engine, isDone, timeout, level, observes, whose)
  if isDone() then return true end
  local mode = waiting.check(level + 1)
  local deadline = timeout and timeout < math.huge and core.now() + timeout or nil
  -- What has a time limit, as close() has, may be tried.
  if mode == "block" and not deadline and interrupts(engine) then
    error(waiting.INTERRUPTING, level + 1)
  end
  return (mode == "block" and block or suspend)(engine, isDone, deadline, observes,
    whose or engine)
end

return poolWait
