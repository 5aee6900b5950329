-- SPDX-License-Identifier: Apache-2.0
-- Knows what a worker tells about how it is, and how that travels.

local core = require "artel.core"
local methods = require "artel.methods"
local WorkerCounter = require "artel.counter"

--- A sentence and some counters.
---@class artel.WorkerStatus
---@field private textStatus? string
---@field private counters artel.WorkerCounter[]
local WorkerStatus = {}
local metatable = { __name = "artel.WorkerStatus", __index = WorkerStatus }

local counterMetatable = getmetatable(WorkerCounter.new "any")

local function make(textStatus, counters)
  return setmetatable({ textStatus = textStatus, counters = counters }, metatable)
end

---@param textStatus? string
---@param counters? artel.WorkerCounter[]
---@return artel.WorkerStatus
function WorkerStatus.new(textStatus, counters)
  if textStatus ~= nil and type(textStatus) ~= "string" then
    error("WorkerStatus.new: the text must be a string or nil, got " .. type(textStatus), 2)
  end
  if counters ~= nil and type(counters) ~= "table" then
    error("WorkerStatus.new: the counters must be a list, got " .. type(counters), 2)
  end
  local list = {}
  for index, counter in ipairs(counters or {}) do
    if getmetatable(counter) ~= counterMetatable then
      error(("WorkerStatus.new: [%d] of the counters is no WorkerCounter"):format(index), 2)
    end
    list[index] = counter
  end
  return make(textStatus, list)
end

---@return string?
function WorkerStatus:getTextStatus() return self.textStatus end

--- The counters, in their order.
---@return artel.WorkerCounter[]
function WorkerStatus:getCounters()
  return table.move(self.counters, 1, #self.counters, 1, {})
end

--- As it travels. An empty list of counters is `[]` in JSON, also where it is encoded by
--- others than us.
---@return { textStatus: any, counters: table[] }
function WorkerStatus:toTable()
  local counters = core.array {}
  for index, counter in ipairs(self.counters) do counters[index] = counter:toTable() end
  local textStatus = self.textStatus
  return { textStatus = textStatus == nil and core.null or textStatus, counters = counters }
end

-- A list, also one that came as an object without members, which other languages make of it.
local function readCounters(value)
  if value == nil or value == core.null then return {} end
  if type(value) ~= "table" then return nil, "counters must be a list, got " .. type(value) end
  local counters = {}
  for index = 1, #value do
    local counter, message = WorkerCounter.fromTable(value[index])
    if not counter then return nil, ("%s (at counters[%d])"):format(message, index) end
    counters[index] = counter
  end
  for key in pairs(value) do
    if counters[key] == nil then return nil, "counters must be a list" end
  end
  return counters
end

--- The reverse, of what may come from a peer: missing and null fields are the same, others
--- are ignored.
---@param t any
---@return artel.WorkerStatus? status
---@return string? message
function WorkerStatus.fromTable(t)
  if type(t) ~= "table" then return nil, "a status must be a table, got " .. type(t) end
  local textStatus = t.textStatus
  if textStatus == core.null then textStatus = nil end
  if textStatus ~= nil and type(textStatus) ~= "string" then
    return nil, "textStatus must be a string, got " .. type(textStatus)
  end
  local counters, message = readCounters(t.counters)
  if not counters then return nil, message end
  return make(textStatus, counters)
end

function metatable.__tostring(self)
  return self.textStatus or "(no text status)"
end

methods.guard(WorkerStatus, "counters", "artel.WorkerStatus", { new = true, fromTable = true })

return WorkerStatus
