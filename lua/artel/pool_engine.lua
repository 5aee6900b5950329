-- SPDX-License-Identifier: Apache-2.0
-- The requests of a pool: queued, sent, moved, timed, ended. Every job ends exactly once, in
-- finish(); who waits for it is told through `job.onEnd`.

local core = require "artel.core"
local Deadlines = require "artel.deadlines"
local errorWith = require "artel.error_with"
local Percentiles = require "artel.percentiles"
local poolRoom = require "artel.pool_room"
local Queue = require "artel.queue"
local scheduler = require "artel.scheduler"
local Slot = require "artel.pool_slot"
local Staff = require "artel.pool_staff"
local waiting = require "artel.waiting"

---@class artel.PoolEngine
---@field slots artel.PoolSlot[]
---@field staff artel.PoolStaff who puts workers into the slots
---@field queue artel.Queue of jobs; ended ones are skipped
---@field queued integer jobs in it that have not ended
---@field openBytes integer of all requests that have not ended
---@field deadlines artel.Deadlines
---@field untold table|false the newest job whose end is still to be told; `nextUntold` the others
---@field onIdle fun() called when the last request of a pool that is being closed may have ended
---@field closing boolean nothing is taken any more; what runs has the time to finish
---@field ending boolean? it has had that time: the workers are being ended
---@field closed boolean? they have ended
---@field usesLoop boolean the loop looks after the pool, whether somebody waits for it or not
---@field blocks boolean a call that blocks does so meanwhile
local Engine = {}
Engine.__index = Engine

---@param options table as poolOptions.pool() answers them
---@param start fun(): artel.Worker?, artel.Error? starts a worker
---@param encode fun(value: any): string?, artel.Error? makes the bytes of a request
function Engine.new(options, start, encode)
  local engine = setmetatable({
    options = options, encode = encode, slots = {}, queue = Queue.new(), queued = 0,
    openBytes = 0, deadlines = Deadlines.new(), finished = 0, failed = 0, turn = 0,
    waitTimes = Percentiles.new(), runTimes = Percentiles.new(),
    -- Looked at for each request: found here, not looked for.
    untold = false, closing = false, usesLoop = false, blocks = false,
  }, Engine)
  engine.assignWaiter = scheduler.callbackWaiter(function()
    engine.assignsSoon = false
    engine:assign()
  end)
  for index = 1, options.workers do engine.slots[index] = Slot.new(engine, index) end
  engine.staff = Staff.new(engine, start)
  return engine
end

-- ---- the end of a job ----

--- Tells of the ends that nobody has been told of. Where there was no memory for it, it does so
--- the next time.
local function tellEnds(engine)
  local job = engine.untold
  while job do
    job.onEnd(job)
    engine.untold, job.nextUntold = job.nextUntold, false
    job = engine.untold
  end
end

local function finish(engine, job, value, err)
  if job.ended then return end
  -- First what needs no memory: from here on it is an end that is still to be told.
  local untold = engine.untold
  job.ended, job.answer, job.failure = true, value, err
  job.nextUntold, engine.untold = untold, job
  engine.openBytes = engine.openBytes - #job.bytes
  if err then engine.failed = engine.failed + 1 else engine.finished = engine.finished + 1 end
  if job.queueEntry then engine.deadlines:cancel(job.queueEntry) end
  if job.runEntry then engine.deadlines:cancel(job.runEntry) end
  job.onEnd(job)
  engine.untold = untold
  if untold then
    job.nextUntold = false
    tellEnds(engine)
  end
  if engine.closing and engine.openBytes == 0 then engine.onIdle() end
end

local function closedError()
  return core.newError { kind = "cancelled", message = "the pool was closed" }
end

local function leaveQueue(engine, job)
  job.isQueued = false
  engine.queued = engine.queued - 1
end

-- So many ended jobs may stay in the queue until it is their turn.
local ENDED_MIN = 64

--- Takes a job that ends out of the queue: with all others that have, once they are more than
--- those that wait. Else they would all be kept for as long as no worker is free.
local function withdraw(engine, job)
  leaveQueue(engine, job)
  local ended = engine.queue:length() - engine.queued
  if ended <= ENDED_MIN or ended <= engine.queued then return end
  local waits = Queue.new()
  for each in engine.queue:items() do
    if each.isQueued then waits:push(each) end
  end
  engine.queue = waits
end

