-- SPDX-License-Identifier: Apache-2.0
-- A pool that is closed while it is in use: nobody waits for ever, whoever closes it and when.

local artel = require "artel"
local helper = require "spec.helper"
local pools = require "spec.pools"
local uv = require "luv"

local TIMEOUT = helper.TIMEOUT

-- Spins at what it is told to, else answers.
local WORKER = [[{
  onMessage = function(_, m, channel)
    if m == "spin" then while true do end end
    channel:sendMessage(m)
  end,
  onRequest = function(_, r)
    if r == "spin" then while true do end end
    return r
  end }]]

local function pool(count, options)
  return artel.WorkerFactory.new { outputPath = "/dev/null" }
    :createWorkerPoolWithExpression(WORKER, count, options)
end

describe("closing a pool", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  --- A pool of one worker that spins for a request.
  local function poolThatRuns(options)
    local workers = pool(1, options)
    local running = artel.async(function() return workers:request "spin" end)
    helper.eventually(function()
      uv.run "nowait"
      return pools.hasBegun(workers)
    end)
    return workers, running
  end

  --- A pool of one worker that spins for a message, which nobody waits for.
  local function poolThatWillNotEnd()
    local workers = pool(1)
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    workers[1]:sendMessage "spin"
    return workers
  end

  --- A pool of one worker that spins for a request which was given up.
  local function poolThatGaveUp()
    local workers, running = poolThatRuns { cancelGrace = 1000 }
    running:cancel()
    assert.equal("cancelled", select(2, running:await(TIMEOUT)).kind)
    return workers
  end

  for stage, make in pairs { ["lets a request finish"] = poolThatRuns,
    ["gives one its grace"] = poolThatGaveUp,
    ["waits for its processes"] = poolThatWillNotEnd } do
    it("goes on where a task was cancelled that " .. stage, function()
      local workers, running = make()
      local worker = workers[1]
      local closer = artel.async(function() return workers:close(math.huge) end)
      closer:cancel()
      assert.equal("cancelled", select(2, closer:await(TIMEOUT)).kind)
      assert.is_true(worker:isRunning())
      assert.is_true(workers:close(0))
      assert.is_false(worker:isRunning())
      if running then assert.equal("cancelled", select(2, running:await(TIMEOUT)).kind) end
    end)

    it("ends the closing by a task that still " .. stage, function()
      local workers, running = make()
      local worker = workers[1]
      local closer = artel.async(function() return workers:close(math.huge) end)
      assert.is_false(closer:isDone())
      assert.is_true(workers:close(0))
      assert.is_false(worker:isRunning())
      assert.is_true(closer:await(TIMEOUT))
      if running then assert.equal("cancelled", select(2, running:await(TIMEOUT)).kind) end
    end)
  end

  local function atOnce(fn) fn() end

  for where, run in pairs { ["a script"] = atOnce, ["artel.async"] = helper.await } do
    it("gives a request that was given up its grace, and no longer, in " .. where, function()
      run(function()
        local workers <close> = pool(1, { cancelGrace = 0.01 })
        local worker = workers[1]
        assert.equal("running", pools.overrun(workers, "spin").phase)
        assert.is_true(workers:close(TIMEOUT))
        assert.equal("SIGKILL", select(2, worker:getExitStatus()))
      end)
    end)

    it("lets a handler end in time whose request was given up, in " .. where, function()
      run(function()
        local workers <close> = artel.WorkerFactory.new():createWorkerPoolWithExpression([[{
          onRequest = function()
            repeat until require "artel".isCancelled()
          end }]], 1, { cancelGrace = TIMEOUT })
        local worker = workers[1]
        assert.equal("running", pools.overrun(workers, "spin").phase)
        assert.is_true(workers:close(math.huge))
        assert.equal(0, (worker:getExitStatus()))
      end)
    end)
  end

  --- A pool of one worker, which computes for a request until the file is there.
  local function poolWithGate(gate, options)
    local workers = pools.new(("computeUntil(%q) return request"):format(gate), 1, options)
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    return workers
  end

  it("takes nothing more while it lets finish what runs", function()
    local folder <close> = helper.folder()
    local gate = folder.path .. "/gate"
    local workers <close> = poolWithGate(gate)
    local running = artel.async(function() return workers:request "running" end)
    local queued = artel.async(function() return workers:request "queued" end)
    local closer = artel.async(function() return workers:close(math.huge) end)
    assert.equal("cancelled", select(2, queued:await(TIMEOUT)).kind)
    for _, method in ipairs { "request", "map", "imap", "receiveMessage" } do
      helper.raisesHere("attempt to use a closed pool",
        function() helper.await(function() workers[method](workers, {}) end) end)
    end
    assert.is_false(running:isDone())
    helper.write(gate, "")
    assert.equal("running", running:await(TIMEOUT))
    assert.is_true(closer:await(TIMEOUT))
  end)

  it("still replaces a worker and tries its request again", function()
    local folder <close> = helper.folder()
    local gate = folder.path .. "/gate"
    local workers <close> = poolWithGate(gate, { retries = 1 })
    local running = artel.async(function() return workers:request "running" end)
    helper.eventually(function() return pools.hasBegun(workers) end)
    local closer = artel.async(function() return workers:close(math.huge) end)
    workers[1]:kill "KILL"
    helper.write(gate, "")
    assert.equal("running", running:await(TIMEOUT))
    assert.is_true(closer:await(TIMEOUT))
  end)

  it("starts no worker any more, though a start is due", function()
    local workers = pool(2)
    local engine = workers:engine()
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    for _ in workers:imap { 1, 2 } do
      if not engine.closing then
        helper.eventually(function() return pools.status(workers).busy == 0 end)
        for _ = 1, 2 do -- the second time the next start is put off
          workers[1]:kill "KILL"
          assert.equal("SIGKILL", select(2, workers:receiveMessage(TIMEOUT)).signal)
        end
        workers:close()
        helper.eventually(function() return engine.deadlines:left() == 0 end)
      end
    end
    assert.same({}, helper.children())
  end)

  it("ends the waits of other coroutines for messages and for its workers", function()
    local folder <close> = helper.folder()
    local gate = folder.path .. "/gate"
    local ready = pool(2)
    assert.is_true(ready:waitUntilReady(TIMEOUT))
    local starting = artel.WorkerFactory.new { outputPath = "/dev/null" }
      :createWorkerPoolWithExpression(([[(function()
        while not io.open(%q) do end
        return { onRequest = print }
      end)()]]):format(gate), 1)
    helper.await(function()
      local tasks = { artel.async(function() return ready:receiveMessage() end),
        artel.async(function() return starting:receiveMessage() end),
        artel.async(function() return starting:waitUntilReady() end) }
      ready:close()
      local closer = artel.async(function() return starting:close(math.huge) end)
      for _, task in ipairs(tasks) do
        local message, err = task:await(TIMEOUT)
        assert.is_nil(message)
        assert.equal("closed: the pool was closed meanwhile", tostring(err))
      end
      helper.write(gate, "")
      assert.is_true(closer:await(TIMEOUT))
    end)
  end)

  it("ends a map of another coroutine, whose items have no end", function()
    local workers = pool(2)
    local count = 0
    local function endless()
      count = count + 1
      return count
    end
    helper.await(function()
      local map = artel.async(function() return workers:map(endless) end)
      assert.equal("here", workers:request "here")
      workers:close()
      local results, err = map:await(TIMEOUT)
      assert.is_nil(results)
      assert.equal("cancelled", err.kind)
    end)
  end)
end)

