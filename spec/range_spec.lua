-- SPDX-License-Identifier: Apache-2.0
local Range = require "artel.range"

local function ends(text)
  local range = assert(Range.fromString(text))
  return { min = range:getMin(), max = range:getMax(), inverted = range:isInverted() }
end

describe("artel.Range", function()
  it("reads the notation of monitoring plugins", function()
    assert.same({ min = 0, max = 7, inverted = false }, ends "7")
    assert.same({ min = 10, max = 20, inverted = false }, ends "10:20")
    assert.same({ min = 10, inverted = false }, ends "10:")
    assert.same({ max = 5, inverted = false }, ends "~:5")
    assert.same({ inverted = false }, ends "~:")
    assert.same({ min = 1, max = 2, inverted = true }, ends "@1:2")
    assert.same({ min = 0, max = 3, inverted = true }, ends "@3")
    assert.same({ min = 0, max = 10, inverted = false }, ends ":10")
    assert.same({ min = -1.5, max = -0.5, inverted = false }, ends "-1.5:-.5")
    assert.same({ min = 0, max = 1000.0, inverted = false }, ends "+1e3")
  end)

  it("takes 0 for the number it is, at both ends", function()
    assert.same({ min = 0, max = 10, inverted = false }, ends "0:10")
    assert.same({ min = 5, max = 0, inverted = false }, ends "5:0")
    assert.same({ min = 0, max = 0, inverted = false }, ends "0")
    assert.is_false(Range.fromString("0:10"):contains(-1))
    assert.is_false(Range.fromString("5:0"):contains(3))
    assert.is_true(Range.fromString("@5:0"):contains(3))
  end)

  it("says what is wrong with other texts", function()
    for _, text in ipairs { "", "@", ":", "@:", "~", "a", "1:b", "1:2:3", "1 ", " 1", "0x10",
      "1e999", "nan", "inf", "1:~", "~:~", "@@1", "--1", "1..2", ".", "-", "1,5", "~1:2" } do
      local range, message = Range.fromString(text)
      assert.is_nil(range, text)
      assert.matches("^bad range ", message)
    end
  end)

  it("includes both ends", function()
    local range = Range.new(10, 20)
    for value, inside in pairs { [9.99] = false, [10] = true, [15] = true, [20] = true,
      [20.01] = false, [math.huge] = false } do
      assert.equal(inside, range:contains(value))
      assert.equal(not inside, Range.new(10, 20, true):contains(value))
    end
    assert.is_true(Range.new():contains(-math.huge))
    assert.is_true(Range.new(nil, 5):contains(-1e300))
    assert.is_true(Range.new(5):contains(math.huge))
  end)

  it("contains nothing that is no number", function()
    for _, range in ipairs { Range.new(), Range.new(1, 2, true) } do
      assert.is_false(range:contains(0 / 0))
      assert.is_false(range:contains "1")
      assert.is_false(range:contains(nil))
    end
  end)

  it("writes what it reads, in its shortest form", function()
    for _, text in ipairs { "7", "10:20", "10:", "~:5", "~:", "@1:2", "@3", "-1.5:-0.5", "0:", "0",
      "5:0", "0.1", "@~:-3", "-9223372036854775808:", "1e+300:" } do
      assert.equal(text, tostring(Range.fromString(text)))
    end
    assert.equal("10", tostring(Range.fromString "0:10"))
    assert.equal("10:20", tostring(Range.new(10.0, 20.0)))
    assert.equal("-1:0", tostring(Range.new(-1, -0.0)))
    assert.equal(Range.new(0, 10), Range.fromString "10")
    assert.are_not.equal(Range.new(0, 10), Range.new(0, 10, true))
  end)

  it("takes an infinite end for none", function()
    assert.is_nil(Range.new(-math.huge, math.huge):getMin())
    assert.is_nil(Range.new(-math.huge, math.huge):getMax())
  end)

  it("raises for misuse at the caller", function()
    for _, call in ipairs { function() Range.new "1" end, function() Range.new(1, 0 / 0) end,
      function() Range.new(math.huge) end, function() local _ = Range.fromString(7) end } do
      local ok, message = pcall(call)
      assert.is_false(ok)
      assert.matches("^spec/range_spec.lua:%d+: Range", message)
    end
  end)
end)
