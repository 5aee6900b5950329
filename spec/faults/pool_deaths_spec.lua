-- SPDX-License-Identifier: Apache-2.0
-- A pool whose workers die or stand still: every request ends exactly once.

local artel = require "artel"
local helper = require "spec.helper"
local uv = require "luv"

local REQUESTS = helper.isWatched and 2000 or 100000
local KILLS = helper.isWatched and 10 or 60
local SEED = 20240229

describe("a pool whose workers are killed at random", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  --- Maps over the numbers and kills a worker now and then; answers results, errors, kills.
  local function mapWithKills(workers)
    local seed = SEED
    local function random(most) -- the same numbers whatever the rest of the program draws
      seed = (seed * 1103515245 + 12345) % 2147483648
      return seed // 65536 % most + 1
    end
    local gap = REQUESTS // (KILLS + 10)
    local nextKill, kills, sent = gap, 0, 0
    local victim = random(#workers)
    local function items()
      sent = sent + 1
      if sent >= nextKill and kills < KILLS then
        -- The victim, or the next that has been ready (dying at birth is another matter).
        for n = 0, #workers - 1 do
          local worker = workers[(victim + n) % #workers + 1]
          if worker:waitUntilReady(0) and worker:kill "KILL" then
            kills, nextKill, victim = kills + 1, nextKill + gap, random(#workers)
            break
          end
        end
      end
      return sent <= REQUESTS and sent or nil
    end
    local results, errors = workers:map(items, { errors = "collect" })
    return results, errors, kills
  end

  for _, retries in ipairs { 0, 3 } do
    it(("ends each request once, with %d retries"):format(retries), function()
      local workers <close> = artel.createWorkerPoolWithExpression(
        "{ onRequest = function(_, n) return n * 2 end }", 3, { retries = retries })
      local results, errors, kills = mapWithKills(workers)
      assert.equal(KILLS, kills)
      local failed = 0
      for n = 1, REQUESTS do
        if results[n] ~= nil then
          assert.equal(n * 2, results[n])
          assert.is_nil(errors[n])
        else
          failed = failed + 1
          assert.same({ "closed", "SIGKILL", 1 },
            { errors[n].kind, errors[n].signal, errors[n].attempts })
        end
      end
      if retries > 0 then assert.equal(0, failed) end
      assert.is_true(workers:waitUntilReady(helper.TIMEOUT))
      assert.equal(3, #helper.children())
    end)
  end

  it("ends a request that kills every worker it meets, and the others finish", function()
    local workers <close> = artel.createWorkerPoolWithExpression([[{ onRequest = function(_, n)
      if n == 50 then os.exit(9) end
      return n
    end }]], 2, { retries = 2 })
    local items = {}
    for n = 1, 200 do items[n] = n end
    local results, errors = workers:map(items, { errors = "collect" })
    for n = 1, 200 do
      if n ~= 50 then assert.equal(n, results[n], errors[n] and tostring(errors[n])) end
    end
    assert.same({ "closed", 9, 3 },
      { errors[50].kind, errors[50].exitCode, errors[50].attempts })
  end)
end)

helper.overEach(function(over, _, createPool)
  describe("a pool " .. over, function()
    helper.leaveNothing { before_each = before_each, after_each = after_each }

    local ECHO = "{ onRequest = function(_, request) return request end }"

    -- In a coroutine, where the wait for a request that never ends can be left.
    local function requestInTime(workers)
      return helper.await(function() return workers:request(2, { timeout = 0.05 }) end)
    end

    it("whose worker is stopped by SIGSTOP ends its request in time, and replaces it", function()
      local workers <close> = createPool(ECHO, 1, { cancelGrace = 0.01 })
      assert.equal(1, workers:request(1))
      local stopped = workers[1]
      helper.freeze(stopped)
      local response, err = requestInTime(workers)
      assert.is_nil(response)
      assert.same({ "timeout", "queued" }, { err.kind, err.phase })
      assert.equal(3, workers:request(3, { timeout = helper.TIMEOUT }))
      assert.not_equal(stopped, workers[1])
      assert.same({ nil, "SIGKILL" }, { stopped:getExitStatus() })
    end)

    it("whose worker is busy with something else ends its request in time too", function()
      local folder <close> = helper.folder()
      local mark = folder.path .. "/mark"
      local workers <close> = createPool(([[{ onRequest = function(_, request)
        local timer = require "luv".new_timer()
        if request == "spin" then
          timer:start(0, 0, function()
            io.open(%q, "w"):close()
            while true do end
          end)
        end
        return request
      end }]]):format(mark), 1, { cancelGrace = 0.01 })
      assert.equal("spin", workers:request "spin")
      helper.eventually(function() return uv.fs_stat(mark) end)
      local response, err = requestInTime(workers)
      assert.is_nil(response)
      assert.equal("timeout", err.kind)
      assert.equal(3, workers:request(3, { timeout = helper.TIMEOUT }))
    end)
  end)
end)
