-- SPDX-License-Identifier: Apache-2.0
-- Coroutines that wait: who sleeps, who is to be woken, and in which order they run again.
--
-- A waiter is a table that one call waits with: `done` turns true once, whatever it waited
-- for; the other fields are the caller's. Coroutines are resumed from one place only, the
-- run queue, so that one that wakes another never runs it on top of its own stack.
--
-- What wakes a waiter has, as a rule, come in for it and is nowhere else any more. So waking
-- takes no memory: the run queue is a list of the waiters themselves, and a waiter is made with
-- all the fields that it may come to have. (A call takes memory where the stack has never been so
-- deep; so wake() makes none before it is done.)

local core = require "artel.core"
local isLack = require "artel.lack"

local scheduler = {}

local coroutines, status = core.coroutines, coroutine.status
local firstReady, lastReady -- the run queue: each knows the one `behind` it
local running = false -- whether run() is on the stack: it empties the run queue at its end
local kicked = false -- the loop has been asked to empty it
local currentLoop

--- The loop in use: luv's, unless a host without luv has put its own here.
function scheduler.loop()
  if not currentLoop then currentLoop = core.requireOnMainThread "artel.loop_luv" end
  return currentLoop
end

function scheduler.setLoop(loop) currentLoop = loop end

--- A waiter with room for all that one of a channel may come to have: a table that is made with
--- sixteen places gets its first sixteen fields without more memory.
---@param abandon? fun(waiter) takes it away from those who know it
---@param queue? artel.Queue where it waits
---@return table
function scheduler.newWaiter(abandon, queue)
  return { abandon = abandon, queue = queue, channel = nil, state = nil, id = nil, value = nil,
    err = nil, done = false, coroutine = nil, waiting = false, behind = false, isReady = false,
    timedOut = nil, cancelled = nil }
end

--- The same with a `callback(waiter)`.
---@param next? table the waiter behind it in a list of the caller's
function scheduler.callbackWaiter(callback, next)
  local waiter = scheduler.newWaiter()
  waiter.callback, waiter.next = callback, next
  return waiter
end

local function resume(thread, ...)
  local ok, err = coroutine.resume(thread, ...)
  if not ok then error(err, 0) end -- a bug of ours: every body catches what its function raises
end

--- Calls back who has a callback. What it could not do for want of memory it does the next time.
local function callBack(waiter)
  local ok, err = pcall(waiter.callback, waiter)
  if ok then return end
  if isLack(err) and not waiter.isReady then
    waiter.isReady, waiter.behind = true, firstReady or false
    firstReady, lastReady = waiter, lastReady or waiter
  end
  error(err, 0)
end

local function emptyRunQueue()
  while firstReady do
    local job = firstReady
    firstReady, job.isReady, job.behind = job.behind or nil, false, false
    if not firstReady then lastReady = nil end
    if job.callback then
      callBack(job)
    elseif job.waiting then
      local ok, err = coroutine.resume(job.coroutine)
      -- Still waiting: it has not run, since somebody has closed it.
      if not ok and not job.waiting then error(err, 0) end
    end
  end
end

local function runAll(fn, ...)
  running = true
  fn(...)
  emptyRunQueue()
end

--- Calls `fn(...)` and afterwards everything that became ready through it.
function scheduler.run(fn, ...)
  if running then return fn(...) end
  local ok, err = pcall(runAll, fn, ...)
  running = false
  if not ok then error(err, 0) end
end

--- Whether run() is among the callers, or among those of who has resumed this coroutine.
function scheduler.isRunning() return running end

--- Whether nobody is ready to go on.
function scheduler.isIdle() return firstReady == nil end

local function kick()
  kicked = false
  scheduler.run(function() end)
end

--- Ends the wait of `waiter`. Its coroutine runs soon, not now; a waiter with a `callback`
--- has that called instead. Where nobody has a loop yet there are callbacks only: the next run()
--- calls them, and luv, which may not even be installed, is not loaded for their sake.
function scheduler.wake(waiter)
  if waiter.done then return end
  waiter.done = true
  if not waiter.coroutine and not waiter.callback then return end -- somebody blocks on it
  if not waiter.isReady then
    waiter.isReady, waiter.behind = true, false
    if lastReady then lastReady.behind = waiter else firstReady = waiter end
    lastReady = waiter
  end
  if not running and not kicked and currentLoop then
    scheduler.loop().soon(kick)
    kicked = true
  end