local function enqueue(engine, job, first)
  if first then engine.queue:pushFront(job) else engine.queue:push(job) end
  job.isQueued, job.slot = true, nil
  engine.queued = engine.queued + 1
  if job.runEntry then engine.deadlines:cancel(job.runEntry) end
end

--- The oldest job in the queue. It stays there.
local function oldestQueued(engine)
  local queue = engine.queue
  local job = queue:peek()
  while job and not job.isQueued do -- it ended while it was queued
    queue:pop()
    job = queue:peek()
  end
  return job
end

--- Ends everything that waits in the queue.
---@param makeError fun(): artel.Error
function Engine:endQueued(makeError)
  local job = oldestQueued(self)
  while job do
    local err = makeError() -- first: without memory for it the job stays where it is
    self.queue:pop()
    leaveQueue(self, job)
    finish(self, job, nil, err)
    job = oldestQueued(self)
  end
end

-- ---- giving jobs to workers ----

--- The workers that may get a request now, in turn.
local function openSlots(engine)
  local slots, open = engine.slots, {}
  for i = 1, #slots do
    local slot = slots[(engine.turn + i - 1) % #slots + 1]
    if slot:hasRoom() and slot:isAlive() then open[#open + 1] = slot end
  end
  return open
end

--- The least busy, the first among equals: its place in the list; nil when that is empty.
local function leastBusy(open)
  local best, least = nil, math.huge
  for i = 1, #open do
    local load = open[i].state.pendingCount -- as Slot:load(), without a call for each request
    if load < least then best, least = i, load end
  end
  return best
end

local checkRunning, queueTimedOut

--- Puts a job that was taken back from a worker to the front of the queue.
local function requeue(job) enqueue(job.engine, job, true) end

-- Behind a request that runs for so long (seconds) others do not stay: they are as old as what
-- is given to other workers meanwhile, or older.
local LONG_RUN = 0.05

--- Takes back what waits behind a request that runs for long.
local function freeFollowers(engine, slot, worker, served)
  slot.freeEntry = nil
  if slot.worker ~= worker or slot.served ~= served then return engine:watchFollowers(slot) end
  if slot.inFlight < 2 then return end
  slot.depth = 1
  slot:takeBack(slot.inFlight - 1, engine.queue, requeue)
end

function Engine:watchFollowers(slot)
  if slot.freeEntry or slot.inFlight < 2 then return end
  slot.freeEntry = self.deadlines:add(LONG_RUN, freeFollowers, self, slot, slot.worker, slot.served)
end

local function give(engine, slot, job)
  engine.touched[slot] = true
  if job.timeout then -- before it may be on its way: without memory for it there would be no limit
    if job.runEntry then engine.deadlines:cancel(job.runEntry) end
    job.servedBefore = slot.served
    job.runEntry = engine.deadlines:add(job.timeout, checkRunning, engine, job)
  end
  local sent, err = slot:send(job)
  if not sent and err.kind == "overloaded" and slot.inFlight > 0 then
    slot.depth = slot.inFlight -- its channel has no room before the next answer, which sets it anew
    return
  end
  engine.queue:pop()
  leaveQueue(engine, job)
  if not sent then return finish(engine, job, nil, err) end
  if not job.wasSent then
    job.wasSent = true
    engine.waitTimes:add(job.sentAt - job.queuedAt)
  end
end

--- Gives what is queued to the workers that have room.
local function giveQueued(engine)
  local open = openSlots(engine)
  local place = leastBusy(open)
  while place do
    local job = oldestQueued(engine)
    if not job then return end
    local slot = open[place]
    engine.turn = slot.index
    give(engine, slot, job)
    if not slot:hasRoom() then table.remove(open, place) end
    place = leastBusy(open)
  end
end

local function takeHalf(engine, slot)
  return slot:takeBack(slot:load() // 2, engine.queue, requeue) > 0
end

--- Moves requests that have not begun from a worker that has several to one that has none.
local function balance(engine)
  local idle, busiest
  for _, slot in ipairs(engine.slots) do
    local load = slot:load()
    if load == 0 then
      if slot:hasRoom() and slot:isAlive() then idle = slot end
    elseif load > 1 and slot.inFlight > 0 and (not busiest or load > busiest:load()) then
      busiest = slot
    end
  end
  if not idle or not busiest then return false end
  if takeHalf(engine, busiest) then return true end
  for _, slot in ipairs(engine.slots) do -- all of that one's may have begun, or be its alone
    local mayHave = slot ~= busiest and slot.inFlight > 0 and slot:load() > 1
    if mayHave and takeHalf(engine, slot) then return true end
  end
  return false
end

--- Sends once everything that has come in by now is dealt with: many requests leave together.
function Engine:assignSoon()
  if self.assignsSoon then return end
  self.assignsSoon, self.assignWaiter.done = true, false
  scheduler.wake(self.assignWaiter)
end

local function assign(self)
  self.assigning, self.touched = true, {}
  tellEnds(self)
  repeat giveQueued(self) until self.queued > 0 or not balance(self)
  for slot in pairs(self.touched) do
    self:watchFollowers(slot)
    if core.isOpen(slot.worker) then
      core.flush(slot.worker)
      if self.usesLoop and not self.blocks then waiting.update(slot.worker) end
    end
  end
end

--- Sends as much as the workers have room for.
function Engine:assign()
  if self.assigning then return end
  local ok, err = pcall(assign, self)
  self.assigning = false
  if not ok then
    for _, slot in ipairs(self.slots) do slot:tidy() end
    error(err, 0)
  end
  self.staff:renew()
  if next(self.staff.leaving) then self.staff:reapLeaving() end
end

-- ---- answers, time-outs, cancelling ----

--- Limits how long a request that comes back to the queue may wait there. One that has not begun
--- goes on waiting, unless its time was over just when its worker was found dead.
local function limitWait(engine, job, begun)
  local seconds, entry = engine.options.queueTimeout, job.queueEntry
  if not entry or not seconds or not begun and entry.callback then return end
  engine.deadlines:cancel(entry)
  job.queueEntry = engine.deadlines:add(seconds, queueTimedOut, engine, job)
end

--- A request whose worker has died, or is being closed.
local function lost(engine, job, err)
  local worker, id = job.slot.worker, job.id
  core.claimRecall(worker, id) -- one that was closed goes on with what it was sent
  local begun = core.claimState(worker, id) ~= "recalled"
  local attempts, failure = job.attempts + (begun and 1 or 0), nil
  if not job.givenUp and (begun and attempts > engine.options.retries or engine.ending) then
    engine.staff:judge(err)
    local more = { attempts = attempts, phase = begun and "running" or "queued" }
    if attempts > 1 then
      more.message = ("%s; the request was tried %d times"):format(err.message, attempts)
    end
    failure = errorWith(err, more)
  end
  if not failure and not job.givenUp then limitWait(engine, job, begun) end
  engine.queue:reserveFront() -- the last that could raise: it is tried again then
  job.slot.hasBegun = job.slot.hasBegun or begun
  job.slot:forget(job)
  job.attempts = attempts
  if job.givenUp then return end
  if failure then return finish(engine, job, nil, failure) end
  enqueue(engine, job, true)
end

--- Called when a job was answered, or from the run queue when its channel has ended.
local function onAnswer(job)
  local engine, slot = job.engine, job.slot
  engine:assignSoon()
  local value, err = job.value, job.err
  if slot and err and rawequal(err, slot.state.final) then
    lost(engine, job, err)
    job.value, job.err = nil, nil
  else
    job.value, job.err = nil, nil
    if not slot then return end
    local run = slot:answered(job)
    if not job.givenUp then finish(engine, job, value, err) end
    job.slot = nil
    if run then engine.runTimes:add(run) end
  end
  if engine.closing and job.givenUp then engine.onIdle() end
end

--- Ends a job that its worker has not begun: the loop may have nothing left to watch that for.
---@return boolean ended false when it may have begun
local function endUnbegun(engine, job, err)
  local slot = job.slot
  if not slot:recall(job) then return false end
  finish(engine, job, nil, err)
  if engine.usesLoop then waiting.update(slot.worker) end
  return true
end

-- Seconds between two looks at a request that has not begun.
local SHORTEST = 0.001

--- Ends a job whose handler may go on: it is told, and killed with its worker after the grace.
local function giveUp(engine, job, err)
  local slot, id = job.slot, job.id
  local worker = slot.worker
  -- First: once the job has ended nobody comes here again, should there be no memory for this.
  engine.deadlines:add(engine.options.cancelGrace, function()
    if slot.worker == worker and slot.jobs[id] == job then
      core.kill(worker, core.signalNumber "SIGKILL", true)
    end
  end)
  job.givenUp = true
  slot:tellCancelled(job)
  finish(engine, job, nil, err)
end

--- A job's running time is over, if it has begun at all. One that has not can run out of it
--- no sooner than after the same time again.
function checkRunning(engine, job)
  if job.ended or job.done or job.isQueued then return end
  local slot, id = job.slot, job.id
  local state, begun = core.claimState(slot.worker, id)
  if state == "queued" and slot:standsStill(job) then
    local err = core.newError { kind = "timeout", phase = "queued",
      message = ("the worker did nothing at all for %g s"):format(job.timeout) }
    -- What pool[i]:request() asks has no claim word: a worker that is busy with it is not killed.
    if slot:load() == slot.inFlight then return giveUp(engine, job, err) end
    if endUnbegun(engine, job, err) then return end
  end
  -- The worker wrote it: one that lies about it shall not gain time.
  begun = math.max(job.sentAt, math.min(begun or job.sentAt, core.now()))
  local left = state == "queued" and math.max(job.timeout, SHORTEST)
    or begun + job.timeout - core.now()
  if left > 0 then
    job.runEntry = engine.deadlines:add(left, checkRunning, engine, job)
    return
  end
  giveUp(engine, job, core.newError { kind = "timeout", phase = "running",
    message = ("the request ran for more than %g s"):format(job.timeout) })
end

--- Ends a job that nobody wants any more.
function Engine:cancel(job, err)
  if job.ended then return end
  if job.isQueued then
    withdraw(self, job)
    return finish(self, job, nil, err)
  end
  if not endUnbegun(self, job, err) then return giveUp(self, job, err) end
  if self.usesLoop then self:assignSoon() end -- nothing else need happen for which it would turn
end

--- A job has waited too long: here, or at a worker behind others.
function queueTimedOut(engine, job)
  local slot, seconds = job.slot, engine.options.queueTimeout
  -- What may not wait at all has not waited when a worker was free for it.
  if seconds == 0 and slot and slot:isFirst(job) then return end
  local err = core.newError { kind = "timeout", phase = "queued",
    message = ("no worker was free within %g s"):format(seconds) }
  if job.isQueued then
    withdraw(engine, job)
    finish(engine, job, nil, err)
  elseif slot and not job.ended then
    endUnbegun(engine, job, err)
  end
end

--- Takes a request in. `onEnd(job)` is called when it has ended: job.answer, or job.failure.
--- Once, unless it raises: then again later.
---@param run? table the map that it is part of
---@param index? integer of its item there
---@return table? job
---@return artel.Error? err it was not taken
function Engine:submit(value, timeout, onEnd, run, index)
  if self.closing then return nil, closedError() end
  local bytes, err = self.encode(value)
  if not bytes then return nil, err end
  local suspended = self.staff.suspended
  if suspended then return nil, errorWith(suspended, { phase = "queued" }) end
  local options = self.options
  if not run then
    err = poolRoom.refusal(self, #bytes)
    if err then return nil, err end
  end
  local job = { engine = self, bytes = bytes, timeout = timeout or options.requestTimeout,
    onEnd = onEnd, attempts = 0, queuedAt = core.now(), onAnswer = onAnswer, callback = onAnswer,
    -- What every job comes to have; a table that grows is made anew each time.
    run = run, index = index, isQueued = false, wasSent = false, done = false, ended = false,
    slot = nil, id = nil, sentAt = nil, answer = nil, failure = nil, nextUntold = false }
  enqueue(self, job)
  self.openBytes = self.openBytes + #bytes
  if options.queueTimeout then
    job.queueEntry = self.deadlines:add(options.queueTimeout, queueTimedOut, self, job)
  end
  return job
end

-- ---- closing ----

--- Takes nothing from here on, and ends what is queued. What workers have been sent goes on: it
--- is still moved and tried again, and so they are still replaced.
function Engine:takeNoMore()
  self.closing = true
  tellEnds(self)
  self:endQueued(closedError)
end

--- Whether nothing is queued or in flight. What was given up has its grace.
---@return boolean
function Engine:isIdle()
  if self.queued > 0 then return false end
  for _, slot in ipairs(self.slots) do
    if slot.inFlight > 0 then return false end
  end
  return true
end

--- Ends what has not; the workers are about to be ended too.
function Engine:endAll()
  self.ending = true
  tellEnds(self)
  self:endQueued(closedError)
  for _, slot in ipairs(self.slots) do
    for _, job in pairs(slot.jobs) do finish(self, job, nil, closedError()) end
  end
end

return Engine
