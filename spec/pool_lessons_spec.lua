-- SPDX-License-Identifier: Apache-2.0
-- What hurt the users of other pools: every request ends exactly once, and its outcome tells
-- what happened, at whatever moment a worker dies and whatever a handler answers.

local artel = require "artel"
local core = require "artel.core"
local helper = require "spec.helper"
local pools = require "spec.pools"
local uv = require "luv"

local TIMEOUT = helper.TIMEOUT
local ask, outcome, pool, status = pools.ask, pools.outcome, pools.new, pools.status

local function waitForDeath(pid)
  helper.eventually(function() return not helper.isAlive(pid) end)
end

describe("one outcome for each request, when its worker dies", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  it("before the request has begun, is that of another worker, and no retry", function()
    local folder <close> = helper.folder()
    local gate = folder.path .. "/gate"
    local workers <close> = pool(([[
      if request == "crash" then computeUntil(%q) os.exit(4) end
      return request]]):format(gate), 1)
    local tasks = ask(workers, "crash", "innocent", "another")
    helper.write(gate, "")
    local response, err = outcome(tasks[1])
    assert.is_nil(response)
    assert.same({ "closed", 4, 1, "running" }, { err.kind, err.exitCode, err.attempts, err.phase })
    assert.equal("innocent", outcome(tasks[2]))
    assert.equal("another", outcome(tasks[3]))
    local counts = status(workers)
    assert.same({ 2, 1, 1 }, { counts.done, counts.failed, counts.restarts })
  end)

  it("after the reply was written, is the response", function()
    local workers <close> = artel.WorkerFactory.new { outputPath = "/dev/null" }
      :createWorkerPoolWithExpression([[{ run = function(_, channel)
        local request, reply = channel:receiveRequest()
        if request == nil then return end
        reply(request)
        if request == "last words" then
          require "luv".kill(require "luv".os_getpid(), "sigkill")
        end
        channel:receiveMessage()
      end }]], 1)
    local before = workers[1]:getProcessId()
    local tasks = ask(workers, "last words")
    waitForDeath(before) -- nothing is read meanwhile
    assert.equal("last words", outcome(tasks[1]))
    assert.equal("to the next", workers:request "to the next")
    local counts = status(workers)
    assert.same({ 2, 0, 1 }, { counts.done, counts.failed, counts.restarts })
  end)

  it("while a large reply is on its way, tells the signal", function()
    local workers <close> = pool([[
      if request == "large" then return ("x"):rep(64 << 20) end
      return request]], 1)
    local tasks = ask(workers, "large")
    local worker = workers[1]
    helper.eventually(function() return core.claimState(worker, 1) == "done" end)
    worker:kill "KILL" -- nothing was read meanwhile, so most of the reply has stayed there
    waitForDeath(worker:getProcessId())
    local response, err = outcome(tasks[1])
    assert.is_nil(response)
    assert.same({ "closed", "SIGKILL", 1 }, { err.kind, err.signal, err.attempts })
    assert.equal(64 << 20, #workers:request "large")
  end)

  it("while a large request is on its way, is that of another worker", function()
    local folder <close> = helper.folder()
    local path = folder.path .. "/first"
    helper.write(path, "")
    local workers <close> = artel.WorkerFactory.new { outputPath = "/dev/null" }
      :createWorkerPoolWithExpression(([[{ run = function(_, channel)
        if os.remove(%q) then -- the first one reads no further than this
          channel:receiveMessage()
          return
        end
        local request, reply = channel:receiveRequest()
        if request then reply(#request) end
      end }]]):format(path), 1)
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    local before = workers[1]
    before:sendMessage "end"
    local task = artel.async(function() return workers:request(("x"):rep(32 << 20)) end)
    assert.equal(32 << 20, outcome(task))
    assert.is_false(before:isRunning())
    assert.equal(1, status(workers).done)
  end)

  it("before it is ready, is that of a worker that comes up", function()
    local folder <close> = helper.folder()
    local broken = folder.path .. "/broken"
    local workers <close> = artel.WorkerFactory.new { outputPath = "/dev/null" }
      :createWorkerPoolWithExpression(([[(function()
        local file = io.open(%q)
        if file then os.exit(6) end
        return { onRequest = function(_, request) return request end }
      end)()]]):format(broken), 1, { onWorkerExit = function(_, err)
        if err.exitCode == 6 then os.remove(broken) end
      end })
    assert.equal("ready", workers:request "ready")
    helper.write(broken, "")
    workers[1]:kill "KILL"
    assert.equal("waits", workers:request "waits")
    local counts = status(workers)
    assert.same({ 2, 0, 2 }, { counts.done, counts.failed, counts.restarts })
  end)
end)

describe("one outcome for each request, when its answer cannot be sent", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  local ANSWERS = {
    { "a function as response", "return { at = { print } }", "encode", "at%[1%]" },
    { "a function as reason", "return nil, { print }", "remote", "table" },
    { "an error with a function in it", "error { print }", "remote", "table" },
    { "an error whose text raises", [[error(setmetatable({ print },
      { __tostring = function() error "no" end }))]], "remote", "without a text" },
    { "an error that is nil", "error()", "remote", "an error that is nil" },
    { "a response that is too large", "return ('x'):rep(3000)", "oversize",
      "the response is longer than the 2000 bytes" },
    { "a reason that is too large", "return nil, ('x'):rep(3000)", "remote", "xxx" },
    { "an error that is too large", "error(('x'):rep(3000))", "remote", "xxx" },
  }
  for _, case in ipairs(ANSWERS) do
    local name, body, kind, text = table.unpack(case)
    for _, encoding in ipairs(helper.ENCODINGS) do
      it(("is an error of that one: %s, over %s"):format(name, encoding), function()
        local workers <close> = pool(("if request == 'fine' then return 'fine' end %s")
          :format(body), 1, nil, { maxMessageSize = 2000, channelFactory = encoding })
        local tasks = ask(workers, "fine", "bad", "fine")
        local response, err = outcome(tasks[2])
        assert.is_nil(response)
        assert.equal(kind, err.kind)
        assert.matches(text, tostring(err))
        assert.is_not_table(err.value)
        assert.equal("fine", outcome(tasks[1]))
        assert.equal("fine", outcome(tasks[3]))
        local counts = status(workers)
        assert.same({ 2, 1, 0 }, { counts.done, counts.failed, counts.restarts })
      end)
    end
  end

  for _, encoding in ipairs(helper.ENCODINGS) do
    it("at once, since many large ones are to leave, over " .. encoding, function()
      local folder <close> = helper.folder()
      local gate, log = folder.path .. "/gate", folder.path .. "/log"
      local workers <close> = pool(([[computeUntil(%q)
        io.open(%q, "a"):write("x"):close()
        return ("x"):rep(700 << 10)]]):format(gate, log), 1, nil,
        { maxQueuedBytes = 8 << 20, channelFactory = encoding })
      local requests = {}
      for n = 1, 30 do requests[n] = n end
      local tasks = ask(workers, table.unpack(requests))
      helper.write(gate, "")
      helper.restsAfter(workers[1]:getProcessId(), log) -- we do not read meanwhile
      for _, task in ipairs(tasks) do assert.equal(700 << 10, #outcome(task)) end
    end)
  end

  it("or the request itself is too large, or cannot be encoded", function()
    local workers <close> = pool("return #request", 1, nil, { maxMessageSize = 2000 })
    local _, err = workers:request(("x"):rep(3000))
    assert.equal("oversize", err.kind)
    assert.matches("the request has 3003 bytes; maxMessageSize allows 2000", tostring(err))
    _, err = workers:request { job = { print } }
    assert.equal("encode", err.kind)
    assert.matches("job%[1%]", tostring(err))
    assert.equal(1000, workers:request(("x"):rep(1000)))
  end)

  it("or cannot be decoded by a codec of one's own", function()
    local folder <close> = helper.folder()
    helper.write(folder.path .. "/codec.lua", [[return function()
      return {
        encode = function(value) return tostring(value) end,
        decode = function(bytes) if bytes == "worse" then error "bad bytes" end return bytes end,
      }
    end]])
    local path = package.path
    package.path = folder.path .. "/?.lua;" .. path
    local workers <close> = pool("return request == 'bad' and 'worse' or request", 1, nil,
      { channelFactory = { module = "codec" } })
    local tasks = ask(workers, "bad", "worse", "good")
    for i, where in ipairs { "response", "request" } do
      local response, err = outcome(tasks[i])
      assert.is_nil(response, where)
      assert.equal("decode", err.kind)
      assert.matches("bad bytes", tostring(err))
    end
    assert.equal("good", outcome(tasks[3]))
    package.path, package.loaded.codec = path, nil
  end)
end)

describe("time of a request", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  -- A worker that comes up when the file is there.
  local function lateBloomer(path, options)
    return artel.WorkerFactory.new { outputPath = "/dev/null",
      stage1Parts = { pools.HELPERS .. ("computeUntil(%q)"):format(path) } }
      :createWorkerPoolWithExpression("{ onRequest = function(_, request) return request end }",
        1, options)
  end

  it("does not run while its worker comes up", function()
    local folder <close> = helper.folder()
    local gate = folder.path .. "/gate"
    local workers <close> = lateBloomer(gate)
    helper.await(function()
      local task = artel.async(function()
        return workers:request("patient", { timeout = TIMEOUT / 2 })
      end)
      local _, err = workers:waitUntilReady(0.05)
      assert.equal("timeout", err.kind)
      assert.equal(1, status(workers).queued)
      helper.write(gate, "")
      assert.equal("patient", task:await(TIMEOUT))
    end)
  end)

  it("has a limit of its own while it is queued, from the beginning", function()
    local folder <close> = helper.folder()
    local workers <close> = lateBloomer(folder.path .. "/gate", { queueTimeout = 0.05 })
    local _, err = workers:request("impatient", { timeout = TIMEOUT })
    assert.same({ "timeout", "queued" }, { err.kind, err.phase })
    helper.write(folder.path .. "/gate", "")
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    workers:engine().options.queueTimeout = nil
    assert.equal("next", workers:request "next")
    assert.same({ 1, 1 }, { status(workers).done, status(workers).failed })
  end)

  it("has that limit again when it is to be tried again", function()
    local folder <close> = helper.folder()
    local mark, gate, next = folder.path .. "/mark", folder.path .. "/gate", folder.path .. "/next"
    -- The first worker begins the request and dies; no other one comes up before the end.
    local workers <close> = artel.WorkerFactory.new { outputPath = "/dev/null",
      stage1Parts = { pools.HELPERS .. ([[
        local mark, gate, next = %q, %q, %q
        if exists(mark) then computeUntil(next) end
        function dies() io.open(mark, "w"):close() computeUntil(gate) os.exit(4) end
      ]]):format(mark, gate, next) } }
      :createWorkerPoolWithExpression("{ onRequest = function(_, r) if r == 'x' then dies() end "
        .. "return r end }", 1, { queueTimeout = TIMEOUT, retries = 1 })
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    local engine = workers:engine()
    local task = artel.async(function() return workers:request "x" end)
    helper.eventually(function() return uv.fs_stat(mark) end)
    engine.deadlines[1].at = 0
    status(workers)
    assert.is_nil(engine.deadlines:left()) -- the time to wait in is over, and it had begun by then
    engine.options.queueTimeout = 0.05 -- from here on: for when it waits again
    helper.write(gate, "")
    local _, err = outcome(task) -- no worker comes up before that
    assert.same({ "timeout", "queued" }, { err.kind, err.phase })
    helper.write(next, "")
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    engine.options.queueTimeout = nil
    assert.equal("next", workers:request "next")
  end)

  --- A pool of one worker, which has begun a request that takes until there is the file `gate`, and
  --- is sent a second one nevertheless.
  local function busyPool(gate)
    local workers = pool(([[if request == "slow" then computeUntil(%q) end
      return request]]):format(gate), 1)
    local slow = ask(workers, "slow")[1]
    helper.eventually(function() return pools.hasBegun(workers) end)
    workers:engine().slots[1].depth = 2
    return workers, slow
  end

  it("behind others at a worker counts as queued, not as running", function()
    local folder <close> = helper.folder()
    local gate = folder.path .. "/gate"
    local workers <close>, slow = busyPool(gate)
    workers:engine().options.queueTimeout = 0.05 -- from here on: for the follower
    local follower = artel.async(function() return workers:request "follower" end)
    assert.equal(0, status(workers).queued) -- it was sent
    local _, err = outcome(follower)
    assert.same({ "timeout", "queued" }, { err.kind, err.phase })
    helper.write(gate, "")
    assert.equal("slow", outcome(slow))
  end)

  for where, run in pairs { ["a script"] = function(fn) fn() end,
    ["artel.async"] = helper.await } do
    it("to be queued may be none at all, which is enough for a worker that is free, in " .. where,
      function()
        local folder <close> = helper.folder()
        local gate = folder.path .. "/gate"
        run(function()
          local workers <close> = pool(("if request == 'slow' then computeUntil(%q) end return "
            .. "request"):format(gate), 1, { queueTimeout = 0 })
          assert.is_true(workers:waitUntilReady(TIMEOUT))
          for n = 1, 3 do assert.equal(n, workers:request(n)) end
          local slow = artel.async(function() return workers:request "slow" end)
          for depth = 1, 2 do -- in the queue, and at the worker behind the other one
            workers:engine().slots[1].depth = depth
            local _, err = workers:request "other"
            assert.same({ "timeout", "queued" }, { err.kind, err.phase })
          end
          helper.write(gate, "")
          assert.equal("slow", outcome(slow))
        end)
      end)
  end

  it("does not run at a worker that has begun another one", function()
    local folder <close> = helper.folder()
    local gate = folder.path .. "/gate"
    local workers <close>, slow = busyPool(gate)
    local slot = workers:engine().slots[1]
    local behind = artel.async(function() return workers:request("behind", { timeout = 0.01 }) end)
    assert.equal(2, slot.inFlight)
    helper.eventually(function() -- until it is taken back, which takes longer than it may run
      uv.run "nowait"
      return behind:isDone() or slot.inFlight == 1
    end)
    assert.is_false(behind:isDone())
    behind:cancel()
    assert.equal("cancelled", select(2, outcome(behind)).kind)
    helper.write(gate, "")
    assert.equal("slow", outcome(slow))
  end)

  it("that is none at all ends it, and nothing spins", function()
    local workers <close> = pool("while request == 'spin' do end return request", 1,
      { cancelGrace = 0 })
    local _, err = workers:request("spin", { timeout = 0 })
    assert.equal("timeout", err.kind)
    assert.equal("next", workers:request "next")
  end)
end)

-- What memory was short for is done the next time, and not forgotten.
describe("a pool that was short of memory", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  --- Lets the next call of a method raise as if there were no memory, and calls nothing.
  local function failOnce(object, method)
    object[method] = function()
      object[method] = nil
      error("not enough memory", 0)
    end
  end

  local COMPUTES = "while request == 'compute' do end return request"

  it("when it sent a request still limits its time", function()
    local workers <close> = pool(COMPUTES, 1, { cancelGrace = 0 })
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    local engine, slot = workers:engine(), workers:engine().slots[1]
    slot.depth = 0
    local task = artel.async(function() return workers:request("compute", { timeout = 0.05 }) end)
    slot.depth = 1
    failOnce(engine.deadlines, "add")
    assert.is_false(pcall(status, workers))
    status(workers)
    assert.equal("timeout", select(2, outcome(task)).kind)
    assert.equal("next", workers:request "next")
  end)

  it("when it started another worker tells of the death of the last one once", function()
    local exits = 0
    local workers <close> = pool(COMPUTES, 1, { onWorkerExit = function() exits = exits + 1 end })
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    local staff = workers:engine().staff
    local startWorker = staff.startWorker
    function staff.startWorker()
      staff.startWorker = startWorker
      error("not enough memory", 0)
    end
    workers[1]:kill "KILL"
    helper.eventually(function() return not pcall(status, workers) end)
    assert.equal("next", workers:request "next")
    assert.equal(1, exits)
    assert.equal(1, status(workers).restarts)
    assert.equal("closed", select(2, workers:receiveMessage(0)).kind)
    assert.equal("timeout", select(2, workers:receiveMessage(0)).kind)
  end)

  it("when a request had run too long still kills its worker", function()
    local workers <close> = pool(COMPUTES, 1, { cancelGrace = 0 })
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    local engine, slot, worker = workers:engine(), workers:engine().slots[1], workers[1]
    local task = artel.async(function()
      return workers:request("compute", { timeout = TIMEOUT })
    end)
    helper.eventually(function() return pools.hasBegun(workers) end)
    slot.jobs[slot.lastId].timeout, engine.deadlines[1].at = 0, 0 -- it has run for that long
    failOnce(engine.deadlines, "add")
    assert.is_false(pcall(status, workers))
    status(workers)
    assert.equal("timeout", select(2, outcome(task)).kind)
    helper.eventually(function()
      status(workers)
      return not worker:isRunning()
    end)
  end)

  it("when a worker died still knows that it had been healthy, and notes it once", function()
    local workers <close> = pool(COMPUTES, 1, { restartLimit = { count = 0, within = TIMEOUT } })
    assert.equal("served", workers:request "served")
    local deaths = workers:engine().staff.deaths
    failOnce(deaths, "reserve")
    workers[1]:kill "KILL"
    helper.eventually(function() return not pcall(status, workers) end)
    assert.equal("again", workers:request "again")
    assert.equal(1, status(workers).restarts)
    assert.equal(1, deaths:length())
  end)
end)
