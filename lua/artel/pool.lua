-- SPDX-License-Identifier: Apache-2.0
-- WorkerPool: several workers of one implementation, as users see them.

local channelModule = require "artel.channel"
local core = require "artel.core"
local dispatch = require "artel.dispatch"
local errorFrames = require "artel.error_frames"
local Engine = require "artel.pool_engine"
local poolMap = require "artel.pool_map"
local poolOptions = require "artel.pool_options"
local poolStatus = require "artel.pool_status"
local poolWait = require "artel.pool_wait"
local processEnd = require "artel.process_end"
local requests = require "artel.requests"
local scheduler = require "artel.scheduler"
local waiting = require "artel.waiting"

local TERMINATE_GRACE = 1 -- seconds between SIGTERM and SIGKILL

--- Workers of one implementation. `#pool`, `pool[i]` and `ipairs(pool)` give the workers.
---@class artel.WorkerPool
---@field [integer] artel.Worker
---@operator len: integer
local WorkerPool = {}

local ENGINE = {} -- the key of a pool's engine

--- Not in a copy of the process that fork has made: there the workers are not its own.
local function isOurs(engine) return engine.owner == core.system.processId() end

--- Whatever the pool's state.
local function anyEngineOf(pool, level)
  local engine = type(pool) == "table" and rawget(pool, ENGINE)
  if not engine then
    error(("bad self (artel.WorkerPool expected, got %s; is it called with a colon?)")
      :format(type(pool)), level + 1)
  end
  return engine
end

local function engineOf(pool, level)
  local engine = anyEngineOf(pool, level + 1)
  if engine.closing then error("attempt to use a closed pool", level + 1) end
  if not isOurs(engine) then
    error("attempt to use a pool that was made before fork: it is the parent's", level + 1)
  end
  return engine
end

--- For who was waiting when the pool was closed.
local function closedMeanwhile()
  return core.newError { kind = "closed", message = "the pool was closed meanwhile" }
end

-- ---- messages ----

