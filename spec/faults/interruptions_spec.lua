-- SPDX-License-Identifier: Apache-2.0
-- Signals without end, with handlers or by being stopped and continued: whatever call they
-- interrupt goes on, nothing is lost or doubled, and time limits hold.

local helper = require "spec.helper"

-- What a script does while another process sends it and its workers signals as fast as it can.
local SCRIPT = [[
  local transport, handled, command = ...
  local artel, uv = require "artel", require "luv"
  local HANDLER = "local signal = require 'luv'.new_signal() "
    .. "signal:start('sigusr1', function() end) signal:unref()"
  load(HANDLER)()
  local ECHO = "{ onRequest = function(_, r) return r end, "
    .. "onMessage = function(_, m, channel) channel:sendMessage(m) end }"
  local RAW = "{ run = function(_, channel) for m in channel:messages() do "
    .. "channel:sendMessage(m) end end }"
  local factory = artel.WorkerFactory.new { transport = transport, adminCookie = "a cookie",
    stage1Parts = handled == "handled" and { HANDLER } or nil, killSwitchPath = "switch.json" }
  local worker <close> = assert(factory:createWorkerWithExpression(ECHO))
  local raw <close> = assert(factory:createWorkerWithExpression(RAW))
  local pool <close> = factory:createWorkerPoolWithExpression(ECHO, 2)
  assert(worker:waitUntilReady() and raw:waitUntilReady() and pool:waitUntilReady())
  local pids = { math.tointeger(uv.os_getpid()), worker:getProcessId(), raw:getProcessId(),
    pool[1]:getProcessId(), pool[2]:getProcessId() }
  -- It lasts as long as there is this file, so that it leaves nobody stopped.
  assert(io.open("storm", "w")):close()
  local isOver = false
  assert(uv.spawn("sh", {
    args = { "-c", "while [ -e storm ]; do " .. command .. "; done", "sh",
      table.concat(pids, " ") },
    env = { "PATH=/usr/bin:/bin" }, stdio = { nil, nil, 2 }, -- where it would complain
  }, function() isOver = true end))
  local storm <close> = setmetatable({}, { __close = function()
    os.remove "storm"
    while not isOver do uv.run "once" end
  end })

  for n = 1, 200 do assert(worker:request(n) == n) end
  for _, each in ipairs { worker, raw } do
    for n = 1, 200 do
      assert(each:sendMessage(n))
      assert(each:receiveMessage() == n)
    end
    local long = ("x"):rep(3 << 20)
    assert(each:sendMessage(long))
    assert(each:receiveMessage() == long)
  end
  local items = {}
  for n = 1, 1000 do items[n] = n end
  local results = assert(pool:map(items))
  for n = 1, 1000 do assert(results[n] == n) end
  local began = uv.hrtime()
  local message, err = worker:receiveMessage(0.2)
  assert(message == nil and err.kind == "timeout" and uv.hrtime() - began >= 0.2e9)
  artel.async(function()
    for n = 1, 50 do assert(worker:request(n) == n and pool:request(n) == n) end
  end):await()
  for n = 1, 3 do
    assert(factory:disableSharedWorker("unix://w.sock"))
    assert(factory:reEnableSharedWorker("unix://w.sock"))
  end
  local shared <close> = assert(factory:connectToSharedWorkerWithExpression("unix://w.sock", ECHO))
  for n = 1, 100 do assert(shared:request(n) == n) end
  assert(shared:query())
  assert(factory:stopSharedWorker("unix://w.sock", 100))
  print "all"
]]

local STORMS = {
  { "that have handlers", "handled", "kill -USR1 $1" },
  { "that stop and continue", "without", "kill -STOP $1; kill -CONT $1" },
}

describe("signals without end", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  for _, transport in ipairs(helper.TRANSPORTS) do
    for _, storm in ipairs(STORMS) do
      local what, handled, command = table.unpack(storm)
      it(("%s harm neither a master nor its workers: %s"):format(what, transport), function()
        local result = helper.script(SCRIPT, { arguments = { transport, handled, command } })
        assert.same({ "all\n", "", 0 }, { result.output, result.errors, result.code })
      end)
    end
  end
end)
