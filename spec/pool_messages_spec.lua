-- SPDX-License-Identifier: Apache-2.0
-- The messages that the workers of a pool send: none is lost that came before a worker went.

local artel = require "artel"
local core = require "artel.core"
local helper = require "spec.helper"
local uv = require "luv"

local TIMEOUT = helper.TIMEOUT

-- Sends everything back as a message, and "last" as its last.
local REPORTS = [[{
  onMessage = function(_, message, channel) channel:sendMessage(message) end,
  onRequest = function(_, request, channel)
    channel:sendMessage(request)
    if request == "last" then
      channel:flush()
      os.exit(3)
    end
    return request
  end }]]

local function atOnce(fn) fn() end

helper.overEach(function(over, _, createPool)
  describe("messages of a pool " .. over, function()
    helper.leaveNothing { before_each = before_each, after_each = after_each }

    for where, run in pairs { ["a script"] = atOnce, ["artel.async"] = helper.await } do
      it("are received from who replaced a worker that had served enough, in " .. where, function()
        run(function()
          local workers <close> = createPool(REPORTS, 1, { maxRequestsPerWorker = 2 })
          for n = 1, 5 do assert.equal(n, workers:request(n)) end -- the third stays
          for n = 1, 5 do
            local message, worker = workers:receiveMessage(0)
            assert.equal(n, message)
            assert.equal(workers[1], worker)
          end
          assert.equal("timeout", select(2, workers:receiveMessage(0)).kind)
        end)
      end)

      it("are received when the program has closed who sent them, in " .. where, function()
        run(function()
          local workers <close> = createPool(REPORTS, 1)
          assert.equal(1, workers:request(1))
          local worker = workers[1]
          helper.freeze(worker)
          artel.async(function() worker:sendMessage(("x"):rep(32 << 20)) end)
          local closer = artel.async(function() return worker:close(TIMEOUT) end)
          -- It is still being flushed: from that one nothing is received any more.
          assert.equal("timeout", select(2, workers:receiveMessage(0)).kind)
          core.kill(worker, core.signalNumber "SIGKILL") -- it has not to be waited for
          assert.equal("SIGKILL", select(2, closer:await(TIMEOUT)))
          assert.same({ 1, workers[1] }, { workers:receiveMessage(TIMEOUT) })
          assert.are_not.equal(worker, workers[1])
        end)
      end)

      it("are received before the death of who sent them, in " .. where, function()
        run(function()
          local workers <close> = createPool(REPORTS, 1)
          for n = 1, 2 do
            assert.equal(n, workers:request(n))
            assert.equal("closed", select(2, workers:request "last").kind)
          end
          local received = {}
          for n = 1, 4 do received[n] = workers:receiveMessage(TIMEOUT) end
          assert.same({ 1, "last", 2, "last" }, received)
          for _ = 1, 2 do
            local message, err = workers:receiveMessage(TIMEOUT)
            assert.is_nil(message)
            assert.same({ "closed", 3 }, { err.kind, err.exitCode })
          end
        end)
      end)
    end

    it("are received while nobody has replaced who sent them", function()
      local workers <close> = createPool(REPORTS, 1)
      assert.is_true(workers:waitUntilReady(TIMEOUT))
      workers:engine().slots[1].backoff = function() return TIMEOUT end
      local first = workers[1]
      assert.equal("closed", select(2, workers:request "last").kind)
      local message, worker = workers:receiveMessage(TIMEOUT)
      assert.equal("last", message)
      assert.equal(first, worker)
      assert.is_false(first:isRunning())
      local _, err = workers:receiveMessage(TIMEOUT)
      assert.same({ "closed", first }, { err.kind, err.worker })
    end)

    it("are received from a worker that was started while somebody waited for them", function()
      helper.await(function()
        local workers <close> = createPool(REPORTS, 1)
        assert.is_true(workers:waitUntilReady(TIMEOUT))
        workers:engine().slots[1].backoff = function() return 0.2 end -- not at once
        workers[1]:kill "KILL"
        assert.equal("closed", select(2, workers:receiveMessage(TIMEOUT)).kind)
        local receiver = artel.async(function() return (workers:receiveMessage(TIMEOUT)) end)
        assert.is_true(workers:waitUntilReady(TIMEOUT))
        workers[1]:sendMessage "here"
        assert.equal("here", receiver:await(TIMEOUT))
      end)
    end)

    it("are told of to select and to a listener as if who replaced the worker had sent them",
      function()
        local workers <close> = createPool(REPORTS, 1, { maxRequestsPerWorker = 2 })
        for n = 1, 4 do assert.equal(n, workers:request(n)) end
        local worker = workers[1] -- whom the next may replace between two looks
        assert.same({ worker }, artel.select({ worker }, 0))
        local heard = {}
        workers:registerRead(uv, function(ready)
          heard[#heard + 1] = ready:receiveMessage(0)
          if #heard == 6 then workers:unregisterRead(uv) end
        end)
        for n = 5, 6 do assert.equal(n, workers:request(n)) end
        helper.runLoopUntil(function() return #heard == 6 end)
        assert.same({ 1, 2, 3, 4, 5, 6 }, heard)
      end)

    it("and the end of who sent them are told of to a listener though a call came first", function()
      local workers <close> = createPool(REPORTS, 1)
      assert.is_true(workers:waitUntilReady(TIMEOUT))
      local heard = {}
      workers:registerRead(uv, function(worker)
        local message, err = worker:receiveMessage(0)
        heard[#heard + 1] = message or err.exitCode
      end)
      for _ = 1, 10 do uv.run "nowait" end -- it is told of nothing yet
      workers[1]:sendMessage "first"
      helper.eventually(function() -- which takes it in
        return workers:getStatus() and workers:engine().slots[1]:hasMessage()
      end)
      helper.runLoopUntil(function() return #heard == 1 end)
      assert.equal("closed", select(2, workers:request "last").kind)
      helper.runLoopUntil(function() return #heard == 3 end)
      table.sort(heard, function(a, b) return tostring(a) < tostring(b) end)
      assert.same({ 3, "first", "last" }, heard)
      workers:unregisterRead(uv)
    end)
  end)
end)

local function pool(expression, options, profile)
  profile = profile or {}
  profile.outputPath = "/dev/null"
  return artel.WorkerFactory.new(profile):createWorkerPoolWithExpression(expression, 1, options)
end

describe("messages of a pool", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  it("are left to others, and the loop is, by who waits and has its coroutine closed", function()
    local workers <close> = pool(REPORTS)
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    for _, timeout in ipairs { false, 10 * TIMEOUT } do
      local thread
      artel.async(function()
        thread = coroutine.running()
        workers:receiveMessage(timeout or nil)
      end)
      assert.is_true(coroutine.close(thread))
      helper.runLoopToEnd()
      workers[1]:sendMessage "for others"
      helper.eventually(function() -- which takes it in
        return workers:getStatus() and workers:engine().slots[1]:hasMessage()
      end)
      helper.runLoopToEnd()
      assert.equal("for others", workers:receiveMessage(TIMEOUT))
    end
  end)

  it("that cannot be taken are errors, also from a worker that has been replaced", function()
    local workers <close> = pool([[{ onRequest = function(_, count, channel)
      local list = {}
      for i = 1, count do list[i] = i end
      channel:sendMessage(list)
      return count
    end }]], { maxRequestsPerWorker = 1 }, { maxMessageItems = 100 })
    for _, count in ipairs { 1, 200, 2 } do assert.equal(count, workers:request(count)) end
    assert.same({ 1 }, workers:receiveMessage(0))
    local message, err = workers:receiveMessage(0)
    assert.is_nil(message)
    assert.same({ "oversize" }, { err.kind, err.worker })
    assert.same({ 1, 2 }, workers:receiveMessage(0))
  end)

  it("that nobody receives end a worker when they are too many, and the pool goes on", function()
    if helper.isWatched then return end -- a quarter of a GiB is too much for it
    local workers <close> = pool([[{ onRequest = function(_, count, channel)
      local block = ("x"):rep(32 << 20)
      for _ = 1, count do channel:sendMessage(block) end
      return count
    end }]], { maxRequestsPerWorker = 1 })
    assert.equal(4, workers:request(4))
    local _, err = workers:request(5) -- by a second worker, and 256 MiB are too many
    assert.equal("oversize", err.kind)
    assert.equal(1, workers:request(1))
    assert.equal(32 << 20, #workers:receiveMessage(0))
    _, err = workers:receiveMessage(0)
    assert.equal("oversize", err.kind)
    assert.is_not_nil(err.worker)
    assert.equal("timeout", select(2, workers:receiveMessage(0)).kind)
  end)
end)
