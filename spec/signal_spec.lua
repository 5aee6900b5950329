-- SPDX-License-Identifier: Apache-2.0
-- Signals that reach the master.

local helper = require "spec.helper"

-- What a script begins with: a worker that is busy for good, and one that is idle.
local PRELUDE = [[
  local artel = require "artel"
  local function start(body)
    local worker = artel.createWorkerWithExpression(
      "{ run = function(self, channel) " .. body .. " end }")
    assert(worker:receiveMessage() == "up")
    return worker
  end
  local idle <close> = start "channel:sendMessage 'up' channel:receiveMessage()"
  local left, right = artel.channelPair()
  local function busy()
    return start [=[require "luv".new_signal():start("sigterm", print)
      channel:sendMessage "up"
      while true do end]=]
  end
  local function wait(fn, ...)
    print "waiting"
    io.stdout:flush()
    fn(...)
  end
]]

-- Every call that waits in a script.
local WAITS = {
  ["receiveMessage()"] = "wait(idle.receiveMessage, idle)",
  ["receiveMessage(timeout)"] = "wait(idle.receiveMessage, idle, 1000)",
  ["messages()"] = "wait(function() for _ in idle:messages() do end end)",
  ["request()"] = [[
    local worker = busy()
    local closer <close> = setmetatable({}, { __close = function() worker:close(0) end })
    wait(worker.request, worker, 1)]],
  ["receiveRequest()"] = "wait(idle.receiveRequest, idle)",
  ["select()"] = "wait(artel.select, { idle, left })",
  ["waitUntilReady()"] = [[
    local slow <close> = artel.WorkerFactory.new { stage1Parts = { "while true do end" } }
      :createWorkerWithExpression "{ run = print }"
    local closer <close> = setmetatable({}, { __close = function() slow:close(0) end })
    wait(slow.waitUntilReady, slow)]],
  ["sendMessage()"] = [[
    local worker = busy()
    local closer <close> = setmetatable({}, { __close = function() worker:close(0) end })
    wait(worker.sendMessage, worker, ("x"):rep(16 << 20))]],
  ["flush()"] = [[
    local worker = busy()
    local closer <close> = setmetatable({}, { __close = function() worker:close(0) end })
    artel.async(function() worker:sendMessage(("x"):rep(16 << 20)) end)
    wait(worker.flush, worker)]],
  ["close()"] = [[
    local worker = busy()
    local closer <close> = setmetatable({}, { __close = function() worker:close(0) end })
    wait(worker.close, worker, 1000)]],
  ["await()"] = [[
    local task = artel.async(function() return idle:receiveMessage() end)
    wait(task.await, task)]],
  ["await(timeout)"] = [[
    local task = artel.async(function() return idle:receiveMessage() end)
    wait(task.await, task, 1000)]],
  ["a wait in a coroutine of the script's own"] =
    "coroutine.wrap(function() wait(idle.receiveMessage, idle) end)()",
}

describe("Ctrl-C", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  for what, wait in pairs(WAITS) do
    it("ends " .. what .. " at once, and the script closes its workers", function()
      local result = helper.interrupted(PRELUDE .. wait)
      assert.equal(1, result.code, result.errors)
      assert.matches("interrupted!", result.errors)
    end)
  end

  it("can be caught, and the channel goes on", function()
    local result = helper.interrupted(PRELUDE .. [[
      local ok, err = pcall(wait, idle.receiveMessage, idle)
      local worker <close> = start "channel:sendMessage 'up' channel:sendMessage 'after'"
      print(ok, err, worker:receiveMessage())
      left:sendMessage "still"
      print(right:receiveMessage())
    ]])
    assert.equal("waiting\nfalse\tinterrupted!\tafter\nstill\n", result.output, result.errors)
  end)

  it("in the middle of a long message leaves it whole", function()
    local result = helper.interrupted(PRELUDE .. [[
      local worker <close> = start [=[
        local uv = require "luv"
        uv.new_signal():start("sigusr1", uv.stop)
        channel:sendMessage "up"
        uv.run()
        channel:sendMessage(#channel:receiveMessage())
        channel:sendMessage(channel:receiveMessage()) ]=]
      print(pcall(wait, worker.sendMessage, worker, ("x"):rep(8 << 20)))
      worker:kill "SIGUSR1"
      worker:sendMessage "behind it"
      print(worker:receiveMessage(), worker:receiveMessage())
    ]])
    assert.equal("waiting\nfalse\tinterrupted!\n8388608\tbehind it\n", result.output,
      result.errors)
  end)
end)
