-- SPDX-License-Identifier: Apache-2.0
-- Requests to one certain worker of a pool, pool[i]:request(), beside those of the pool.

local artel = require "artel"
local helper = require "spec.helper"
local pools = require "spec.pools"
local uv = require "luv"

local TIMEOUT = helper.TIMEOUT
local outcome, pool, status = pools.outcome, pools.new, pools.status

-- Computes until there is the file of that name, but for "who".
local COMPUTES = "if request ~= 'who' then computeUntil(request) end return pid()"

local function atOnce(fn) fn() end

--- Asks one worker in a coroutine of its own.
local function ask(worker, value, options)
  return artel.async(function() return worker:request(value, options) end)
end

describe("a request to one worker of a pool", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  for where, run in pairs { ["a script"] = atOnce, ["artel.async"] = helper.await } do
    it("is answered by that worker, in " .. where, function()
      run(function()
        local workers <close> = pool("return pid()", 3)
        for _ = 1, 2 do
          for _, worker in ipairs(workers) do
            assert.equal(worker:getProcessId(), worker:request("who", { timeout = TIMEOUT }))
          end
          assert.equal(10, #workers:map({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }))
        end
      end)
    end)
  end

  it("may be one of hundreds, between hundreds of the pool's", function()
    local workers <close> = pool("return request", 2)
    local tasks = {}
    for i = 1, 300 do
      tasks[#tasks + 1] = ask(workers[i % 2 + 1], i)
      tasks[#tasks + 1] = artel.async(function() return workers:request(-i) end)
    end
    for i, task in ipairs(tasks) do
      assert.equal(i % 2 == 1 and (i + 1) // 2 or -i // 2, outcome(task))
    end
    local counts = status(workers)
    assert.same({ 300, 0, 0 }, { counts.done, counts.failed, counts.busy })
  end)

  for when, expression in pairs {
    ["while it answers"] = [[{ onRequest = function(_, request, channel)
      while not io.open(%q) do end
      return request .. channel:request "?"
    end }]],
    ["before it answers"] = [[{
      onConnect = function(self, channel)
        while not io.open(%q) do end
        self.config = channel:request "?"
      end,
      onRequest = function(self, request) return request .. self.config end,
    }]],
  } do
    it("is one thing, what the worker asks " .. when .. " is another", function()
      local folder <close> = helper.folder()
      local gate = folder.path .. "/gate"
      helper.await(function()
        local workers <close> = artel.WorkerFactory.new()
          :createWorkerPoolWithExpression(expression:format(gate), 1)
        local asked = artel.async(function() return workers:request "x" end)
        assert.is_true(workers:waitUntilReady(TIMEOUT))
        assert.equal(1, status(workers).busy)
        local worker = workers[1]
        local question, reply
        local answering = artel.async(function()
          question, reply = worker:receiveRequest(TIMEOUT)
        end)
        helper.write(gate, "") -- somebody waits for what it asks, and "x" is on its way
        answering:await(TIMEOUT)
        assert.equal("?", question)
        assert.is_true(reply "y")
        assert.equal("xy", outcome(asked))
        assert.same({ 1, 0 }, { status(workers).done, status(workers).failed })
      end)
    end)
  end

  it("reaches a raw worker", function()
    local workers <close> = artel.WorkerFactory.new():createWorkerPoolWithExpression(
      [[{ run = function(_, channel)
        while true do
          local request, reply = channel:receiveRequest()
          if request == nil then return end
          reply(request)
        end
      end }]], 1)
    for n = 1, 3 do
      assert.equal(n, workers[1]:request(n, { timeout = TIMEOUT }))
      assert.equal(-n, workers:request(-n))
    end
  end)

  it("tells its handler that nobody waits for it any more", function()
    local folder <close> = helper.folder()
    local begun, seen = folder.path .. "/begun", folder.path .. "/seen"
    local workers <close> = pool(([[
      if request ~= "wait" then return request end
      io.open(%q, "w"):close()
      repeat until require "artel".isCancelled()
      io.open(%q, "w"):close()]]):format(begun, seen), 1)
    local task = ask(workers[1], "wait")
    helper.eventually(function() return uv.fs_stat(begun) end)
    task:cancel()
    helper.eventually(function() return uv.fs_stat(seen) end)
    assert.equal("next", workers:request "next")
  end)

  it("ends when the worker dies, and is not tried again", function()
    local workers <close> = pool("if request == 'die' then os.exit(7) end return request", 1,
      { retries = 3 })
    local response, err = workers[1]:request("die", { timeout = TIMEOUT })
    assert.is_nil(response)
    assert.same({ "closed", 7 }, { err.kind, err.exitCode })
    assert.equal("next", workers:request "next")
    assert.equal("again", workers[1]:request("again", { timeout = TIMEOUT }))
  end)

  it("makes the worker busy: what the pool is asked goes to another one", function()
    local folder <close> = helper.folder()
    local gate = folder.path .. "/gate"
    local workers <close> = pool(([[
      if request == "long" then computeUntil(%q) end
      return pid()]]):format(gate), 2)
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    local long = ask(workers[1], "long")
    assert.equal(1, status(workers).busy)
    for _ = 1, 4 do assert.equal(workers[2]:getProcessId(), workers:request "who") end
    assert.equal(0, workers:engine().slots[1].lastId) -- it was not even sent any
    helper.write(gate, "")
    assert.equal(workers[1]:getProcessId(), outcome(long))
    assert.equal(0, status(workers).busy)
  end)

  -- The other worker becomes idle by an answer to the pool, or by one to somebody else.
  for what, askOther in pairs {
    ["the pool's"] = function(workers, value)
      return artel.async(function() return workers:request(value) end)
    end,
    ["to that one"] = function(workers, value) return ask(workers[2], value) end,
  } do
    it("does not keep what stands behind it when another worker ends a request " .. what, function()
      local folder <close> = helper.folder()
      local first, second = folder.path .. "/first", folder.path .. "/second"
      local workers <close> = pool(COMPUTES, 2)
      assert.is_true(workers:waitUntilReady(TIMEOUT))
      local slot = workers:engine().slots[1]
      local long, other = ask(workers[1], first), askOther(workers, second)
      local behind = artel.async(function() return workers:request "who" end)
      assert.same({ 1, 2 }, { slot.inFlight, slot:load() })
      helper.write(second, "")
      local idle = workers[2]:getProcessId()
      assert.equal(idle, outcome(other))
      assert.equal(idle, outcome(behind))
      helper.write(first, "")
      assert.equal(workers[1]:getProcessId(), outcome(long))
    end)
  end

  it("does not hold back what another worker can leave to an idle one", function()
    local folder <close> = helper.folder()
    local gates = {}
    for i = 1, 3 do gates[i] = ("%s/%d"):format(folder.path, i) end
    local workers <close> = pool(COMPUTES, 3)
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    local slots = workers:engine().slots
    local function request(value)
      return artel.async(function() return workers:request(value) end)
    end
    -- The first is the busiest, and has nothing that can be taken back.
    local tasks = { request(gates[1]) }
    helper.eventually(function() return pools.hasBegun(workers) end)
    for _ = 1, 2 do tasks[#tasks + 1] = ask(workers[1], "who") end
    tasks[#tasks + 1] = ask(workers[2], gates[2])
    local third, behind = request(gates[3]), request "who"
    for i, load in ipairs { 3, 2, 1 } do
      assert.same({ 1, load }, { slots[i].inFlight, slots[i]:load() })
    end
    helper.write(gates[3], "")
    local idle = workers[3]:getProcessId()
    assert.equal(idle, outcome(third))
    assert.equal(idle, outcome(behind))
    for i = 1, 2 do helper.write(gates[i], "") end
    for i, task in ipairs(tasks) do
      assert.equal(workers[i < 4 and 1 or 2]:getProcessId(), outcome(task))
    end
  end)

  it("ends when the pool is closed", function()
    local workers <close> = artel.WorkerFactory.new():createWorkerPoolWithExpression(
      "{ onRequest = function(_, _, channel) channel:receiveMessage() end }", 1)
    local task = ask(workers[1], "long")
    workers:close()
    assert.equal("closed", select(2, outcome(task)).kind)
  end)

  it("is not sent away from, again and again, what stands behind it", function()
    local folder <close> = helper.folder()
    local gate = folder.path .. "/gate"
    local workers <close> = pool(COMPUTES, 1)
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    local long = ask(workers[1], gate)
    local behind = artel.async(function() return workers:request "who" end)
    local turns = 0 -- of the loop, for longer than a request is left behind another one
    local timer <close> = setmetatable({ handle = uv.new_timer() },
      { __close = function(timer) timer.handle:close() end })
    timer.handle:start(25, 25, function() turns = turns + 1 end)
    helper.runLoopUntil(function() return turns == 8 end)
    assert.equal(1, workers:engine().slots[1].lastId)
    helper.write(gate, "")
    assert.equal(workers[1]:getProcessId(), outcome(long))
    assert.equal(workers[1]:getProcessId(), outcome(behind))
  end)

  for what, stands in pairs {
    ["busy with it"] = function(_, gate) return gate end,
    ["stopped"] = function(worker)
      worker:kill "STOP"
      return "who"
    end,
  } do
    it("does not hold off a time-out of the pool's, nor is killed by it: " .. what, function()
      local folder <close> = helper.folder()
      local gate = folder.path .. "/gate"
      local workers <close> = pool(COMPUTES, 1, { cancelGrace = 0 })
      assert.is_true(workers:waitUntilReady(TIMEOUT))
      local worker = workers[1]
      local long = ask(worker, stands(worker, gate))
      local response, err = outcome(artel.async(function()
        return workers:request("who", { timeout = 0.1 })
      end))
      assert.is_nil(response)
      assert.same({ "timeout", "queued" }, { err.kind, err.phase })
      helper.write(gate, "")
      worker:kill "CONT"
      assert.equal(worker:getProcessId(), outcome(long))
      assert.equal(worker:getProcessId(), workers:request "who")
    end)
  end

  it("is answered by a worker that has served enough meanwhile", function()
    local workers <close> = artel.WorkerFactory.new():createWorkerPoolWithExpression([[{
      onRequest = function(_, request, channel)
        if request == "long" then channel:receiveMessage() end
        return require "luv".os_getpid()
      end }]], 1, { maxRequestsPerWorker = 1 })
    local before = workers[1]
    local pid = before:getProcessId()
    local long = ask(before, "long")
    local task = artel.async(function() return workers:request "a", workers:request "b" end)
    local a, b = outcome(task)
    assert.equal(pid, a)
    assert.are_not.equal(pid, b)
    assert.are_not.equal(before, workers[1])
    before:sendMessage "go on"
    assert.equal(pid, outcome(long))
    helper.eventually(function() return not before:isRunning() end)
  end)
end)