-- ---- from within ----

-- Scripts that close their pool in what it calls; `more` are 1,000 items, more than it takes ahead.
local SCRIPT = [[
  local artel = require "artel"
  local pool
  local function close() pool:close() end
  pool = artel.WorkerFactory.new { outputPath = "/dev/null" }:createWorkerPoolWithExpression(
    "{ onRequest = function(_, r) if r == 'exit' then os.exit(3) end return r end }", 1,
    { onWorkerExit = close })
  local count, closesAt, first = 0, 0, 1
  local function more()
    count = count + 1
    if count == closesAt then close() end
    if count == 1 then return first end
    if count <= 1000 then return count end
  end
  --- Each item has ended once; the last one was not even taken.
  local function check(results, errors)
    for i = 1, 1000 do assert((results[i] == nil) ~= (errors[i] == nil)) end
    assert(errors[1000].kind == "cancelled")
  end
  %s
  print "the end"
]]

local CLOSED_BY = {
  ["the body of a loop over imap"] = [[
    local results, errors = {}, {}
    for i, response, err in pool:imap(more) do
      assert(not results[i] and not errors[i])
      results[i], errors[i] = response, err
      close()
    end
    check(results, errors) ]],
  ["onProgress"] = [[
    local results, err = pool:map(more, { onProgress = close })
    assert(not results and err.kind == "cancelled") ]],
  ["onProgress of a map that collects errors"] = [[
    check(pool:map(more, { onProgress = close, errors = "collect" })) ]],
  ["an iterator of items"] = [[
    closesAt = 500
    local results, err = pool:map(more)
    assert(not results and err.kind == "cancelled") ]],
  ["an iterator of items of a map that collects errors"] = [[
    closesAt = 500
    check(pool:map(more, { errors = "collect" })) ]],
  ["onWorkerExit"] = [[
    first = "exit"
    local results, errors = pool:map(more, { errors = "collect" })
    check(results, errors)
    assert(errors[1].exitCode == 3) ]],
}

describe("a pool that is closed by", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  for name, text in pairs(CLOSED_BY) do
    for way, wrapped in pairs { ["in a script"] = text,
      ["in artel.async"] = ("artel.async(function() %s end):await()"):format(text) } do
      it(("%s ends what is left, %s"):format(name, way), function()
        local result = helper.script(SCRIPT:format(wrapped))
        assert.equal("the end\n", result.output, result.errors)
        assert.equal("", result.errors)
      end)
    end
  end
end)
