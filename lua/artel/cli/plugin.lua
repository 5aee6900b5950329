-- SPDX-License-Identifier: Apache-2.0
-- Knows what a monitoring plugin prints, and its exit codes: the guidelines of the Monitoring
-- Plugins project (Nagios and its kin).

local plugin = {}

local SERVICE = "SHARED-WORKER"

plugin.EXIT_CODES = { OK = 0, WARNING = 1, CRITICAL = 2, UNKNOWN = 3 }

-- Which of two states a service is in.
local RANK = { OK = 1, UNKNOWN = 2, WARNING = 3, CRITICAL = 4 }

--- The worse of two states.
function plugin.worse(one, other)
  return RANK[one] >= RANK[other] and one or other
end

-- The units that monitoring systems know; a number with any other is a plain one to them.
local UNITS = { s = true, us = true, ms = true, ["%"] = true, B = true, KB = true, MB = true,
  GB = true, TB = true, c = true }

--- Digits, point and minus only: an exponent is not understood everywhere.
---@param number number
---@return string
function plugin.number(number)
  if math.tointeger(number) then return ("%d"):format(number) end
  for precision = 15, 17 do
    local text = ("%." .. precision .. "g"):format(number)
    if tonumber(text) == number and not text:find "e" then return text end
  end
  return (("%.17f"):format(number):gsub("0+$", ""):gsub("%.$", ""))
end

--- A label may have any characters but "=", "|" and line ends; within quotes, "'" is doubled.
local function label(name)
  local text = name:gsub("[=|%c]", "_")
  if not text:find "^[%w_.-]+$" then text = "'" .. text:gsub("'", "''") .. "'" end
  return text
end

local function orNothing(number)
  return number and plugin.number(number) or ""
end

--- 'label'=value[unit];[warning];[critical];[min];[max]
---@param counter artel.WorkerCounter
---@param warning? artel.Range
---@param critical? artel.Range
function plugin.perfdata(counter, warning, critical)
  local unit, value = counter:getUnit(), counter:getValue()
  local fields = {
    value and plugin.number(value) .. (UNITS[unit] and unit or "") or "U",
    warning and tostring(warning) or "", critical and tostring(critical) or "",
    orNothing(counter:getMin()), orNothing(counter:getMax()),
  }
  return label(counter:getName()) .. "=" .. table.concat(fields, ";"):gsub(";+$", "")
end

--- The one line; what would end the text or the line is replaced in it.
---@param state "OK"|"WARNING"|"CRITICAL"|"UNKNOWN"
---@param text string
---@param perfdata? string[]
function plugin.line(state, text, perfdata)
  local line = ("%s %s - %s"):format(SERVICE, state, text:gsub("|", "/"):gsub("%c+", " "))
  if perfdata and #perfdata > 0 then line = line .. " | " .. table.concat(perfdata, " ") end
  return line .. "\n"
end

return plugin
