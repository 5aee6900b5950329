-- SPDX-License-Identifier: Apache-2.0
-- What the Lua contenders send and how they measure: the same values as every contender.
local uv = require "luv"

local values = {}

--- 20 string fields and a list of 20 integers: about 1 KB on any wire.
---@return table
function values.structured()
  local value = { list = {} }
  for i = 1, 20 do
    value[("field%02d"):format(i)] = "the quick brown fox jumps over " .. i
    value.list[i] = i * 1000
  end
  return value
end

--- The small integer of every round trip: always the same length on the wire.
values.SMALL = 1000000

--- How many messages a stream may have under way.
values.WINDOW = 200

--- Reads `-n 1000 --worker raw --flag` from the command line; numbers become numbers.
---@param defaults table<string, any>
---@return table<string, any> options `options[1]` is what stands alone in front
function values.options(defaults)
  local options = {}
  for name, value in pairs(defaults) do options[name] = value end
  local i = 1
  while arg[i] do
    local name = arg[i]:match("^%-%-?(.+)$")
    if not name then
      options[#options + 1] = arg[i]
    elseif defaults[name] == nil then
      error("unknown option " .. arg[i], 0)
    elseif type(defaults[name]) == "boolean" then
      options[name] = true
    else
      i = i + 1
      options[name] = math.tointeger(arg[i]) or tonumber(arg[i]) or arg[i]
    end
    i = i + 1
  end
  return options
end

--- Seconds since some fixed moment.
---@return number
function values.now() return uv.hrtime() / 1e9 end

--- Prints one machine-readable figure.
---@param figure string
---@param value number
function values.print(figure, value) print(("%s %.6g"):format(figure, value)) end

--- Prints what `count` operations since `start` cost each.
---@param start number
---@param count integer
function values.printSince(start, count)
  values.print("ns_per_op", (values.now() - start) * 1e9 / count)
end

--- Memory of a process in KiB, a shared page counted by its share.
---@param pid integer|"self"
---@return number
function values.memoryOf(pid)
  local file = assert(io.open("/proc/" .. pid .. "/smaps_rollup"))
  local text = file:read("a")
  file:close()
  return tonumber(text:match("\nPss:%s+(%d+) kB"))
end

--- Fixed work for one processor: the same result for the same rounds.
---@param rounds integer
---@return integer
function values.burn(rounds)
  local state = 1
  for _ = 1, rounds do state = (state * 1103515245 + 12345) & 0x7fffffff end
  return state
end

--- How many rounds of `burn` take about so many seconds on this machine.
---@param seconds number
---@return integer
function values.calibrate(seconds)
  local rounds = 1000000
  values.burn(rounds)
  local start = values.now()
  values.burn(rounds)
  return rounds * seconds // (values.now() - start) | 0
end

return values
