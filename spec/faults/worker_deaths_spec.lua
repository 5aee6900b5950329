-- SPDX-License-Identifier: Apache-2.0
-- A worker that dies at work, or does worse, gives its master a clear error and no hang,
-- whatever it waits for.

local artel = require "artel"
local core = require "artel.core"
local helper = require "spec.helper"

local TIMEOUT = helper.TIMEOUT
local promptly = helper.promptly

-- Both ways to wait: in a script, and in a coroutine.
local WAYS = { function(fn) return fn() end, helper.await }

-- Every call that waits for a worker.
local WAITS = {
  function(worker) return worker:receiveMessage() end,
  function(worker) return worker:receiveMessage(TIMEOUT) end,
  function(worker) return worker:request(1) end,
  function(worker) return worker:receiveRequest() end,
  function(worker)
    assert(artel.select { worker })
    return worker:receiveMessage(0)
  end,
}

helper.overEach(function(over, start)
  describe("a worker " .. over, function()
    helper.leaveNothing { before_each = before_each, after_each = after_each }

    it("killed by SIGKILL before it replies ends every wait, and every request", function()
      local worker <close> = start [[{ onRequest = function(_, _, channel)
        channel:sendMessage "begun"
        while true do end
      end }]]
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

    it("killed by SIGKILL in the middle of a reply loses none that was whole", function()
      for _, run in ipairs(WAYS) do
        local worker <close> = start(helper.raw [[
          channel:sendMessage "whole"
          channel:sendMessage(("x"):rep(64 << 20)) -- stays half in the system's buffer]])
        assert.equal("whole", worker:receiveMessage(TIMEOUT))
        assert.is_true(artel.select({ worker }, 0) == nil)
        worker:kill "KILL"
        local message, err = promptly(run, function() return worker:receiveMessage() end)
        assert.is_nil(message)
        assert.same({ "closed", "SIGKILL" }, { err.kind, err.signal })
      end
    end)

    it("killed by SIGKILL after its replies loses none of them", function()
      for _, run in ipairs(WAYS) do
        local worker <close> = start(helper.raw [[
          for n = 1, 100 do channel:sendMessage(n) end
          local uv = require "luv"
          uv.kill(uv.os_getpid(), "sigkill")]])
        local pid = worker:getProcessId()
        helper.eventually(function() return not helper.isAlive(pid) end)
        run(function()
          for n = 1, 100 do assert.equal(n, worker:receiveMessage(TIMEOUT)) end
        end)
        local message, err = promptly(run, function() return worker:receiveMessage() end)
        assert.is_nil(message)
        assert.same({ "closed", "SIGKILL" }, { err.kind, err.signal })
      end
    end)

    it("that ends while its own child keeps the channel open ends every wait", function()
      for _, run in ipairs(WAYS) do
        for _, wait in ipairs(WAITS) do
          local worker <close> = start(helper.raw(helper.KEEPS_OPEN
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

    it("that closes its channel and goes on says so", function()
      local worker = start(helper.raw "channel:close() while true do end")
      local message, err = promptly(worker.receiveMessage, worker)
      assert.is_nil(message)
      assert.equal("closed", err.kind)
      assert.matches("closed its channel but still runs", tostring(err))
      assert.same({ nil, "SIGTERM" }, { worker:close(0) })
    end)

    it("is forgotten when it is closed while its exit status is waited for", function()
      local held = setmetatable({}, { __mode = "k" })
      do
        local worker = start(helper.raw "channel:close() while true do end")
        held[worker] = true
        local waiting = artel.async(worker.receiveMessage, worker)
        helper.runLoopUntil(function() return core.state(worker).exitTimer end)
        assert.same({ nil, "SIGTERM" }, { worker:close(0) })
        assert.equal("closed", select(2, waiting:await(TIMEOUT)).kind)
      end
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(held))
    end)

    it("with an error in a handler tells it, with its traceback", function()
      for _, implementation in ipairs {
        "{ onMessage = function() local function deep() error 'broken' end deep() end }",
        [[{ onMessage = print,
            onConnect = function() local function deep() error 'broken' end deep() end }]],
        helper.raw "channel:receiveMessage() local function deep() error 'broken' end deep()",
      } do
        local worker <close> = start(implementation)
        worker:sendMessage(1)
        local message, err = promptly(worker.receiveMessage, worker)
        assert.is_nil(message)
        assert.equal("remote", err.kind)
        assert.matches("broken", tostring(err))
        assert.matches("deep", err.traceback)
        assert.equal(err, select(2, worker:receiveMessage()))
        assert.equal(err, select(2, worker:sendMessage(1)) or err)
        assert.equal(1, err.exitCode or worker:close(TIMEOUT))
      end
    end)

    it("with an error in a handler of its clean-up goes on with the clean-up", function()
      local folder <close> = helper.folder()
      for handler, terminates in pairs { onDisconnect = true, terminate = false } do
        local path = ("%s/%s"):format(folder.path, handler)
        local worker = start(([[(function()
          local implementation = {
            onMessage = print, terminate = function() print "terminated" end,
          }
          function implementation.%s() error "in the clean-up" end
          return implementation
        end)()]]):format(handler), { outputPath = path })
        assert.equal(0, worker:close(TIMEOUT))
        assert.matches("an error in " .. handler .. ":.*in the clean%-up", helper.read(path))
        assert.equal(terminates, helper.read(path):find "terminated" ~= nil)
      end
    end)

    it("whose handler closes the channel, and may raise then, cleans up all the same", function()
      local folder <close> = helper.folder()
      for then_, code in pairs { [""] = 0, ["error 'after the end'"] = 1 } do
        local path = ("%s/%d"):format(folder.path, code)
        local worker <close> = start(([[{
          onMessage = function(_, message, channel)
            channel:sendMessage(message)
            channel:close()
            channel:close()
            %s
          end,
          onDisconnect = function(_, channel) print("gone", pcall(channel.request, channel, 1)) end,
          terminate = function() print "terminated" end,
        }]]):format(then_), { outputPath = path })
        worker:sendMessage "last"
        worker:sendMessage "never seen"
        assert.equal("last", worker:receiveMessage(TIMEOUT))
        local message, err = promptly(worker.receiveMessage, worker)
        assert.is_nil(message)
        assert.same({ "closed", code }, { err.kind, err.exitCode or worker:close(TIMEOUT) })
        assert.matches("gone\tfalse\t[^\n]*closed channel\nterminated\n$", helper.read(path))
      end
    end)

    it("that calls os.exit, in whatever handler, tells its exit code", function()
      for _, implementation in ipairs {
        "{ onMessage = print, setLoop = function() os.exit(3) end }",
        "{ onMessage = print, initialize = function() os.exit(3) end }",
        "{ onMessage = print, onConnect = function() os.exit(3) end }",
        "{ onMessage = function() os.exit(3) end }",
        "{ onMessage = print, onRequest = function() os.exit(3) end }",
        helper.raw "channel:receiveRequest() os.exit(3)",
      } do
        local worker <close> = start(implementation)
        worker:sendMessage(1)
        local response, err = promptly(worker.request, worker, 1)
        assert.is_nil(response)
        assert.same({ "closed", 3 }, { err.kind, err.exitCode })
        assert.matches("exited with code 3", tostring(err))
      end
      for _, handler in ipairs { "onDisconnect", "terminate" } do
        local worker = start(("{ onMessage = print, %s = function() os.exit(3) end }")
          :format(handler))
        assert.equal(3, worker:close(TIMEOUT))
      end
    end)

    it("that is stopped by SIGSTOP ends waits by their time-out, and goes on later", function()
      for _, run in ipairs(WAYS) do
        local worker <close> = start "{ onRequest = function(_, request) return request end }"
        assert.equal(1, worker:request(1))
        helper.freeze(worker)
        run(function()
          local response, err = worker:request(2, { timeout = 0.01 })
          assert.is_nil(response)
          assert.equal("timeout", err.kind)
        end)
        worker:kill "CONT"
        assert.equal(3, worker:request(3, { timeout = TIMEOUT }))
      end
    end)

    it("that is stopped by SIGSTOP is ended by close", function()
      local worker = start "{ onRequest = function(_, request) return request end }"
      assert.equal(1, worker:request(1))
      helper.freeze(worker)
      assert.same({ nil, "SIGKILL" }, { worker:close(0) })
    end)
  end)
end)

describe("a worker", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  it("that dies with unread input makes its master print nothing", function()
    local result = helper.script [[
      local artel = require "artel"
      local worker = artel.createWorkerWithExpression
        "{ run = function(_, channel) channel:sendMessage 'begun' while true do end end }"
      artel.async(function()
        worker:receiveMessage()
        worker:sendMessage "never read"
        worker:kill "KILL"
        print(worker:receiveMessage())
      end):await() ]]
    assert.matches("^nil\tclosed: .*SIGKILL\n$", result.output)
    assert.equal("", result.errors)
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
