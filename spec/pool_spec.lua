-- SPDX-License-Identifier: Apache-2.0
-- Worker pools: requests and messages over several workers, and what happens when one dies.

local artel = require "artel"
local core = require "artel.core"
local helper = require "spec.helper"
local pools = require "spec.pools"
local uv = require "luv"

local TIMEOUT = helper.TIMEOUT

local ECHO = [[{
  onMessage = function(self, m, channel) channel:sendMessage(m) end,
  onRequest = function(self, r)
    if r == "exit" then os.exit(4) end
    if r == "raise" then error "raised" end
    if r == "spin" then while true do end end
    if r == "pid" then return require "luv".os_getpid() end
    return r
  end }]]

local function pool(expression, count, options)
  return artel.WorkerFactory.new { outputPath = "/dev/null" }
    :createWorkerPoolWithExpression(expression, count, options)
end

describe("a worker pool", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  it("has the workers that were asked for, and cannot be changed", function()
    local workers <close> = pool(ECHO, 3)
    assert.equal(3, #workers)
    local count = 0
    for index, worker in ipairs(workers) do
      count = count + 1
      assert.equal(workers[index], worker)
      assert.is_true(worker:isRunning())
    end
    assert.equal(3, count)
    assert.has_error(function() workers[1] = 1 end, "a worker pool cannot be changed")
  end)

  it("refuses counts that are none, and options that there are not", function()
    for _, count in ipairs { 0, -1, 1.5, "2", false } do
      assert.has_error(function() pool(ECHO, count) end)
    end
    assert.error_matches(function() pool(ECHO, { nonsense = 1 }) end, "there is no option nonsense")
    assert.error_matches(function() pool(ECHO, { retries = -1 }) end, "option retries")
    assert.error_matches(function() pool(ECHO, { requestTimeout = "1" }) end,
      'expected seconds from 0 up, got "1"')
  end)

  it("refuses more workers than any machine has use for, before it starts one", function()
    for _, count in ipairs { 1025, 1e8 // 1 | 0 } do
      helper.raisesHere(("expected a number of workers from 1 to 1024, got %d"):format(count),
        function() artel.createWorkerPoolWithExpression(ECHO, count) end)
      helper.raisesHere(("option workers: expected a whole number from 1 to 1024, got %d")
        :format(count), function()
          artel.map(function(n) return n end, { 1 }, { workers = count })
        end)
    end
  end)

  it("refuses two numbers of workers that differ", function()
    helper.raisesHere("expected 1 workers (the count) and 2 (option workers): give one of them",
      function() artel.createWorkerPoolWithExpression(ECHO, 1, { workers = 2 }) end)
    local workers <close> = pool(ECHO, 1, { workers = 1 })
    assert.equal(1, #workers)
  end)

  it("raises misuse where it is called, from the module's functions and a factory's", function()
    local factory = artel.WorkerFactory.new()
    local noModule = "expected the name of a module or the path of a Lua file, got nil"
    local noExpression = "expected the text of a Lua expression, got function"
    local plain, twin = " createWorkerPool: ", " createWorkerPoolWithExpression: "
    helper.raisesHere(plain .. "there is no option nonsense",
      function() artel.createWorkerPool("x", { nonsense = 1 }) end)
    helper.raisesHere(twin .. "there is no option nonsense",
      function() artel.createWorkerPoolWithExpression("{}", { nonsense = 1 }) end)
    helper.raisesHere(plain .. noModule, function() artel.createWorkerPool() end)
    helper.raisesHere(plain .. noModule, function() factory:createWorkerPool() end)
    helper.raisesHere(twin .. noExpression,
      function() artel.createWorkerPoolWithExpression(print) end)
    helper.raisesHere(twin .. noExpression,
      function() factory:createWorkerPoolWithExpression(print) end)
    helper.raisesHere(twin .. "an expression is used as it is and takes no constructor arguments",
      function() factory:createWorkerPoolWithExpression(ECHO, 1, { arguments = { 1 } }) end)
    factory:getBootstrapProfile():setOutputPath "/dev/null"
    helper.raisesHere(twin .. "option captureOutput: the profile has an output path already",
      function() factory:createWorkerPoolWithExpression(ECHO, 1, { captureOutput = true }) end)
    local workers <close> = pool(ECHO, 1)
    for _, name in ipairs { "request", "map", "receiveMessage", "getStatus", "close" } do
      helper.raisesHere("bad self (artel.WorkerPool expected, got nil; is it called with a colon?)",
        function() workers[name]() end)
    end
  end)

  it("answers requests, also many at once in coroutines #valgrind", function()
    local workers <close> = pool(ECHO, 2)
    assert.equal(5, workers:request(5))
    helper.await(function()
      local tasks = {}
      for n = 1, 300 do
        tasks[n] = artel.async(function() return workers:request(n) end)
      end
      for n = 1, 300 do assert.equal(n, tasks[n]:await(TIMEOUT)) end
    end)
  end)

  it("passes on what a handler raises, and what cannot be sent", function()
    local workers <close> = pool(ECHO, 1)
    local response, err = workers:request "raise"
    assert.is_nil(response)
    assert.equal("remote", err.kind)
    assert.matches("raised", tostring(err))
    response, err = workers:request { print }
    assert.is_nil(response)
    assert.equal("encode", err.kind)
    assert.equal("still there", workers:request "still there")
  end)

  it("gives messages round: prime every worker, answer each reply with the next", function()
    local workers <close> = pool(ECHO, 2)
    for i = 1, #workers do workers[i]:sendMessage(i) end
    local sum, sent = 0, #workers
    for _ = 1, 100 do
      local message, worker = workers:receiveMessage(TIMEOUT)
      sum = sum + message
      if sent < 100 then
        sent = sent + 1
        worker:sendMessage(sent)
      end
    end
    assert.equal(5050, sum)
    local message, err = workers:receiveMessage(0)
    assert.is_nil(message)
    assert.equal("timeout", err.kind)
  end)

  for way, run in pairs { ["in a script"] = function(fn) fn() end,
    ["in artel.async"] = helper.await } do
    it("tells of a death once, and replaces the worker, " .. way, function()
      local workers <close> = pool(ECHO, 2)
      assert.is_true(workers:waitUntilReady(TIMEOUT))
      run(function()
        local first = workers[1]
        first:kill "KILL"
        local message, err = workers:receiveMessage(TIMEOUT)
        assert.is_nil(message)
        assert.same({ "closed", "SIGKILL" }, { err.kind, err.signal })
        assert.equal(first, err.worker)
        assert.not_equal(first, workers[1])
        assert.is_true(workers:waitUntilReady(TIMEOUT))
        workers[1]:sendMessage "here"
        assert.equal("here", workers:receiveMessage(TIMEOUT))
      end)
    end)
  end

  it("calls a listener from luv's loop, for replacements too", function()
    local workers
    workers = pool(ECHO, 2, { onWorkerExit = function(index) workers[index]:sendMessage(3) end })
    local _ <close> = workers
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    local heard, deaths = {}, 0
    workers:registerRead(uv, function(worker)
      local message, err = worker:receiveMessage(0)
      if message == nil then
        if err.signal then deaths = deaths + 1 end
        return
      end
      heard[#heard + 1] = message
      if #heard == 2 then workers[1]:kill "KILL" end
      if #heard == 3 then workers:unregisterRead(uv) end
    end)
    for i = 1, 2 do workers[i]:sendMessage(i) end
    local watchdog = uv.new_timer()
    watchdog:start(TIMEOUT * 1000, 0, uv.stop)
    uv.unref(watchdog)
    assert.is_false(uv.run())
    watchdog:close()
    table.sort(heard)
    assert.same({ 1, 2, 3 }, heard)
    assert.equal(1, deaths)
  end)

  it("calls a listener once, if that was asked for", function()
    local workers <close> = pool(ECHO, 2)
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    local heard = {}
    workers:registerRead(uv, function(worker)
      heard[#heard + 1] = worker:receiveMessage(0)
    end, true)
    for i = 1, 2 do workers[i]:sendMessage(i) end
    uv.run() -- nothing keeps the loop after the first call
    heard[#heard + 1] = workers:receiveMessage(TIMEOUT)
    table.sort(heard)
    assert.same({ 1, 2 }, heard)
  end)

  it("refuses a loop that is none, and keeps nothing of it", function()
    local workers <close> = pool(ECHO, 1, { retries = 1 })
    for _, name in ipairs { "registerRead", "unregisterRead" } do
      helper.raisesHere(("bad argument #1 to '%s' (what require \"luv\" returns expected)")
        :format(name), function() workers[name](workers, {}, print) end)
    end
    workers[1]:kill "KILL"
    assert.equal("served", workers:request "served") -- by the replacement
  end)

  it("may be listened to, or no longer, while a worker is closed and still sends", function()
    local workers <close> = pool(ECHO, 1)
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    local first, heard = workers[1], {}
    local function listen()
      workers:registerRead(uv, function(worker) heard[#heard + 1] = worker:receiveMessage(0) end)
    end
    listen()
    helper.freeze(first)
    local sending = artel.async(first.sendMessage, first, ("x"):rep(4 << 20))
    local closing = artel.async(first.close, first, TIMEOUT)
    assert.is_false(closing:isDone())
    listen()
    workers:unregisterRead(uv)
    listen()
    uv.kill(first:getProcessId(), "sigcont")
    assert.is_true(sending:await(TIMEOUT))
    assert.equal(0, closing:await(TIMEOUT))
    workers[1]:sendMessage "to the replacement"
    helper.runLoopUntil(function() return #heard > 0 end)
    assert.same({ "to the replacement" }, heard)
  end)

  it("has as many workers as there are processors, if no number was given", function()
    local workers <close> = pool(ECHO)
    assert.equal(artel.WorkerPool.getProcessorCount(), #workers)
  end)

  it("ends a request whose worker dies, and serves the next", function()
    local workers <close> = pool(ECHO, 1)
    local response, err = workers:request "exit"
    assert.is_nil(response)
    assert.same({ "closed", 4, 1 }, { err.kind, err.exitCode, err.attempts })
    assert.equal("next", workers:request "next")
  end)

  it("tries a request again as often as it may, and no more", function()
    local workers <close> = pool(ECHO, 2, { retries = 2 })
    local response, err = workers:request "exit"
    assert.is_nil(response)
    assert.same({ "closed", 3 }, { err.kind, err.attempts })
    assert.matches("tried 3 times", tostring(err))
    assert.equal("next", workers:request "next")
  end)

  it("ends a request that runs too long, and kills the worker that does not stop", function()
    local workers <close> = pool(ECHO, 1, { cancelGrace = 0.05 })
    local before = workers:request "pid"
    assert.equal("running", pools.overrun(workers, "spin").phase)
    assert.not_equal(before, workers:request "pid")
  end)

  it("lets a handler know that its request was given up", function()
    local workers <close> = pool([[{ onRequest = function(_, r)
      local artel = require "artel"
      if r == "wait" then while not artel.isCancelled() do end end
      return require "luv".os_getpid()
    end }]], 1, { cancelGrace = TIMEOUT })
    local before = workers:request "pid"
    local _, err = workers:request("wait", { timeout = 0.05 })
    assert.equal("timeout", err.kind)
    assert.equal(before, workers:request "pid")
  end)

  it("bounds what waits for a worker, in number and in time", function()
    local workers <close> = pool(ECHO, 1, { maxQueue = 1, cancelGrace = 0 })
    assert(workers:waitUntilReady(TIMEOUT))
    helper.await(function()
      local running = artel.async(function() return workers:request "spin" end)
      helper.eventually(function() return pools.hasBegun(workers) end)
      local queued = artel.async(function() return workers:request(2) end)
      local _, err = workers:request(3)
      assert.equal("overloaded", err.kind)
      queued:cancel()
      queued:await(TIMEOUT)
      workers:engine().options.queueTimeout = 0.05 -- from here on: for the next
      _, err = workers:request(4)
      assert.same({ "timeout", "queued" }, { err.kind, err.phase })
      running:cancel()
      running:await(TIMEOUT)
    end)
  end)

  it("bounds what waits for a worker in bytes", function()
    local workers <close> = pool(ECHO, 1, { maxQueueBytes = 1000, cancelGrace = 0 })
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    helper.await(function()
      local running = artel.async(function() return workers:request "spin" end)
      local text = ("x"):rep(600)
      local queued = artel.async(function() return workers:request(text) end)
      local _, err = workers:request(text)
      assert.equal("overloaded", err.kind)
      running:cancel()
      running:await(TIMEOUT)
      assert.equal(text, queued:await(TIMEOUT))
    end)
  end)

  it("ends a request after the running time that is every request's", function()
    local err
    local seconds = 0.05
    repeat -- a busy machine may not let it begin in time, which is another error
      local workers <close> = pool(ECHO, 1, { requestTimeout = seconds, cancelGrace = 0 })
      err = select(2, workers:request "spin")
      assert.equal("timeout", err.kind)
      assert.equal(1, workers:request(1, { timeout = TIMEOUT }))
      seconds = 2 * seconds
    until err.phase == "running" or seconds > TIMEOUT
    assert.equal("running", err.phase)
  end)

  it("tells how much memory a worker had that died", function()
    -- A worker's peak is known only where it is above its master's, and a process inherits
    -- the peak of who started it: the script starts itself again, to be free of that of busted.
    local result = helper.script [[
      if not arg[1] then os.exit(os.execute(("exec lua5.4 '%s' again"):format(arg[0]))) end
      local pool <close> = require "artel".createWorkerPoolWithExpression(
        "{ onRequest = function() kept = ('x'):rep(64 << 20) os.exit(3) end }", 1)
      local _, err = pool:request(1)
      print(err.kind, err.exitCode, err.peakMemory > 64 << 20, err.outOfMemory)
    ]]
    assert.equal("closed\t3\ttrue\tnil\n", result.output, result.errors)
  end)

  it("replaces a worker that has served enough, and loses nothing", function()
    local workers <close> = pool(ECHO, 1, { maxRequestsPerWorker = 5 })
    local counts = {}
    for _ = 1, 23 do
      local pid = workers:request "pid"
      counts[pid] = (counts[pid] or 0) + 1
    end
    local lives = 0
    for _, count in pairs(counts) do
      lives = lives + 1
      assert.is_true(count <= 5)
    end
    assert.equal(5, lives)
  end)

  it("ends waiting requests when no worker can start, with the report", function()
    local workers <close> = pool("error 'cannot build'", 2, { restartLimit = { count = 2 } })
    local response, err = workers:request(1)
    assert.is_nil(response)
    assert.equal("bootstrap", err.kind)
    assert.matches("cannot build", tostring(err))
    local ready
    ready, err = workers:waitUntilReady(TIMEOUT)
    assert.is_nil(ready)
    assert.equal("bootstrap", err.kind)
  end)

  it("goes on when a suspended pool can start workers again", function()
    local folder <close> = helper.folder()
    local flag = folder.path .. "/flag"
    local workers <close> = pool(("assert(io.open(%q)) and %s"):format(flag, ECHO), 2,
      { restartLimit = { count = 1 } })
    local _, err = workers:request(1)
    assert.equal("bootstrap", err.kind)
    helper.write(flag, "")
    local response
    helper.eventually(function()
      response = workers:request(7)
      return response ~= nil
    end)
    assert.equal(7, response)
  end)

  it("cancels what is queued and lets finish what runs when it is closed", function()
    local workers = pool([[{ onRequest = function(_, r) return r end }]], 1)
    helper.await(function()
      local tasks = {}
      for n = 1, 50 do tasks[n] = artel.async(function() return workers:request(n) end) end
      workers:close()
      for n = 1, 50 do
        local response, err = tasks[n]:await(TIMEOUT)
        assert.is_true(response == n or err.kind == "cancelled")
      end
    end)
    assert.is_true(workers:close())
    assert.has_error(function() workers:request(1) end, "attempt to use a closed pool")
  end)

  it("tells the last lines that a worker wrote before it died, if asked to", function()
    local workers <close> = artel.createWorkerPoolWithExpression([[{ onRequest = function(_, r)
      for n = 1, r do io.stderr:write("line ", n, "\n") end
      os.exit(1)
    end }]], 1, { captureOutput = true })
    local _, err = workers:request(5)
    assert.equal("line 1\nline 2\nline 3\nline 4\nline 5", err.lastOutput)
    _, err = workers:request(100000) -- more than a pipe holds
    assert.matches("line 99999\nline 100000$", err.lastOutput)
    assert.is_true(#err.lastOutput < 1000)
    helper.await(function() _, err = workers:request(100000) end)
    assert.matches("line 100000$", err.lastOutput)
  end)

  local function countersOf(of)
    local values = {}
    for _, counter in ipairs(of:getStatus():getCounters()) do
      values[counter:getName()] = counter:getValue()
    end
    return values
  end

  it("says how it is", function()
    local workers <close> = pool(ECHO, 2)
    workers:map { 1, 2, 3 }
    local values = countersOf(workers)
    assert.same({ 2, 0, 0, 3, 0, 0 }, { values.workers, values.busy, values.queued, values.done,
      values.failed, values.restarts })
    for _, percent in ipairs { 50, 95, 99 } do
      assert.is_true(values["running_time_p" .. percent] > 0)
      assert.is_true(values["waiting_time_p" .. percent] > 0)
    end
  end)

  it("says how many processors there are, and how they were counted", function()
    local workers <close> = pool(ECHO, 2)
    assert.equal(("0 of 2 workers busy, 0 requests queued; %d processors: %s")
      :format(core.system.processorCount()), workers:getStatus():getTextStatus())
  end)

  it("says how many of its workers share memory with it", function()
    for transport, count in pairs { ["shared-memory"] = 2, socket = 0, auto = 2 } do
      local workers <close> = artel.WorkerFactory.new { transport = transport }
        :createWorkerPoolWithExpression(ECHO, 2)
      assert.equal(count, countersOf(workers).shared_memory)
    end
  end)
end)