--- Waits for a message of any worker.
---@param timeout? number seconds
---@return any message nil when there is none
---@return artel.Worker|artel.Error worker who sent it, or has replaced who did; or why there is
--- none: err.worker has died
function WorkerPool:receiveMessage(timeout)
  local engine = engineOf(self, 2)
  waiting.checkTimeout(timeout, "receiveMessage", 1, 2)
  local function readable()
    local slots = engine.slots
    for i = 1, #slots do
      local slot = slots[(engine.heard + i - 1) % #slots + 1]
      if slot:hasMessage() then
        engine.heard = slot.index
        return slot.worker
      end
    end
  end
  poolWait.turn(engine)
  local worker
  local function isDone()
    worker = readable()
    return worker ~= nil or not engine.staff.deaths:isEmpty() or engine.closing
  end
  local done = isDone()
  if not done and timeout ~= 0 then done = poolWait.until_(engine, isDone, timeout, 2, true) end
  if not done then
    return nil, core.newError {
      kind = "timeout", message = ("no message within %g s"):format(timeout),
    }
  end
  if not worker then return nil, engine.staff.deaths:pop() or closedMeanwhile() end
  local message, err = worker:receiveMessage(0)
  if message == nil then return nil, err end
  return message, worker
end

--- Not when it is closed, nor while it is being closed and still sends what is queued.
local function isListenedTo(worker) return dispatch.stateOf(worker).listener ~= nil end

local function stopListening(engine, loop)
  if not engine.staff.listen then return end
  engine.staff.listen = nil
  for _, slot in ipairs(engine.slots) do
    if slot.worker and isListenedTo(slot.worker) then slot.worker:unregisterRead(loop) end
  end
  for worker in pairs(engine.staff.leaving) do
    if isListenedTo(worker) then worker:unregisterRead(loop) end
  end
  poolWait.listenersChanged(engine)
end

--- Calls `listener(worker, loop)` from luv's loop whenever a worker has a message or has died.
---@param loop table what require "luv" returns
---@param listener fun(worker: artel.Worker, loop: table)
---@param once? boolean only the first time
function WorkerPool:registerRead(loop, listener, once)
  local engine = engineOf(self, 2)
  channelModule.checkLoop(loop, "registerRead")
  if type(listener) ~= "function" then
    error("bad argument #2 to 'registerRead' (function expected)", 2)
  end
  stopListening(engine, loop)
  local function listen(worker)
    worker:registerRead(loop, function(channel)
      if once then stopListening(engine, loop) end
      listener(channel, loop)
    end)
  end
  engine.staff.listen = listen
  for _, slot in ipairs(engine.slots) do
    if slot:isAlive() and not core.channelFault(slot.worker) then listen(slot.worker) end
  end
  poolWait.listenersChanged(engine)
end

--- Ends what registerRead began.
---@param loop table what require "luv" returns
function WorkerPool:unregisterRead(loop)
  local engine = engineOf(self, 2)
  channelModule.checkLoop(loop, "unregisterRead")
  stopListening(engine, loop)
end

--- Waits until every worker is ready.
---@param timeout? number seconds
---@return true|nil ready
---@return artel.Error? err kind "bootstrap" when a worker could not start
function WorkerPool:waitUntilReady(timeout)
  local engine = engineOf(self, 2)
  waiting.checkTimeout(timeout, "waitUntilReady", 1, 2)
  local staff = engine.staff
  local deaths = staff.restarts
  local function failure()
    local last = staff.deaths[staff.deaths.last]
    return staff.suspended or staff.restarts > deaths and last
      and last.kind == "bootstrap" and last or nil
  end
  local function isReady()
    for _, slot in ipairs(engine.slots) do
      if not slot.isReady then return false end
    end
    return true
  end
  local function isDone() return engine.closing or failure() ~= nil or isReady() end
  if not poolWait.until_(engine, isDone, timeout, 2) then
    return nil, core.newError {
      kind = "timeout", message = ("not every worker was ready within %g s"):format(timeout),
    }
  end
  local err = failure()
  if not err and not isReady() then err = closedMeanwhile() end
  if err then return nil, err end
  return true
end

-- ---- requests ----

--- Sends a request to the least busy worker and waits for the response.
---@param value any what onRequest gets
---@param options? { timeout?: number } running time in seconds
---@return any response
---@return artel.Error? err
function WorkerPool:request(value, options)
  local engine = engineOf(self, 2)
  local timeout = requests.checkOptions(options, 2)
  if value == nil then error("bad argument #1 to 'request' (a value expected, got nil)", 2) end
  waiting.check(2)
  if engine.staff.suspended then poolWait.turn(engine) end -- it may be time for the next try
  local job, err = engine:submit(value, timeout, poolWait.tell)
  if not job then return nil, err end
  local _ <close> = setmetatable({}, { __close = function()
    if job.ended then return end
    engine:cancel(job,
      core.newError { kind = "cancelled", message = "the request was cancelled" })
  end })
  poolWait.until_(engine, function() return job.ended end, nil, 2, false, job)
  if job.failure then return nil, job.failure end
  return job.answer
end

local function checkMap(items, options, name, level)
  poolMap.checkItems(items, name, 1, level + 1)
  local checked, reason = poolOptions.map(options)
  if not checked then error(("%s: %s"):format(name, reason), level + 1) end
  return checked
end

--- One request for each item; the results in the order of the items.
---@param items any[]|fun(): any
---@param options? artel.MapOptions
---@return artel.MapResults? results nil at the first error
---@return artel.Error|table<integer, artel.Error>? err or all of them, collected by index
function WorkerPool:map(items, options)
  local engine = engineOf(self, 2)
  local results, err = poolMap.map(engine, items, checkMap(items, options, "map", 2), 2)
  return results, err
end

--- One request for each item; iterates over index, response, err, item as they end.
---@param items any[]|fun(): any
---@param options? artel.MapOptions
---@return fun(): integer?, any, artel.Error?, any iterator
---@return nil
---@return nil
---@return table closing for the loop that is left: ends the rest
function WorkerPool:imap(items, options)
  local engine = engineOf(self, 2)
  return poolMap.imap(engine, items, checkMap(items, options, "imap", 2))
end

--- For artel.map.
---@private
function WorkerPool:engine() return engineOf(self, 2) end

--- How the pool is.
---@return artel.WorkerStatus
function WorkerPool:getStatus()
  local engine = engineOf(self, 2)
  poolWait.turn(engine)
  return poolStatus.of(engine)
end

--- The processors that this process may really use.
---@return integer
WorkerPool.getProcessorCount = poolOptions.processorCount

-- ---- the end ----

local function awaitAll(workers, deadline, mode)
  local left = {}
  for _, worker in ipairs(workers) do
    if not processEnd.await(worker, math.max(0, deadline - core.now()), mode) then
      left[#left + 1] = worker
    end
  end
  return left
end

local function signalAll(workers, signal, group)
  for _, worker in ipairs(workers) do core.kill(worker, core.signalNumber(signal), group) end
end

local function closeAll(workers)
  for _, worker in ipairs(workers) do
    if core.isOpen(worker) then
      dispatch.stateOf(worker).onEnd = nil -- no death
      channelModule.closeAtOnce(worker)
    end
  end
end

--- Closes every channel, waits for the processes, and ends those that do not end.
local function endWorkers(engine, deadline, mode)
  local workers = {}
  for _, slot in ipairs(engine.slots) do
    workers[#workers + 1] = slot.worker
    if slot.successor then workers[#workers + 1] = slot.successor.worker end
  end
  for worker in pairs(engine.staff.leaving) do workers[#workers + 1] = worker end
  scheduler.run(closeAll, workers) -- and tells who waits for one, which would hold it else
  local left = awaitAll(workers, deadline, mode)
  signalAll(left, "SIGTERM")
  left = awaitAll(left, core.now() + TERMINATE_GRACE, mode)
  signalAll(left, "SIGKILL", true)
  awaitAll(left, math.huge, mode)
  for _, worker in ipairs(workers) do processEnd.release(worker) end
end

--- Ends the pool: what is queued ends "cancelled", what runs has the time to finish. Goes on
--- where another call has not come to the end, because it was cancelled or still waits.
---@param timeout? number seconds; the profile's stop time-out by default
---@return true
function WorkerPool:close(timeout)
  local engine = anyEngineOf(self, 2)
  waiting.checkTimeout(timeout, "close", 1, 2)
  if engine.closed or not isOurs(engine) then return true end
  local mode = waiting.check(2)
  local deadline = core.now() + (timeout or engine.stopTimeout)
  engine:takeNoMore()
  poolWait.check(engine)
  poolWait.until_(engine, function() return engine.ending or engine:isIdle() end,
    math.max(0, deadline - core.now()), 2)
  engine:endAll()
  poolWait.detach(engine)
  endWorkers(engine, deadline, mode)
  engine.closed = true
  return true
end

-- ---- making one ----

local metatable = { __name = "artel.WorkerPool" }

function metatable.__index(pool, key)
  local method = WorkerPool[key]
  if method ~= nil then return method end
  local engine = rawget(pool, ENGINE)
  local slot = engine and math.type(key) == "integer" and engine.slots[key]
  if not slot then return nil end
  if not engine.closing and isOurs(engine) then poolWait.turn(engine) end
  return slot.worker
end

function metatable.__newindex() error("a worker pool cannot be changed", 2) end
function metatable.__len(pool) return #rawget(pool, ENGINE).slots end
function metatable.__close(pool) pool:close() end

function metatable.__tostring(pool)
  local engine = rawget(pool, ENGINE)
  return ("artel worker pool (%d workers%s)"):format(#engine.slots,
    engine.closing and ", closed" or "")
end

--- Encodes a request once, for whichever worker gets it.
local function encoderFor(options)
  local codec, encoding, limit = options.codec, options.encoding, options.maxMessageSize
  local encode = core.encode
  return function(value)
    local ok, bytes, reason
    if codec then
      ok, bytes = pcall(codec.encode, value)
      if not ok then bytes, reason = nil, errorFrames.textOf(bytes) end
    else
      bytes, reason = encode(encoding, value)
    end
    if not bytes then return nil, core.newError { kind = "encode", message = reason } end
    if #bytes > limit then
      return nil, core.newError { kind = "oversize",
        message = ("the request has %d bytes; maxMessageSize allows %d"):format(#bytes, limit) }
    end
    return bytes
  end
end

--- Starts a pool.
---@param options table as poolOptions.pool() answers them
---@param start fun(): artel.Worker?, artel.Error?
---@param channelOptions table encoding, codec, maxMessageSize, stopTimeout
---@return artel.WorkerPool
local function new(options, start, channelOptions)
  local engine = Engine.new(options, start, encoderFor(channelOptions))
  engine.stopTimeout = channelOptions.stopTimeout
  engine.heard = 0
  engine.owner = core.system.processId()
  poolWait.attach(engine)
  local pool = setmetatable({ [ENGINE] = engine }, metatable)
  engine.staff:startAll()
  return pool
end

return { class = WorkerPool, new = new }
