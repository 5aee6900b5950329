-- SPDX-License-Identifier: Apache-2.0
-- One place in a pool: the worker that holds it now, the requests that worker has, and who
-- comes after it.

local core = require "artel.core"
local dispatch = require "artel.dispatch"
local frame = require "artel.frame"

-- Used for every request.
local queueBody, claimRunTime = core.queueBody, core.claimRunTime
local isOpen, now = core.isOpen, core.now

--- What a worker may have waiting, seconds of work: more in flight saves wake-ups, and what
--- has not begun can be taken back.
local WORK_AHEAD = 0.002
--- And bytes of requests: more would lie in the channel's queue a second time, for nothing.
local BYTES_AHEAD = 1 << 20
-- How much of the latest run time goes into the average.
local AVERAGE_WEIGHT = 0.2

local BACKOFF_FIRST, BACKOFF_MAX = 0.1, 10 -- seconds

local ID_MAX, CLAIM_SLOTS = core.claimIdMax, core.claimSlots

---@class artel.PoolSlot
---@field index integer
---@field worker artel.Worker? the present one; after a death the dead one until the next start
---@field state artel.ChannelState? the worker's
---@field isReady boolean
---@field inFlight integer requests of the pool sent and not answered, given-up ones among them
---@field bytesInFlight integer theirs
---@field jobs table<integer, table> them, by id
---@field claimed table<integer, boolean> which of the claim words are theirs
---@field lastId integer
---@field firstId integer? no id in flight is older
---@field depth integer how many may be in flight
---@field averageRun number? seconds
---@field served integer requests that this worker has answered
---@field sent integer requests that it has been sent
---@field hasBegun boolean a request that it did not answer had begun
---@field most number of them that it may be sent
---@field failures integer deaths in a row without a healthy life between them
---@field buried artel.Worker? whose death was noted last, until another one is here
---@field successor table? { worker, isReady } started ahead of a planned end
---@field guard table goes with the slot, just before its worker
local Slot = {}
Slot.__index = Slot

-- A dropped pool waits for nobody. An idle worker ends with its channel; one that is busy works
-- for nobody any more, and would never look. Lua finalises what was made last first: a guard is
-- made after its worker, so the process can still be reached.
local guardClass = {
  __gc = function(guard)
    local slot = guard.slot
    if slot.worker == guard.worker and slot.inFlight > 0 then
      core.kill(guard.worker, core.signalNumber "SIGKILL", true)
    end
  end,
}

function Slot.new(pool, index)
  return setmetatable({ pool = pool, index = index, failures = 0, isReady = false,
    most = pool.options.maxRequestsPerWorker or math.huge,
    inFlight = 0, bytesInFlight = 0, jobs = {}, lastId = 0, depth = 1, served = 0, sent = 0 }, Slot)
end

--- Puts a worker into the slot.
function Slot:occupy(worker, isReady)
  local state = dispatch.stateOf(worker)
  state.firstId = ID_MAX + 1 -- pool[i]:request() leaves the claim words to the pool
  self.worker, self.state, self.isReady, self.buried = worker, state, isReady, nil
  self.guard = setmetatable({ slot = self, worker = worker }, guardClass)
  self.inFlight, self.bytesInFlight, self.jobs, self.claimed = 0, 0, {}, {}
  self.depth, self.averageRun, self.served, self.sent, self.hasBegun = 1, nil, 0, 0, false
  self.since = core.now()
end

--- Notes that the worker has gone.
function Slot:vacate()
  if self.served > 0
      or self.isReady and core.now() - self.since >= self.pool.options.restartLimit.within then
    self.failures = 0 -- it had a healthy life
  end
  self.isReady, self.served = false, 0
end

--- Whether the worker has ended by itself, and soon, before it took anything up.
---@param err artel.Error its end
function Slot:diedUnused(err)
  return err.exitCode ~= nil and core.isOpen(self.worker) and self.isReady
    and self.served == 0 and not self.hasBegun and self.state.lastId == nil
    and core.sockets.messagesSent(self.worker) == 0
    and core.now() - self.since < self.pool.options.restartLimit.within
end

--- The requests that the worker has not answered: those of pool[i]:request() are among them.
function Slot:load() return self.state and self.state.pendingCount or 0 end

--- Whether the worker is one that gets requests. One whose end is known, if not yet told, is not:
--- it may be flushed for as long as its close() allows.
function Slot:isServing()
  return self.isReady and self.sent < self.most and not self.state.final
end

--- Whether the worker may get another request now.
function Slot:hasRoom()
  return self.inFlight < self.depth and self.bytesInFlight < BYTES_AHEAD and self:isServing()
end

local function following(id) return id < ID_MAX and id + 1 or 1 end

--- The next id whose claim word is free.
local function nextId(slot)
  local id, claimed, pending = slot.lastId, slot.claimed, slot.state.pending
  repeat id = following(id) until not claimed[id % CLAIM_SLOTS] and not pending[id]
  slot.lastId = id
  return id
end

