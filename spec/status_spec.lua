-- SPDX-License-Identifier: Apache-2.0
local core = require "artel.core"
local WorkerCounter = require "artel.counter"
local WorkerStatus = require "artel.status"

local null = core.null

describe("artel.WorkerStatus", function()
  it("answers what it was given, counters in their order", function()
    local counters = { WorkerCounter.new("b", 1), WorkerCounter.new("a", 2) }
    local status = WorkerStatus.new("all is well", counters)
    assert.equal("all is well", status:getTextStatus())
    assert.same(counters, status:getCounters())
    counters[3] = WorkerCounter.new("c", 3)
    status:getCounters()[3] = counters[3]
    assert.equal(2, #status:getCounters())
    assert.equal("all is well", tostring(status))
  end)

  it("may be empty", function()
    local status = WorkerStatus.new()
    assert.is_nil(status:getTextStatus())
    assert.same({}, status:getCounters())
    assert.is_string(tostring(status))
  end)

  it("travels with both fields, a list for no counters, and comes back", function()
    local empty = WorkerStatus.new():toTable()
    assert.equal(null, empty.textStatus)
    assert.equal(getmetatable(core.array {}), getmetatable(empty.counters))
    local status = WorkerStatus.new("x", { WorkerCounter.new("a", 1, "B", 0, 2) })
    assert.same({ name = "a", value = 1, unit = "B", min = 0, max = 2 },
      status:toTable().counters[1])
    assert.same(status, WorkerStatus.fromTable(status:toTable()))
  end)

  it("accepts what peers leave out, and what they add", function()
    for _, t in ipairs { {}, { textStatus = null, counters = null }, { more = 1 },
      { counters = core.object {} } } do
      assert.same(WorkerStatus.new(), WorkerStatus.fromTable(t))
    end
  end)

  it("says what is wrong with a table from a peer", function()
    for pattern, bad in pairs {
      ["a status must be a table, got string"] = "x",
      ["textStatus must be a string, got number"] = { textStatus = 1 },
      ["counters must be a list, got string"] = { counters = "x" },
      ["counters must be a list$"] = { counters = { a = 1 } },
      ["the name of a counter .* %(at counters%[2%]%)"] = { counters = { { name = "a" }, {} } },
    } do
      local status, message = WorkerStatus.fromTable(bad)
      assert.is_nil(status)
      assert.matches(pattern, message)
    end
  end)

  it("raises for misuse at the caller", function()
    for _, call in ipairs { function() WorkerStatus.new(1) end,
      function() WorkerStatus.new(nil, "x") end,
      function() WorkerStatus.new(nil, { { name = "a" } }) end } do
      local ok, message = pcall(call)
      assert.is_false(ok)
      assert.matches("^spec/status_spec.lua:%d+: WorkerStatus.new: ", message)
    end
  end)
end)
