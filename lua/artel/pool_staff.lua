-- SPDX-License-Identifier: Apache-2.0
-- The workers of a pool: when each is started, what its death leads to, and when it has served
-- enough.

local aside = require "artel.aside"
local channelModule = require "artel.channel"
local core = require "artel.core"
local dispatch = require "artel.dispatch"
local errorWith = require "artel.error_with"
local processEnd = require "artel.process_end"
local Queue = require "artel.queue"
local scheduler = require "artel.scheduler"
local task = require "artel.task"
local waiting = require "artel.waiting"

---@class artel.PoolStaff
---@field engine artel.PoolEngine
---@field startWorker fun(): artel.Worker?, artel.Error?
---@field suspended artel.Error? why no worker is started any more, but one now and then
---@field suspendedSlot artel.PoolSlot? the one whose starts go on
---@field everReady boolean
---@field lateBirths number[] when workers have died before they were ready, or of use
---@field restarts integer
---@field deaths artel.Queue of errors for receiveMessage()
---@field exits artel.Queue of { index, err }: onWorkerExit is still to be told
---@field leaving table<artel.Worker, true> let go, and perhaps not ended yet
---@field onChange fun() a worker is ready, or one has gone
---@field onArrival fun() a worker has got a place
---@field listen fun(worker)? makes registerRead hold for a new worker
---@field memoryKills integer? how many processes the kernel has killed for want of memory
local Staff = {}
Staff.__index = Staff

--- How many processes the kernel has killed for want of memory, where it tells.
local function countMemoryKills()
  local file <close> = io.open "/proc/vmstat"
  local text = file and file:read "a"
  return text and tonumber(text:match "oom_kill (%d+)")
end

function Staff.new(engine, startWorker)
  return setmetatable({ engine = engine, startWorker = startWorker, everReady = false,
    lateBirths = {}, restarts = 0, deaths = Queue.new(), exits = Queue.new(), leaving = {},
    memoryKills = countMemoryKills() }, Staff)
end

-- ---- deaths ----

--- Notes in the report of a death whether the kernel was short of memory.
function Staff:judge(err)
  if err.signal ~= "SIGKILL" or err.outOfMemory ~= nil or not self.memoryKills then return end
  local kills = countMemoryKills()
  if not kills then return end -- no descriptor is left to ask with
  err.outOfMemory = kills > self.memoryKills
  self.memoryKills = kills
end

--- Notes a death for those who want to know of it; nothing at all where it raises.
local function note(staff, slot, worker, err)
  local deaths, exits, engine = staff.deaths, staff.exits, staff.engine
  local death, exit = errorWith(err, { worker = worker }), { slot.index, err }
  deaths:reserve()
  exits:reserve()
  staff.restarts = staff.restarts + 1
  deaths:push(death)
  -- Of each place a death and the start that failed then.
  if deaths:length() > 2 * #engine.slots then deaths:pop() end
  if engine.options.onWorkerExit then exits:push(exit) end
end

--- Tells onWorkerExit what was noted. A script that blocks does so when it has come out of our
--- tables (tellExits); on a loop the listener has a coroutine of its own.
local function tell(staff)
  if core.waitMode() == "block" then return end
  local exit = staff.exits:pop()
  while exit do
    task.async(staff.engine.options.onWorkerExit, table.unpack(exit))
    exit = staff.exits:pop()
  end
end

--- Calls onWorkerExit for what has happened since the last time.
function Staff:tellExits()
  local exit = self.exits:pop()
  while exit do
    self.engine.options.onWorkerExit(table.unpack(exit))
    exit = self.exits:pop()
  end
end

local function asBootstrap(err, what)
  if err.kind == "bootstrap" or err.kind == "disabled" then return err end
  return errorWith(err, { kind = "bootstrap", message = ("%s: %s"):format(what, err.message) })
end