--- Queues a job to the worker; flush() sends it.
---@return true|nil queued
---@return artel.Error? err
function Slot:send(job)
  local id, inFlight = nextId(self), self.inFlight
  local state, jobs, claimed = self.state, self.jobs, self.claimed
  -- There must be a place for it wherever it is looked for, before it may be on its way.
  jobs[id] = false
  state.pending[id], claimed[id % CLAIM_SLOTS] = false, false
  local queued, err = queueBody(self.worker, id, job.bytes)
  if not queued then
    self:tidy()
    return nil, err
  end
  if inFlight == 0 then self.firstId = id end
  state.pending[id], jobs[id], claimed[id % CLAIM_SLOTS] = job, job, true
  state.pendingCount = state.pendingCount + 1
  self.inFlight, self.sent = inFlight + 1, self.sent + 1
  self.bytesInFlight = self.bytesInFlight + #job.bytes
  job.slot, job.id, job.done, job.sentAt = self, id, false, now()
  return true
end

--- Gives up the places of what could not be sent.
function Slot:tidy()
  local pending = self.state and self.state.pending
  for id, job in next, self.jobs do
    if not job then self.jobs[id], pending[id] = nil, nil end
  end
end

--- The worker will never answer the job.
function Slot:forget(job)
  local id = job.id
  self.jobs[id], self.claimed[id % CLAIM_SLOTS] = nil, nil
  self.inFlight, self.bytesInFlight = self.inFlight - 1, self.bytesInFlight - #job.bytes
end

--- The request that has been in flight for longest: the one that runs, unless the handler waits.
local function first(slot)
  local jobs, id = slot.jobs, slot.firstId
  while not jobs[id] do id = following(id) end
  slot.firstId = id
  return jobs[id]
end

--- Whether the worker has the job, and before it no other request.
function Slot:isFirst(job)
  return self.jobs[job.id] == job and self.state.pendingCount == self.inFlight
    and first(self) == job
end

--- Whether not even the first request in flight has begun, since the worker is asked something
--- else too.
function Slot:firstWaits()
  return self.state.pendingCount > self.inFlight
    and core.claimState(self.worker, first(self).id) == "queued"
end

--- The bytes of the first request. 0 when it waits too, or nobody waits for it any more.
function Slot:firstBytes()
  if self.inFlight == 0 or self:firstWaits() then return 0 end
  local job = first(self)
  return job.ended and 0 or #job.bytes
end

--- The worker has answered the job. Learns from it how many may be in flight.
---@return number? run seconds that it took, if that is known
function Slot:answered(job)
  local id = job.id
  self.jobs[id], self.claimed[id % CLAIM_SLOTS] = nil, nil
  self.inFlight, self.bytesInFlight = self.inFlight - 1, self.bytesInFlight - #job.bytes
  self.served = self.served + 1
  local run = claimRunTime(self.worker, id)
  if run <= 0 then return nil end
  local average = self.averageRun or run
  average = average + AVERAGE_WEIGHT * (run - average)
  self.averageRun = average
  local depth = 1 + WORK_AHEAD // average
  self.depth = depth < CLAIM_SLOTS and depth or CLAIM_SLOTS
  return run
end

--- Takes a request back that has not begun. True: it surely never will.
function Slot:recall(job)
  -- One whose end is known, and about to be told, is nobody's to move.
  if job.done or not core.claimRecall(self.worker, job.id) then return false end
  local state = core.state(self.worker)
  if state.pending[job.id] then
    state.pending[job.id] = nil
    state.pendingCount = state.pendingCount - 1
  end
  self:forget(job)
  self.sent = self.sent - 1
  return true
end

--- Whether the worker has neither begun nor answered anything since the job was sent: it is
--- stopped, or busy with what is no request.
function Slot:standsStill(job)
  for id in pairs(self.jobs) do
    if core.claimState(self.worker, id) ~= "queued" then return false end
  end
  return self.served == job.servedBefore
end

--- Lets the handler of a request know that nobody waits for it any more.
function Slot:tellCancelled(job)
  core.claimCancel(self.worker, job.id)
  if core.isOpen(self.worker) and core.queue(self.worker, frame.CANCEL, job.id) then
    core.flush(self.worker)
  end
end

--- Takes back requests that have not begun, the newest first.
---@param most integer
---@param queue artel.Queue where each is put to the front
---@param put fun(job: table) which does that
---@return integer count
function Slot:takeBack(most, queue, put)
  local ids = {}
  for id in pairs(self.jobs) do ids[#ids + 1] = id end
  table.sort(ids, function(a, b) return a > b end)
  local count = 0
  for _, id in ipairs(ids) do
    if count >= most then break end
    local job = self.jobs[id]
    queue:reserveFront() -- what was taken back is nowhere else
    if not job.givenUp and self:recall(job) then
      put(job)
      count = count + 1
    end
  end
  return count
end

--- How long the next start is put off, seconds.
function Slot:backoff()
  self.failures = self.failures + 1
  if self.failures == 1 then return 0 end
  return math.min(BACKOFF_MAX, BACKOFF_FIRST * 2 ^ (self.failures - 2))
end

--- Whether a message is here. Of a worker that has ended it is received as long as nobody has
--- taken the place; of one whose close() still flushes, when somebody has.
function Slot:hasMessage()
  local worker, state = self.worker, self.state
  if worker == nil or not isOpen(worker) then return false end
  if state.ended then return not state.inbox:isEmpty() end
  return not state.final and dispatch.isReadable(worker, state)
end

--- Whether the channel of the worker can still be used.
function Slot:isAlive()
  local worker = self.worker
  return worker ~= nil and isOpen(worker) and self.state.ended == nil
end

return Slot
