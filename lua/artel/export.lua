-- SPDX-License-Identifier: Apache-2.0
-- Knows how to write a Lua value as the text of an expression that rebuilds it exactly.

local core = require "artel.core"

local export = {}

-- A constructor holds its table, and up to 50 list items before they are stored, in
-- registers, of which a function has 255. So lists of tables are written with explicit keys
-- where they would take too many, and what is nested deeper still is refused.
local PENDING_ITEMS = 50
local POSITIONAL_LIMIT = 100
local REGISTER_LIMIT = 240
local REGISTERS_OF_KEYED = 2
local REGISTERS_OF_CALL = 3

local KEYWORDS = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or
               repeat return then true until while]]):gmatch "%a+" do
  KEYWORDS[word] = true
end

local ESCAPES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\\"] = "\\\\", ['"'] = '\\"' }

local function escape(character)
  return ESCAPES[character] or ("\\%03d"):format(character:byte())
end

--- Whether a text can be the name of a variable.
---@param text any
---@return boolean
function export.isIdentifier(text)
  return type(text) == "string" and text:find "^[A-Za-z_][A-Za-z0-9_]*$" ~= nil
    and not KEYWORDS[text]
end

--- A string in quotes, on one line, in valid UTF-8 whatever its bytes are.
---@param text string
---@return string
function export.quote(text)
  local quoted = text:gsub('[\0-\31\127"\\]', escape)
  if not utf8.len(quoted) then quoted = quoted:gsub("[\128-\255]", escape) end
  return '"' .. quoted .. '"'
end

--- A number, shortest of the texts that read back as the same. Names no variable, so that
--- it can be read where there is no `math`.
---@param number number
---@return string
function export.number(number)
  if math.type(number) == "integer" then
    -- The decimal digits of the smallest integer would read back as a float.
    return number == math.mininteger and "0x8000000000000000" or ("%d"):format(number)
  elseif number ~= number then
    return "(0/0)"
  elseif number == math.huge then
    return "1e999"
  elseif number == -math.huge then
    return "-1e999"
  end
  for digits = 15, 17 do
    local text = ("%%.%dg"):format(digits):format(number)
    if tonumber(text) == number then
      text = text:gsub(",", ".") -- some locales write a comma
      return text:find "[.e]" and text or text .. ".0"
    end
  end
end

-- Booleans, then numbers, then strings; each kind in its own order.
local KIND_ORDER = { boolean = 1, number = 2, string = 3 }

local function keyLess(a, b)
  local kindOfA, kindOfB = KIND_ORDER[type(a)], KIND_ORDER[type(b)]
  if kindOfA ~= kindOfB then return kindOfA < kindOfB end
  if kindOfA == 1 then return not a and b end
  return a < b
end

local function fail(path, reason)
  error({ exportFailure = ("cannot export %s (at %s)"):format(reason, path) }, 0)
end

local function pathOf(path, key)
  if export.isIdentifier(key) then return path .. "." .. key end
  if type(key) == "string" then return ("%s[%s]"):format(path, export.quote(key)) end
  return ("%s[%s]"):format(path, tostring(key))
end

-- The keys behind the list 1..length, sorted.
local function otherKeys(value, length, path)
  local keys = {}
  for key in next, value do
    if math.type(key) ~= "integer" or key < 1 or key > length then
      if not KIND_ORDER[type(key)] then fail(path, "a key that is a " .. type(key)) end
      keys[#keys + 1] = key
    end
  end
  table.sort(keys, keyLess)
  return keys
end

local function holdsTables(value, length)
  for index = 1, length do
    if type(rawget(value, index)) == "table" then return true end
  end
  return false
end

local function lengthOfList(value)
  local length = 0
  while rawget(value, length + 1) ~= nil do length = length + 1 end
  return length
end

local writeValue

local function writeKeyed(state, value, key, path, registers)
  local name = export.isIdentifier(key) and key
    or "[" .. writeValue(state, key, path, registers) .. "]"
  return name .. " = " .. writeValue(state, rawget(value, key), pathOf(path, key), registers)
end

-- The functions of artel.core that mark a table; nothing else of a metatable is kept.
local function markOf(value)
  local metatable = getmetatable(value)
  if not metatable then return nil end
  if metatable == getmetatable(core.object {}) then return "object" end
  if metatable == getmetatable(core.array {}) then return "array" end
end

local function writeTable(state, value, path, registers)
  if state.open[value] then fail(path, "a cycle") end
  local mark = markOf(value)
  if mark and state.plain then fail(path, "a marked table") end
  if registers + REGISTERS_OF_CALL + PENDING_ITEMS > REGISTER_LIMIT then
    fail(path, "a table that is nested so deeply")
  end
  state.open[value] = true
  local length = lengthOfList(value)
  local items = {}
  local positional = 1 + math.min(length, PENDING_ITEMS)
  if mark then registers = registers + REGISTERS_OF_CALL end
  local isList = not holdsTables(value, length) or registers + positional <= POSITIONAL_LIMIT
  for index = 1, length do
    items[index] = isList
        and writeValue(state, rawget(value, index), pathOf(path, index), registers + positional)
      or writeKeyed(state, value, index, path, registers + REGISTERS_OF_KEYED)
  end
  for _, key in ipairs(otherKeys(value, length, path)) do
    items[#items + 1] = writeKeyed(state, value, key, path, registers + REGISTERS_OF_KEYED)
  end
  state.open[value] = nil -- met again elsewhere it is written again
  local text = #items == 0 and "{}" or "{ " .. table.concat(items, ", ") .. " }"
  return mark and ('require("artel.core").%s(%s)'):format(mark, text) or text
end

function writeValue(state, value, path, registers)
  local kind = type(value)
  if value == nil or kind == "boolean" then return tostring(value) end
  if kind == "number" then return export.number(value) end
  if kind == "string" then return export.quote(value) end
  if kind == "table" then return writeTable(state, value, path, registers) end
  if value == core.null and not state.plain then return 'require("artel.core").null' end
  fail(path, value == core.null and "artel.null" or "a " .. kind)
end

--- The text of a Lua expression that rebuilds the value: numbers to the last bit, strings
--- with any bytes, tables in an order that depends on nothing but their content.
---@param value any
---@param name? string what messages call the value; "value" by default
---@param plain? boolean refuse what could not be rebuilt without `require`
---@return string? text nil when something in it cannot be written
---@return string? reason says what, and where
function export.value(value, name, plain)
  local state = { open = {}, plain = plain }
  local ok, text = pcall(writeValue, state, value, name or "value", 0)
  if ok then return text end
  if type(text) == "table" and text.exportFailure then return nil, text.exportFailure end
  error(text, 0)
end

--- The items of a list as expressions; with a field `n`, as `table.pack` sets it, nil is
--- an item like any other.
---@param list table
---@return string[]? texts
---@return string? reason
function export.list(list)
  local texts = {}
  for index = 1, math.tointeger(list.n) or #list do
    local text, reason = export.value(list[index], ("argument %d"):format(index))
    if not text then return nil, reason end
    texts[index] = text
  end
  return texts
end

return export
