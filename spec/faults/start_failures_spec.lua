-- SPDX-License-Identifier: Apache-2.0
-- A worker that cannot start tells its master which step has failed, whatever it waits for.

local artel = require "artel"
local helper = require "spec.helper"

local promptly = helper.promptly
local ECHO = helper.raw "for m in channel:messages() do channel:sendMessage(m) end"

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
    { "a stage 2 part that raises", { stage2Parts = { "error { code = 2 }" } }, ECHO, "stage2",
      '{"code":2}' },
    { "a stage 3 part that raises", { stage3Parts = { "error(nil)" } }, ECHO, "stage3" },
    { "an expression that is no Lua", {}, "syntax error", "construct", "near 'error'" },
    { "an expression that raises", {}, "error 'cannot build'", "construct", "cannot build" },
    { "no handler at all", {}, "{}", "construct", "none of run, onMessage and onRequest" },
    { "a misspelt handler", {}, "{ onMesage = print, [1] = print, other = 5 }", "construct",
      "none of run, onMessage and onRequest; it has onMesage" },
    { "a misspelt handler of a class", {},
      "setmetatable({}, { __index = { onMesage = print } })", "construct", "it has onMesage" },
    { "a misspelt handler beside a good one", {}, "{ onRequest = print, onMesage = print }",
      "construct", "onMesage of the implementation { onRequest = print, onMesage = print } is no "
      .. "handler and would never be called; is onMessage meant?" },
    { "a handler in small letters", {},
      "setmetatable({ onRequest = print }, { __index = { onmessage = print } })", "construct",
      "is onMessage meant?" },
    { "a handler with an underscore", {}, "{ onRequest = print, on_message = print }", "construct",
      "is onMessage meant?" },
    { "a handler in another English", {}, "{ onRequest = print, initialise = print }", "construct",
      "is initialize meant?" },
    { "a handler that is no function", {}, "{ onMessage = print, onConnect = 'x' }", "construct",
      "onConnect of the implementation { onMessage = print, onConnect = 'x' } is a string; it must "
      .. "be a function" },
    { "a run that is no function", {}, "{ run = 5 }", "construct", "is a number; it must be" },
    { "a long expression with nothing in it", {}, "{}" .. (" "):rep(1000), "construct",
      "the implementation that the expression gives has none of run, onMessage and onRequest" },
    { "a number for an implementation", {}, "7", "construct", "the implementation 7 is a number" },
    { "nothing for an implementation", {}, "nil", "construct", "the implementation nil is nil" },
    { "statements for an expression", {}, "local x = {} return x", "construct",
      "consists of statements; it must be an expression" },
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

  it("is none that has another function named much like one of its handlers", function()
    for _, names in ipairs { "onMessage = print, onMessages = print",
      "onMessage = print, initialize = print, initialise = print" } do
      local worker <close> = helper.worker("{ " .. names .. " }")
      assert.is_true(promptly(worker.waitUntilReady, worker))
    end
  end)

  it("says why on standard error once, and nothing there when a pool has started it", function()
    local alone = helper.script [[
      local artel = require "artel"
      local worker <close> = assert(artel.createWorker "no.such.module")
      print(select(2, worker:receiveMessage()).kind)]]
    assert.equal("bootstrap\n", alone.output, alone.errors)
    assert.equal(1, select(2, alone.errors:gsub("artel worker: construct: ", "")))
    local pooled = helper.script [[
      local artel = require "artel"
      local pool <close> = artel.createWorkerPool("no.such.module", 4)
      for _ = 1, 8 do print(select(2, pool:receiveMessage()).kind) end
      print(select(2, pool:request(1)))]]
    local deaths = ("bootstrap\n"):rep(8)
    assert.equal(deaths, pooled.output:sub(1, #deaths))
    assert.matches("^bootstrap: .*module 'no.such.module' not found", pooled.output, #deaths + 1)
    assert.equal("", pooled.errors)
  end)

  it("says what is wrong with its module", function()
    local folder <close> = helper.folder()
    local path = folder.path .. "/module.lua"
    local modules = {
      ["local M = { onRequest = print }"] = "module.lua answers nothing; the file of a module ends "
        .. "with a return",
      ["return { new = 5 }"] = "the field new of " .. path .. " is a number; it must be a function",
      ["return { new = function() return nil, 'no such device' end }"] =
        "module.lua answers nil, no such device",
      ["local M = {} function M:new() return self.x end return M"] =
        "(is new defined with a colon? It is called without self)",
      ["return false"] = "module.lua is a boolean; it must be a table",
      ["return function() end"] = "module.lua is nil; it must be a table",
    }
    for text, expected in pairs(modules) do
      helper.write(path, text)
      local worker <close> = assert(artel.WorkerFactory.new { outputPath = "/dev/null" }
        :createWorker(path))
      local ready, err = promptly(worker.waitUntilReady, worker)
      assert.is_nil(ready)
      assert.equal("construct", err.step)
      assert.truthy(err.message:find(expected, 1, true), err.message)
    end
    helper.write(folder.path .. "/silent.lua", "x = 1")
    local worker <close> = assert(artel.WorkerFactory.new { outputPath = "/dev/null",
      packagePath = folder.path .. "/?.lua" }:createWorker "silent")
    local _, err = promptly(worker.waitUntilReady, worker)
    assert.matches("silent answers nothing", err.message)
  end)

  it("is told apart from one that ends later", function()
    local unborn <close> = helper.worker "os.exit(3)"
    assert.matches("exited with code 3 before it was ready$",
      select(2, promptly(unborn.receiveMessage, unborn)).message)
    local gone <close> = helper.worker(helper.raw "os.exit(3)")
    assert.matches("exited with code 3$", select(2, promptly(gone.receiveMessage, gone)).message)
  end)

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
