-- SPDX-License-Identifier: Apache-2.0
-- What must be true of a range: it reads back from its own text, and it contains what the
-- notation says.

local Range = require "artel.range"

--- As the plugin guidelines define it.
local function isInside(range, value)
  if value ~= value then return false end
  local min, max = range:getMin() or -math.huge, range:getMax() or math.huge
  local outside = value < min or max < value
  return outside == range:isInverted()
end

local function checkValue(range, value)
  assert(range:contains(value) == isInside(range, value), "contains is wrong")
end

local function checkRange(range)
  local text = tostring(range)
  local again, message = Range.fromString(text)
  assert(again, message)
  assert(again == range, text .. " is another range when it is read")
  assert(tostring(again) == text)
  for _, limit in ipairs { range:getMin() or 0, range:getMax() or 0 } do
    for _, value in ipairs { limit, limit - 1, limit + 1, limit * 1.0000001, limit / 0, -limit } do
      checkValue(range, value)
    end
  end
end

--- Numbers of every kind from the bytes: two ends and a value.
local function checkNumbers(bytes)
  local format = bytes:byte() % 2 == 0 and "<i8i8i8" or "<ddd"
  local min, max, value = string.unpack(format, bytes, 2)
  local made, range = pcall(Range.new, min, max, bytes:byte() % 4 > 1)
  if not made then return end -- not a number, or an infinity at the wrong end
  checkRange(range)
  checkValue(range, value)
end

return function(bytes)
  local range, message = Range.fromString(bytes)
  if range then
    checkRange(range)
  else
    assert(type(message) == "string" and message:find "^bad range ")
  end
  if #bytes > 24 then checkNumbers(bytes) end
end
