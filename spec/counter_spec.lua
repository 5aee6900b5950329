-- SPDX-License-Identifier: Apache-2.0
local core = require "artel.core"
local WorkerCounter = require "artel.counter"

local null = core.null

local function raised(...)
  local ok, message = pcall(...)
  assert.is_false(ok)
  return message
end

describe("artel.WorkerCounter", function()
  it("answers what it was given", function()
    local counter = WorkerCounter.new("clients", 3, "c", 0, 100)
    assert.equal("clients", counter:getName())
    assert.equal(3, counter:getValue())
    assert.equal("c", counter:getUnit())
    assert.equal(0, counter:getMin())
    assert.equal(100, counter:getMax())
    assert.is_nil(WorkerCounter.new("clients", 3):getUnit())
  end)

  it("travels with all five fields, and comes back", function()
    assert.same({ name = "a", value = 1, unit = null, min = null, max = null },
      WorkerCounter.new("a", 1):toTable())
    local counter = WorkerCounter.new("a", 1.5, "s", 0, 9)
    assert.same(counter, WorkerCounter.fromTable(counter:toTable()))
    assert.same(WorkerCounter.new("a"), WorkerCounter.fromTable { name = "a", more = {} })
  end)

  it("never holds up a status with a number that JSON lacks", function()
    local t = WorkerCounter.new("a", 0 / 0, nil, -math.huge, math.huge):toTable()
    assert.same({ null, null, null }, { t.value, t.min, t.max })
  end)

  it("knows no number that is none, also when a peer sends it", function()
    assert.same(WorkerCounter.new "a",
      WorkerCounter.fromTable { name = "a", value = 0 / 0, min = -math.huge, max = math.huge })
  end)

  it("says what is wrong with a table from a peer", function()
    for pattern, bad in pairs {
      ["must be a table, got string"] = "x",
      ["the name of a counter must be a string, got nil"] = {},
      ["the name of a counter must be a string, got an empty string"] = { name = "" },
      ["the value of a counter must be a number or nil, got string"] = { name = "a", value = "1" },
      ["the unit of a counter must be a string or nil"] = { name = "a", unit = 1 },
      ["the max of a counter must be a number or nil"] = { name = "a", max = {} },
    } do
      local counter, message = WorkerCounter.fromTable(bad)
      assert.is_nil(counter)
      assert.matches(pattern, message)
    end
  end)

  it("raises for misuse at the caller", function()
    assert.matches("^spec/counter_spec.lua:%d+: WorkerCounter.new: the name",
      raised(function() WorkerCounter.new() end))
    assert.matches("the value", raised(WorkerCounter.new, "a", "1"))
  end)

  it("counts the seconds this process has run", function()
    local first = WorkerCounter.getWallExecutionTimeCounter()
    assert.equal("sys_wall_execution_time", first:getName())
    assert.equal("s", first:getUnit())
    assert.equal(0, first:getMin())
    local later = first
    while later:getValue() == first:getValue() do
      later = WorkerCounter.getWallExecutionTimeCounter()
    end
    assert.is_true(later:getValue() > first:getValue())
  end)

  it("counts the memory of this process", function()
    local before = WorkerCounter.getMemoryUsageCounter()
    assert.equal("sys_memory_usage", before:getName())
    assert.equal("B", before:getUnit())
    local block = ("x"):rep(32 << 20)
    local after = WorkerCounter.getMemoryUsageCounter()
    assert.is_true(after:getValue() > before:getValue() + (16 << 20))
    assert.equal(32 << 20, #block)
  end)

  it("tells the limit on memory, where there is one #unsanitized", function()
    local code = 'print(require("artel.counter").getMemoryUsageCounter():getMax())'
    local child = assert(io.popen(("ulimit -v %d; LUA_PATH='%s' LUA_CPATH='%s' lua5.4 -e '%s'")
      :format(1 << 20, package.path, package.cpath, code)))
    local answer = child:read "l"
    assert.is_true(child:close())
    assert.equal(tostring(1 << 30), answer)
  end)

  it("has system counters with names of their own, all of them known", function()
    local seen = {}
    for _, counter in ipairs(WorkerCounter.getSystemCounters()) do
      local name = counter:getName()
      assert.matches("^sys_", name)
      assert.is_nil(seen[name])
      assert.is_true(counter:getValue() >= 0)
      seen[name] = true
    end
    assert.is_true(seen.sys_wall_execution_time and seen.sys_memory_usage)
  end)
end)
