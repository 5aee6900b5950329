-- SPDX-License-Identifier: Apache-2.0
-- Dedicated workers end to end: real processes, both encodings, and the ways they end.

local artel = require "artel"
local uv = require "luv"

local TIMEOUT = 30 -- seconds; far more than anything here takes
local ENCODINGS = { "msgpack", "json" }

local RAW = [[{ run = function(self, channel)
  for n in channel:messages() do channel:sendMessage(n .. " squared is " .. n * n) end
end }]]
local EVENTED = [[{ onMessage = function(self, n, channel)
  channel:sendMessage(n .. " squared is " .. n * n)
end }]]

local function countDescriptors()
  local count = 0
  local folder = assert(uv.fs_scandir("/proc/self/fd"))
  while uv.fs_scandir_next(folder) do count = count + 1 end
  return count
end

--- The children of this process, zombies among them.
local function countChildren()
  local file = assert(io.open(("/proc/%d/task/%d/children"):format(uv.os_getpid(), uv.os_getpid())))
  local _, count = file:read("a"):gsub("%d+", "")
  file:close()
  return count
end

local function start(expression, options)
  options = options or {}
  options.outputPath = options.outputPath or "/dev/null"
  return assert(artel.WorkerFactory.new(options):createWorkerWithExpression(expression))
end

