-- SPDX-License-Identifier: Apache-2.0
-- A worker that fails gives its master a clear error and no hang, whatever it waits for.

local artel = require "artel"
local core = require "artel.core"
local helper = require "spec.helper"

local TIMEOUT = helper.TIMEOUT
local ECHO = helper.raw "for m in channel:messages() do channel:sendMessage(m) end"

-- Runs a call that must come back soon; answers what it answers.
local function promptly(fn, ...)
  local began = core.now()
  local answer = table.pack(fn(...))
  local took = core.now() - began
  assert(took < (helper.isWatched and TIMEOUT or 2), ("it took %g s"):format(took))
  return table.unpack(answer, 1, answer.n)
end

describe("a worker that cannot start", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  -- What is wrong: profile, and module or expression; then the step, and what the error says.
  local WRONG = {
    { "a stage 1 part that is no Lua", { stage1Parts = { "x = 1", "syntax error" } }, ECHO,
      "stage1", "stage 1 part (number 2) failed" },
    { "a stage 1 part that raises",
      { stage1Parts = { "local function deep() error 'one' end deep()" } }, ECHO, "stage1", "one",
      "deep" },
    { "a script that does not exist", { scriptsToRequire = { "no.such.script" } }, ECHO,
      "script", "no.such.script" },
    { "a stage 2 part that raises", { stage2Parts = { "error { code = 2 }" } }, ECHO, "stage2" },
    { "a stage 3 part that raises", { stage3Parts = { "error(nil)" } }, ECHO, "stage3" },
    { "an expression that is no Lua", {}, "syntax error", "construct", "near 'error'" },
    { "an expression that raises", {}, "error 'cannot build'", "construct", "cannot build" },
    { "no handler at all", {}, "{}", "construct", "none of run, onMessage and onRequest" },
    { "a number for an implementation", {}, "7", "construct", "gives a number" },
    { "an initialize that raises", {},
      "{ onMessage = print, initialize = function() error 'not today' end }", "initialize",
      "not today" },
    { "a setLoop that raises", {},
      "{ onMessage = print, setLoop = function() error 'no loop' end }", "loop", "no loop" },
    { "a loop expression that is no luv", { loopExpression = "{}" }, "{ onMessage = print }",
      "loop", "require \"luv\"" },
    { "an output path that cannot be opened", { outputPath = "/nonexistent/folder/file" }, ECHO,
      "output", "No such file" },
  }
  for _, case in ipairs(WRONG) do
    local what, options, expression, step, message, traceback = table.unpack(case, 1, 6)
    it("since there is " .. what .. " says so to whatever waits", function()
      local waits = {
        function(worker) return worker:waitUntilReady() end,
        function(worker) return worker:receiveMessage() end,
        function(worker) return worker:request(1) end,
        function(worker) return helper.await(function() return worker:receiveMessage() end) end,
        function(worker)
          assert(artel.select { worker })
          return worker:receiveMessage(0)
        end,
      }
      for _, wait in ipairs(waits) do
        local worker <close> = helper.worker(expression, options)
        local answer, err = promptly(wait, worker)
        assert.is_nil(answer)
        assert.equal("bootstrap", err.kind)
        assert.equal(step, err.step)
        assert.truthy(tostring(err):find(message or "", 1, true), tostring(err))
        if traceback then assert.truthy(err.traceback:find(traceback, 1, true), err.traceback) end
        assert.equal(1, err.exitCode or worker:close())
      end
    end)
  end

  it("since its module does not exist names the module and where it was looked for", function()
    local worker <close> = assert(artel.WorkerFactory.new { outputPath = "/dev/null" }
      :createWorker "no.such.module")
    local message, err = promptly(worker.receiveMessage, worker)
    assert.is_nil(message)
    assert.equal("bootstrap", err.kind)
    assert.truthy(tostring(err):find("module 'no.such.module' not found", 1, true))
  end)

  it("since its constructor raises shows where", function()
    local worker <close> = assert(artel.WorkerFactory.new { outputPath = "/dev/null" }
      :createWorker(helper.fixture "fails_to_construct"))
    local message, err = promptly(worker.receiveMessage, worker)
    assert.is_nil(message)
    assert.same({ "bootstrap", "construct" }, { err.kind, err.step })
    assert.matches("fails_to_construct.lua:2: cannot be built", tostring(err))
    assert.matches("stack traceback", err.traceback)
  end)

  it("since there is no host, or none that can be executed, is not created", function()
    local folder <close> = helper.folder()
    helper.write(folder.path .. "/text", "no program")
    for path, errno in pairs { ["/nonexistent/artel"] = "ENOENT", [folder.path] = "EACCES",
      [folder.path .. "/text"] = "EACCES" } do
      local worker, err = promptly(function()
        return artel.WorkerFactory.new { hostPath = path }:createWorkerWithExpression(ECHO)
      end)
      assert.is_nil(worker)
      assert.same({ "spawn", errno }, { err.kind, err.errno })
      assert.truthy(tostring(err):find(path, 1, true), tostring(err))
    end
  end)

  it("since its host is another program says how that ended", function()
    for path, code in pairs { ["/bin/true"] = 0, ["/bin/false"] = 1 } do
      local worker <close> = assert(artel.WorkerFactory.new { hostPath = path }
        :createWorkerWithExpression(ECHO))
      worker:sendMessage(1)
      local message, err = promptly(worker.receiveMessage, worker)
      assert.is_nil(message)
      assert.same({ "closed", code }, { err.kind, err.exitCode })
    end
  end)

  it("since its preferred identity is nobody's name raises, where it was called", function()
    local factory = artel.WorkerFactory.new { preferredIdentity = "no-such-user" }
    helper.raisesHere("no-such-user", function() factory:createWorkerWithExpression(ECHO) end)
  end)
end)

