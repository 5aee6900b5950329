-- SPDX-License-Identifier: Apache-2.0
-- Dedicated workers end to end: they come up, work, fail, and are closed.

local artel = require "artel"
local core = require "artel.core"
local handlers = require "artel.handlers"
local helper = require "spec.helper"
local plan = require "artel.plan"
local program = require "spec.program"
local waiting = require "artel.waiting"

local TIMEOUT = helper.TIMEOUT

local ECHO = helper.raw "for m in channel:messages() do channel:sendMessage(m) end"

describe("a dedicated worker", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  -- The sentinel is the last thing that is made, so nothing but a rest has it collected.
  local LITTER = [[
    local garbage = {}
    for i = 1, 5000 do garbage[i] = { i } end
    setmetatable({}, { __gc = function() channel:sendMessage "collected" end })
  ]]
  for kind, implementation in pairs {
    raw = helper.raw("for _ in channel:messages() do " .. LITTER .. " end"),
    evented = "{ onMessage = function(_, _, channel) " .. LITTER .. " end }",
  } do
    it("collects its garbage when nothing has come for a while: " .. kind, function()
      local worker <close> = helper.worker(implementation)
      worker:sendMessage "litter"
      assert.equal("collected", worker:receiveMessage(TIMEOUT))
    end)
  end

  it("is not started by a host of another artel than its master's", function()
    local folder <close> = helper.folder()
    local factory = artel.WorkerFactory.new()
    local build = plan.build
    local _ <close> = setmetatable({}, { __close = function() plan.build = build end })
    function plan.build(...)
      local built, reason = build(...)
      if built then built.version = built.version + 1 end
      return built, reason
    end
    local path = folder.path .. "/worker.boot"
    factory:getBootstrapProfile():addPrecompiledScriptWithExpression(ECHO, path)
    for _, expression in ipairs { "{ onRequest = print }", ECHO } do
      local worker <close> = factory:createWorkerWithExpression(expression)
      local ready, err = worker:waitUntilReady(TIMEOUT)
      assert.is_nil(ready)
      assert.equal("bootstrap", err.kind)
      assert.equal("profile", err.step)
      assert.matches("version 2, and this host understands version 1", err.message, 1, true)
    end
    local result = program.run { "artel", "host", "--bootstrap", path }
    assert.equal(1, result.code)
    assert.matches("artel worker: profile: it is of version 2", result.errors, 1, true)
  end)

  for how, expected in pairs {
    ["at the end of its channel"] = { "", 0 },
    ["after an error"] = { "error 'on purpose'", 1 },
    ["by os.exit, which closes its state"] = { "os.exit(7, true)", 7 },
  } do
    it("calls every finaliser when it ends " .. how .. " #valgrind", function()
      local folder <close> = helper.folder()
      local path = folder.path .. "/finalised"
      local worker <close> = helper.worker(helper.raw(([[
        file = io.open(%q, "w") -- closed by its finaliser, after the others
        local function note(what) file:write(what, "\n") end
        first = setmetatable({}, { __gc = function() note "first" end })
        second = setmetatable({}, { __gc = function() note "second" error "not seen" end })
        for _ in channel:messages() do end
        %s]]):format(path, expected[1])))
      assert.equal(expected[2], worker:close(TIMEOUT))
      assert.equal("second\nfirst\n", helper.read(path))
    end)
  end

  it("is small while it is raw: the Lua part of its channel is loaded only when it is needed",
    function()
      local folder <close> = helper.folder()
      local path = folder.path .. "/loaded"
      local worker <close> = helper.worker(helper.raw(([[
        for m in channel:messages() do channel:sendMessage(m) end
        channel:flush()
        channel:close()
        local file <close> = io.open(%q, "w")
        for name in pairs(package.loaded) do
          if name:find "^artel%%." then file:write(name, "\n") end
        end]]):format(path)))
      worker:sendMessage(1)
      assert.equal(1, worker:receiveMessage(TIMEOUT))
      assert.equal(0, worker:close(TIMEOUT))
      local loaded = helper.read(path)
      assert.matches("artel.core\n", loaded, 1, true)
      assert.is_nil(loaded:find("artel.channel", 1, true), loaded)
    end)

  for _, encoding in ipairs(helper.ENCODINGS) do
    for _, module in ipairs { "squares", "raw_squares" } do
      it(("answers ten squares: %s over %s"):format(module, encoding), function()
        local factory = artel.WorkerFactory.new { channelFactory = encoding }
        local worker <close> = assert(factory:createWorker(helper.fixture(module)))
        for n = 1, 10 do
          assert.is_true(worker:sendMessage(n))
          assert.equal(("%d squared is %d"):format(n, n * n), worker:receiveMessage(TIMEOUT))
        end
        assert.equal(0, worker:close(TIMEOUT))
      end)

      it(("answers them in a script in another folder: %s over %s"):format(module, encoding),
        function()
          local result = helper.script([[
            local artel = require "artel"
            local factory = artel.WorkerFactory.new { channelFactory = arg[1] }
            local worker <close> = assert(factory:createWorker(arg[2]))
            for n = 1, 10 do
              worker:sendMessage(n)
              print(worker:receiveMessage())
            end]], { arguments = { encoding, helper.fixture(module) } })
          assert.equal(0, result.code, result.errors)
          assert.matches("^1 squared is 1\n2 squared is 4\n.*\n10 squared is 100\n$", result.output)
        end)
    end
  end

  for _, transport in ipairs(helper.TRANSPORTS) do
    it("goes through every step of its life in order: " .. transport .. " #valgrind", function()
      local folder <close> = helper.folder()
      local path = folder.path .. "/steps"
      local factory = artel.WorkerFactory.new {
        stage1Parts = { ([[local file = assert(io.open(%q, "a"))
          file:setvbuf "no"
          function note(step) file:write(step, "\n") end
          note "stage 1"]]):format(path), "note 'stage 1, second part'" },
        scriptsToRequire = { helper.fixture "steps_script" },
        stage2Parts = { "note('stage 2 ' .. type(workerImpl))" },
        stage3Parts = { "note('stage 3 ' .. type(workerImpl.onMessage))" },
        transport = transport,
      }
      local worker <close> = assert(factory:createWorker(helper.fixture "steps", "argument"))
      assert.is_true(worker:waitUntilReady(TIMEOUT))
      worker:sendMessage "first"
      assert.equal("first", worker:receiveMessage(TIMEOUT))
      assert.equal("second", worker:request "second")
      assert.equal(0, worker:close(TIMEOUT))
      assert.equal(([[
stage 1
stage 1, second part
script
stage 2 nil
constructor argument
stage 3 function
setLoop function
initialize
onConnect artel channel (%s) nil
onMessage first
onRequest second
onDisconnect closed
terminate
]]):format(transport), helper.read(path))
    end)
  end

  it("says how its messages travel, and how it is", function()
    for transport, used in pairs { auto = "shared-memory", socket = "socket",
      ["shared-memory"] = "shared-memory" } do
      local worker <close> = helper.worker(ECHO, { transport = transport })
      local status = worker:getStatus()
      assert.equal(used .. ", running", tostring(status))
      assert.matches(", " .. used:gsub("%-", "%%-") .. ", running$", tostring(worker))
      local sharing = status:getCounters()[1]
      assert.same({ "shared_memory", used == "socket" and 0 or 1 },
        { sharing:getName(), sharing:getValue() })
      worker:close(TIMEOUT)
      assert.equal("exited with code 0", tostring(worker:getStatus()))
    end
  end)

  it("handles messages one after another, also where a handler waits", function()
    local worker <close> = helper.worker [[{
      onMessage = function(self, message, channel)
        channel:sendMessage("begin " .. message)
        channel:request("go on with " .. message)
        channel:sendMessage("end " .. message)
      end }]]
    worker:sendMessage(1)
    worker:sendMessage(2)
    local messages, requests = {}, {}
    helper.await(function()
      local server = artel.async(function()
        while true do
          local request, reply = worker:receiveRequest()
          if request == nil then return end
          requests[#requests + 1] = request
          reply(true)
        end
      end)
      for _ = 1, 4 do
        messages[#messages + 1] = worker:receiveMessage(TIMEOUT)
      end
      worker:close()
      server:await(TIMEOUT)
    end)
    assert.same({ "begin 1", "end 1", "begin 2", "end 2" }, messages)
    assert.same({ "go on with 1", "go on with 2" }, requests)
  end)

  for how, luv in pairs { ["with luv"] = "require 'luv'", ["without luv"] = "" } do
    it("handles no more than its master reads, " .. how, function()
      for length, maxQueuedBytes in pairs { [700 << 10] = 8 << 20, [200 << 10] = 512 << 10 } do
        local folder <close> = helper.folder()
        local log = folder.path .. "/log"
        local worker <close> = helper.worker(([[{ onMessage = function(_, length, channel)
          %s
          io.open(%q, "a"):write("x"):close()
          assert(channel:sendMessage(("x"):rep(length)))
        end }]]):format(luv, log), { maxQueuedBytes = maxQueuedBytes })
        for _ = 1, 30 do worker:sendMessage(length) end
        helper.restsAfter(worker:getProcessId(), log)
        for _ = 1, 30 do assert.equal(length, #worker:receiveMessage(TIMEOUT)) end
      end
    end)
  end

  it("goes on when its master has read between its last looks", function()
    local both <close> = helper.pair()
    local master, worker = both.left, both.right
    core.setWorkerEnd(worker, true)
    local handled = 0
    local connection = { channel = worker, active = 0, implementation = {
      onMessage = function(_, length, channel)
        channel:sendMessage(("x"):rep(length))
        handled = handled + 1
      end } }
    handlers.attach(connection)
    core.state(worker).flushHeld = function()
      while core.pending(worker) > 0 do
        core.flush(worker)
        core.fill(master)
      end
    end
    for _ = 1, 5 do master:sendMessage(700 << 10) end
    waiting.turn(worker)
    assert.equal(5, handled)
  end)

  it("waits within its handlers, with luv and without", function()
    for _, luv in ipairs { "", "require 'luv'" } do
      local worker <close> = helper.worker(([[{ onRequest = function(self, expression)
        %s
        local inner = assert(require "artel".createWorkerWithExpression(expression))
        inner:sendMessage "to the inner one"
        local answer = inner:receiveMessage()
        return { answer, (inner:close(60)) }
      end }]]):format(luv))
      assert.same({ "to the inner one", 0 }, worker:request(ECHO, { timeout = TIMEOUT }))
    end
  end)

  it("goes on with what a handler has started while its master is silent", function()
    local worker <close> = helper.worker [[{ onMessage = function(self, _, channel)
      require "artel".async(function()
        local _, err = channel:receiveMessage(0.05)
        channel:sendMessage(err.kind)
      end)
    end }]]
    worker:sendMessage "start"
    assert.equal("timeout", worker:receiveMessage(TIMEOUT))
  end)

  it("tells who sends messages that there is no onMessage for them", function()
    local worker <close> = artel.WorkerFactory.new { outputPath = "/dev/null" }
      :createWorkerWithExpression "{ onRequest = function(_, request) return request end }"
    assert.equal("asked", worker:request "asked")
    worker:sendMessage "told"
    local message, err = worker:receiveMessage(TIMEOUT)
    assert.is_nil(message)
    assert.equal("remote", err.kind)
    assert.matches("^a message came, and the implementation has no onMessage", err.message)
  end)

  it("may ask its master in onConnect, however much stands before the answer", function()
    local folder <close> = helper.folder()
    for n, case in ipairs {
      { count = 1, bytes = 10, message = 2 << 20 },
      { count = 3, bytes = 700000, message = 1 },
      { count = 5000, bytes = 10, message = 1 },
    } do
      local gate = folder.path .. "/gate" .. n
      local worker <close> = helper.worker(([[{
        onConnect = function(self, channel)
          while not io.open(%q) do end
          self.answer = channel:request "what?"
        end,
        onMessage = function() end,
        onRequest = function(self) return self.answer end,
      }]]):format(gate))
      helper.await(function()
        local tasks = {}
        local sent = artel.async(function() return worker:sendMessage(("x"):rep(case.message)) end)
        for i = 1, case.count do
          tasks[i] = artel.async(function() return worker:request(("x"):rep(case.bytes)) end)
        end
        helper.write(gate, "")
        local _, reply = worker:receiveRequest(TIMEOUT)
        assert.is_true(reply "this")
        assert.is_true(sent:await(TIMEOUT))
        local refused = 0
        for _, task in ipairs(tasks) do
          local answer, err = task:await(TIMEOUT)
          if err then
            assert.equal("overloaded", err.kind)
            refused = refused + 1
          else
            assert.equal("this", answer)
          end
        end
        assert.equal(math.max(0, case.count - 4096), refused)
      end)
    end
  end)

  it("tells who asks that there is no onRequest, and goes on", function()
    local worker <close> = helper.worker
      "{ onMessage = function(_, message, channel) channel:sendMessage(message) end }"
    local response, err = worker:request("asked", { timeout = TIMEOUT })
    assert.is_nil(response)
    assert.equal("remote: the implementation has no onRequest; it takes messages (sendMessage)",
      tostring(err))
    worker:sendMessage "told"
    assert.equal("told", worker:receiveMessage(TIMEOUT))
  end)

  it("gives a message to who waits for it in the worker, and the next to its handler", function()
    local worker <close> = helper.worker [[{ onMessage = function(self, message, channel)
      if message ~= "start" then return channel:sendMessage("the handler got " .. message) end
      require "artel".async(function()
        channel:sendMessage("the task got " .. channel:receiveMessage())
      end)
    end }]]
    for _, message in ipairs { "start", "one", "two" } do worker:sendMessage(message) end
    -- In whichever order: with both messages there, the handler is called before the task goes on.
    local answers = { worker:receiveMessage(TIMEOUT), worker:receiveMessage(TIMEOUT) }
    table.sort(answers)
    assert.same({ "the handler got two", "the task got one" }, answers)
  end)

  for _, transport in ipairs(helper.TRANSPORTS) do
    it("gets a long string whole though a finaliser sends meanwhile, over " .. transport, function()
      local worker <close> = helper.worker(helper.raw [[
        channel:sendMessage "up"
        local began = os.clock()
        while os.clock() - began < 0.3 do end
        for text in channel:messages() do channel:sendMessage { #text, text:sub(1, 5) } end]],
        { transport = transport })
      assert.equal("up", worker:receiveMessage(TIMEOUT))
      local long, grown, sent = ("x"):rep(3 << 20), {}, false
      local mode = collectgarbage "incremental"
      -- In a callback luv is asked how its loop runs; the garbage that is made up to then is
      -- collected there.
      assert(helper.fromCallback(function()
        collectgarbage()
        collectgarbage "stop"
        setmetatable({}, { __gc = function() sent = worker:sendMessage "short" end })
        collectgarbage("incremental", 1, 1000, 1)
        collectgarbage "restart"
        for i = 1, 100 do grown[#grown + 1] = i end
        worker:sendMessage(long)
        collectgarbage(mode)
      end))
      collectgarbage()
      assert.is_true(sent)
      worker:sendMessage "last"
      local first = worker:receiveMessage(TIMEOUT)
      local second = worker:receiveMessage(TIMEOUT)
      if first[1] > second[1] then first, second = second, first end
      assert.same({ 5, "short" }, first)
      assert.same({ 3 << 20, "xxxxx" }, second)
      assert.same({ 4, "last" }, worker:receiveMessage(TIMEOUT))
    end)
  end

  it("takes and gives a string of 256 MiB", function()
    if helper.isWatched then return end -- of a size that leaves no room for watching
    for encoding, megabytes in pairs { msgpack = 256, json = 16 } do
      local worker <close> = helper.worker(ECHO, { channelFactory = encoding })
      local text = ("0123456789abcdef"):rep(megabytes << 16)
      assert.is_true(worker:sendMessage(text))
      local got = worker:receiveMessage(TIMEOUT)
      assert.is_true(got == text) -- not equal(): it would print them
    end
  end)

  it("puts long strings into memory that it has already #unsanitized", function()
    local worker <close> = helper.worker(helper.raw [[
      for m in channel:messages() do
        local file <close> = io.open "/proc/self/stat"
        local faults = file:read("a"):match("^%d+ %(.*%) %a" .. (" %-?%d+"):rep(6) .. " (%d+)")
        channel:sendMessage(m)
        channel:sendMessage(tonumber(faults))
      end]])
    local text = ("0123456789abcdef"):rep(1 << 19)
    local function faultsSoFar(rounds)
      local faults
      for _ = 1, rounds do
        assert(worker:sendMessage(text))
        assert.is_true(worker:receiveMessage(TIMEOUT) == text)
        faults = worker:receiveMessage(TIMEOUT)
      end
      return faults
    end
    -- What there is grows in the first rounds. If it was given back, eight or more of twenty
    -- messages would need all their pages anew.
    local before = faultsSoFar(30)
    local pages = #text // 4096
    assert.is_true(faultsSoFar(20) - before < 4 * pages)
  end)

  it("has given its master all of it before it ends", function()
    local worker <close> = helper.worker(helper.raw [[
      for n = 1, 10 do channel:sendMessage(("x"):rep(1 << 20)) end]])
    local count = 0
    for message in worker:messages() do count = count + #message end
    assert.equal(10 << 20, count)
    assert.equal(0, worker:close(TIMEOUT))
  end)

  it("starts whatever limits its profile sets for messages", function()
    local options = { maxMessageSize = 10, maxQueuedBytes = 10, maxMessageItems = 1 }
    local worker <close> = helper.worker(ECHO, options)
    worker:sendMessage "short"
    assert.equal("short", worker:receiveMessage(TIMEOUT))
    local failing <close> = helper.worker("error 'a reason longer than ten bytes'", options)
    assert.matches("a reason longer", tostring(select(2, failing:receiveMessage(TIMEOUT))))
  end)

  it("starts with a profile longer than the system takes at once", function()
    local worker <close> = helper.worker(ECHO, { stage1Parts = { "--" .. ("x"):rep(1 << 20) } })
    worker:sendMessage(1)
    assert.equal(1, worker:receiveMessage(TIMEOUT))
  end)

end)

describe("creating a worker", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  it("raises misuse where it is called, from the module's functions and a factory's", function()
    local factory = artel.WorkerFactory.new()
    local noModule = " createWorker: expected the name of a module or the path of a Lua file"
    local twin = " createWorkerWithExpression: "
    helper.raisesHere(noModule, function() artel.createWorker() end)
    helper.raisesHere(noModule, function() factory:createWorker() end)
    local noExpression = twin .. "expected the text of a Lua expression, got function"
    helper.raisesHere(noExpression, function() artel.createWorkerWithExpression(print) end)
    helper.raisesHere(noExpression, function() factory:createWorkerWithExpression(print) end)
    local takesNone = twin .. "an expression is used as it is and takes no constructor arguments"
    helper.raisesHere(takesNone, function() artel.createWorkerWithExpression(ECHO, 1) end)
    helper.raisesHere(takesNone, function() factory:createWorkerWithExpression(ECHO, nil) end)
  end)
end)

describe("closing a worker", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  it("answers its exit code, again and again", function()
    local worker = helper.worker(helper.raw "channel:receiveMessage() os.exit(9)")
    assert.is_true(worker:isRunning())
    assert.is_nil(worker:getExitStatus())
    assert.matches("running", tostring(worker))
    assert.equal(9, worker:close(TIMEOUT))
    assert.equal(9, worker:close())
    assert.equal(9, worker:getExitStatus())
    assert.is_false(worker:isRunning())
    assert.matches("exited with code 9", tostring(worker))
    assert.is_true(worker:getProcessId() > 0)
    for name, call in pairs {
      sendMessage = function() worker:sendMessage(1) end,
      receiveMessage = function() worker:receiveMessage(0) end,
      kill = function() worker:kill() end,
      waitUntilReady = function() worker:waitUntilReady() end,
    } do
      helper.raisesHere("attempt to use a closed channel", call)
      assert.truthy(name)
    end
  end)

  -- A busy worker; one that ignores SIGTERM, with a child of its own.
  local BUSY = helper.raw "channel:sendMessage(0) while true do end"
  local STUBBORN = helper.raw [[
    local uv = require "luv"
    uv.new_signal():start("sigterm", function() end)
    local _, pid = uv.spawn("sleep", { args = { "1000" } })
    channel:sendMessage(pid)
    while true do end]]

  local function inScript(fn) fn() end
  for way, run in pairs { ["in a script"] = inScript, ["in artel.async"] = helper.await } do
    it("sends SIGTERM when the time is over, " .. way, function()
      run(function()
        local worker = helper.worker(BUSY)
        worker:receiveMessage(TIMEOUT)
        local code, signal = worker:close(0)
        assert.is_nil(code)
        assert.equal("SIGTERM", signal)
        assert.matches("killed by SIGTERM", tostring(worker))
      end)
    end)

    it("ends one that ignores that, and its children, with SIGKILL, " .. way, function()
      run(function()
        local worker = helper.worker(STUBBORN)
        local child = worker:receiveMessage(TIMEOUT)
        assert.is_true(helper.isAlive(child))
        local code, signal = worker:close(0)
        assert.is_nil(code)
        assert.equal("SIGKILL", signal)
        helper.eventually(function() return not helper.isAlive(child) end)
      end)
    end)

    it("waits without limit if asked so, " .. way, function()
      run(function()
        local worker = helper.worker(
          "{ onMessage = function() end, onDisconnect = function() os.exit(6) end }")
        assert.equal(6, worker:close(math.huge))
      end)
    end)
  end

  it("ends what is suspended on it", function()
    local worker = helper.worker(ECHO)
    local tasks = {}
    for n, wait in ipairs {
      function() return worker:receiveMessage() end, function() return worker:request(1) end,
      function() return worker:receiveRequest() end, function() return artel.select { worker } end,
    } do
      tasks[n] = artel.async(wait)
    end
    assert.equal(0, helper.await(function() return (worker:close(TIMEOUT)) end))
    for _, task in ipairs(tasks) do
      local answer, err = task:await(TIMEOUT)
      assert.is_nil(answer)
      assert.is_true(err.kind == "closed" or err.kind == "remote", tostring(err))
    end
  end)

  it("raises for what is no signal and no time, where it was called", function()
    local worker <close> = helper.worker(ECHO)
    helper.raisesHere("bad argument #1 to 'kill'", function() worker:kill "SIGNOTHING" end)
    helper.raisesHere("bad argument #1 to 'kill'", function() worker:kill(-1) end)
    helper.raisesHere("bad argument #1 to 'close'", function() worker:close "soon" end)
    helper.raisesHere("bad argument #1 to 'waitUntilReady'", function()
      worker:waitUntilReady(-1)
    end)
    assert.is_true(worker:kill(0))
    assert.is_true(worker:kill "TERM")
    local _, err = worker:receiveMessage(TIMEOUT)
    assert.same({ "closed", "SIGTERM" }, { err.kind, err.signal })
    local sent
    sent, err = worker:kill()
    assert.is_nil(sent)
    assert.equal("closed", err.kind)
  end)
end)
