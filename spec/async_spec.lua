-- SPDX-License-Identifier: Apache-2.0
local artel = require "artel"
local core = require "artel.core"
local helper = require "spec.helper"
local pools = require "spec.pools"
local streams = require "artel.streams"
local uv = require "luv"
local waiting = require "artel.waiting"

local TIMEOUT = helper.TIMEOUT

describe("artel.async", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  it("runs a function up to its first wait, and answers a task", function()
    local both <close> = helper.pair()
    local left, right = both.left, both.right
    local steps = {}
    local task = artel.async(function(a, b)
      steps[#steps + 1] = a + b
      local message = left:receiveMessage()
      steps[#steps + 1] = message
      return message, nil, "three"
    end, 1, 2)
    assert.same({ 3 }, steps)
    assert.is_false(task:isDone())
    assert.equal("artel task (running)", tostring(task))
    right:sendMessage "go"
    assert.same({ n = 3, "go", nil, "three" }, table.pack(task:await(TIMEOUT)))
    assert.same({ n = 3, "go", nil, "three" }, table.pack(task:await(0)))
    assert.is_true(task:isDone())
    assert.equal("artel task (done)", tostring(task))
  end)

  it("raises again in await what the function raised", function()
    local thrown = { "anything" }
    local task = artel.async(function() error(thrown) end)
    for _ = 1, 2 do
      local ok, err = pcall(task.await, task)
      assert.is_false(ok)
      assert.equal(thrown, err)
    end
  end)

  it("lets one task await another, and time out", function()
    local both <close> = helper.pair()
    local left, right = both.left, both.right
    local inner = artel.async(function() return left:receiveMessage() end)
    local outer = artel.async(function()
      local done, err = inner:await(0.01)
      assert.is_nil(done)
      assert.equal("timeout", err.kind)
      right:sendMessage "now"
      return inner:await(TIMEOUT)
    end)
    assert.equal("now", outer:await(TIMEOUT))
  end)

  it("has nothing lost that finalisers send while the loop learns what to watch", function()
    -- A script of its own: the first watch of a process is part of it.
    local result = helper.script [[
      local artel, uv = require "artel", require "luv"
      local total = 0
      for garbage = 1, 20 do
        local left, right = artel.channelPair()
        local finalised, armed = 0, false
        local function arm()
          setmetatable({}, { __gc = function()
            if armed == nil then return end
            if armed and finalised < 30 then
              finalised = finalised + 1
              left:sendMessage "short"
            end
            arm()
          end })
        end
        arm()
        local timer, long = uv.new_timer(), ("x"):rep(150000)
        timer:start(0, 0, function()
          timer:close()
          collectgarbage()
          collectgarbage "stop"
          collectgarbage("incremental", 1, 1000, 1)
          for _ = 1, 6 do
            local grown = {}
            for i = 1, garbage do grown[i] = i end
            armed = true
            collectgarbage "restart"
            left:sendMessage(long)
            collectgarbage "stop"
            armed = false
          end
        end)
        uv.run "once"
        uv.run "nowait"
        collectgarbage("incremental", 200, 100, 13)
        collectgarbage "restart"
        armed = nil
        local reader = artel.async(function()
          for _ = 1, 6 + finalised do
            local message, err = right:receiveMessage(10)
            if not message then error(tostring(err) .. " with garbage of " .. garbage, 0) end
          end
        end)
        while not reader:isDone() do uv.run "once" end
        reader:await()
        left:close()
        right:close()
        total = total + finalised
      end
      print(total > 0)]]
    assert.equal("", result.errors)
    assert.equal("true\n", result.output)
  end)

  it("goes on when somebody has closed a coroutine that waits, or one that has ended", function()
    local scheduler, calls, ended = require "artel.scheduler", 0, nil
    for _ = 1, 3 do -- what serves a handler has served another, unless that has closed it
      scheduler.startHandler({ isHandler = true }, function()
        calls, ended = calls + 1, coroutine.running()
      end)
      assert.is_true(coroutine.close(ended))
    end
    assert.equal(3, calls)
    local both <close> = helper.pair()
    local left, right = both.left, both.right
    for _, timeout in ipairs { 0.01, false } do
      local thread
      artel.async(function()
        thread = coroutine.running()
        left:receiveMessage(timeout or nil)
      end)
      assert.is_true(coroutine.close(thread))
      artel.async(function() right:receiveMessage(0.02) end):await(TIMEOUT)
      local other = artel.async(function() return left:receiveMessage() end)
      right:sendMessage "for the closed one"
      right:sendMessage "for the other"
      assert.truthy(other:await(TIMEOUT))
      while left:receiveMessage(0) do end
    end
  end)

  describe("of which somebody closes the coroutine while it waits", function()
    local LONG = 10 * TIMEOUT -- which the loop, if it goes on, goes on for

    --- Starts `wait()` and closes its coroutine, after which nothing may keep the loop going.
    local function closeIn(wait)
      local thread
      local task = artel.async(function()
        thread = coroutine.running()
        wait()
      end)
      assert.is_false(task:isDone())
      assert.is_true(coroutine.close(thread))
      helper.runLoopToEnd()
    end

    it("leaves the loop, and what comes then, to others", function()
      local both <close> = helper.pair()
      local left, right = both.left, both.right
      for _, timeout in ipairs { false, LONG } do
        closeIn(function() left:receiveMessage(timeout or nil) end)
        closeIn(function() left:receiveRequest(timeout or nil) end)
        closeIn(function() right:request("unwanted", { timeout = timeout or nil }) end)
        closeIn(function() artel.select({ right, left }, timeout or nil) end)
      end
      right:sendMessage "message"
      helper.runLoopToEnd() -- it is nobody's yet
      assert.equal("message", left:receiveMessage(TIMEOUT))
      local asking = artel.async(function() return right:request "wanted" end)
      local value, reply = left:receiveRequest(TIMEOUT)
      reply(value)
      assert.equal("wanted", asking:await(TIMEOUT))
    end)

    for what, calls in pairs {
      ["a message"] = { receive = "receiveMessage", send = "sendMessage" },
      ["a request"] = { receive = "receiveRequest", send = "request" },
    } do
      it("leaves " .. what .. " to others that it has not got yet when it is woken", function()
        local both <close> = helper.pair()
        local left, right = both.left, both.right
        local function receive(...) return (left[calls.receive](left, ...)) end
        for _, othersWait in ipairs { true, false } do
          local thread, other
          local closing = artel.async(function()
            local first = receive()
            assert(coroutine.close(thread))
            return first, not othersWait and receive(TIMEOUT) or nil
          end)
          artel.async(function()
            thread = coroutine.running()
            receive()
          end)
          if othersWait then other = artel.async(receive) end
          for n = 1, 2 do artel.async(function() right[calls.send](right, n) end) end
          local first, second = closing:await(TIMEOUT)
          if othersWait then second = other:await(TIMEOUT) end
          assert.same({ 1, 2 }, { first, second })
        end
      end)
    end

    it("leaves the end of a process, a descriptor and another task to others", function()
      local folder <close> = helper.folder()
      local gate = folder.path .. "/gate"
      local worker <close> = helper.worker(("(function() while not io.open(%q) do end return %s "
        .. "end)()"):format(gate, helper.raw "channel:receiveMessage()"))
      closeIn(function() worker:waitUntilReady() end)
      helper.write(gate, "")
      assert.is_true(worker:waitUntilReady(TIMEOUT))
      helper.freeze(worker)
      closeIn(function() worker:close(LONG) end)
      assert.is_nil(next(core.state(worker).endWaiters))
      uv.kill(worker:getProcessId(), "sigcont")
      assert.equal(0, worker:close(TIMEOUT))
      local ends = uv.pipe()
      closeIn(function() streams.await(ends.read, "read", LONG, "suspend") end)
      assert.is_true(uv.fs_close(ends.read) and uv.fs_close(ends.write))
      local thread
      local other = artel.async(function()
        thread = coroutine.running()
        return coroutine.yield()
      end)
      closeIn(function() other:await(LONG) end)
      coroutine.resume(thread, "by hand")
      assert.equal("by hand", other:await(TIMEOUT))
    end)
  end)

  it("takes any number of seconds for a time-out, with which a loop could not count", function()
    local both <close> = helper.pair()
    local left, right = both.left, both.right
    local pool <close> =
      artel.createWorkerPoolWithExpression("{ onRequest = function(_, v) return v end }", 1)
    for _, seconds in ipairs { 1e10, 1e16, 1e300, math.maxinteger, math.huge } do
      local task = artel.async(function()
        local message = left:receiveMessage(seconds)
        return message, pool:request("answer", { timeout = seconds })
      end)
      right:sendMessage "message"
      assert.same({ "message", "answer" }, { task:await(TIMEOUT) })
    end
  end)

  it("raises where a task awaits itself, or what nothing will bring", function()
    local task
    local runs = artel.async(function()
      coroutine.yield()
    end)
    local ok, err = pcall(runs.await, runs, TIMEOUT)
    assert.is_false(ok)
    assert.matches("nothing on the loop", tostring(err))
    local both <close> = helper.pair()
    local left, right = both.left, both.right
    task = artel.async(function()
      left:receiveMessage()
      task:await()
    end)
    right:sendMessage(1)
    ok, err = pcall(task.await, task, TIMEOUT)
    assert.is_false(ok)
    assert.matches("cannot await itself", tostring(err))
  end)

  it("serves many coroutines on one channel, messages in the order of waiting", function()
    local both <close> = helper.pair()
    local left, right = both.left, both.right
    local got, tasks = {}, {}
    for n = 1, 20 do
      tasks[n] = artel.async(function()
        local message = left:receiveMessage()
        got[#got + 1] = { n, message }
      end)
    end
    for n = 1, 20 do right:sendMessage(n) end
    for n = 1, 20 do tasks[n]:await(TIMEOUT) end
    for n = 1, 20 do assert.same({ n, n }, got[n]) end
  end)

  it("loses no message to a wait that was cancelled or has timed out", function()
    local both <close> = helper.pair()
    local left, right = both.left, both.right
    local cancelled = artel.async(function() return left:receiveMessage() end)
    local late = artel.async(function() return left:receiveMessage(0.01) end)
    local lasting = artel.async(function() return left:receiveMessage(), left:receiveMessage() end)
    cancelled:cancel()
    right:sendMessage(1)
    right:sendMessage(2)
    local inTime, err = late:await(TIMEOUT)
    if inTime then right:sendMessage(3) else assert.equal("timeout", err.kind) end
    local first, second = lasting:await(TIMEOUT)
    assert.same(inTime and { 1, 2, 3 } or { 1, 2 }, inTime and { inTime, first, second }
      or { first, second })
    assert.equal("cancelled", select(2, cancelled:await()).kind)
  end)

  it("gives a message to the canceller and not to the cancelled, at the same moment", function()
    local pair <close> = helper.pair()
    local left, right = pair.left, pair.right
    local cancelled = artel.async(function() return left:receiveMessage() end)
    helper.await(function()
      cancelled:cancel()
      right:sendMessage "for who still waits"
      assert.equal("for who still waits", left:receiveMessage(TIMEOUT))
    end)
    assert.equal("cancelled", select(2, cancelled:await()).kind)
  end)

  it("ends a cancelled task at its wait, and lets it clean up with further waits", function()
    local both <close> = helper.pair()
    local left, right = both.left, both.right
    local cleaned
    local task = artel.async(function()
      local worker = helper.worker(helper.raw "for m in channel:messages() do end")
      local closing <close> = setmetatable({}, { __close = function() -- luacheck: ignore
        cleaned = worker:close(TIMEOUT)
      end })
      left:receiveMessage()
    end)
    task:cancel()
    task:cancel()
    local result, err = task:await(TIMEOUT)
    assert.is_nil(result)
    assert.equal("cancelled", err.kind)
    assert.equal(0, cleaned)
    right:sendMessage "not for the task"
    assert.equal("not for the task", left:receiveMessage(TIMEOUT))
  end)

  it("cancels a task that does not wait yet at its next wait", function()
    local both <close> = helper.pair()
    local left, right = both.left, both.right
    local reached = false
    local task = artel.async(function()
      local thread = coroutine.running()
      local timer = uv.new_timer()
      timer:start(0, 0, function()
        timer:close()
        coroutine.resume(thread)
      end)
      coroutine.yield() -- by hand: nobody can cancel that
      reached = true
      left:receiveMessage()
    end)
    task:cancel()
    assert.is_false(task:isDone())
    assert.equal("cancelled", select(2, task:await(TIMEOUT)).kind)
    assert.is_true(reached)
    right:sendMessage "not for the task"
    assert.equal("not for the task", left:receiveMessage(TIMEOUT))
  end)

  it("goes back to sleep when a stranger resumes a wait", function()
    local both <close> = helper.pair()
    local left, right = both.left, both.right
    local thread
    local task = artel.async(function()
      thread = coroutine.running()
      return left:receiveMessage()
    end)
    assert.is_true(coroutine.resume(thread, "no message"))
    assert.is_false(task:isDone())
    right:sendMessage "message"
    assert.equal("message", task:await(TIMEOUT))
  end)

  it("raises where Lua cannot suspend", function()
    local both <close> = helper.pair()
    local left = both.left
    for _, call in ipairs {
      function(wait) ("x"):gsub("x", wait) end,
      function(wait) table.sort({ 1, 2 }, wait) end,
    } do
      for _, wait in ipairs {
        function() left:receiveMessage() end, function() left:request(1) end,
        function() left:receiveRequest() end, function() artel.select { left } end,
      } do
        local task = artel.async(call, wait)
        local ok, err = pcall(task.await, task)
        assert.is_false(ok)
        assert.matches("^spec/async_spec.lua:%d+: cannot wait here", tostring(err))
      end
    end
  end)

  it("reports an error that nobody awaited, with its traceback", function()
    local result = helper.script [[
      local artel = require "artel"
      artel.async(function() local function culprit() error "forgotten" end culprit() end)
      local odd = setmetatable({}, { __tostring = function() return "odd" end })
      artel.async(function() error(odd) end)
      local awaited = artel.async(function() error "seen" end)
      assert(not pcall(awaited.await, awaited))
    ]]
    assert.equal(0, result.code, result.errors)
    assert.matches("nobody awaited: .*forgotten", result.errors)
    assert.matches("culprit", result.errors)
    assert.matches("nobody awaited: odd", result.errors)
    assert.is_nil(result.errors:find "seen")
  end)

  it("says once that no loop lets its functions go on", function()
    local result = helper.script [[
      local artel = require "artel"
      local left, right = artel.channelPair()
      for _ = 1, 2 do artel.async(function() print(left:receiveMessage()) end) end
      right:sendMessage "never seen"
    ]]
    assert.equal(0, result.code, result.errors)
    assert.equal("", result.output)
    assert.equal("artel: a function of artel.async was still waiting when its program ended: "
      .. "uv.run() or task:await() lets it go on\n", result.errors)
  end)

  it("leaves in peace who has stopped the loop", function()
    local result = helper.script [[
      local artel, uv = require "artel", require "luv"
      local left, right = artel.channelPair()
      artel.async(function() print(left:receiveMessage()) left:receiveMessage() end)
      right:sendMessage "seen"
      local timer = uv.new_timer()
      timer:start(0, 0, function() uv.stop() end)
      repeat uv.run "once" until not timer:is_active()
    ]]
    assert.same({ 0, "seen\n", "" }, { result.code, result.output, result.errors })
  end)

  it("shows what an error object says when it escapes", function()
    local script = [[
      local artel, uv = require "artel", require "luv"
      local left = artel.channelPair()
      local _, err = left:receiveMessage(0)
      %s]]
    for _, escape in ipairs {
      "error(err)", "artel.async(function() error(err) end):await()",
      "local t = uv.new_timer() t:start(0, 0, function() error(tostring(err)) end) uv.run()",
      "left:registerRead(uv, function() error(err) end) left = nil collectgarbage() uv.run()",
    } do
      local result = helper.script(script:format(escape))
      assert.is_true(result.code ~= 0 or escape:find "registerRead" ~= nil)
      if result.code ~= 0 then assert.matches("timeout: no message", result.errors) end
    end
  end)
end)

describe("a call that waits in a luv callback", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  it("raises, where it was called, unless there is nothing to wait for", function()
    local both <close> = helper.pair()
    local left, right = both.left, both.right
    local workers <close> = pools.new("return request", 1)
    local task = artel.async(function() return left:receiveMessage() end)
    for _, wait in ipairs {
      function() right:receiveMessage() end, function() right:receiveMessage(1) end,
      function() right:request(1) end, function() right:receiveRequest() end,
      function() right:messages()() end,
      function() artel.select { right } end, function() task:await() end,
      function() workers:request(1, {}) end, function() workers:map { 1 } end,
      function() for _ in workers:imap { 1 } do end end,
      function() artel.map(function(n) return n end, { 1 }) end,
      function() for _ in artel.imap(function(n) return n end, { 1 }) do end end,
      function() workers:receiveMessage() end,
    } do
      local ok, err = helper.fromCallback(wait)
      assert.is_false(ok)
      assert.matches("^spec/async_spec.lua:%d+: this would block the loop: use artel.async",
        tostring(err))
    end
    local ok = helper.fromCallback(function()
      assert.equal("timeout", select(2, right:receiveMessage(0)).kind)
      left:sendMessage "there"
      assert.equal("there", right:receiveMessage())
      right:sendMessage "for the task"
    end)
    assert.is_true(ok)
    assert.equal("for the task", task:await(TIMEOUT))
  end)

  it("but sendMessage queues, and close sends what is queued", function()
    local both <close> = helper.pair()
    local left, right = both.left, both.right
    local ok, err = helper.fromCallback(function()
      local sent, pending = left:sendMessage(("x"):rep(4 << 20))
      assert.is_true(sent)
      assert.is_true(pending > 0)
      left:close()
      assert.is_false(pcall(left.sendMessage, left, 1))
    end)
    assert.is_true(ok, tostring(err))
    local reader = artel.async(function()
      return #right:receiveMessage(), right:receiveMessage()
    end)
    local length, last, reason = reader:await(TIMEOUT)
    assert.equal(4 << 20, length)
    assert.is_nil(last)
    assert.equal("closed", reason.kind)
  end)
end)

describe("sendMessage in artel.async", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  it("is suspended while its peer does not read, and loses nothing", function()
    local both <close> = helper.pair()
    local left, right = both.left, both.right
    local sent = 0
    local sender = artel.async(function()
      for n = 1, 100 do
        assert(left:sendMessage(n .. ("x"):rep(100000)))
        sent = n
      end
    end)
    assert.is_true(sent < 10)
    local reader = artel.async(function()
      for n = 1, 100 do
        assert.equal(n, math.tointeger(right:receiveMessage(TIMEOUT):match "^%d+"))
      end
    end)
    sender:await(TIMEOUT)
    reader:await(TIMEOUT)
    assert.equal(100, sent)
  end)

  it("goes on though somebody else has sent what it waits for", function()
    local both <close> = helper.pair()
    local left, right = both.left, both.right
    local sender = artel.async(function() return left:sendMessage(("x"):rep(4 << 20)) end)
    assert.is_true(core.pending(left) > 0)
    while core.pending(left) > 0 do
      core.fill(right)
      core.flush(left)
    end
    waiting.update(left) -- as a pool does with its workers; nobody waits for room any more
    local sent, err = sender:await(TIMEOUT)
    assert.is_true(sent, tostring(err))
    assert.equal(4 << 20, #right:receiveMessage(TIMEOUT))
  end)

  it("ends 'closed' when the channel is closed meanwhile", function()
    local both <close> = helper.pair()
    local left = both.left
    local sender = artel.async(function()
      local sent, err
      repeat sent, err = left:sendMessage(("x"):rep(100000)) until not sent
      return err
    end)
    require "artel.channel".closeAtOnce(left) -- not with the patience of close()
    assert.equal("closed", sender:await(TIMEOUT).kind)
  end)
end)
