-- SPDX-License-Identifier: Apache-2.0
-- Masters whose surroundings are not what a program may expect.

local helper = require "spec.helper"
local program = require "spec.program"

describe("a master in an odd environment", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  -- Runs a script in what a shell command has prepared.
  local function through(command, script)
    local folder <close> = helper.folder()
    helper.write(folder.path .. "/script.lua", script)
    return program.run({ "sh", "-c", command .. " lua5.4 script.lua" }, { folder = folder.path })
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
end)
