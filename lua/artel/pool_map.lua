-- SPDX-License-Identifier: Apache-2.0
-- map and imap: many requests over a pool, of which only a window is taken ahead.

local core = require "artel.core"
local poolRoom = require "artel.pool_room"
local poolWait = require "artel.pool_wait"
local progress = require "artel.progress"

local hasBytesFor = poolRoom.hasBytesFor

local poolMap = {}

-- Items taken ahead for each worker: enough to keep the deepest pipeline full.
local WINDOW = 2 * core.claimSlots
-- And their bytes, past one for each worker: so much hides that they are being made.
local BYTES_AHEAD = 4 << 20

--- Whether a table is empty, but for the n that results have.
local function isEmpty(items)
  local key = next(items)
  return key == nil or key == "n" and next(items, key) == nil
end

-- What is no iterator without the table that it is called with.
local STATELESS = { [next] = "pairs", [ipairs {}] = "ipairs" }

--- Raises unless `items` can be mapped over. A hole would be taken for the end of the list, and a
--- table by names for a list without any item.
---@param position integer of the argument
---@param level integer as for error(), seen from the caller
function poolMap.checkItems(items, name, position, level)
  if STATELESS[items] then
    error(("bad argument #%d to '%s' (a list or an iterator expected, got what %s answers: give "
      .. "the list itself)"):format(position, name, STATELESS[items]), level + 1)
  end
  if type(items) == "function" then return end
  if type(items) ~= "table" then
    error(("bad argument #%d to '%s' (a list or an iterator expected, got %s)"):format(position,
      name, type(items)), level + 1)
  end
  if #items == 0 and not isEmpty(items) then
    error(("bad argument #%d to '%s' (the table has no entry 1: it is no list)"):format(position,
      name), level + 1)
  end
  for index = 1, #items do
    if items[index] == nil then
      error(("bad argument #%d to '%s' (the list has a hole at index %d; artel.null may fill it)")
        :format(position, name, index), level + 1)
    end
  end
end

--- The items as an iterator, and how many there are if that is known.
local function iterate(items)
  if type(items) == "function" then return items end
  local index, count = 0, #items
  return function()
    index = index + 1
    return items[index]
  end, count
end

---@class artel.PoolRun one map at work
local Run = {}
Run.__index = Run

local function newRun(engine, items, options, onAnswer)
  local nextItem, total = iterate(items)
  return setmetatable({ engine = engine, nextItem = nextItem, total = total, options = options,
    onAnswer = onAnswer, taken = 0, open = 0, done = 0, jobs = {}, isExhausted = false,
    hasLost = false, waiters = {},
    window = WINDOW * #engine.slots, progress = options.progress and progress.new(total) }, Run)
end

function Run:ended(index, value, err)
  self.open, self.done = self.open - 1, self.done + 1
  self.jobs[index] = nil
  self.hasLost = true
  self.onAnswer(self, index, value, err)
  self.hasLost = false -- there was memory for it
end

--- Whether another item may be taken ahead. One always may, however large.
function Run:hasRoom()
  local open, engine = self.open, self.engine
  if open == 0 then return true end
  local workers = #engine.slots
  return open < self.window and (open < workers or engine.openBytes < BYTES_AHEAD * workers)
    and hasBytesFor(engine, 1)
end

--- Whether so much has ended that it is time to take more: many at once cost less.
function Run:isHungry()
  return not self.isExhausted and self.open <= self.window // 2 and self:hasRoom()
end

local function jobEnded(job)
  if not job.isCounted then
    job.isCounted = true
    job.run:ended(job.index, job.answer, job.failure)
  end
  poolWait.check(job.run) -- there may be many maps: each is told of its own parts alone
end

--- Takes items up to the window, in which those that cannot be sent have a place too: they may be
--- what the caller waits for. Runs the caller's iterator, so only where the caller runs.
function Run:feed()
  local engine, nextItem, jobs, items = self.engine, self.nextItem, self.jobs, self.items
  local timeout = self.options.timeout
  for _ = self.open + 1, self.window do
    if self.isExhausted or self.stopped or not self:hasRoom() then break end
    local item = nextItem()
    if item == nil then
      self.isExhausted = true
      break
    end
    local index = self.taken + 1
    self.taken, self.open = index, self.open + 1
    if items then items[index] = item end
    local job, err = engine:submit(item, timeout, jobEnded, self, index)
    if job then jobs[index] = job else self:ended(index, nil, err) end
  end
  poolWait.turn(engine)
end

function Run:isFinished()
  return self.stopped or self.hasLost or self.isExhausted and self.open == 0
end

--- Takes back what has not ended.
function Run:stop(why)
  self.stopped = true
  if next(self.jobs) == nil then return end
  local err = core.newError { kind = "cancelled", message = why }
  local jobs = self.jobs
  self.jobs = {}
  for _, job in pairs(jobs) do self.engine:cancel(job, err) end
  poolWait.turn(self.engine)
end

function Run:report()
  if self.progress then self.progress:show(self.done) end
  if self.options.onProgress then self.options.onProgress(self.done, self.total) end
end

--- Lets the map go on until `isEnough()`.
function Run:goOn(isEnough, level)
  local reported = self.done
  local watchesProgress = self.progress or self.options.onProgress
  repeat
    self:feed()
    poolWait.until_(self.engine, function()
      return self:isFinished() or isEnough() or self:isHungry()
        or watchesProgress and self.done > reported
    end, nil, level + 1, false, self)
    if watchesProgress and self.done > reported then
      reported = self.done
      self:report()
    end
  until self:isFinished() or isEnough()
  if self.hasLost then error("not enough memory", 0) end
end

--- pool:map(): the results in order, or nil and the first error; or results and errors.
---@param level integer where waiting is refused, as for error()
function poolMap.map(engine, items, options, level)
  local results, errors = {}, {}
  local first
  local run = newRun(engine, items, options, function(self, index, value, err)
    if err == nil then
      results[index] = value
      return
    end
    err.index = index
    errors[index] = err
    if options.errors ~= "collect" and not first then
      first, self.stopped = err, true
    end
  end)
  local _ <close> = setmetatable({}, { __close = function() run:stop("the map has ended") end })
  run:goOn(function() return false end, level + 1)
  if run.progress then run.progress:finish(run.done) end
  if first then return nil, first end
  results.n = run.taken
  if options.errors == "collect" then return results, errors end
  return results
end

--- pool:imap(): an iterator of index, response, err, item, in order of completion.
---@param atEnd? fun() called when the loop is left, however
function poolMap.imap(engine, items, options, atEnd)
  local ready, first, last = {}, 1, 0
  local run = newRun(engine, items, options, function(self, index, value, err)
    if err then err.index = index end
    last = last + 1
    ready[last] = { index, value, err, self.items[index] }
    self.items[index] = nil
  end)
  run.items = {}
  local function close()
    run:stop("the loop over imap was left")
    if run.progress then run.progress:finish(run.done) end
    if atEnd then
      atEnd()
      atEnd = nil
    end
  end
  local function nextAnswer()
    if first > last then run:goOn(function() return first <= last end, 2) end
    local answer = ready[first]
    if not answer then
      close()
      return nil
    end
    ready[first] = nil
    first = first + 1
    return table.unpack(answer, 1, 4)
  end
  return nextAnswer, nil, nil, setmetatable({}, { __close = close })
end

return poolMap
