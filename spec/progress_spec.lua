-- SPDX-License-Identifier: Apache-2.0
-- The line that tells on a terminal how far a long map has come.

local helper = require "spec.helper"
local program = require "spec.program"
local Progress = require "artel.progress"

-- Maps over three items, for as long as its argument says, and prints the sum.
local SCRIPT = [[
local artel = require "artel"
local pool <close> = artel.createWorkerPoolWithExpression(
  "{ onRequest = function(_, r) return r end }", 2)
local items = { 1, 2, 3 }
if arg[1] == "iterator" then
  local list, index = items, 0
  items = function()
    index = index + 1
    return list[index]
  end
end
local results = assert(pool:map(items, { progress = true }))
print("sum", results[1] + results[2] + results[3])
if arg[1] == "imap" then
  for index in pool:imap(items, { progress = true }) do
    if index then break end
  end
end
]]

--- Runs the script with a pseudo-terminal for all three standard descriptors. A sanitizer
--- that specs run with is for Lua alone: script(1) has leaks of its own.
local function onTerminal(argument)
  local folder <close> = helper.folder()
  helper.write(folder.path .. "/script.lua", SCRIPT)
  local command = ("env LD_PRELOAD=%s lua5.4 script.lua %s"):format(os.getenv "LD_PRELOAD" or "",
    argument or "")
  return program.run({ "script", "-qec", command, "/dev/null" },
    { folder = folder.path, environment = { LD_PRELOAD = false } })
end

describe("the progress of a map", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  it("is a line with count, rate and remaining time", function()
    local progress = Progress.new(1000)
    assert.equal("250 of 1000 (25 %), 50/s, 15 s left", progress:line(250, 5))
    assert.equal("10 of 1000 (1 %), 1/s, 16:30 min left", progress:line(10, 10))
    assert.equal("1000 of 1000 (100 %), 100/s, 0 s left", progress:line(1000, 10))
  end)

  it("does not guess before there is something to go by", function()
    assert.equal("0 of 5 (0 %), 0/s, ...", Progress.new(5):line(0, 0))
    assert.equal("0 of 5 (0 %), 0/s, ...", Progress.new(5):line(0, 3))
    assert.equal("0 of 0 (100 %), 0/s, ...", Progress.new(0):line(0, 0))
  end)

  it("knows a rate also when no time that the clock could tell has passed", function()
    assert.equal("3 of 3 (100 %), 3000/s, 0 s left", Progress.new(3):line(3, 0))
  end)

  it("has no end where nobody knows how many there are", function()
    assert.equal("120 done, 60/s", Progress.new(nil):line(120, 2))
  end)

  it("is not shown where standard error is no terminal", function()
    local result = helper.script(SCRIPT)
    assert.same({ "sum\t6\n", "", 0 }, { result.output, result.errors, result.code })
  end)

  it("is shown on a terminal, and its line is ended before others write", function()
    local result = onTerminal()
    assert.equal(0, result.code, result.output)
    local line = "\r\27[K3 of 3 (100 %), "
    local _, last = result.output:find(line, 1, true)
    assert.truthy(last, result.output)
    assert.matches("^%d+/s, 0 s left\r\nsum\t6\r\n$", result.output:sub(last + 1))
  end)

  it("is shown for an iterator too, without a total", function()
    local result = onTerminal "iterator"
    assert.matches("\r\27%[K3 done, %d+/s\r\nsum\t6\r\n$", result.output)
  end)

  it("is written once for each state, also for the last", function()
    local written = {}
    local stderr = io.stderr
    local _ <close> = setmetatable({}, { __close = function()
      io.stderr = stderr -- luacheck: ignore 122
    end })
    -- luacheck: ignore 122 (what progress writes to is looked at)
    io.stderr = { write = function(_, ...) written[#written + 1] = table.concat { ... } end }
    local seen, unseen = Progress.new(3), Progress.new(3)
    seen.isSilent, unseen.isSilent = false, false
    seen:show(3)
    seen:finish(3)
    unseen:finish(3)
    local text = table.concat(written)
    assert.equal(2, select(2, text:gsub("3 of 3", "")))
    assert.matches("^\r\27%[K3 of 3[^\n]+\n\r\27%[K3 of 3[^\n]+\n$", text)
  end)

  it("is ended when a loop over imap is left", function()
    local result = onTerminal "imap"
    assert.matches("sum\t6\r\n.*\r\27%[K%d of 3 %(%d+ %%%), %d+/s, [^\r\n]+\r\n$", result.output)
  end)
end)