describe("a dedicated worker #unsanitized", function()
  local descriptors, children
  before_each(function()
    uv.run("nowait") -- the loop's own descriptors come with its first turn
    collectgarbage()
    descriptors, children = countDescriptors(), countChildren()
  end)
  after_each(function()
    uv.run("nowait") -- closing handles end in the loop
    collectgarbage()
    collectgarbage()
    assert.equal(descriptors, countDescriptors())
    assert.equal(children, countChildren())
  end)

  for _, encoding in ipairs(ENCODINGS) do
    for name, expression in pairs { raw = RAW, evented = EVENTED } do
      it(("answers ten squares, %s over %s"):format(name, encoding), function()
        local worker <close> = start(expression, { channelFactory = encoding })
        for n = 1, 10 do
          assert.is_true(worker:sendMessage(n))
          assert.equal(("%d squared is %d"):format(n, n * n), worker:receiveMessage(TIMEOUT))
        end
        assert.equal(0, worker:close())
      end)
    end

    it("answers requests and tells what a handler raised, over " .. encoding, function()
      local worker <close> = start([[{ onRequest = function(self, n)
        if n == 7 then error("seven") elseif n == 8 then return nil, { why = "eight" } end
        return n + 1
      end }]], { channelFactory = encoding })
      assert.equal(6, worker:request(5))
      local response, err = worker:request(7, { timeout = TIMEOUT })
      assert.is_nil(response)
      assert.equal("remote", err.kind)
      assert.matches("seven", tostring(err))
      assert.matches("stack traceback", err.traceback)
      response, err = worker:request(8)
      assert.is_nil(response)
      assert.same({ why = "eight" }, err.value)
    end)
  end

  it("goes through its stages in order", function()
    local worker <close> = start([[{
      onMessage = function(self, _, channel) note("onMessage") channel:sendMessage(notes) end,
      setLoop = function() note("setLoop") end,
      initialize = function() note("initialize") end,
      onConnect = function() note("onConnect") end,
      constructed = note("constructor"),
    }]], {
      stage1Parts = { "notes = {} function note(s) notes[#notes + 1] = s end note('stage 1')" },
      stage2Parts = { "note('stage 2')" }, stage3Parts = { "note('stage 3 ' .. type(workerImpl))" },
    })
    worker:sendMessage("go")
    assert.same({ "stage 1", "stage 2", "constructor", "stage 3 table", "setLoop", "initialize",
      "onConnect", "onMessage" }, worker:receiveMessage(TIMEOUT))
  end)

  it("refuses what cannot be sent, with its path, and goes on", function()
    local worker <close> = start(RAW)
    local sent, err = worker:sendMessage { jobs = { 1, { callback = print } } }
    assert.is_nil(sent)
    assert.equal("encode", err.kind)
    assert.truthy(tostring(err):find("message.jobs[2].callback", 1, true))
    worker:sendMessage(3)
    assert.equal("3 squared is 9", worker:receiveMessage(TIMEOUT))
  end)

  it("sends 64 MiB while its master sends 64 MiB before either reads", function()
    local worker <close> = start([[{ run = function(self, channel)
      channel:sendMessage(("w"):rep(64 << 20))
      channel:sendMessage(#channel:receiveMessage())
    end }]])
    assert.is_true(worker:sendMessage(("m"):rep(64 << 20)))
    assert.equal(64 << 20, #worker:receiveMessage(TIMEOUT))
    assert.equal(64 << 20, worker:receiveMessage(TIMEOUT))
  end)

  local FAILURES = {
    { "a module that does not exist", "require 'no.such.module'", "bootstrap", "no.such.module" },
    { "a syntax error", "syntax error", "bootstrap", "near 'error'" },
    { "a constructor that raises", "error('cannot build')", "bootstrap", "cannot build" },
    { "no handler at all", "{}", "bootstrap", "none of run, onMessage and onRequest" },
    { "a handler that raises", "{ onMessage = function() error('broken') end }", "remote",
      "broken" },
    { "os.exit in a handler", "{ onMessage = function() os.exit(3) end }", "closed", "code 3" },
  }
  for _, failure in ipairs(FAILURES) do
    it("tells its master of " .. failure[1], function()
      local worker <close> = start(failure[2])
      worker:sendMessage(1)
      local message, err = worker:receiveMessage(TIMEOUT)
      assert.is_nil(message)
      assert.equal(failure[3], err.kind)
      assert.truthy(tostring(err):find(failure[4], 1, true), tostring(err))
    end)
  end

  it("names the stage part that failed", function()
    local worker <close> = start(RAW, { stage2Parts = { "x = 1", "error('part two')" } })
    local ready, err = worker:waitUntilReady(TIMEOUT)
    assert.is_nil(ready)
    assert.same({ "bootstrap", "stage2", 2 }, { err.kind, err.step, err.part })
  end)

  it("is reported with its signal when it is killed during a request", function()
    local worker <close> = start([[{ onRequest = function(self, _, channel)
      channel:sendMessage("begun")
      while true do end
    end }]])
    local response, err
    local task = artel.async(function() response, err = worker:request(1) end)
    local killer = artel.async(function()
      worker:receiveMessage()
      worker:kill("KILL")
    end)
    killer:await(TIMEOUT)
    task:await(TIMEOUT)
    assert.is_nil(response)
    assert.same({ "closed", "SIGKILL" }, { err.kind, err.signal })
    local code, signal = worker:getExitStatus()
    assert.is_nil(code)
    assert.equal("SIGKILL", signal)
  end)

  it("cannot be started without a host", function()
    local factory = artel.WorkerFactory.new { hostPath = "/nonexistent/artel" }
    local worker, err = factory:createWorkerWithExpression(RAW)
    assert.is_nil(worker)
    assert.same({ "spawn", "ENOENT" }, { err.kind, err.errno })
  end)

  it("gets SIGTERM when it does not end in time", function()
    local worker = start([[{ run = function(self, channel)
      channel:sendMessage("up")
      while true do end
    end }]])
    assert.equal("up", worker:receiveMessage(TIMEOUT))
    local code, signal = worker:close(0)
    assert.is_nil(code)
    assert.equal("SIGTERM", signal)
    assert.is_false(worker:isRunning())
  end)

  it("cannot be used once it is closed, but still tells how it ended", function()
    local worker = start(RAW)
    assert.equal(0, worker:close())
    assert.equal(0, worker:close())
    assert.has_error(function() worker:sendMessage(1) end, "attempt to use a closed channel")
    assert.equal(0, worker:getExitStatus())
    assert.matches("exited with code 0", tostring(worker))
  end)

  it("leaves nothing behind after a hundred lives", function()
    for _ = 1, 100 do
      local worker <close> = start(RAW)
      worker:sendMessage(2)
      assert.equal("2 squared is 4", worker:receiveMessage(TIMEOUT))
    end
  end)
end)
