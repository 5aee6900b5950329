-- SPDX-License-Identifier: Apache-2.0
-- Knows which values a parameter of a profile may have. Each check answers the value as it
-- is kept, or nil and what was expected.

local export = require "artel.export"

local checks = {}

-- Sizes end where the length of a frame does: 32 bits.
local MAX_FRAME_SIZE = 0xffffffff
local MIN_RING_SIZE, MAX_RING_SIZE = 4096, 1 << 30

-- What a message calls a value that was not expected. Strings may be secrets.
local function describe(value)
  return type(value) == "number" and tostring(value) or type(value)
end

--- Checks one value.
---@param check function
---@param value any
---@return any accepted nil when it was not
---@return string? reason
function checks.accept(check, value)
  local accepted, expected = check(value)
  if accepted ~= nil then return accepted end
  -- A cookie of digits whose quotes were forgotten is a secret, too.
  local found = check == checks.cookie and type(value) or describe(value)
  return nil, ("expected %s, got %s"):format(expected, found)
end

--- Checks a list, and answers a new one.
---@param check function of each item
---@param list any nil counts as an empty one
---@return any[]? accepted
---@return string? reason
function checks.acceptList(check, list)
  if list == nil then return {} end
  if type(list) ~= "table" then return nil, "expected a list, got " .. describe(list) end
  local accepted = {}
  for index, item in ipairs(list) do
    local value, reason = checks.accept(check, item)
    if value == nil then return nil, ("%s (at [%d])"):format(reason, index) end
    accepted[index] = value
  end
  for key in pairs(list) do
    if accepted[key] == nil then
      return nil, ("expected a list, got a table with the key %s"):format(tostring(key))
    end
  end
  return accepted
end

local function isWholeText(value)
  return type(value) == "string" and value ~= ""
end

local function isPlainName(value)
  return isWholeText(value) and not value:find("\0", 1, true)
end

function checks.boolean(value)
  if type(value) == "boolean" then return value end
  return nil, "true or false"
end

function checks.text(value)
  if type(value) == "string" then return value end
  return nil, "a string"
end

function checks.argument(value)
  if type(value) == "string" and not value:find("\0", 1, true) then return value end
  return nil, "a string without zero bytes"
end

function checks.path(value)
  if isPlainName(value) then return value end
  return nil, "a path"
end

function checks.user(value)
  if isPlainName(value) then return value end
  return nil, "the name of a user"
end

function checks.module(value)
  if isPlainName(value) then return value end
  return nil, "the name of a module or the path of a Lua file"
end

function checks.cookie(value)
  if isWholeText(value) then return value end
  return nil, "a string that is not empty"
end

function checks.source(value)
  -- The host loads text only; here the mistake can still be told to who made it.
  if type(value) == "string" and value:sub(1, 1) ~= "\27" then return value end
  return nil, "Lua source text"
end

function checks.expression(value)
  if isWholeText(value) and value:find "%S" and value:sub(1, 1) ~= "\27" then return value end
  return nil, "the text of a Lua expression"
end

function checks.identifier(value)
  if export.isIdentifier(value) and value ~= "_ENV" then return value end
  return nil, "the name of a variable (an identifier of Lua)"
end

function checks.time(value)
  if type(value) == "number" and value >= 0 then return value end
  return nil, "a time in seconds, 0 or more"
end

local function wholeNumber(value, least, most)
  local number = math.type(value) and math.tointeger(value)
  return number and number >= least and number <= most and number or nil
end

function checks.messageSize(value)
  local size = wholeNumber(value, 1, MAX_FRAME_SIZE)
  if size then return size end
  return nil, "a size in bytes from 1 to 4294967295"
end

function checks.size(value)
  local size = wholeNumber(value, 1, math.maxinteger)
  if size then return size end
  return nil, "a size in bytes, 1 or more"
end

function checks.count(value)
  local count = wholeNumber(value, 1, math.maxinteger)
  if count then return count end
  return nil, "a whole number, 1 or more"
end

function checks.ringSize(value)
  local size = wholeNumber(value, MIN_RING_SIZE, MAX_RING_SIZE)
  if size and size & (size - 1) == 0 then return size end
  return nil, "a size in bytes that is a power of two from 4096 to 1073741824"
end

local TRANSPORTS = { auto = true, socket = true, ["shared-memory"] = true }

function checks.transport(value)
  if TRANSPORTS[value] then return value end
  return nil, '"auto", "socket" or "shared-memory"'
end

local function onlyHas(value, allowed)
  for key in pairs(value) do
    if not allowed[key] then return nil, key end
  end
  return true
end

local ENCODINGS = { msgpack = true, json = true }
local FACTORY_FIELDS = { module = true, options = true }

function checks.channelFactory(value)
  if ENCODINGS[value] then return value end
  if type(value) ~= "table" or not onlyHas(value, FACTORY_FIELDS)
    or not checks.module(value.module) then
    return nil, '"msgpack", "json" or { module = name, options = table }'
  end
  local ok, reason = export.value(value.options, "options", true)
  if not ok then return nil, "options of plain data: " .. reason end
  return { module = value.module, options = value.options }
end

local RESOURCES = { memory = checks.size, cpu = checks.time, openFiles = checks.count }

function checks.resourceLimits(value)
  if type(value) ~= "table" then
    return nil, "{ memory = bytes, cpu = seconds, openFiles = count }"
  end
  local known, stranger = onlyHas(value, RESOURCES)
  if not known then
    return nil, ("limits named memory, cpu or openFiles, and found %s"):format(tostring(stranger))
  end
  local limits = {}
  for name, limit in pairs(value) do
    local accepted, expected = RESOURCES[name](limit)
    if not accepted or accepted == 0 then -- 0 would mean none further on
      return nil, ("%s to be %s"):format(name, expected or "more than 0")
    end
    limits[name] = accepted
  end
  return limits
end

return checks
