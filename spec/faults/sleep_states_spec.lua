-- SPDX-License-Identifier: Apache-2.0
-- A worker killed in each state that it and its master can be in while they wait for each
-- other: the master hears of it, whoever slept.

local helper = require "spec.helper"
local uv = require "luv"

local TIMEOUT = helper.TIMEOUT

-- For a raw implementation: has the worker killed as soon as all of these processes sleep.
local KILLER = [[
  local uv = require "luv"
  local function killMeWhenAsleep(...)
    local check = {}
    for n, pid in ipairs { ... } do
      check[n] = ("[ \"$(cut -d ' ' -f 3 /proc/%d/stat)\" = S ]"):format(pid)
    end
    os.execute(("(while [ -d /proc/%d ]; do if %s; then kill -9 %d; fi; sleep 0.01; done) &")
      :format(uv.os_getpid(), table.concat(check, " && "), uv.os_getpid()))
  end
  local worker, master = uv.os_getpid(), uv.os_getppid()
]]
local KILLED = { "closed", "SIGKILL" }

local function receives(worker) return worker:receiveMessage() end

local function sendsOn(worker)
  local ok, err
  local text = ("x"):rep(1 << 20)
  repeat ok, err = worker:sendMessage(text) until not ok
  return ok, err
end

-- Who sleeps; what the worker does, and its master meanwhile.
local STATES = {
  { "the master sleeps until there is something to read",
    "killMeWhenAsleep(master) while true do end", receives },
  { "the master sleeps until there is room to write",
    "killMeWhenAsleep(master) while true do end", sendsOn },
  { "both sleep until there is something to read",
    "killMeWhenAsleep(master, worker) channel:receiveMessage()", receives },
  { "the worker sleeps until there is room to write, and the master until it is dead",
    "killMeWhenAsleep(worker) channel:sendMessage(('x'):rep(8 << 20))", function(worker)
      local pid = worker:getProcessId()
      helper.eventually(function() return not helper.isAlive(pid) end)
      return worker:receiveMessage()
    end },
}

helper.overEach(function(over, start)
  describe("a worker " .. over .. " is killed while", function()
    helper.leaveNothing { before_each = before_each, after_each = after_each }

    for _, state in ipairs(STATES) do
      local title, body, wait = table.unpack(state)
      for way, run in pairs { ["in a script"] = function(fn) return fn() end,
        ["in a coroutine"] = helper.await } do
        it(("%s, %s"):format(title, way), function()
          local worker <close> = start(helper.raw(KILLER .. "channel:sendMessage 'up'\n" .. body))
          assert.equal("up", worker:receiveMessage(TIMEOUT))
          local answer, err = helper.promptly(run, function() return wait(worker) end)
          assert.is_nil(answer)
          assert.same(KILLED, { err.kind, err.signal })
        end)
      end
    end

    it("only the worker sleeps", function()
      local worker <close> = start(helper.raw "channel:sendMessage 'up' channel:receiveMessage()")
      assert.equal("up", worker:receiveMessage(TIMEOUT))
      local pid = worker:getProcessId()
      helper.eventually(function() return helper.state(pid) == "S" end)
      worker:kill "KILL"
      local answer, err = helper.promptly(receives, worker)
      assert.is_nil(answer)
      assert.same(KILLED, { err.kind, err.signal })
    end)

    it("both look for messages without sleeping", function()
      local worker <close> = start(helper.raw
        "for m in channel:messages() do channel:sendMessage(m) end")
      for n = 1, helper.isWatched and 300 or 2000 do
        worker:sendMessage(n)
        assert.equal(n, worker:receiveMessage(TIMEOUT))
      end
      uv.kill(worker:getProcessId(), "sigkill") -- while it looks for the next one
      worker:sendMessage(0)
      local answer, err = worker:receiveMessage()
      if answer == 0 then answer, err = helper.promptly(receives, worker) end
      assert.is_nil(answer)
      assert.same(KILLED, { err.kind, err.signal })
    end)
  end)
end)
