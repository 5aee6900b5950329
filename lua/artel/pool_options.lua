-- SPDX-License-Identifier: Apache-2.0
-- The options of a pool and of its maps: what there is, what it must be, what holds unset.

local core = require "artel.core"

local poolOptions = {}

-- Each worker takes a process and, of its master, descriptors and memory. A larger number is a
-- slip, and would end the whole machine before anything could be said about it.
local WORKERS_MAX = 1024

local function isCount(value) return math.type(value) == "integer" and value >= 1 end
local function isWorkers(value) return isCount(value) and value <= WORKERS_MAX end
local function isAmount(value) return math.type(value) == "integer" and value >= 0 end
local function isSeconds(value) return type(value) == "number" and value >= 0 end
local function isBoolean(value) return type(value) == "boolean" end
local function isFunction(value) return type(value) == "function" end
local function isTable(value) return type(value) == "table" end

local POOL = {
  workers = { isWorkers, ("a whole number from 1 to %d"):format(WORKERS_MAX) },
  maxQueue = { isAmount, "a whole number from 0 up", 65536 },
  maxQueueBytes = { isAmount, "bytes from 0 up", 256 << 20 },
  queueTimeout = { isSeconds, "seconds from 0 up" },
  requestTimeout = { isSeconds, "seconds from 0 up" },
  cancelGrace = { isSeconds, "seconds from 0 up", 1 },
  retries = { isAmount, "a whole number from 0 up", 0 },
  maxRequestsPerWorker = { isCount, "a whole number from 1 up" },
  restartLimit = { isTable, "a table such as { count = 5, within = 10 }" },
  captureOutput = { isBoolean, "a boolean", false },
  arguments = { isTable, "a list of constructor arguments" },
  onWorkerExit = { isFunction, "a function" },
}

local MAP = {
  errors = { function(value) return value == "collect" end, "\"collect\"" },
  onProgress = { isFunction, "a function" },
  progress = { isBoolean, "a boolean" },
  timeout = { isSeconds, "seconds from 0 up" },
}

local function describe(value)
  return type(value) == "string" and ("%q"):format(value) or tostring(value)
end

local function names(...)
  local list = {}
  for _, descriptions in ipairs { ... } do
    for name in pairs(descriptions) do list[#list + 1] = name end
  end
  table.sort(list)
  return table.concat(list, ", ")
end

--- A copy of `given` with every field checked.
---@return table? options
---@return string? reason
local function check(given, ...)
  if given == nil then return {} end
  if type(given) ~= "table" then
    return nil, ("expected a table of options, got %s"):format(type(given))
  end
  local options = {}
  for name, value in pairs(given) do
    local description
    for _, descriptions in ipairs { ... } do description = description or descriptions[name] end
    if not description then
      return nil, ("there is no option %s; there are: %s"):format(tostring(name), names(...))
    end
    if not description[1](value) then
      return nil, ("option %s: expected %s, got %s"):format(name, description[2], describe(value))
    end
    options[name] = value
  end
  return options
end

--- The processors that this process may really use.
---@return integer
function poolOptions.processorCount() return (core.system.processorCount()) end

local function checkRestartLimit(limit)
  local count, within = 5, 10
  for name, value in pairs(limit or {}) do
    if name == "count" and isAmount(value) then
      count = value
    elseif name == "within" and isSeconds(value) then
      within = value
    else
      return nil, ("option restartLimit: there is no %s = %s; expected "
        .. "{ count = a whole number, within = seconds }"):format(tostring(name), describe(value))
    end
  end
  return { count = count, within = within }
end

local function withDefaults(options)
  for name, description in pairs(POOL) do
    if options[name] == nil then options[name] = description[3] end
  end
  options.workers = options.workers or poolOptions.processorCount()
  local reason
  options.restartLimit, reason = checkRestartLimit(options.restartLimit)
  if reason then return nil, reason end
  return options
end

--- The options of a pool, from a count, or options, or both.
---@return table? options
---@return string? reason
function poolOptions.pool(count, given)
  if type(count) == "table" and given == nil then count, given = nil, count end
  local options, reason = check(given, POOL)
  if not options then return nil, reason end
  if count ~= nil then
    if not isWorkers(count) then
      return nil, ("expected a number of workers from 1 to %d, got %s"):format(WORKERS_MAX,
        describe(count))
    end
    if options.workers and options.workers ~= count then
      return nil, ("expected %d workers (the count) and %d (option workers): give one of them")
        :format(count, options.workers)
    end
    options.workers = count
  end
  return withDefaults(options)
end

--- The options of pool:map and pool:imap.
---@return table? options
---@return string? reason
function poolOptions.map(given) return check(given, MAP) end

--- The options of artel.map: those of a map and, apart, those of its pool and the context.
---@return table? mapOptions
---@return table|string poolOrReason
---@return any context
function poolOptions.both(given)
  local all, reason = check(given, MAP, POOL, { context = { function() return true end, "" } })
  if not all then return nil, reason end
  local map, pool = {}, {}
  for name, value in pairs(all) do
    if MAP[name] then map[name] = value elseif POOL[name] then pool[name] = value end
  end
  pool, reason = withDefaults(pool)
  if not pool then return nil, reason end
  return map, pool, all.context
end

return poolOptions
