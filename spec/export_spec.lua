-- SPDX-License-Identifier: Apache-2.0
local core = require "artel.core"
local export = require "artel.export"
local helper = require "spec.helper"

local function rebuild(value)
  local text = assert(export.value(value))
  return assert(load("return " .. text, "=exported", "t"))(), text
end

local function reasonFor(value)
  local text, reason = export.value(value)
  assert.is_nil(text)
  return reason
end

describe("artel.export", function()
  it("rebuilds every integer as an integer", function()
    for _, number in ipairs { 0, -1, 42, 2 ^ 53 | 0, math.maxinteger, math.mininteger } do
      local rebuilt = rebuild(number)
      assert.equal(number, rebuilt)
      assert.equal("integer", math.type(rebuilt))
    end
  end)

  it("rebuilds every float to the last bit", function()
    local floats = { 0.0, -0.0, 1.0, -3.0, 0.1, 1 / 3, 1e15, 1e16, 1e100, 2 ^ 53, 5e-324,
      math.pi, 1.7976931348623157e308, math.huge, -math.huge }
    for _, number in ipairs(floats) do
      local rebuilt = rebuild(number)
      assert.equal("float", math.type(rebuilt))
      assert.equal(string.pack("d", number), string.pack("d", rebuilt))
    end
    local nan = rebuild(0 / 0)
    assert.is_true(nan ~= nan)
  end)

  it("writes floats the way people do", function()
    assert.equal("0.1", export.value(0.1))
    assert.equal("1.0", export.value(1.0))
    assert.equal("-0.0", export.value(-0.0))
  end)

  it("rebuilds strings of any bytes, on one line of valid UTF-8", function()
    local all = {}
    for byte = 0, 255 do all[#all + 1] = string.char(byte) end
    local strings = { "", "plain",
      'a "quoted" \\ one', "line\nline\r\n\ttab", "grüße €", "\0" .. "12",
      "\27Lua", "]]", table.concat(all) }
    for _, text in ipairs(strings) do
      local rebuilt, source = rebuild(text)
      assert.equal(text, rebuilt)
      assert.is_truthy(utf8.len(source))
      assert.is_nil(source:find "\n")
    end
    assert.equal('"grüße €"', export.value "grüße €")
  end)

  it("rebuilds nested tables, and keys of every kind", function()
    local value = {
      1, "two", { 3, { 4 } }, n = false, ["not a name"] = 1, ["end"] = 2, [-1] = "minus",
      [10] = "far", [1.5] = "float", [math.huge] = "inf", [true] = "yes", [false] = "no",
      deep = { a = { b = { c = {} } } },
    }
    assert.same(value, (rebuild(value)))
  end)

  it("keeps nil, booleans and artel.null apart", function()
    assert.equal("nil", export.value(nil))
    assert.equal("false", export.value(false))
    assert.equal('require("artel.core").null', export.value(core.null))
    assert.equal(core.null, rebuild { core.null }[1])
  end)

  it("keeps what marks a table as an object or an array", function()
    local object, array = rebuild(core.object {}), rebuild { core.array { 1 } }
    assert.equal(getmetatable(core.object {}), getmetatable(object))
    assert.equal(getmetatable(core.array {}), getmetatable(array[1]))
    assert.same({ 1 }, setmetatable(array[1], nil))
  end)

  it("writes equal tables alike, whatever order they were filled in", function()
    local first, second = {}, {}
    for index = 1, 100 do first["key" .. index] = index end
    for index = 100, 1, -1 do second["key" .. index] = index end
    assert.equal(export.value(first), export.value(second))
    assert.equal('{ 7, [false] = 1, [true] = 2, [-1] = 3, [2.5] = 4, a = 5, b = 6 }',
      export.value { b = 6, a = 5, [2.5] = 4, [-1] = 3, [true] = 2, [false] = 1, 7 })
  end)

  it("keeps holes, since what follows one is no list", function()
    assert.same({ 1, nil, 3, nil, nil, 6 }, (rebuild { 1, nil, 3, nil, nil, 6 }))
  end)

  it("writes a table that is met twice twice", function()
    local shared = { 1 }
    assert.equal("{ { 1 }, { 1 } }", export.value { shared, shared })
  end)

  it("runs no metamethod", function()
    local trap = function() error "a metamethod ran" end
    local value = setmetatable({ 1 }, { __index = trap, __pairs = trap, __len = trap })
    assert.equal("{ 1 }", export.value(value))
  end)

  it("refuses what no expression can rebuild, and says where it is", function()
    assert.equal("cannot export a function (at value)", reasonFor(print))
    assert.equal("cannot export a function (at value.jobs[3].callback)",
      reasonFor { jobs = { 1, 2, { callback = print } } })
    assert.equal('cannot export a thread (at value["a b"])',
      reasonFor { ["a b"] = coroutine.create(print) })
    assert.equal("cannot export a userdata (at value[1])", reasonFor { io.stdout })
    assert.equal("cannot export a key that is a table (at value.x)", reasonFor { x = { [{}] = 1 } })
    local cycle = { inner = {} }
    cycle.inner.outer = cycle
    assert.equal("cannot export a cycle (at value.inner.outer)", reasonFor(cycle))
  end)

  it("refuses what needs require when only plain data will do", function()
    assert.same({ nil, "cannot export artel.null (at options.x)" },
      { export.value({ x = core.null }, "options", true) })
    assert.is_nil(export.value(core.object {}, "options", true))
  end)

  it("either refuses deep nesting or writes what Lua can load", function()
    local function nested(depth, make)
      local value = 1
      for _ = 1, depth do value = make(value) end
      return value
    end
    local filler = {}
    for index = 1, 49 do filler[index] = index end
    local shapes = {
      keyed = function(inner) return { a = inner } end,
      number = function(inner) return { [1.5] = inner } end,
      list = function(inner) return { inner } end,
      longList = function(inner)
        local list = { table.unpack(filler) }
        list[50] = inner
        return list
      end,
      marked = function(inner) return core.object { a = inner } end,
    }
    for name, make in pairs(shapes) do
      for depth = 1, 250, helper.isWatched and 25 or 1 do
        local text = export.value(nested(depth, make))
        if not text then
          assert.is_true(depth > 35, name .. " refused at " .. depth)
          break
        end
        local loaded, reason = load("return f(x, " .. text .. ")")
        assert.is_truthy(loaded, ("%s at %d: %s"):format(name, depth, reason))
      end
      assert.matches("nested so deeply", reasonFor(nested(500, make)))
    end
  end)
end)
