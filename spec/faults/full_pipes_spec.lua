-- SPDX-License-Identifier: Apache-2.0
-- Neither side of a channel hangs, or loses anything, while the other does not read.

local artel = require "artel"
local helper = require "spec.helper"

local TIMEOUT = helper.TIMEOUT
local promptly = helper.promptly
local LONG = ("x"):rep(4 << 20)
local MANY = 64 << 20 -- bytes; far more than the system or a ring takes
local KIB = ("0123456789abcdef"):rep(64)

-- Both ways to wait: in a script, and in a coroutine.
local WAYS = { function(fn) return fn() end, helper.await }

helper.overEach(function(over, start)
  describe("a full pipe " .. over, function()
    helper.leaveNothing { before_each = before_each, after_each = after_each }

    it("in both directions: each side sends 64 MiB before it reads, in one message", function()
      for _, run in ipairs(WAYS) do
        local worker <close> = start(helper.raw(([[
          channel:sendMessage((%q):rep(%d))
          channel:sendMessage(#channel:receiveMessage())]]):format(KIB, MANY >> 10)))
        run(function()
          assert.is_true(worker:sendMessage(KIB:rep(MANY >> 10)))
          assert.equal(MANY, #worker:receiveMessage(TIMEOUT))
          assert.equal(MANY, worker:receiveMessage(TIMEOUT))
        end)
      end
    end)

    it("in both directions: each side sends 64 MiB before it reads, in many messages", function()
      local count = helper.isWatched and 64 or 1024
      local text = KIB:rep((MANY >> 10) // count)
      for _, implementation in ipairs {
        helper.raw [[
          local count, text = table.unpack(channel:receiveMessage())
          for _ = 1, count do channel:sendMessage(text) end
          for n = 1, count do assert(channel:receiveMessage() == text) end
          channel:sendMessage "all of it" ]],
        [[(function()
          local count, text, seen
          return { onMessage = function(_, message, channel)
            if not count then -- the first one: to send all before it takes the second
              count, text = table.unpack(message)
              seen = 0
              for _ = 1, count do channel:sendMessage(text) end
              return
            end
            assert(message == text)
            seen = seen + 1
            if seen == count then channel:sendMessage "all of it" end
          end }
        end)()]],
      } do
        local worker <close> = start(implementation)
        worker:sendMessage { count, text }
        for _ = 1, count do worker:sendMessage(text) end
        for _ = 1, count do assert.is_true(worker:receiveMessage(TIMEOUT) == text) end
        assert.equal("all of it", worker:receiveMessage(TIMEOUT))
      end
    end)

    it("wakes the master that is blocked in it when the worker dies", function()
      for _, run in ipairs(WAYS) do
        local worker <close> = start(helper.raw "channel:receiveMessage() os.exit(4)")
        local sent, err = promptly(run, function()
          worker:sendMessage "go"
          local ok, reason
          repeat ok, reason = worker:sendMessage(LONG) until not ok
          return ok, reason
        end)
        assert.is_nil(sent)
        assert.same({ "closed", 4 }, { err.kind, err.exitCode })
      end
    end)

    it("wakes the master that is blocked in it when the worker is killed", function()
      local worker <close> = start(helper.raw "channel:sendMessage 'up' while true do end")
      assert.equal("up", worker:receiveMessage(TIMEOUT))
      local task = artel.async(function()
        local ok, reason
        repeat ok, reason = worker:sendMessage(LONG) until not ok
        return ok, reason
      end)
      assert.is_false(task:isDone())
      worker:kill "KILL"
      local sent, err = promptly(task.await, task, TIMEOUT)
      assert.is_nil(sent)
      assert.same({ "closed", "SIGKILL" }, { err.kind, err.signal })
    end)

    it("says how the worker ended, though messages of its are still to be received", function()
      for _, run in ipairs(WAYS) do
        local worker <close> = start(helper.raw [[
          channel:sendMessage "unread"
          channel:sendMessage "unread too"
          channel:receiveMessage()
          os.exit(4)]])
        assert.equal("unread", worker:receiveMessage(TIMEOUT))
        worker:sendMessage "go"
        run(function()
          local ok, err
          repeat ok, err = worker:sendMessage(LONG) until not ok
          assert.same({ "closed", 4 }, { err.kind, err.exitCode })
          ok, err = worker:flush()
          assert.is_nil(ok)
          assert.same({ "closed", 4 }, { err.kind, err.exitCode })
          assert.equal("unread too", worker:receiveMessage(TIMEOUT))
        end)
      end
    end)

    it("wakes the worker that is blocked in it when the master closes", function()
      local folder <close> = helper.folder()
      for n, run in ipairs(WAYS) do
        local path = ("%s/%d"):format(folder.path, n)
        local worker = start(helper.raw [[
          local text = ("x"):rep(4 << 20)
          channel:sendMessage "up"
          local sent, err = channel:sendMessage(text)
          print(sent, err and err.kind)]], { outputPath = path })
        assert.equal("up", run(function() return worker:receiveMessage(TIMEOUT) end))
        helper.eventually(function() return helper.state(worker:getProcessId()) == "S" end)
        assert.equal(0, run(function() return (worker:close(TIMEOUT)) end))
        assert.equal("nil\tclosed\n", helper.read(path))
      end
    end)

    it("holds no message back for good: a worker that reads late gets all, in order", function()
      local worker <close> = start(helper.raw [[
        channel:sendMessage "up"
        assert(require "artel".select { channel }) -- the master has begun to send
        local uv = require "luv"
        local master = ("/proc/%d/stat"):format(uv.os_getppid())
        repeat -- until it sleeps in the full pipe
          uv.sleep(1)
          local file <close> = io.open(master)
        until file:read "a":match "%) (%a)" == "S"
        local n = 0
        for message in channel:messages() do
          n = n + 1
          assert(message[1] == n)
          if n == 200 then channel:sendMessage(n) end
        end]])
      assert.equal("up", worker:receiveMessage(TIMEOUT))
      local text = ("x"):rep(50000)
      for n = 1, 200 do assert.truthy(worker:sendMessage { n, text }) end
      assert.equal(200, worker:receiveMessage(TIMEOUT))
    end)
  end)
end)
