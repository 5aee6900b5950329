-- SPDX-License-Identifier: Apache-2.0
-- Masters whose surroundings are not what a program may expect.

local helper = require "spec.helper"
local program = require "spec.program"

describe("a master in an odd environment", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  -- Runs a script in what a shell command has prepared.
  local function through(command, script, behind, path)
    local folder <close> = helper.folder()
    helper.write(folder.path .. "/script.lua", script)
    command = ("%s lua5.4 %s%s"):format(command, path or "script.lua", behind or "")
    return program.run({ "sh", "-c", command }, { folder = folder.path })
  end

  it("that ignores SIGCHLD is told that a worker has ended, and never hangs", function()
    local result = through("exec env --ignore-signal=CHLD", [[
      local artel = require "artel"
      local worker = artel.createWorkerWithExpression(
        "{ run = function(_, channel) channel:receiveMessage() os.exit(3) end }")
      worker:sendMessage(1)
      local _, err = worker:receiveMessage()
      print(err.kind, err.exitCode, tostring(err):find "exit status" ~= nil)
      print(worker:close())
      print(worker:isRunning())
    ]])
    assert.equal("closed\tnil\ttrue\nnil\tnil\nfalse\n", result.output, result.errors)
  end)

  it("where undeclared globals raise and warnings are on goes on as everywhere", function()
    local result = helper.script [[
      warn "@on"
      local uv = require "luv" -- reads globals of its own
      local STRICT = "local function refuse(_, name) error('undeclared ' .. name, 2) end "
        .. "setmetatable(_G, { __index = refuse, __newindex = refuse })"
      load(STRICT)()
      local artel = require "artel"
      local factory = artel.WorkerFactory.new { adminCookie = "a cookie",
        stage1Parts = { "require 'luv'", STRICT }, stage3Parts = { "workerImpl.isKnown = true" } }
      local IMPLEMENTATION = "{ onRequest = function(self, x) return { x, self.isKnown } end }"
      local worker <close> = assert(factory:createWorkerWithExpression(IMPLEMENTATION))
      assert(worker:request(1)[2])
      local pool <close> = factory:createWorkerPoolWithExpression(IMPLEMENTATION, 2)
      assert(pool:map { 1, 2, 3 }[3][1] == 3)
      artel.async(function() assert(pool:request(1)) end):await()
      local address = "unix://strict.sock"
      local shared <close> = assert(factory:connectToSharedWorkerWithExpression(address,
        IMPLEMENTATION))
      assert(shared:request(1)[2])
      assert(shared:query())
      assert(factory:stopSharedWorker(address))
      print "fine"
    ]]
    assert.same({ "fine\n", "" }, { result.output, result.errors })
  end)

  it("that collects every child itself neither", function()
    local result = helper.script [[
      local artel, uv = require "artel", require "luv"
      local worker = artel.createWorkerWithExpression(
        "{ run = function(_, channel) channel:receiveMessage() os.exit(3) end }")
      worker:sendMessage(1)
      -- luv's own child: libuv must not be confused by ours, nor we by its
      local code
      local process = uv.spawn("sh", { args = { "-c", "exit 7" } }, function(c) code = c end)
      local task = artel.async(function() return select(2, worker:receiveMessage()) end)
      uv.run()
      print(code, task:await().exitCode, worker:close())
      process:close()
    ]]
    assert.equal("7\t3\t3\tnil\n", result.output, result.errors)
  end)

  it("that has closed its standard descriptors still has workers", function()
    local result = through("exec <&- 2>&-; exec", [[
      local artel = require "artel"
      local worker <close> = artel.createWorkerWithExpression [=[{ run = function(_, channel)
        print "printed"
        channel:sendMessage(channel:receiveMessage())
      end }]=]
      worker:sendMessage "hello"
      print(worker:receiveMessage())
    ]])
    assert.matches("hello\n", result.output)
  end)

  it("that has closed one of them may run luv's loop, which aborts with one there", function()
    for _, closed in ipairs { "<&-", ">&-", "2>&-", "<&- >&- 2>&-" } do
      local result = through(("exec %s; exec"):format(closed), [[
        local artel = require "artel"
        local worker <close> = artel.createWorkerWithExpression(
          "{ onRequest = function(_, request) return request end }")
        local task = artel.async(function() return worker:request(7) end)
        os.exit(task:await(), true) -- closes the loop
      ]])
      assert.same({ 7, 0 }, { result.code, result.signal }, closed)
    end
  end)

  it("without /proc has dedicated workers and pools", function()
    local result = through("exec unshare -m sh -c 'mount -t tmpfs none /proc || exit 77; exec", [[
      local artel = require "artel"
      local ECHO = "{ onRequest = function(_, request) return request end }"
      local worker <close> = artel.createWorkerWithExpression(ECHO)
      local pool <close> = artel.createWorkerPoolWithExpression(ECHO, 2)
      print(worker:request(1), pool:request(2))
    ]], "'")
    if result.code == 77 or result.errors:find "^unshare" then
      return pending "no file system can be mounted here"
    end
    assert.equal("1\t2\n", result.output, result.errors)
  end)

  it("whose folder was removed has workers", function()
    local result = through("mkdir gone; cd gone; rmdir ../gone; exec", [[
      local artel = require "artel"
      local worker <close> = artel.createWorkerWithExpression(
        "{ onRequest = function(_, request) return request end }")
      print(worker:request(1))
      local ok, err = pcall(artel.connectToSharedWorker, "unix://w.sock", "module")
      print(ok, tostring(err):match "cannot find the current folder")
    ]], " ", "../script.lua")
    assert.equal("1\nfalse\tcannot find the current folder\n", result.output, result.errors)
  end)

  it("with more environment than the system takes gets an error, and goes on with less", function()
    local result = helper.script [[
      local artel, uv = require "artel", require "luv"
      local ECHO = "{ onRequest = function(_, request) return request end }"
      for n = 1, 60 do uv.os_setenv("BIG" .. n, ("0123456789abcdef"):rep(6000)) end
      local worker, err = artel.createWorkerWithExpression(ECHO)
      print(worker, err.kind, err.errno)
      for n = 1, 60 do uv.os_unsetenv("BIG" .. n) end
      worker = artel.createWorkerWithExpression(ECHO)
      print(worker:request(1))
      worker:close()
    ]]
    assert.equal("nil\tspawn\tE2BIG\n1\n", result.output, result.errors)
  end)

  it("of several Lua states in as many threads has workers in each", function()
    local result = helper.script [[
      local uv = require "luv"
      local function body(path, cpath)
        package.path, package.cpath = path, cpath
        local artel = require "artel"
        for n = 1, 20 do
          local worker <close> = assert(artel.createWorkerWithExpression(
            "{ onRequest = function(_, request) return request end }"))
          assert(worker:request(n) == n)
          if n % 5 == 0 then -- one that the reaper, which all states share, takes over
            artel.createWorkerWithExpression "{ onMessage = print }"
          end
        end
      end
      local threads = {}
      for n = 1, 4 do threads[n] = uv.new_thread(body, package.path, package.cpath) end
      body(package.path, package.cpath)
      for n = 1, 4 do threads[n]:join() end
      print "all"
    ]]
    assert.equal("all\n", result.output, result.errors)
  end)

  it("that calls os.exit, wherever, takes its workers with it", function()
    local PRELUDE = [[
      local artel, uv = require "artel", require "luv"
      local factory = artel.WorkerFactory.new { outputPath = "/dev/null", stopTimeout = 0.1 }
      local pool = factory:createWorkerPoolWithExpression([=[{ onRequest = function(_, n)
        if n == 0 then while true do end end
        return n
      end }]=], 2)
      local worker = factory:createWorkerWithExpression(
        "{ onMessage = function(_, message, channel) channel:sendMessage(message) end }")
      assert(worker:waitUntilReady() and pool:waitUntilReady())
      print(worker:getProcessId(), pool[1]:getProcessId(), pool[2]:getProcessId())
      io.stdout:flush()
    ]]
    for _, body in ipairs {
      "worker:registerRead(uv, function() os.exit(7) end) worker:sendMessage(1) uv.run()",
      "worker:registerRead(uv, function() os.exit(7, true) end) worker:sendMessage(1) uv.run()",
      "artel.async(function() pool:request(1) os.exit(7) end) uv.run()",
      "artel.async(function() pool:request(1) os.exit(7, true) end) uv.run()",
      "for _ in pool:imap { 1, 2, 3 } do os.exit(7, true) end",
      -- below a callback of luv's, with time-outs that are over and others that are not
      [[artel.async(function() worker:receiveMessage(100) end)
        artel.async(function()
          worker:sendMessage(1)
          worker:receiveMessage(0.01)
          pool:request(1, { timeout = 100 })
          os.exit(7, true)
        end)
        uv.run()]],
      "pool:map({ 1, 2, 3 }, { onProgress = function() os.exit(7, true) end })",
      "artel.async(function() pool:request(0) end) pool:request(1) os.exit(7, true)",
    } do
      local result = helper.script(PRELUDE .. body)
      assert.equal(7, result.code, result.errors)
      local count = 0
      for pid in result.output:gmatch "%d+" do
        count = count + 1
        helper.eventually(function() return not helper.isAlive(math.tointeger(pid)) end)
      end
      assert.equal(3, count, result.output)
    end
  end)
end)
