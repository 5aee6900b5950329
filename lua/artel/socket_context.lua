-- SPDX-License-Identifier: Apache-2.0
-- Knows the options of a listening socket that a profile's socket context expression may set.

local expression = require "artel.expression"

local socketContext = {}

local function isPositive(value) return math.type(value) == "integer" and value > 0 end
local function isBoolean(value) return type(value) == "boolean" end
local function isId(value)
  return type(value) == "string" and value ~= "" or math.type(value) == "integer" and value >= 0
end

--- A file mode, also as people write it: "0660".
local function toMode(value)
  if type(value) == "string" then value = value:find "^[0-7]+$" and tonumber(value, 8) end
  return math.type(value) == "integer" and value >= 0 and value <= 511 and value or nil
end

local OPTIONS = {
  backlog = { isPositive, "an integer from 1 up" },
  mode = { toMode, "a file mode such as \"0660\"" },
  owner = { isId, "the name or number of a user" },
  group = { isId, "the name or number of a group" },
  reusePort = { isBoolean, "a boolean" },
  keepAlive = { isBoolean, "a boolean" },
  noDelay = { isBoolean, "a boolean" },
  ipv6Only = { isBoolean, "a boolean" },
  maxConnections = { isPositive, "an integer from 1 up" },
}

--- The names of all options, for who has misspelt one.
local function names()
  local list = {}
  for name in pairs(OPTIONS) do list[#list + 1] = name end
  table.sort(list)
  return table.concat(list, ", ")
end

--- Evaluates the expression.
---@param text string?
---@return table? context
---@return table? failure { message = }
function socketContext.evaluate(text)
  if not text then return {} end
  local ok, context = expression.evaluate(text, "=(socket context expression)")
  if not ok then return nil, context end
  if type(context) ~= "table" then
    return nil, { message = "the socket context expression must answer a table" }
  end
  local checked = {}
  for name, value in pairs(context) do
    local option = OPTIONS[name]
    if not option then
      return nil, { message = ("the socket context has no option '%s'; there are: %s")
        :format(tostring(name), names()) }
    end
    local accepted = option[1](value)
    if not accepted then
      return nil, { message = ("the option '%s' of the socket context must be %s")
        :format(name, option[2]) }
    end
    if name == "mode" then value = accepted end
    checked[name] = value
  end
  return checked
end

return socketContext
