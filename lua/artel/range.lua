-- SPDX-License-Identifier: Apache-2.0
-- Knows the range notation of Nagios and its kin: "10:20", "~:5", "10:", "@1:2", "7".

local export = require "artel.export"
local methods = require "artel.methods"

--- A range of numbers, both ends included; inverted, everything but those.
---@class artel.Range
---@field private min? number
---@field private max? number
---@field private inverted boolean
local Range = {}
local metatable = { __name = "artel.Range", __index = Range }

local function isNumber(value)
  return type(value) == "number" and value == value
end

-- An infinite end is no end.
local function checkEnd(value, position)
  local none = position == 1 and -math.huge or math.huge
  if value == nil or value == none then return nil end
  if not isNumber(value) or value == -none then
    error(("Range.new: argument %d: expected a number or nil, got %s"):format(position,
      type(value) == "number" and tostring(value) or type(value)), 3)
  end
  return value
end

--- A range; min above max makes one that holds nothing (or, inverted, everything).
---@param min? number nil: no lower end
---@param max? number nil: no upper end
---@param inverted? boolean
---@return artel.Range
function Range.new(min, max, inverted)
  local lower = checkEnd(min, 1)
  local upper = checkEnd(max, 2)
  local range = { min = lower, max = upper, inverted = inverted and true or false }
  return setmetatable(range, metatable)
end

-- Decimal numbers only: tonumber would also take "0x10" and "1e400".
local function readNumber(text)
  if not (text:find "^[+-]?%d+%.?%d*$" or text:find "^[+-]?%.%d+$"
    or text:find "^[+-]?%d+%.?%d*[eE][+-]?%d+$") then
    return nil
  end
  local number = tonumber((text:gsub("^%+", "")))
  if number == math.huge or number == -math.huge then return nil end
  return number
end

--- Reads the notation: `max` alone means from 0 to max, `~` no lower end, nothing behind the
--- colon no upper end, `@` the inverted range.
---@param text string
---@return artel.Range? range
---@return string? message
function Range.fromString(text)
  if type(text) ~= "string" then
    error("Range.fromString: expected a string, got " .. type(text), 2)
  end
  local function bad(what)
    return nil, ("bad range %q: %s"):format(text, what)
  end
  local at, rest = text:match "^(@?)(.*)$"
  local minText, maxText = rest:match "^([^:]*):([^:]*)$"
  if not minText then minText, maxText = "0", rest end
  if minText == "" then minText = "0" end
  if rest == "" or rest == ":" then return bad "it names no end" end
  local min, max
  if minText ~= "~" then
    min = readNumber(minText)
    if not min then return bad(("%q is no number"):format(minText)) end
  end
  if maxText ~= "" then
    max = readNumber(maxText)
    if not max then return bad(("%q is no number"):format(maxText)) end
  end
  return Range.new(min, max, at == "@")
end

--- Whether a value lies in the range; what is not a number lies in none.
---@param value number
---@return boolean
function Range:contains(value)
  if not isNumber(value) then return false end
  local within = (not self.min or value >= self.min) and (not self.max or value <= self.max)
  return within ~= self.inverted
end

--- The lower end, or nil when there is none.
---@return number?
function Range:getMin() return self.min end

--- The upper end, or nil when there is none.
---@return number?
function Range:getMax() return self.max end

---@return boolean
function Range:isInverted() return self.inverted end

-- Decimal digits only, as the notation has them; and nobody wants to see "-0.0:20.0".
local function write(number)
  if number == 0 then return "0" end
  if math.type(number) == "integer" then return ("%d"):format(number) end
  return (export.number(number):gsub("%.0$", ""))
end

function metatable.__tostring(self)
  local sign = self.inverted and "@" or ""
  local max = self.max and write(self.max) or ""
  if self.min == 0 and self.max then return sign .. max end
  return ("%s%s:%s"):format(sign, self.min and write(self.min) or "~", max)
end

function metatable.__eq(a, b)
  return a.min == b.min and a.max == b.max and a.inverted == b.inverted
end

methods.guard(Range, "inverted", "artel.Range", { new = true, fromString = true })

return Range