describe("a worker that fails at work", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  for _, encoding in ipairs(helper.ENCODINGS) do
    it("with an error in a handler tells it, with its traceback, over " .. encoding, function()
      for _, implementation in ipairs {
        "{ onMessage = function() local function deep() error 'broken' end deep() end }",
        [[{ onMessage = print,
            onConnect = function() local function deep() error 'broken' end deep() end }]],
        helper.raw "channel:receiveMessage() local function deep() error 'broken' end deep()",
      } do
        local worker <close> = helper.worker(implementation, { channelFactory = encoding })
        worker:sendMessage(1)
        local message, err = promptly(worker.receiveMessage, worker)
        assert.is_nil(message)
        assert.same({ "remote", 1 }, { err.kind, err.exitCode })
        assert.matches("broken", tostring(err))
        assert.matches("deep", err.traceback)
        assert.equal(err, select(2, worker:receiveMessage()))
        assert.equal(err, select(2, worker:sendMessage(1)) or err)
      end
    end)
  end

  it("by os.exit in a handler tells its exit code", function()
    for _, implementation in ipairs {
      "{ onMessage = function() os.exit(3) end }", "{ onRequest = function() os.exit(3) end }",
      helper.raw "channel:receiveMessage(0.001) os.exit(3)",
    } do
      local worker <close> = helper.worker(implementation)
      worker:sendMessage(1)
      local response, err = promptly(worker.request, worker, 1)
      assert.is_nil(response)
      assert.same({ "closed", 3 }, { err.kind, err.exitCode })
      assert.matches("exited with code 3", tostring(err))
    end
  end)

  -- Ways to wait while the worker is killed, each in a script and in a coroutine.
  local DYING = [[{ onRequest = function(self, request, channel)
    channel:sendMessage "begun"
    while true do end
  end }]]
  it("by SIGKILL in the middle of a request ends that, and all others, with the signal", function()
    local worker <close> = helper.worker(DYING)
    local tasks = {}
    for n = 1, 3 do tasks[n] = artel.async(function() return worker:request(n) end) end
    tasks[4] = artel.async(function() return worker:receiveRequest() end)
    assert.equal("begun", helper.await(function() return worker:receiveMessage() end))
    worker:kill "KILL"
    for n = 1, 4 do
      local response, err = promptly(tasks[n].await, tasks[n], TIMEOUT)
      assert.is_nil(response)
      assert.same({ "closed", "SIGKILL" }, { err.kind, err.signal })
    end
    assert.same({ nil, "SIGKILL" }, { worker:getExitStatus() })
  end)

  it("by SIGKILL before, while and after it replies loses no reply that was whole", function()
    local worker <close> = helper.worker(helper.raw [[
      channel:sendMessage "whole"
      channel:sendMessage(("x"):rep(64 << 20)) -- stays half in the system's buffer]])
    assert.equal("whole", worker:receiveMessage(TIMEOUT))
    worker:kill "KILL"
    local message, err = promptly(worker.receiveMessage, worker)
    assert.is_nil(message)
    assert.equal("SIGKILL", err.signal)
  end)

  it("while its master is blocked in a full pipe wakes the master", function()
    for _, run in ipairs { function(fn) return fn() end, helper.await } do
      local worker <close> = helper.worker(helper.raw "channel:receiveMessage() os.exit(4)")
      local sent, err = promptly(run, function()
        worker:sendMessage "go"
        local ok, reason
        repeat ok, reason = worker:sendMessage(("x"):rep(8 << 20)) until not ok
        return ok, reason
      end)
      assert.is_nil(sent)
      assert.same({ "closed", 4 }, { err.kind, err.exitCode })
    end
  end)

  it("while its own child keeps the channel open ends every wait", function()
    local waits = {
      function(worker) return worker:receiveMessage() end,
      function(worker) return worker:receiveMessage(TIMEOUT) end,
      function(worker) return worker:request(1) end,
      function(worker) return worker:receiveRequest() end,
      function(worker)
        assert(artel.select { worker })
        return worker:receiveMessage(0)
      end,
    }
    for _, run in ipairs { function(fn) return fn() end, helper.await } do
      for _, wait in ipairs(waits) do
        local worker <close> = helper.worker(helper.raw(helper.KEEPS_OPEN
          .. "channel:sendMessage 'last words' os.exit(5)"))
        local grandchild <close> = helper.killed(worker:receiveMessage(TIMEOUT))
        worker:sendMessage "go"
        assert.equal("last words", worker:receiveMessage(TIMEOUT))
        local answer, err = promptly(run, function() return wait(worker) end)
        assert.is_nil(answer)
        assert.same({ "closed", 5 }, { err.kind, err.exitCode })
        assert.is_true(helper.isAlive(grandchild.pid))
      end
    end
  end)

  it("by closing its channel and going on says so", function()
    local worker = helper.worker(helper.raw "channel:close() while true do end")
    local message, err = worker:receiveMessage()
    assert.is_nil(message)
    assert.equal("closed", err.kind)
    assert.matches("closed its channel but still runs", tostring(err))
    assert.same({ nil, "SIGTERM" }, { worker:close(0) })
  end)

  it("when a handler of its clean-up raises goes on with the clean-up", function()
    local folder <close> = helper.folder()
    local path = folder.path .. "/output"
    local worker = helper.worker([[{
      onMessage = function() end,
      onDisconnect = function() error "in onDisconnect" end,
      terminate = function() print "terminated" end }]], { outputPath = path })
    assert.equal(0, worker:close())
    assert.matches("in onDisconnect.*terminated", helper.read(path))
  end)

  it("survives a full device as its output", function()
    local says = "print(m) io.stdout:flush() channel:sendMessage(m)"
    for _, implementation in ipairs {
      helper.raw(("for m in channel:messages() do %s end"):format(says)),
      ("{ onMessage = function(self, m, channel) %s end }"):format(says),
    } do
      local worker <close> = helper.worker(implementation, { outputPath = "/dev/full" })
      for n = 1, 3 do
        worker:sendMessage(n)
        assert.equal(n, worker:receiveMessage(TIMEOUT))
      end
    end
  end)

  it("cannot harm its channel by printing, and has nothing to read", function()
    local folder <close> = helper.folder()
    local path = folder.path .. "/output"
    local worker <close> = helper.worker(helper.raw [[
      print "printed"
      io.stderr:write "to standard error"
      channel:sendMessage(io.read() == nil)]], { outputPath = path })
    assert.is_true(worker:receiveMessage(TIMEOUT))
    worker:close()
    assert.matches("printed", helper.read(path))
    assert.matches("to standard error", helper.read(path))
  end)
end)
