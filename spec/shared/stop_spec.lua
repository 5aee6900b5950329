-- SPDX-License-Identifier: Apache-2.0
-- How shared workers end: by message, by signal, by themselves; in order and in time.

local core = require "artel.core"
local helper = require "spec.helper"
local support = require "spec.shared.support"
local uv = require "luv"

local TIMEOUT = support.TIMEOUT

local ECHO = [[{ onRequest = function(self, value) return value end }]]

local LOGGING = [[{
  onConnect = function() print "connect" end,
  onMessage = function(self, message, channel) channel:sendMessage(message) end,
  onDisconnect = function(self, channel, err) print("disconnect", err.kind) end,
  onStop = function() print "stop" end,
  terminate = function() print "terminate" io.stdout:flush() end,
}]]

local function isGone(address)
  local path = address:match "^unix://(.*)"
  return core.files.stat(path) == nil and core.files.stat(path .. ".lock") == nil
end

describe("stopping a shared worker", function()
  before_each(support.setUp)
  after_each(function() support.tearDown() end)

  it("answers true when the process has gone, and false when nothing listens", function()
    local factory, address, pid = support.start(ECHO)
    assert.is_true(factory:stopSharedWorker(address, TIMEOUT))
    assert.matches("^$", support.read(("/proc/%d/cmdline"):format(pid)) or "") -- or its zombie
    assert.is_true(isGone(address))
    assert.is_false(factory:stopSharedWorker(address, TIMEOUT))
  end)

  it("leaves no lock behind for a port either", function()
    local runtime = os.getenv "XDG_RUNTIME_DIR"
    uv.os_setenv("XDG_RUNTIME_DIR", support.path "")
    finally(function()
      if runtime then
        uv.os_setenv("XDG_RUNTIME_DIR", runtime)
      else
        uv.os_unsetenv "XDG_RUNTIME_DIR"
      end
    end)
    local address = support.tcpAddress()
    local lock = support.path("artel/tcp-" .. address:match "//(.*)" .. ".lock")
    for _, signal in ipairs { "sigkill", "sigterm" } do -- the second start cleans up
      local _, _, pid = support.start(ECHO, nil, address)
      assert.equal("file", core.files.stat(lock).type)
      uv.kill(pid, signal)
      assert.is_true(support.awaitEnd(pid))
    end
    assert.is_nil((core.files.stat(lock)))
  end)

  it("ends in order: onStop, the connections, terminate", function()
    local factory, address = support.start(LOGGING)
    local worker = assert(factory:connectToSharedWorker(address))
    worker:sendMessage "hello"
    assert.equal("hello", worker:receiveMessage(TIMEOUT))
    assert.is_true(worker:stop())
    local message, err = worker:receiveMessage(TIMEOUT)
    assert.is_nil(message)
    assert.equal("closed", err.kind)
    support.awaitEnd(worker:getProcessId())
    worker:close()
    local lines = {}
    for line in support.log():gmatch "[^\n]+" do
      if not line:find "^artel worker" then lines[#lines + 1] = line end
    end
    assert.same({ "connect", "stop", "disconnect\tclosed", "terminate" }, lines)
    assert.is_true(isGone(address))
  end)

  for _, signal in ipairs { "sigterm", "sigint" } do
    it("works with " .. signal:upper() .. " too", function()
      local _, address, pid = support.start(LOGGING)
      uv.kill(pid, signal)
      assert.is_true(support.awaitEnd(pid))
      assert.matches("stop\nterminate\n", support.log())
      assert.is_true(isGone(address))
    end)
  end

  it("is not for a wrong cookie, of whatever length", function()
    local factory, address = support.start(ECHO, { adminCookie = "the right one" })
    for _, cookie in ipairs { "x", "the right on", "the right one ", "the wrong one", "\0",
      ("x"):rep(100000) } do
      local stranger = support.factory { adminCookie = cookie }
      local err
      local seconds = 0.02
      repeat -- on a busy machine it takes more to connect
        local stopped
        stopped, err = stranger:stopSharedWorker(address, seconds)
        assert.is_nil(stopped)
        assert.equal("timeout", err.kind)
        seconds = 2 * seconds
      until err.message:find "cookie is wrong" or seconds > TIMEOUT
      assert.matches("cookie is wrong", err.message)
      assert.is_nil(stranger:querySharedWorker(address):getTextStatus())
      assert.same({}, stranger:querySharedWorker(address):getCounters())
    end
    support.stop(factory, address)
  end)

  it("needs a cookie on either side", function()
    local factory, address, pid = support.start(ECHO, { adminCookie = false or nil })
    factory:getBootstrapProfile():setAdminCookie(nil)
    assert.error_matches(function() factory:stopSharedWorker(address) end, "needs an admin cookie")
    assert.error_matches(function() support.factory { adminCookie = "" } end, "ookie")
    local worker = assert(factory:connectToSharedWorker(address))
    assert.error_matches(function() worker:stop() end,
      "needs an admin cookie in the profile %(setAdminCookie%)")
    worker:close()
    uv.kill(pid, "sigterm")
    assert.is_true(support.awaitEnd(pid))
  end)

  it("says why not when onConnect raises, and what stops the worker all the same", function()
    local factory, address, pid = support.start [[{
      onMessage = print, onConnect = function() error "not today" end,
    }]]
    local stopped, err = factory:stopSharedWorker(address)
    assert.is_nil(stopped)
    assert.equal("remote", err.kind)
    assert.matches("not today; .* SIGTERM to process " .. pid .. " stops it", err.message)
    uv.kill(pid, "sigterm")
    assert.is_true(support.awaitEnd(pid))
  end)

  it("never happens to a worker without a cookie", function()
    local factory = support.factory()
    factory:getBootstrapProfile():setAdminCookie(nil)
    local address = support.unixAddress()
    assert(factory:startSharedWorkerWithExpression(address, ECHO))
    local pid = factory:getSharedWorkerProcessId(address)
    local stopped, err = support.factory():stopSharedWorker(address, 0.05)
    assert.is_nil(stopped)
    assert.equal("timeout", err.kind)
    uv.kill(pid, "sigterm")
    assert.is_true(support.awaitEnd(pid))
  end)

  it("lets running requests finish and their replies leave, but begins none", function()
    local factory, address, pid = support.start [[(function()
      local uv = require "luv"
      local waiting = {}
      return {
        onRequest = function(self, value)
          if value == "slow" then
            waiting[#waiting + 1] = coroutine.running()
            coroutine.yield()
          end
          return value
        end,
        onStop = function()
          local timer = uv.new_timer()
          timer:start(20, 0, function()
            timer:close()
            for _, thread in ipairs(waiting) do coroutine.resume(thread) end
          end)
        end,
      }
    end)()]]
    local artel = require "artel"
    local worker = assert(factory:connectToSharedWorker(address))
    local slow = artel.async(function() return worker:request "slow" end)
    assert.equal("quick", artel.async(function() return worker:request "quick" end):await(TIMEOUT))
    assert.is_true(worker:stop())
    assert.equal("slow", slow:await(TIMEOUT))
    local response, err = artel.async(function() return worker:request "late" end):await(TIMEOUT)
    assert.is_nil(response)
    assert.equal("closed", err.kind)
    worker:close()
    assert.is_true(support.awaitEnd(pid))
  end)

  it("delivers long replies that are still on their way", function()
    for _, address in ipairs { support.unixAddress(), support.tcpAddress() } do
      local factory = support.start([[{
        onMessage = function(self, length, channel) channel:sendMessage(("x"):rep(length)) end,
      }]], nil, address)
      local worker = assert(factory:connectToSharedWorker(address))
      local pid = worker:getProcessId()
      worker:sendMessage(8 << 20)
      worker:stop()
      worker:sendMessage "this one comes too late and stays unread"
      local message = assert(worker:receiveMessage(TIMEOUT))
      assert.equal(8 << 20, #message)
      assert.is_nil((worker:receiveMessage(TIMEOUT)))
      worker:close()
      assert.is_true(support.awaitEnd(pid))
    end
  end)

  it("ends at the stop time-out and tells what held the loop", function()
    local factory, address, pid = support.start([[{
      setLoop = function(self, loop)
        self.timer = loop.new_timer()
        self.timer:start(0, 1000000, function() end)
      end,
      onRequest = function(self, value) return value end,
      terminate = function() print "terminate" io.stdout:flush() end,
    }]], { stopTimeout = 0.05 })
    uv.kill(pid, "sigterm")
    assert.is_true(support.awaitEnd(pid))
    assert.matches("not stopped within 0.05 s; what still holds the loop: [^\n]*uv_timer_t",
      support.log())
    assert.matches("terminate", support.log())
    assert.is_true(isGone(address))
    assert.is_false(factory:stopSharedWorker(address))
  end)

  it("waits for what onStop waits for, within the time-out", function()
    local _, _, pid = support.start([[{
      onRequest = function(self, value) return value end,
      onStop = function()
        local thread, timer = coroutine.running(), require("luv").new_timer()
        timer:start(30, 0, function() timer:close() coroutine.resume(thread) end)
        coroutine.yield()
        print "stopped"
      end,
      terminate = function() print "terminate" io.stdout:flush() end,
    }]])
    uv.kill(pid, "sigterm")
    assert.is_true(support.awaitEnd(pid))
    assert.matches("stopped\nterminate", support.log())
  end)

  it("goes on when onStop and terminate raise", function()
    local _, address, pid = support.start [[{
      onRequest = function(self, value) return value end,
      onStop = function() error "in stop" end,
      terminate = function() error "in terminate" end,
    }]]
    uv.kill(pid, "sigterm")
    assert.is_true(support.awaitEnd(pid))
    assert.matches("an error in onStop: .*in stop", support.log())
    assert.matches("an error in terminate: .*in terminate", support.log())
    assert.is_true(isGone(address))
  end)

  it("cuts a client that does not take its last replies", function()
    local factory, address, pid = support.start([[{
      onMessage = function(self, length, channel) channel:sendMessage(("x"):rep(length)) end,
    }]], { stopTimeout = 0.1 })
    local worker = assert(factory:connectToSharedWorker(address))
    worker:sendMessage(8 << 20)
    worker:flush(TIMEOUT)
    -- Over a connection of its own: who does not read is not read from.
    assert.is_true(factory:stopSharedWorker(address, TIMEOUT))
    assert.is_true(support.awaitEnd(pid))
    worker:close()
  end)

  it("happens from within: it listens no more, and ends when nothing is left", function()
    local factory, address = support.start [[{
      onRequest = function(self, value)
        if value == "stop" then require("artel").SharedWorker.stopCurrent() end
        return value
      end,
      onStop = function() print "onStop" end,
      terminate = function() print "terminate" io.stdout:flush() end,
    }]]
    local worker = assert(factory:connectToSharedWorker(address))
    local pid = worker:getProcessId()
    assert.equal("stop", worker:request "stop")
    local other, err = factory:connectToSharedWorker(address)
    assert.is_nil(other)
    assert.equal("ENOENT", err.errno)
    assert.equal("still served", worker:request "still served")
    worker:close()
    assert.is_true(support.awaitEnd(pid))
    assert.equal("terminate\n", support.log())
    assert.is_true(isGone(address))
    local artel = require "artel"
    assert.error_matches(artel.SharedWorker.stopCurrent, "no shared worker")
  end)

  it("may follow stopCurrent, when something does not end by itself", function()
    local factory, address = support.start [[{
      setLoop = function(self, loop)
        self.timer = loop.new_timer()
        self.timer:start(0, 1000000, function() end)
      end,
      onRequest = function(self, value)
        require("artel").SharedWorker.stopCurrent()
        return value
      end,
      onStop = function(self) self.timer:close() print "onStop" end,
      terminate = function() print "terminate" io.stdout:flush() end,
    }]]
    local worker = assert(factory:connectToSharedWorker(address))
    local pid = worker:getProcessId()
    assert.equal(1, worker:request(1))
    assert.equal(2, worker:request(2)) -- stopCurrent once more does nothing more
    uv.kill(pid, "sigterm")
    assert.is_true(support.awaitEnd(pid))
    worker:close()
    assert.matches("onStop\nterminate\n$", support.log())
    assert.is_true(isGone(address))
  end)

  it("cannot start a successor itself, which would have to wait for it", function()
    local address = support.unixAddress()
    local factory, _, pid = support.start(([[{
      onRequest = print,
      onStop = function()
        local artel = require "artel"
        print(pcall(artel.startSharedWorker, %q, "m"))
        print(pcall(artel.connectToSharedWorker, %q, "m"))
        print(artel.connectToSharedWorker(%q))
      end,
    }]]):format(address, address, address), { stopTimeout = support.TIMEOUT }, address)
    uv.kill(pid, "sigterm")
    assert.is_true(support.awaitEnd(pid))
    local _, count = support.log():gsub("false\t[^\n]*cannot start its own successor", "")
    assert.equal(2, count)
    assert.matches("\nnil\tconnect: .*No such file", support.log())
    assert.is_false(factory:stopSharedWorker(address))
  end)

  -- Many masters that started workers at the address while one there was stopping could make
  -- it hang up on the same client again and again.
  it("hangs up on nobody who connects before the address can be left", function()
    local artel = require "artel"
    local factory, address, pid = support.start(ECHO)
    local busy = assert(factory:connectToSharedWorker(address))
    local lock = assert(core.sockets.lockAddress(address, 0)) -- as a starting host holds it
    uv.kill(pid, "sigterm")
    helper.eventually(function() return support.log():find "stopping because" end)
    local task = artel.async(function()
      return factory:connectToSharedWorkerWithExpression(address, ECHO)
    end)
    for n = 1, 5 do assert.equal(n, busy:request(n)) end -- it still serves; its loop turns
    assert.is_false(task:isDone())
    core.sockets.removeLock(lock)
    local worker = assert(task:await(TIMEOUT))
    assert.not_equal(pid, worker:getProcessId())
    assert.is_nil(support.log():find "cut off")
    worker:close()
    busy:close()
    support.stop(factory, address)
  end)

  it("keeps a successor waiting until the process has gone", function()
    local factory, address, pid = support.start [[{
      onRequest = function(self, value) return value end,
      terminate = function()
        local clock = require("luv").hrtime
        local start = clock()
        while clock() - start < 100e6 do end
        print "gone"
        io.stdout:flush()
      end,
    }]]
    uv.kill(pid, "sigterm")
    while core.files.stat(support.path "w.sock") do core.pollStreams({}, {}, 0.001) end
    local worker = assert(factory:connectToSharedWorkerWithExpression(address, [[{
      onRequest = function() return io.open("/proc/self/stat"):read(4) end }]]))
    assert.matches("gone\n", support.log())
    assert.not_equal(pid, worker:getProcessId())
    worker:close()
    support.stop(factory, address)
  end)

  describe("whose code does not come back", function()
    local factory, address, pid

    -- Where it is told to, it says so and computes without end.
    local SPINNING = [[(function()
      local where
      local function spin(name)
        if where ~= name then return end
        print("spinning in " .. name)
        io.stdout:flush()
        while true do end
      end
      return {
        onMessage = function(self, name, channel)
          if math.type(name) then
            channel:sendMessage(("x"):rep(name))
            print("sent " .. name)
            io.stdout:flush()
            return
          end
          where = name
          spin "onMessage"
          channel:sendMessage(name)
        end,
        onDisconnect = function() spin "onDisconnect" end,
        onStop = function() spin "onStop" end,
        terminate = function() spin "terminate" end,
      }
    end)()]]

    local function start()
      factory, address, pid = support.start(SPINNING, { stopTimeout = 0.05 })
      return assert(factory:connectToSharedWorker(address))
    end

    local function awaitSpin(where)
      helper.eventually(function() return support.log():find("spinning in " .. where) end)
    end

    --- It has gone and has said why, and another one can be had at once.
    local function assertEnded()
      assert.is_true(support.awaitEnd(pid))
      assert.matches(address:gsub("%p", "%%%0") .. ": not stopped within 0.05 s; its code "
        .. "computes or waits and does not let the loop run\n$", support.log())
      local worker = assert(factory:connectToSharedWorkerWithExpression(address, ECHO))
      assert.not_equal(pid, worker:getProcessId())
      assert.equal("next", worker:request "next")
      worker:close()
      support.stop(factory, address)
      assert.is_true(isGone(address))
    end

    for _, signal in ipairs { "sigterm", "sigint" } do
      local title = "ends after %s though a handler goes on for ever"
      it(title:format(signal:upper()), function()
        local worker = start()
        worker:sendMessage "onMessage"
        awaitSpin "onMessage"
        uv.kill(pid, signal)
        local message, err = worker:receiveMessage(TIMEOUT)
        assert.is_nil(message)
        assert.equal("closed", err.kind)
        worker:close()
        assertEnded()
      end)
    end

    for _, where in ipairs { "onStop", "terminate" } do
      for _, how in ipairs { "a message", "SIGTERM" } do
        it(("ends when %s has stopped it and %s goes on for ever"):format(how, where), function()
          local worker = start()
          worker:sendMessage(where)
          assert.equal(where, worker:receiveMessage(TIMEOUT))
          if how == "a message" then worker:stop() else uv.kill(pid, "sigterm") end
          awaitSpin(where)
          assertEnded()
          worker:close()
        end)
      end
    end

    for how, unread in pairs { ["whose channel ends"] = 0, ["who is cut off"] = 8 << 20 } do
      it("ends when onDisconnect goes on for ever, of a client " .. how, function()
        local worker = start()
        worker:sendMessage "onDisconnect"
        assert.equal("onDisconnect", worker:receiveMessage(TIMEOUT))
        worker:sendMessage(unread)
        worker:flush(TIMEOUT)
        helper.eventually(function() return support.log():find("sent " .. unread) end)
        uv.kill(pid, "sigterm")
        awaitSpin "onDisconnect"
        assertEnded()
        local isCutOff = support.log():find "cut off: it " ~= nil
        assert.equal(unread > 0, isCutOff)
        worker:close()
      end)
    end

    it("ends when it is terminated after stopCurrent", function()
      factory, address, pid = support.start([[{
        onRequest = function(self, value)
          require("artel").SharedWorker.stopCurrent()
          return value
        end,
        terminate = function() while true do end end,
      }]], { stopTimeout = 0.05 })
      local worker = assert(factory:connectToSharedWorker(address))
      assert.equal(1, worker:request(1))
      worker:close()
      assertEnded()
    end)

    it("ends by SIGTERM in initialize, and the start has failed", function()
      factory, address = support.factory { stopTimeout = 0.05 }, support.unixAddress()
      local task = require("artel").async(function()
        return factory:startSharedWorkerWithExpression(address, [[{
          onRequest = print,
          initialize = function()
            print("spinning in initialize of " .. io.open("/proc/self/stat"):read(9))
            io.stdout:flush()
            while true do end
          end,
        }]])
      end)
      awaitSpin "initialize"
      pid = math.tointeger(support.log():match "initialize of (%d+)")
      uv.kill(pid, "sigterm")
      local started, err = task:await(TIMEOUT)
      assert.is_nil(started)
      assert.equal("bootstrap", err.kind)
      assertEnded()
    end)
  end)

  it("leaves no socket file when the worker ends by an error or os.exit", function()
    for _, how in ipairs { "os.exit(0)", "error 'outside'" } do
      local factory, address = support.start(([[{
        onRequest = function()
          local timer = require("luv").new_timer()
          timer:start(0, 0, function() timer:close() %s end)
          return "soon"
        end,
      }]]):format(how))
      local worker = assert(factory:connectToSharedWorker(address))
      local pid = worker:getProcessId()
      assert.equal("soon", worker:request "end")
      assert.is_true(support.awaitEnd(pid))
      worker:close()
      assert.is_true(isGone(address))
    end
    assert.matches("outside", support.log())
  end)

  it("does not remove a socket file that is another's by now", function()
    local _, _, pid = support.start(ECHO)
    os.remove(support.path "w.sock")
    support.write(support.path "w.sock", "mine")
    uv.kill(pid, "sigterm")
    assert.is_true(support.awaitEnd(pid))
    assert.equal("mine", support.read(support.path "w.sock"))
    os.remove(support.path "w.sock")
  end)
end)
