-- SPDX-License-Identifier: Apache-2.0
-- The workers of a pool: started again when a start fails, recycled without anybody's loss.

local artel = require "artel"
local core = require "artel.core"
local helper = require "spec.helper"
local program = require "spec.program"
local uv = require "luv"

local TIMEOUT = helper.TIMEOUT

local function pool(expression, count, options, profile)
  profile = profile or {}
  profile.outputPath = "/dev/null"
  return artel.WorkerFactory.new(profile):createWorkerPoolWithExpression(expression, count, options)
end

describe("the workers of a pool", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  it("are tried again when no process can be started, also after a healthy life", function()
    local folder <close> = helper.folder()
    local host = folder.path .. "/host"
    assert(uv.fs_symlink(program.build .. "/bin/artel", host))
    local failures = 0
    local workers <close> = pool("{ onRequest = function(_, r) return r end }", 1,
      { onWorkerExit = function(_, err)
        if err.kind ~= "spawn" then return end
        failures = failures + 1
        if failures == 2 then assert(uv.fs_symlink(program.build .. "/bin/artel", host)) end
      end }, { hostPath = host })
    assert.equal(1, workers:request(1))
    assert(uv.fs_unlink(host))
    workers[1]:kill "KILL"
    assert.equal(2, workers:request(2))
    assert.equal(2, failures)
  end)

  -- Such a death tells nothing of the others, as a worker does that cannot load its module.
  for what, ends in pairs {
    ["is killed"] = [[os.execute "kill -KILL $PPID"]],
    ["crashes"] = [[os.execute "kill -ABRT $PPID"]],
  } do
    it("are replaced when the very first " .. what .. " before it is ready", function()
      local folder <close> = helper.folder()
      local flag = folder.path .. "/flag"
      helper.write(flag, "")
      local workers <close> = pool("{ onRequest = function(_, r) return r end }", 1, nil,
        { stage2Parts = { ("if os.remove(%q) then %s end"):format(flag, ends) } })
      assert.equal(1, workers:request(1))
      assert.is_nil(uv.fs_stat(flag))
    end)
  end

  it("are replaced when the very first is closed before it is ready", function()
    local workers <close> = pool("{ onRequest = function(_, r) return r end }", 1)
    workers[1]:close()
    assert.equal(1, workers:request(1))
  end)

  it("suspend the pool when one after another is killed before it is ready", function()
    local workers <close> = pool("{ onRequest = function(_, r) return r end }", 2,
      { restartLimit = { count = 2, within = TIMEOUT } },
      { stage2Parts = { [[os.execute "kill -KILL $PPID"]] } })
    local err = select(2, workers:request(1))
    assert.same({ "bootstrap", "SIGKILL" }, { err.kind, err.signal })
  end)

  local function atOnce(fn) fn() end

  for what, handlers in pairs {
    ["onConnect raises"] = "onConnect = function() error 'a bug' end",
    ["run raises"] = "run = function() error 'a bug' end",
    ["run returns"] = "run = function() end",
  } do
    it("suspend the pool when each ends as soon as it is ready, since " .. what, function()
      for _, run in ipairs { atOnce, helper.await } do
        run(function()
          local workers <close> = pool(("{ %s, onRequest = print }"):format(handlers), 1,
            { restartLimit = { count = 1, within = TIMEOUT } })
          for _ = 1, 3 do -- those which are tried when it is suspended are ready, too
            local _, err = workers:request(1)
            assert.equal("bootstrap", err.kind)
            assert.matches("a worker was ready, and ended before it did anything: ", err.message)
            assert.equal(what == "run returns" and 0 or 1, err.exitCode)
            if what ~= "run returns" then assert.matches("a bug", tostring(err)) end
          end
        end)
      end
    end)
  end

  it("do not suspend the pool when they end by what they were given, or by a signal", function()
    for _, kill in ipairs {
      function(worker) worker:sendMessage "exit" end,
      function(worker) worker:request "exit" end,
      function(_, workers) workers:request "exit" end,
      function(worker) worker:kill "KILL" end,
    } do
      local workers <close> = pool([[{ onMessage = function() os.exit(3) end,
        onRequest = function(_, r)
          if r == "exit" then os.exit(3) end
          return r
        end }]], 1, { restartLimit = { count = 0 } })
      assert.is_true(workers:waitUntilReady(TIMEOUT))
      local worker = workers[1]
      kill(worker, workers)
      helper.eventually(function() return not worker:isRunning() end)
      assert.equal("next", workers:request "next")
    end
  end)

  it("do not suspend the pool when each ends by itself behind its first answer", function()
    local answersOne = helper.raw "local number, reply = channel:receiveRequest() reply(number)"
    local workers <close> = pool(answersOne, 1, { restartLimit = { count = 0 } })
    for number = 1, 3 do
      assert.is_true(workers:waitUntilReady(TIMEOUT))
      local worker = workers[1]
      assert.equal(number, workers:request(number))
      helper.eventually(function() return not worker:isRunning() end)
    end
  end)

  for where, run in pairs { ["a script"] = atOnce, ["artel.async"] = helper.await } do
    it("are told of in the order in which they ended, in " .. where, function()
      local folder <close> = helper.folder()
      local host = folder.path .. "/host"
      assert(uv.fs_symlink(program.build .. "/bin/artel", host))
      local kinds = {}
      run(function()
        local workers <close> = pool("{ onRequest = function(_, r) return r end }", 1,
          { restartLimit = { count = 2, within = TIMEOUT },
            onWorkerExit = function(_, err) kinds[#kinds + 1] = err.kind end },
          { hostPath = host })
        assert.equal(1, workers:request(1))
        assert(uv.fs_unlink(host))
        workers[1]:kill "KILL"
        assert.equal("bootstrap", select(2, workers:request(2)).kind)
      end)
      assert.equal("closed", kinds[1])
      assert.equal("spawn", kinds[2])
    end)
  end

  it("are closed at any time by a script that has no luv", function()
    local result = helper.script [[
      package.preload.luv = function() error "there is no luv" end
      local artel = require "artel"
      local hold = "{ onRequest = function(_, r) while r == 'stay' do end return r end }"
      do
        local starting <close> = artel.createWorkerPoolWithExpression(hold, 2)
      end
      local pool = artel.createWorkerPoolWithExpression(hold, 1, { requestTimeout = 0.01,
        cancelGrace = 60 })
      print(select(2, pool:request "stay").kind)
      pool:close(0)
      pool = artel.createWorkerPoolWithExpression(hold, 1)
      print(pool:request "one")
      pool[1]:close()
      print(pool:request "two")
      pool:close()
    ]]
    assert.same({ 0, "", "timeout\none\ntwo\n" },
      { result.code, result.errors, result.output })
  end)

  it("are replaced when the program closes them itself", function()
    local exits = {}
    local workers <close> = pool("{ onRequest = function(_, r) return r end }", 2,
      { queueTimeout = TIMEOUT, onWorkerExit = function(index, err)
        exits[#exits + 1] = index .. " " .. err.kind
      end })
    assert(workers:waitUntilReady(TIMEOUT))
    local first = workers[1]
    workers[1]:close()
    workers[2]:close()
    assert.equal("again", workers:request("again"))
    assert.are_not.equal(first, workers[1])
    table.sort(exits)
    assert.same({ "1 closed", "2 closed" }, exits)
  end)

  it("that are closed end what they were at, and what had not begun moves", function()
    local folder <close> = helper.folder()
    helper.await(function()
      local workers <close> = pool([[{ onRequest = function(_, path)
        if path == "moves" then return path end
        io.open(path, "w"):close()
        while true do end
      end }]], 1)
      assert(workers:waitUntilReady(TIMEOUT))
      local begun = folder.path .. "/begun"
      local stays = artel.async(function() return select(2, workers:request(begun)) end)
      local moves = artel.async(function() return workers:request("moves") end)
      helper.eventually(function() return uv.fs_stat(begun) end)
      workers[1]:close(0)
      local err = stays:await(TIMEOUT)
      assert.same({ "closed", 1, "running" }, { err.kind, err.attempts, err.phase })
      assert.equal("moves", moves:await(TIMEOUT))
    end)
  end)

  it("that are closed do not begin what they had been sent: it moves, and is done once", function()
    local folder <close> = helper.folder()
    local log = folder.path .. "/log"
    local workers <close> = pool(([[{ onRequest = function(_, r)
      io.open(%q, "a"):write(r, "\n"):close()
      return r
    end }]]):format(log), 1)
    assert(workers:waitUntilReady(TIMEOUT))
    local first, slot = workers[1], workers:engine().slots[1]
    helper.freeze(first)
    local moves = artel.async(function() return workers:request "moves" end)
    assert.equal(1, slot.inFlight) -- it was sent
    local closer = artel.async(function() return first:close(TIMEOUT) end)
    assert.equal("moves", moves:await(TIMEOUT))
    core.kill(first, core.signalNumber "SIGCONT")
    assert.equal(0, closer:await(TIMEOUT)) -- it has come to its end in peace
    assert.equal("moves\n", helper.read(log))
  end)

  it("that are closed are tried again elsewhere with what they have begun, if it may be", function()
    local folder <close> = helper.folder()
    local flag = folder.path .. "/flag"
    helper.write(flag, "")
    local workers <close> = pool(([[{ onRequest = function(_, r)
      if os.remove(%q) then while true do end end
      return r
    end }]]):format(flag), 1, { retries = 1 })
    assert(workers:waitUntilReady(TIMEOUT))
    local again = artel.async(function() return workers:request "again" end)
    helper.eventually(function() return not uv.fs_stat(flag) end)
    helper.await(function() workers[1]:close(0) end)
    assert.equal("again", again:await(TIMEOUT))
  end)

  it("get nothing more while their closing flushes; what had not begun moves", function()
    local workers <close> = pool([[{ onRequest = function() return require "luv".os_getpid() end,
      onMessage = function() end }]], 2)
    assert(workers:waitUntilReady(TIMEOUT))
    local first, slot = workers[1], workers:engine().slots[1]
    local other = workers[2]:getProcessId()
    helper.freeze(first)
    local tasks = {}
    for i = 1, 2 do tasks[i] = artel.async(function() return workers:request(i) end) end
    assert.equal(1, slot.inFlight)
    local sent = artel.async(function() return first:sendMessage(("x"):rep(32 << 20)) end)
    local closer = artel.async(function() return first:close(TIMEOUT) end)
    for i = 3, 6 do tasks[i] = artel.async(function() return workers:request(i) end) end
    for i = 1, 6 do assert.equal(other, tasks[i]:await(TIMEOUT)) end
    assert.equal(1, slot.lastId) -- of those after the first none was sent there
    assert.is_false(closer:isDone())
    core.kill(first, core.signalNumber "SIGCONT")
    assert.equal(0, closer:await(TIMEOUT))
    assert.is_true(sent:await(TIMEOUT)) -- it was taken before
  end)

  for how, interrupt in pairs {
    ["is cancelled"] = function(task) task:cancel() end,
    ["loses its coroutine"] = function(_, thread) assert(coroutine.close(thread)) end,
  } do
    it("are replaced though who closes them " .. how .. " meanwhile", function()
      local workers <close> = pool([[{ onRequest = function() return require "luv".os_getpid() end,
        onMessage = function() end }]], 1)
      assert(workers:waitUntilReady(TIMEOUT))
      local first = workers[1]
      local pid = first:getProcessId()
      helper.freeze(first)
      local sent = artel.async(function() return first:sendMessage(("x"):rep(8 << 20)) end)
      local thread
      local closing = artel.async(function()
        thread = coroutine.running()
        first:close(TIMEOUT)
      end)
      assert.is_false(closing:isDone())
      interrupt(closing, thread)
      core.kill(first, core.signalNumber "SIGCONT")
      assert.is_true(sent:await(TIMEOUT))
      local next = artel.async(function() return workers:request "who" end)
      assert.not_equal(pid, assert(next:await(TIMEOUT)))
    end)
  end

  it("stay the same though the program changes its folder and its profile", function()
    local folder <close> = helper.folder()
    local before = assert(uv.cwd())
    local _ <close> = setmetatable({}, { __close = function() assert(uv.chdir(before)) end })
    assert(uv.fs_symlink(program.build .. "/bin/artel", folder.path .. "/host"))
    helper.write(folder.path .. "/twice.lua",
      "return { onRequest = function(_, r) return 2 * r end }")
    assert(uv.chdir(folder.path))
    local factory = artel.WorkerFactory.new { hostPath = "host", outputPath = "log" }
    factory:getBootstrapProfile():addPrecompiledScript("./twice.lua", "twice.boot")
    for _, module in ipairs { "twice", "./twice.lua" } do
      assert(uv.chdir(folder.path))
      factory:getBootstrapProfile():setChannelFactory("msgpack")
      local workers <close> = factory:createWorkerPool(module, 1)
      assert.equal(4, workers:request(2))
      assert(uv.chdir "/")
      factory:getBootstrapProfile():setChannelFactory("json")
      workers[1]:kill "KILL"
      assert.equal(6, assert(workers:request(3, { timeout = TIMEOUT })))
    end
  end)

  it("wake those who wait in coroutines until they are ready, or cannot start", function()
    helper.await(function()
      local workers <close> = pool("{ onRequest = function(_, r) return r end }", 2)
      assert.is_true(workers:waitUntilReady(TIMEOUT))
      local failing <close> = pool("error 'unable'", 1)
      local ready, err = failing:waitUntilReady(TIMEOUT)
      assert.is_nil(ready)
      assert.equal("bootstrap", err.kind)
      assert.matches("unable", tostring(err))
    end)
  end)

  it("are recycled under load, and every request gets its response", function()
    local workers <close> = pool([[{ onRequest = function(_, r)
      return { r, require "luv".os_getpid() } end }]], 2, { maxRequestsPerWorker = 20 })
    local items, counts = {}, {}
    for n = 1, 400 do items[n] = n end
    local results = assert(workers:map(items))
    for n = 1, 400 do
      assert.equal(n, results[n][1])
      counts[results[n][2]] = (counts[results[n][2]] or 0) + 1
    end
    for _, count in pairs(counts) do assert.is_true(count <= 20) end
    for _, counter in ipairs(workers:getStatus():getCounters()) do
      if counter:getName() == "restarts" then assert.equal(0, counter:getValue()) end
    end
  end)

  it("are told of by onWorkerExit, which may use the pool", function()
    local workers, told
    workers = pool("{ onRequest = function(_, r) if r == 'x' then os.exit(3) end return r end }", 1,
      { onWorkerExit = function(index, err)
        told = { index, err.exitCode, workers:request "again" }
      end })
    local _, err = workers:request "x"
    assert.equal("closed", err.kind)
    helper.eventually(function() return told or workers:getStatus() and told end)
    assert.same({ 1, 3, "again" }, told)
    workers:close()
  end)

  it("are told apart that the kernel has killed for want of memory", function()
    local workers <close> = pool("{ onRequest = function() while true do end end }", 2)
    local staff = workers:engine().staff
    assert.is_number(staff.memoryKills) -- this kernel counts them
    local function killBusy(kernelKills)
      assert.is_true(workers:waitUntilReady(TIMEOUT))
      local task = artel.async(function() return workers:request "x" end)
      local worker
      helper.eventually(function()
        for _, slot in ipairs(workers:engine().slots) do
          local id = next(slot.jobs)
          if id and core.claimState(slot.worker, id) == "begun" then worker = slot.worker end
        end
        return worker
      end)
      staff.memoryKills = staff.memoryKills - kernelKills -- as if there were more since then
      worker:kill "KILL"
      local _, err = task:await(TIMEOUT)
      assert.same({ "closed", "SIGKILL" }, { err.kind, err.signal })
      return err.outOfMemory
    end
    assert.is_false(killBusy(0))
    assert.is_true(killBusy(1))
    assert.is_false(killBusy(0))
    local _, err = workers:receiveMessage(TIMEOUT)
    assert.is_boolean(err.outOfMemory) -- the report of the death itself
  end)

  it("are recycled with the same patience when their successors cannot start", function()
    local folder <close> = helper.folder()
    local broken = folder.path .. "/broken"
    local failures = 0
    local workers <close> = pool(([[(function()
      if io.open(%q) then error "broken" end
      return { onRequest = function(_, r) return { r, require "luv".os_getpid() } end }
    end)()]]):format(broken), 1, { maxRequestsPerWorker = 4, onWorkerExit = function(_, err)
      assert(err.kind == "bootstrap", tostring(err))
      failures = failures + 1
      if failures == 3 then os.remove(broken) end
    end })
    local first = workers:request(1)[2]
    helper.write(broken, "")
    local delays = {}
    local deadlines = workers:engine().deadlines
    local add = deadlines.add
    function deadlines:add(seconds, ...)
      delays[#delays + 1] = seconds
      return add(self, seconds, ...)
    end
    for n = 2, 4 do assert.equal(first, workers:request(n)[2]) end
    local fifth = workers:request(5) -- waits for a successor that comes up
    assert.equal(5, fifth[1])
    assert.not_equal(first, fifth[2])
    assert.equal(3, failures)
    assert.same({ 0, 0.1, 0.2 }, delays)
  end)
end)