end

--- Ends the wait of `waiter` without what it waited for. From here on nothing is delivered to
--- it: between now and the moment its coroutine runs, something may come.
local function giveUp(waiter, reason)
  if waiter.done then return end
  waiter[reason] = true
  if waiter.abandon then waiter:abandon() end
  scheduler.wake(waiter)
end

--- Cancels what the coroutine of `owner` waits for now, or else its next wait: there `err` is
--- raised, once, so that what cleans up afterwards may wait again.
function scheduler.cancel(owner, err)
  owner.cancellation = err
  if owner.waiter then scheduler.run(giveUp, owner.waiter, "cancelled") end
end

local function raiseCancellation(owner)
  local err = owner.cancellation
  owner.cancellation = nil
  error(err, 0)
end

-- A timer that stops with its variable, also where somebody closes the coroutine.
local stopping = { __close = function(timer) timer.stop() end }

--- Suspends the running coroutine until `waiter` is woken or `timeout` seconds have passed.
--- Resumed by anybody else, it goes back to sleep. A waiter that others know has `abandon`,
--- which takes it away from them. Somebody may close the coroutine meanwhile: whatever is to be
--- done behind this call in any case is done by a variable that closes.
---@return boolean woken false at the time-out
function scheduler.suspend(waiter, timeout)
  local thread = coroutine.running()
  local owner = coroutines[thread]
  if owner.cancellation then raiseCancellation(owner) end
  local _ <close> = timeout and timeout < math.huge and setmetatable(
    scheduler.loop().after(timeout, function() scheduler.run(giveUp, waiter, "timedOut") end),
    stopping) or nil
  waiter.coroutine, waiter.behind, waiter.isReady = thread, false, false
  waiter.waiting, waiter.done = false, waiter.done or false
  owner.waiter = waiter
  waiter.waiting = true -- last: it is surely resumed from here on
  while not waiter.done do coroutine.yield() end
  owner.waiter, waiter.waiting = nil, false
  if waiter.cancelled then raiseCancellation(owner) end
  return not waiter.timedOut
end

--- Makes a coroutine of ours run `fn(...)` up to its first wait. `fn` must not raise.
---@param owner table what the coroutine belongs to; `owner.isHandler` when a worker's handler
function scheduler.start(owner, fn, ...)
  local thread = coroutine.create(fn)
  coroutines[thread] = owner
  scheduler.run(resume, thread, ...)
end

--- What the running coroutine belongs to, or nil when it is none of ours.
function scheduler.currentOwner() return coroutines[coroutine.running()] end

-- Coroutines that have served a handler and can serve another: making one costs more than
-- most handlers do.
local idleThreads = {}
local IDLE_THREADS_MAX = 64

local JOB = {} -- what startHandler() resumes an idle coroutine with, and nobody else

--- Passes on the arguments of the next job. A luv callback that comes too late may still
--- resume a coroutine whose handler has ended.
local function awaitJob(token, ...)
  if token == JOB then return ... end
  return awaitJob(coroutine.yield())
end

local function serve(_, fn, ...)
  fn(...)
  local thread = coroutine.running()
  if #idleThreads >= IDLE_THREADS_MAX then return end
  coroutines[thread] = false
  idleThreads[#idleThreads + 1] = thread
  return serve(nil, awaitJob(coroutine.yield()))
end

--- A used coroutine where there is one, unless the handler that it has served has closed it.
local function takeThread()
  local thread
  repeat thread = table.remove(idleThreads) until not thread or status(thread) == "suspended"
  return thread or coroutine.create(serve)
end

--- As start(), with a used coroutine where there is one.
function scheduler.startHandler(owner, fn, ...)
  local thread = takeThread()
  coroutines[thread] = owner
  scheduler.run(resume, thread, JOB, fn, ...)
end

return scheduler
