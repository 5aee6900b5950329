-- SPDX-License-Identifier: Apache-2.0
-- What waits in a pool: how much may, what becomes of it behind a request that runs for long,
-- and how one is taken out without harm to the others.

local artel = require "artel"
local core = require "artel.core"
local helper = require "spec.helper"
local pools = require "spec.pools"
local uv = require "luv"

local TIMEOUT = helper.TIMEOUT
local ask, outcome, status = pools.ask, pools.outcome, pools.status

--- Waits until a request that was asked as the first one of its worker has begun.
local function waitUntilBegun(worker, id)
  helper.eventually(function() return core.claimState(worker, id) == "begun" end)
end

--- A pool in which "slow" computes until the file is there; other requests are answered at once.
local function poolWithGate(gate, count, options)
  return pools.new(("if request == 'slow' then computeUntil(%q) end return request"):format(gate),
    count, options)
end

describe("what waits in a pool is bounded", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  local folder, gate
  before_each(function()
    folder = helper.folder()
    gate = folder.path .. "/gate"
  end)
  after_each(function() getmetatable(folder).__close(folder) end)

  it("in number, at a worker behind others too", function()
    local workers <close> = poolWithGate(gate, 1, { maxQueue = 1 })
    local tasks = ask(workers, "slow", "behind")
    local _, err = helper.await(function() return workers:request "too many" end)
    assert.equal("overloaded", err.kind)
    assert.matches("1 requests of 7 bytes are queued already (see maxQueue and maxQueueBytes)",
      tostring(err), 1, true)
    helper.write(gate, "")
    assert.equal("slow", outcome(tasks[1]))
    assert.equal("behind", outcome(tasks[2]))
    assert.equal("now", workers:request "now")
  end)

  it("in bytes, at a worker behind others too", function()
    local workers <close> = poolWithGate(gate, 1, { maxQueueBytes = 1000 })
    local text, shorter = ("x"):rep(600), ("y"):rep(300)
    local tasks = ask(workers, "slow", text)
    local _, err = helper.await(function() return workers:request(text) end)
    assert.equal("overloaded", err.kind)
    assert.matches("1 requests of 603 bytes are queued already", tostring(err), 1, true)
    local fits = artel.async(function() return workers:request(shorter) end)
    _, err = helper.await(function() return workers:request(shorter) end)
    assert.equal("overloaded", err.kind)
    helper.write(gate, "")
    assert.equal("slow", outcome(tasks[1]))
    assert.equal(text, outcome(tasks[2]))
    assert.equal(shorter, outcome(fits))
    assert.equal(text, workers:request(text))
  end)

  it("in number, behind what one worker alone is asked too", function()
    local workers <close> = poolWithGate(gate, 1, { maxQueue = 0 })
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    local own = artel.async(function() return workers[1]:request "slow" end)
    local tooMany = artel.async(function() return workers:request "too many" end)
    assert.is_true(tooMany:isDone())
    assert.equal("overloaded", select(2, outcome(tooMany)).kind)
    helper.write(gate, "")
    assert.equal("slow", outcome(own))
    assert.equal("now", workers:request "now")
  end)

  it("in bytes, behind what one worker alone is asked too", function()
    local workers <close> = poolWithGate(gate, 1, { maxQueueBytes = 1000 })
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    local text = ("x"):rep(600)
    local own = artel.async(function() return workers[1]:request "slow" end)
    local behind = artel.async(function() return workers:request(text) end)
    assert.equal(1, workers:engine().slots[1].inFlight)
    local tooMany = artel.async(function() return workers:request(text) end)
    assert.is_true(tooMany:isDone())
    assert.matches("1 requests of 603 bytes are queued already",
      tostring(select(2, outcome(tooMany))), 1, true)
    helper.write(gate, "")
    assert.equal("slow", outcome(own))
    assert.equal(text, outcome(behind))
  end)

  it("without what runs, though its worker is asked something else too", function()
    local workers <close> = poolWithGate(gate, 2, { maxQueue = 0 })
    local slow = ask(workers, "slow")[1]
    waitUntilBegun(workers[1], 1)
    local own = artel.async(function() return workers[1]:request "own" end)
    assert.equal("now", workers:request "now")
    helper.write(gate, "")
    assert.equal("slow", outcome(slow))
    assert.equal("own", outcome(own))
  end)

  it("but lets one wait alone, however large", function()
    local workers <close> = poolWithGate(gate, 1, { maxQueueBytes = 0 })
    local tasks = ask(workers, "slow")
    local large = artel.async(function() return workers:request(("x"):rep(5000)) end)
    local _, err = helper.await(function() return workers:request "small" end)
    assert.equal("overloaded", err.kind)
    helper.write(gate, "")
    assert.equal("slow", outcome(tasks[1]))
    assert.equal(5000, #outcome(large))
  end)

  it("without those that have ended, though no worker is free", function()
    local workers <close> = poolWithGate(gate, 1)
    local slow = ask(workers, "slow")[1]
    local tasks = {}
    for n = 1, 500 do tasks[n] = artel.async(function() return workers:request(n) end) end
    local last = artel.async(function() return workers:request "last" end)
    for _, task in ipairs(tasks) do task:cancel() end
    assert.equal(1, status(workers).queued)
    assert.is_true(workers:engine().queue:length() < 100)
    helper.write(gate, "")
    assert.equal("slow", outcome(slow))
    assert.equal("last", outcome(last))
  end)

  it("and so are time limits, though one is long and its request still runs", function()
    local workers <close> = poolWithGate(gate, 2, { requestTimeout = 3600, queueTimeout = 3600 })
    local slow = ask(workers, "slow")[1]
    local items = {}
    for n = 1, 1000 do items[n] = n end
    assert.equal(1000, workers:map(items).n)
    local deadlines = workers:engine().deadlines
    assert.is_true(#deadlines < 200)
    for _, entry in ipairs(deadlines) do assert.is_true(entry.callback ~= nil or #entry == 0) end
    helper.write(gate, "")
    assert.equal("slow", outcome(slow))
  end)

  it("in bytes for a map too, which takes no more items ahead", function()
    local workers <close> = poolWithGate(gate, 2, { maxQueueBytes = 100000 })
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    for _, slot in ipairs(workers:engine().slots) do slot.depth = 20 end -- far more than fits
    local taken = 0
    local text = ("x"):rep(10000)
    local map = artel.async(function()
      return workers:map(function()
        taken = taken + 1
        if taken <= 2 then return "slow" end
        return taken <= 100 and text or nil
      end)
    end)
    assert.equal(2, status(workers).busy)
    -- Ten wait, and up to one that was not known to be too much.
    assert.is_true(taken <= 2 + 11, taken .. " items were taken")
    helper.write(gate, "")
    local results = assert(map:await(TIMEOUT))
    assert.equal(100, results.n)
    for n = 3, 100 do assert.equal(10000, #results[n]) end
  end)
end)

describe("a request for which the channel of a worker has no room", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  it("waits in the pool until it has", function()
    local workers <close> = pools.new("return #request", 1, nil, { maxQueuedBytes = 4096 })
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    workers:engine().slots[1].depth = 20 -- far more than the channel takes at once
    local items = {}
    for n = 1, 100 do items[n] = ("x"):rep(3000) end
    local results = assert(workers:map(items))
    for n = 1, 100 do assert.equal(3000, results[n]) end
  end)
end)

describe("the end of a request", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  --- How many functions are called while so many requests end that coroutines wait for.
  local function callsFor(count)
    local folder <close> = helper.folder()
    local gate = folder.path .. "/gate"
    local workers <close> = poolWithGate(gate, 1)
    local slow = ask(workers, "slow")[1]
    local tasks = {}
    for n = 1, count do tasks[n] = artel.async(function() return workers:request(n) end) end
    assert.equal(count, status(workers).queued)
    local calls = 0
    debug.sethook(function() calls = calls + 1 end, "c") -- here, where the loop runs
    helper.write(gate, "")
    assert.equal("slow", outcome(slow))
    for n = 1, count do assert.equal(n, outcome(tasks[n])) end
    debug.sethook()
    return calls
  end

  it("is as much work, however many wait for theirs", function()
    local few, many = callsFor(200), callsFor(800)
    assert.is_true(many < 6 * few, ("%d calls for 200, %d for 800"):format(few, many))
  end)
end)

describe("cancelling a request", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  for how, case in pairs {
    ["as a task"] = { function(task) task:cancel() end },
    ["with its coroutine"] = { function(_, thread) assert.is_true(coroutine.close(thread)) end },
    ["by a time limit"] = { outcome, 0.01 },
  } do
    it("that has not begun, " .. how .. ", lets the loop end", function()
      local leave, queueTimeout = table.unpack(case)
      local workers <close> = pools.new("return request", 1, { queueTimeout = queueTimeout })
      assert.is_true(workers:waitUntilReady(TIMEOUT))
      helper.freeze(workers[1])
      local thread
      local task = artel.async(function()
        thread = coroutine.running()
        return workers:request "unwanted"
      end)
      leave(task, thread)
      helper.runLoopToEnd()
      workers[1]:kill "CONT"
    end)
  end

  it("that has not begun takes it out, and those beside it stay", function()
    local folder <close> = helper.folder()
    local gate, mark = folder.path .. "/gate", folder.path .. "/mark"
    local workers <close> = pools.new(([[
      if request == "slow" then computeUntil(%q) end
      if request == "unwanted" then io.open(%q, "w"):close() end
      return { request, pid() }]]):format(gate, mark), 1)
    local tasks = ask(workers, "slow", "before", "unwanted", "after")
    local worker = workers[1]
    waitUntilBegun(worker, 1)
    tasks[3]:cancel()
    local response, err = outcome(tasks[3])
    assert.is_nil(response)
    assert.equal("cancelled", err.kind)
    helper.write(gate, "")
    for i, value in pairs { "slow", "before", [4] = "after" } do
      assert.same({ value, worker:getProcessId() }, outcome(tasks[i]))
    end
    assert.is_nil(io.open(mark), "the handler was called")
    local counts = status(workers)
    assert.same({ 3, 1, 0 }, { counts.done, counts.failed, counts.restarts })
  end)

  it("that has not begun leaves its place to the next, though nothing else happens", function()
    local workers <close> = pools.new("return request", 1)
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    local worker, engine = workers[1], workers:engine()
    helper.freeze(worker)
    local sent = artel.async(function() return workers:request "sent" end)
    local queued = artel.async(function() return workers:request "queued" end)
    assert.equal(1, engine.queued)
    sent:cancel()
    helper.eventually(function()
      uv.run "nowait"
      return engine.queued == 0
    end)
    worker:kill "CONT"
    assert.equal("cancelled", select(2, outcome(sent)).kind)
    assert.equal("queued", outcome(queued))
  end)

  it("whose handler then ends by itself leaves the others with their worker", function()
    local workers <close> = pools.new([[
      if request == "look" then while not require "artel".isCancelled() do end end
      return { request, pid() }]], 1, { cancelGrace = TIMEOUT })
    local tasks = ask(workers, "look", "first", "second")
    local worker = workers[1]
    waitUntilBegun(worker, 1)
    tasks[1]:cancel()
    local _, err = outcome(tasks[1])
    assert.equal("cancelled", err.kind)
    assert.same({ "first", worker:getProcessId() }, outcome(tasks[2]))
    assert.same({ "second", worker:getProcessId() }, outcome(tasks[3]))
    local counts = status(workers)
    assert.same({ 2, 1, 0 }, { counts.done, counts.failed, counts.restarts })
  end)

  it("whose handler does not end costs that worker, and only what it had begun", function()
    local workers <close> = pools.new([[
      local artel = require "artel"
      if request == "wait" then artel.channelPair():receiveMessage() end
      if request == "compute" then while true do end end
      return request]], 2, { cancelGrace = 0 })
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    local first, second = workers[1], workers[2]
    local tasks = ask(workers, "wait", "compute", "later")
    waitUntilBegun(first, 2)
    tasks[2]:cancel()
    local _, err = outcome(tasks[2])
    assert.equal("cancelled", err.kind)
    _, err = outcome(tasks[1])
    assert.same({ "closed", "SIGKILL", 1, "running" },
      { err.kind, err.signal, err.attempts, err.phase })
    assert.equal("later", outcome(tasks[3]))
    assert.not_equal(first, workers[1])
    assert.equal(second, workers[2])
    assert.is_true(second:isRunning())
    assert.equal(1, status(workers).restarts)
  end)
end)

describe("what waits behind a request that runs for long", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  it("is given to another worker, though that one is never idle", function()
    local folder <close> = helper.folder()
    local gate = folder.path .. "/gate"
    local workers <close> = poolWithGate(gate, 2)
    helper.await(function()
      local tasks = ask(workers, "slow", "behind", "behind too")
      local engine = workers:engine()
      waitUntilBegun(workers[1], 1)
      local count, window = 0, 2 * 2 * core.claimSlots
      local results, errors = workers:map(function()
        -- From the second time on, what was taken before has not all been sent.
        if count >= window then assert.is_true(engine.queued > 0) end
        count = count + 1
        if not (tasks[2]:isDone() and tasks[3]:isDone()) then return count end
      end, { errors = "collect" })
      assert.is_nil(next(errors))
      assert.equal(count - 1, results.n)
      assert.is_false(tasks[1]:isDone())
      assert.equal("behind", outcome(tasks[2]))
      assert.equal("behind too", outcome(tasks[3]))
      helper.write(gate, "")
      assert.equal("slow", outcome(tasks[1]))
    end)
  end)

  it("is not forgotten when its worker is a new one", function()
    local folder <close> = helper.folder()
    local gate = folder.path .. "/gate"
    local workers <close> = poolWithGate(gate, 1, { retries = 1 })
    local tasks = ask(workers, "slow", "behind the first worker's")
    local engine, slot, first = workers:engine(), workers:engine().slots[1], workers[1]
    local entry = slot.freeEntry
    assert.is_true(entry ~= nil and entry == engine.deadlines[1])
    entry.at = core.now() + TIMEOUT -- not before there is another worker, which has as much to do
    waitUntilBegun(first, 1)
    tasks[2]:cancel()
    assert.equal("cancelled", select(2, outcome(tasks[2])).kind)
    first:kill "KILL"
    helper.eventually(function()
      status(workers)
      return slot.worker ~= first and slot.isReady and pools.hasBegun(workers)
    end)
    slot.depth = 2
    local behind = artel.async(function() return workers:request "behind" end)
    assert.is_true(slot.inFlight == 2 and slot.freeEntry == entry)
    entry.at = 0
    helper.eventually(function()
      status(workers)
      return slot.inFlight == 1 and engine.queued == 1
    end)
    helper.write(gate, "")
    assert.equal("slow", outcome(tasks[1]))
    assert.equal("behind", outcome(behind))
  end)
end)
