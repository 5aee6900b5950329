-- SPDX-License-Identifier: Apache-2.0
-- SIGKILL at bad moments: of a worker at every step of its life, of who starts it, of clients.
-- The next start works, and nothing is left.

local artel = require "artel"
local core = require "artel.core"
local helper = require "spec.helper"
local program = require "spec.program"
local support = require "spec.shared.support"
local uv = require "luv"

local TIMEOUT = support.TIMEOUT

local ECHO = "{ onRequest = function(self, value) return value end }"

-- Steps of a start, as options of the profile or as handlers; %s is what runs there.
local STEPS = {
  { "stage 1", { stage1Parts = { "%s" } } },
  { "a script", { scriptsToRequire = { "script" } } },
  { "stage 2", { stage2Parts = { "%s" } } },
  { "the constructor", nil, "(function() %s return { onRequest = print } end)()" },
  { "stage 3", { stage3Parts = { "%s" } } },
  { "the loop expression", { loopExpression = "(function() %s return require 'luv' end)()" } },
  { "the socket context", { socketContextExpression = "(function() %s return {} end)()" } },
  { "setLoop", nil, "{ setLoop = function() %s end, onRequest = print }" },
  { "initialize", nil, "{ initialize = function() %s end, onRequest = print }" },
}

describe("SIGKILL", function()
  local address, told, go, hold

  before_each(function()
    support.setUp()
    address, told, go = support.unixAddress(), support.path "told", support.path "go"
    assert.equal(0, program.run({ "mkfifo", told, go }).code)
    -- Tells its process id when somebody reads, and goes on when somebody writes.
    hold = ([[do
      local stat, told = io.open "/proc/self/stat", io.open(%q, "w")
      told:write(stat:read "n" // 1 | 0)
      stat:close() told:close()
      io.open(%q):close()
    end]]):format(told, go)
  end)
  after_each(function() support.tearDown() end)

  --- Waits until the worker is held; answers its process id.
  local function awaitHeld()
    local file <close> = assert(io.open(told))
    return math.tointeger(file:read "n")
  end

  local function letGo() io.open(go, "w"):close() end

  --- Profile options and expression of a worker that is held at a step of its start.
  local function heldAt(step)
    local options, expression = {}, step[3] and step[3]:gsub("%%s", function() return hold end)
    for name, value in pairs(step[2] or {}) do
      if type(value) == "string" then
        options[name] = value:gsub("%%s", function() return hold end)
      else
        options[name] = { (value[1]:gsub("%%s", function() return hold end)) }
      end
    end
    if options.scriptsToRequire then
      options.scriptsToRequire = { support.path "script.lua" }
      support.write(support.path "script.lua", hold)
    end
    return options, expression or ECHO
  end

  --- A worker comes up at the address, serves, and is gone without a trace.
  local function startsAgain(factory)
    local worker = assert(factory:connectToSharedWorkerWithExpression(address, ECHO))
    assert.equal("fresh", worker:request "fresh")
    worker:close()
    support.stop(factory, address)
  end

  for _, step in ipairs(STEPS) do
    it("of a worker that comes up, at " .. step[1], function()
      local options, expression = heldAt(step)
      local task = artel.async(function()
        return support.factory(options):startSharedWorkerWithExpression(address, expression)
      end)
      uv.kill(awaitHeld(), "sigkill")
      local started, err = task:await(TIMEOUT)
      assert.is_nil(started)
      assert.equal("bootstrap", err.kind)
      assert.matches("ended before it was ready", err.message)
      startsAgain(support.factory())
    end)
  end

  for _, step in ipairs { STEPS[1], STEPS[9] } do
    it("of who starts it, at " .. step[1] .. ": others get the worker", function()
      local options, expression = heldAt(step)
      local starter = ([[
        local artel = require "artel"
        local options = %s
        artel.WorkerFactory.new(options):startSharedWorkerWithExpression(%q, %q)
      ]]):format(artel.BootstrapProfile.exportValue(options), address, expression)
      local ended
      local process, pid = uv.spawn("lua5.4", { args = { "-e", starter },
        env = program.environment() }, function() ended = true end)
      local worker = awaitHeld()
      uv.kill(pid, "sigkill")
      helper.runLoopUntil(function() return ended end)
      process:close()
      uv.run "nowait"
      local factory = support.factory { channelFactory = options.channelFactory }
      local other = artel.async(function()
        return factory:connectToSharedWorkerWithExpression(address, expression)
      end)
      letGo()
      local connected = assert(other:await(TIMEOUT))
      assert.equal(worker, connected:getProcessId())
      connected:close()
      uv.kill(worker, "sigterm") -- it was started without a cookie
      assert.is_true(support.awaitEnd(worker))
    end)
  end

  for _, handler in ipairs { "onStop", "terminate" } do
    it("of a worker that stops, in " .. handler, function()
      local factory, _, pid = support.start(("{ onRequest = print, %s = function() %s end }")
        :format(handler, hold))
      uv.kill(pid, "sigterm")
      assert.equal(pid, awaitHeld())
      local task = artel.async(function()
        return factory:connectToSharedWorkerWithExpression(address, ECHO)
      end)
      uv.kill(pid, "sigkill")
      assert(task:await(TIMEOUT)):close()
      support.stop(factory, address)
    end)
  end

  it("of a worker: whoever waits for it hears so, and the next start cleans up", function()
    local factory, _, pid = support.start [[{
      onRequest = function() coroutine.yield() end, -- for ever
      onMessage = function(self, length, channel) channel:sendMessage(("x"):rep(length)) end,
    }]]
    local worker = assert(factory:connectToSharedWorker(address))
    local reader = assert(factory:connectToSharedWorker(address))
    local waiting = { -- the message is more than a socket holds: it ends in the middle
      artel.async(function() return worker:request "for ever" end),
      artel.async(function() return worker:receiveMessage() end),
      artel.async(function()
        reader:sendMessage(8 << 20)
        return reader:receiveMessage()
      end),
    }
    helper.runLoopUntil(function() return core.unread(reader) > 0 end)
    uv.kill(pid, "sigkill")
    for _, task in ipairs(waiting) do
      local answer, err = task:await(TIMEOUT)
      assert.is_nil(answer)
      assert.equal("closed", err.kind)
    end
    reader:close()
    worker:close()
    assert.is_true(support.awaitEnd(pid))
    startsAgain(factory)
  end)

  it("of a client, in the middle of what it sends and of what it is sent", function()
    local factory = support.start [[{
      onRequest = function(self, value) return value end,
      onMessage = function(self, length, channel) channel:sendMessage(("x"):rep(length)) end,
    }]]
    local witness = assert(factory:connectToSharedWorker(address))
    local function openConnections()
      for _, counter in ipairs(witness:query(TIMEOUT):getCounters()) do
        if counter:getName() == "sys_connections_open" then return counter:getValue() end
      end
    end
    local client = [[
import os, signal, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(bytes.fromhex(sys.argv[2]))
if sys.argv[3] != "0": s.recv(int(sys.argv[3]), socket.MSG_WAITALL)
os.kill(os.getpid(), signal.SIGKILL)
]]
    -- What it sends, and how much of the answer it takes: half a greeting, half a header, half
    -- a body, and nearly nothing of a long reply.
    for bytes, taken in pairs {
      ["AT"] = 0, ["ATL1\0\0"] = 4, ["ATL1\0\0\0\9\1\0\0\0\1\xa8half"] = 4,
      ["ATL1\0\0\0\5\0\0\0\0\0\xce\0\x80\0\0"] = 5,
    } do
      local hex = bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)
      local result = program.run { "python3", "-c", client, address:sub(8), hex, tostring(taken) }
      assert.equal(9, result.signal, result.errors)
    end
    helper.eventually(function() return openConnections() == 1 end)
    assert.equal("still here", witness:request "still here")
    witness:close()
    support.stop(factory, address)
  end)
end)

describe("a shared worker that has gone again", function()
  before_each(support.setUp)
  after_each(function() support.tearDown() end)

  it("while one connected to it is started once more, without a word", function()
    local address, starts = support.unixAddress(), support.path "starts"
    -- The first one ends itself as soon as its loop runs, before it accepts anybody.
    local expression = ([[(function()
      local starts = io.open(%q, "a+")
      starts:write "x"
      starts:seek "set"
      local isFirst = starts:read "a" == "x"
      starts:close()
      return {
        initialize = function()
          if isFirst then require "luv".new_timer():start(0, 0, function() os.exit(1) end) end
        end,
        onRequest = function(self, value) return value end,
      }
    end)()]]):format(starts)
    local factory = support.factory()
    local worker = assert(factory:connectToSharedWorkerWithExpression(address, expression))
    assert.equal("here", worker:request "here")
    worker:close()
    assert.equal("xx", support.read(starts))
    support.stop(factory, address)
  end)
end)