--- Whether too many have died before they were ready, or of use.
local function countLateBirth(staff)
  local now, limit = core.now(), staff.engine.options.restartLimit
  local kept = {}
  for _, at in ipairs(staff.lateBirths) do
    if now - at < limit.within then kept[#kept + 1] = at end
  end
  kept[#kept + 1] = now
  staff.lateBirths = kept
  return #kept > limit.count
end

--- Whether a death at birth shows that others would die the same way. One that somebody has
--- killed or closed shows nothing.
local function isTelling(err) return not err.signal and (err.kind ~= "closed" or err.exitCode) end

--- A worker has died before it was ready, or of use: then those that become ready show nothing.
local function diedAtBirth(staff, slot, err, wasUnused)
  local tooMany = countLateBirth(staff)
    -- Each may take so long to die that never so many do within the time.
    or (wasUnused or not staff.everReady)
      and slot.failures >= staff.engine.options.restartLimit.count
  local report = asBootstrap(err, wasUnused
    and "a worker was ready, and ended before it did anything" or "a worker could not start")
  if tooMany and not staff.suspended then staff.suspendedSlot = slot end
  if tooMany or staff.suspended then staff.suspended = report end
  if staff.suspended or not staff.everReady and isTelling(err) then
    staff.engine:endQueued(function() return errorWith(report, { phase = "queued" }) end)
  end
end

-- ---- starts ----

--- Lets go of a worker, which then ends by itself, or already has. An open one stays open until
--- it has answered what pool[i]:request() asked it and, where it has ended, until a listener knows.
local function discard(staff, worker)
  local state = dispatch.stateOf(worker)
  state.onEnd = nil -- no death
  staff.leaving[worker] = true
  if staff.engine.usesLoop then
    processEnd.tell(worker, scheduler.callbackWaiter(function() staff:reapLeaving() end))
  end
  if state.ended and state.listener then
    waiting.kick(worker, state)
  elseif state.pendingCount == 0 and core.isOpen(worker) then
    channelModule.closeAtOnce(worker)
  end
end

--- Closes those that were let go and owe nothing any more, and reaps those that have ended.
function Staff:reapLeaving()
  for worker in pairs(self.leaving) do
    local state = dispatch.stateOf(worker)
    if core.isOpen(worker) and state.pendingCount == 0 and not (state.ended and state.listener) then
      channelModule.closeAtOnce(worker)
    end
    if not core.isOpen(worker) and core.processState(worker) ~= "running" then
      processEnd.release(worker)
      self.leaving[worker] = nil
    end
  end
end

local cameUp, hasEnded, bury

--- Starts a worker, for a slot or as the successor of who is there.
local function start(staff, slot)
  local worker, err = staff.startWorker()
  if not worker then return nil, err end
  local engine, state = staff.engine, dispatch.stateOf(worker)
  state.readyWaiter = scheduler.callbackWaiter(function(waiter)
    if not waiter.err then cameUp(staff, slot, worker) end
    engine:assign()
  end, state.readyWaiter)
  function state.onAnswered() engine:assignSoon() end
  state.onEnd = scheduler.callbackWaiter(function()
    if not engine.ending then hasEnded(staff, slot, worker, state.ended) end
    engine:assign()
  end)
  if engine.usesLoop then waiting.update(worker) end
  return worker
end

--- Puts into a slot who was started ahead, or else somebody new. From there what the last one
--- has sent is received, which can never be reached otherwise.
local function fill(staff, slot)
  local successor, err = slot.successor, nil
  local worker = successor and successor.worker
  if not worker then worker, err = start(staff, slot) end
  if not worker then return bury(staff, slot, nil, err, false) end
  local last, state = slot.worker, slot.state
  if last then discard(staff, last) end
  slot:occupy(worker, successor ~= nil and successor.isReady)
  slot.successor = nil
  if last then aside.bequeath(state, worker, dispatch.stateOf(worker)) end
  if staff.listen then staff.listen(worker) end
  staff.onArrival()
end

--- Starts the workers of a new pool.
function Staff:startAll()
  for _, slot in ipairs(self.engine.slots) do scheduler.run(fill, self, slot) end
end

local function mayStart(staff, slot)
  local engine = staff.engine
  if engine.ending or engine.closing and engine.openBytes == 0 then return false end -- for nobody
  return not staff.suspended or staff.suspendedSlot == slot
end

--- Fills a slot after the time that its failures ask for. A successor that did not come up is
--- renew()'s to start again, after the same time.
local function scheduleStart(staff, slot)
  if slot.startEntry or not mayStart(staff, slot) then return end
  local delay = slot:backoff()
  if delay == 0 and not slot:isAlive() then return fill(staff, slot) end
  slot.startEntry = staff.engine.deadlines:add(delay, function()
    slot.startEntry = nil
    if not slot:isAlive() and mayStart(staff, slot) then fill(staff, slot) end
  end)
end

function cameUp(staff, slot, worker)
  if slot.worker == worker then
    slot.isReady = true
  elseif slot.successor then
    slot.successor.isReady = true
  end
  staff.everReady = true
  if staff.suspended then
    staff.suspended, staff.suspendedSlot, staff.lateBirths = nil, nil, {}
    for _, other in ipairs(staff.engine.slots) do
      if not other:isAlive() and not other.startEntry and mayStart(staff, other) then
        fill(staff, other)
      end
    end
  end
  staff.onChange()
end

--- A worker has died, or could not even be started.
---@param worker artel.Worker?
---@param wasReady boolean
function bury(staff, slot, worker, err, wasReady)
  staff:judge(err)
  -- Once: it comes here again where there was no memory for the start of another one.
  if not worker or slot.buried ~= worker then
    local wasUnused = worker ~= nil and slot.worker == worker and slot:diedUnused(err)
    if wasUnused or not wasReady and not slot:isServing() then
      diedAtBirth(staff, slot, err, wasUnused)
    end
    note(staff, slot, worker, err) -- before the next one can fail to start
    slot.buried = worker
    -- Not before that: where there was no memory for it, this worker is buried again, as it was.
    if worker and slot.worker == worker then slot:vacate() else slot.successor = nil end
  end
  scheduleStart(staff, slot)
  tell(staff)
  staff.onChange()
end

function hasEnded(staff, slot, worker, err)
  local successor = slot.successor
  if slot.worker == worker then
    bury(staff, slot, worker, err, slot.isReady)
  elseif successor and successor.worker == worker then
    bury(staff, slot, worker, err, successor.isReady)
  end
end

--- Takes in what the worker of a slot has sent until now. False when it has ended: that is about
--- to be told, and leads to a replacement too.
local function takeIn(slot)
  for _ = 1, waiting.ROUNDS_MAX do
    if not slot:isAlive() then break end
    local filled = core.fill(slot.worker)
    dispatch.setAllAside(slot.worker, slot.state)
    if filled ~= "more" then break end
  end
  return slot:isAlive() and not slot.state.final or not slot.isReady
end

--- Recycles workers that have served enough: the next one is started ahead, and takes over
--- when it is ready and nothing is in flight at the old one.
function Staff:renew()
  local most = self.engine.options.maxRequestsPerWorker
  if not most or self.engine.ending then return end
  local ahead = math.max(1, most // 4)
  for _, slot in ipairs(self.engine.slots) do
    local successor = slot.successor
    if slot.isReady and not successor and slot.sent >= most - ahead and not slot.startEntry
        and mayStart(self, slot) then
      local worker, err = start(self, slot)
      if worker then
        slot.successor = { worker = worker, isReady = false }
      else
        bury(self, slot, nil, err, false)
      end
    elseif successor and successor.isReady and not slot:isServing() and slot.inFlight == 0
        and takeIn(slot) then
      fill(self, slot)
      self.engine:assign()
    end
  end
end

return Staff
