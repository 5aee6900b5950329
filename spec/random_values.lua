-- SPDX-License-Identifier: Apache-2.0
-- Random messages for round trips: the same ones in every run, and a strict comparison.
local core = require "artel.core"

---@class spec.RandomValues.Options
---@field anyNumber boolean? also NaN and infinities
---@field anyString boolean? also strings that are not UTF-8
---@field anyKey boolean? also keys that are neither strings nor 1..n

---@class spec.RandomValues
---@field options spec.RandomValues.Options
---@field state integer
local RandomValues = {}
RandomValues.__index = RandomValues

---@param seed integer
---@param options spec.RandomValues.Options?
---@return spec.RandomValues
function RandomValues.new(seed, options)
  return setmetatable({ state = seed, options = options or {} }, RandomValues)
end

--- xorshift64: math.random is others' to seed.
---@return integer any of 64 bits
function RandomValues:bits()
  local state = self.state
  state = state ~ (state << 13)
  state = state ~ (state >> 7)
  state = state ~ (state << 17)
  self.state = state
  return state
end

---@return integer from 1 to `count`
function RandomValues:below(count) return (self:bits() >> 1) % count + 1 end

function RandomValues:integer() return self:bits() >> (self:below(64) - 1) end

function RandomValues:float()
  local kind = self:below(4)
  if kind == 1 then return self:below(100000) / 10.0 ^ self:below(8) end
  if kind == 2 then return self:below(1000) + 0.0 end
  if kind == 3 then return -(self:bits() >> 11) * 2.0 ^ -53 end
  local float = string.unpack("d", string.pack("j", self:bits()))
  local finite = float == float and float - float == 0
  return (finite or self.options.anyNumber) and float or 0.5
end

local PIECES = { "a", "key", " ", "\"", "\\", "/", "\n", "\0", "\u{7f}", "\u{e4}", "\u{20ac}",
  "\u{1f600}", "plain text of more than eight bytes", "\u{ffff}", "\u{10ffff}" }

function RandomValues:string()
  local pieces = {}
  for i = 1, self:below(6) - 1 do pieces[i] = PIECES[self:below(#PIECES)] end
  if self.options.anyString and self:below(4) == 1 then pieces[#pieces + 1] = "\xc0\x80" end
  if self:below(50) == 1 then pieces[#pieces + 1] = ("long"):rep(self:below(30000)) end
  return table.concat(pieces)
end

function RandomValues:list(depth)
  local list = {}
  for i = 1, self:below(8) - 1 do list[i] = self:value(depth - 1) end
  if self:below(20) == 1 then
    for i = #list + 1, #list + self:below(200) do list[i] = self:integer() end
  end
  return list
end

function RandomValues:key()
  local kind = self.options.anyKey and self:below(4) or 1
  if kind == 2 then return self:integer() end
  if kind == 3 then return self:below(2) == 1 end
  if kind == 4 then
    local float = self:float()
    return float == float and float or 0.5
  end
  return self:string()
end

function RandomValues:map(depth)
  local map = {}
  for _ = 1, self:below(self:below(10) == 1 and 60 or 6) - 1 do
    map[self:key()] = self:value(depth - 1)
  end
  return next(map) == nil and core.object(map) or map
end

--- A value that `options` allow, nested at most `depth` deep (4).
function RandomValues:value(depth)
  depth = depth or 4
  local kind = self:below(depth > 0 and 8 or 6)
  if kind == 1 then return self:integer() end
  if kind == 2 then return self:float() end
  if kind == 3 then return self:below(2) == 1 end
  if kind == 4 then return core.null end
  if kind <= 6 then return self:string() end
  return kind == 7 and self:list(depth) or self:map(depth)
end

--- Whether two values are the same as messages: integers are no floats, 0.0 is not -0.0,
--- NaN is NaN, and an empty object is no empty list.
function RandomValues.same(left, right)
  if type(left) ~= "table" or type(right) ~= "table" then
    if left ~= left then return right ~= right end
    return left == right and math.type(left) == math.type(right)
      and (left ~= 0 or math.type(left) == "integer" or 1 / left == 1 / right)
  end
  local count = 0
  for key, value in next, left do
    if not RandomValues.same(value, right[key]) then return false end
    count = count + 1
  end
  for _ in next, right do count = count - 1 end
  return count == 0 and (next(left) ~= nil or getmetatable(left) == getmetatable(right))
end

return RandomValues
