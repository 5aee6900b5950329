-- SPDX-License-Identifier: Apache-2.0
-- Knows what a counter of a worker's status is, and which ones the system itself tells.

local core = require "artel.core"
local methods = require "artel.methods"

--- A named number in a status, with what a monitoring system wants to know about it.
---@class artel.WorkerCounter
---@field private name string
---@field private value? number
---@field private unit? string
---@field private min? number
---@field private max? number
local WorkerCounter = {}
local metatable = { __name = "artel.WorkerCounter", __index = WorkerCounter }

-- name, type, whether it may be missing; also the order of the constructor's arguments.
local FIELDS = {
  { "name", "string" }, { "value", "number", true }, { "unit", "string", true },
  { "min", "number", true }, { "max", "number", true },
}

local function describe(value)
  if value == "" then return "an empty string" end
  return type(value)
end

-- A number that there is: NaN and the infinities mean "not known" and "no limit". JSON has
-- none of them, and a status must always find its way.
local function isFinite(value)
  return value == value and value ~= math.huge and value ~= -math.huge
end

-- A counter from the values in order, or nil and what is wrong with which of them.
local function make(values)
  local counter = {}
  for index, field in ipairs(FIELDS) do
    local name, wanted, optional = table.unpack(field)
    local value = values[index]
    if value == core.null then value = nil end
    if value == nil and not optional or value ~= nil and type(value) ~= wanted
      or name == "name" and value == "" then
      return nil, ("the %s of a counter must be a %s%s, got %s"):format(name, wanted,
        optional and " or nil" or "", describe(value))
    end
    if wanted == "string" or value and isFinite(value) then counter[name] = value end
  end
  return setmetatable(counter, metatable)
end

---@param name string
---@param value? number nil: not known at the moment
---@param unit? string "s", "B", "%", "c" (counts up for ever), or nil for a plain number
---@param min? number the least value there can be
---@param max? number the greatest
---@return artel.WorkerCounter
function WorkerCounter.new(name, value, unit, min, max)
  local counter, reason = make { name, value, unit, min, max }
  if not counter then error("WorkerCounter.new: " .. reason, 2) end
  return counter
end

---@return string
function WorkerCounter:getName() return self.name end

---@return number?
function WorkerCounter:getValue() return self.value end

---@return string?
function WorkerCounter:getUnit() return self.unit end

---@return number?
function WorkerCounter:getMin() return self.min end

---@return number?
function WorkerCounter:getMax() return self.max end

local function orNull(value)
  if value == nil then return core.null end
  return value
end

--- As it travels: all five fields, `artel.null` for what is missing.
---@return { name: string, value: any, unit: any, min: any, max: any }
function WorkerCounter:toTable()
  return {
    name = self.name, value = orNull(self.value), unit = orNull(self.unit),
    min = orNull(self.min), max = orNull(self.max),
  }
end

--- The reverse, of what may come from a peer: missing and null fields are the same, others
--- are ignored.
---@param t any
---@return artel.WorkerCounter? counter
---@return string? message
function WorkerCounter.fromTable(t)
  if type(t) ~= "table" then return nil, "a counter must be a table, got " .. describe(t) end
  local values = {}
  for index, field in ipairs(FIELDS) do values[index] = t[field[1]] end
  return make(values)
end

--- Seconds since artel was loaded in this process.
---@return artel.WorkerCounter
function WorkerCounter.getWallExecutionTimeCounter()
  return WorkerCounter.new("sys_wall_execution_time", core.system.wallTime(), "s", 0)
end

--- Bytes of this process that are in memory, up to its limit on address space.
---@return artel.WorkerCounter
function WorkerCounter.getMemoryUsageCounter()
  return WorkerCounter.new("sys_memory_usage", core.system.residentMemory(), "B", 0,
    core.system.memoryLimit())
end

--- What the system tells about this process: every status for a privileged peer has these.
---@return artel.WorkerCounter[]
function WorkerCounter.getSystemCounters()
  local luaMemory = math.floor(collectgarbage "count" * 1024)
  return {
    WorkerCounter.getWallExecutionTimeCounter(),
    WorkerCounter.getMemoryUsageCounter(),
    WorkerCounter.new("sys_lua_memory_usage", luaMemory, "B", 0),
    WorkerCounter.new("sys_processor_time", core.system.processorTime(), "s", 0),
  }
end

methods.guard(WorkerCounter, "name", "artel.WorkerCounter", { new = true, fromTable = true,
  getWallExecutionTimeCounter = true, getMemoryUsageCounter = true, getSystemCounters = true })

return WorkerCounter
