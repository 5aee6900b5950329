-- SPDX-License-Identifier: Apache-2.0
-- Runs contenders in turn and keeps what they printed.
local statistics = require "bench.harness.statistics"

local runner = {}

local TIMEOUT = 300 -- seconds; a contender that hangs must not hang the rest

--- What a contender may need, and how to see whether it is here.
local NEEDS = {
  node = "node --version",
  piscina = [[cd bench && node -e 'require("piscina")']],
  python3 = "python3 --version",
  luv = [[lua5.4 -e 'require "luv"']],
  ["redis-server"] = "redis-server --version",
  taskset = "taskset --version",
}
local known = {}

--- Whether the program is installed.
---@param need string|nil
---@return boolean
function runner.isHere(need)
  if not need then return true end
  if known[need] == nil then
    known[need] = os.execute(NEEDS[need] .. " > /dev/null 2>&1") == true
  end
  return known[need]
end

--- Fills `{name}` in a command.
---@param command string
---@param fields table<string, any>
---@return string
function runner.fill(command, fields)
  local filled = command:gsub("{(%w+)}", function(name)
    return tostring(fields[name] or error("no field {" .. name .. "} in: " .. command, 0))
  end)
  return filled
end

local function readAll(path)
  local file = io.open(path)
  if not file then return "" end
  local text = file:read("a")
  file:close()
  os.remove(path)
  return text
end

--- Runs one command and answers its figure, or nil and why there is none.
---@param command string
---@param figure string
---@return number|nil value
---@return string|nil failure
function runner.run(command, figure)
  local errors = os.tmpname()
  local pipe = assert(io.popen(
    ("timeout %d sh -c '%s' 2>%s"):format(TIMEOUT, command:gsub("'", [['\'']]), errors)))
  local output = pipe:read("a")
  local ok, how, code = pipe:close()
  local complaint = readAll(errors)
  if not ok then
    local first = complaint:match("[^\n]+") or output:match("[^\n]+") or ""
    return nil, ("%s %s: %s"):format(how, code, first)
  end
  local value = tonumber(("\n" .. output):match("\n" .. figure .. " ([^\n]+)"))
  if not value then return nil, "printed no " .. figure end
  return value
end

---@class bench.Series one contender at one point, over all rounds
---@field contender table
---@field x any the point of a sweep, nil elsewhere
---@field command string
---@field count integer
---@field values number[]
---@field failure string|nil why it was given up

local function countFor(contender, workload, x, scale)
  local count = contender.n or workload.n or 1
  if type(count) == "function" then count = count(x) end
  return math.max(1, count * scale // 1 | 0)
end

local function newSeries(contender, workload, x, setup)
  local count = countFor(contender, workload, x, setup.scale)
  local fields = { n = count, x = x, bin = setup.bin, tmp = setup.tmp }
  return {
    contender = contender,
    x = x,
    count = count,
    command = runner.fill(contender.command, fields),
    values = {},
  }
end

--- Every contender that is here, at every point of the workload.
local function allSeries(workload, setup)
  local list, left = {}, {}
  for _, x in ipairs(workload.points or { false }) do
    for _, contender in ipairs(workload.contenders) do
      if not runner.isHere(contender.needs) then
        left[contender.needs] = true
      elseif not (contender.upTo and x and x > contender.upTo) then
        list[#list + 1] = newSeries(contender, workload, x or nil, setup)
      end
    end
  end
  for need in pairs(left) do setup.say(("  %s is not here: run bench/deps"):format(need)) end
  return list
end

--- Runs one workload: A B A B ..., each round through all contenders.
---@param workload table
---@param setup table rounds, scale, bin, tmp, say
---@return bench.Series[]
function runner.runWorkload(workload, setup)
  local list = allSeries(workload, setup)
  for round = 1, setup.rounds do
    for _, series in ipairs(list) do
      if not series.failure then
        local value, failure = runner.run(series.command, workload.figure)
        series.values[round], series.failure = value, failure
        setup.say(("  %d/%d %s%s: %s"):format(round, setup.rounds, series.contender.name,
          series.x and " at " .. series.x or "", value or failure))
      end
    end
  end
  return list
end

--- Median, spread, ratio to the reference at the same point, and whether the target holds.
---@param list bench.Series[]
---@param referenceName string|nil
---@return table[] rows
function runner.summarize(list, referenceName)
  local references = {}
  for _, series in ipairs(list) do
    if series.contender.name == referenceName and not series.failure then
      references[series.x or 0] = series.values
    end
  end
  local rows = {}
  for i, series in ipairs(list) do
    local contender = series.contender
    local row = {
      name = contender.name, kind = contender.kind, x = series.x, command = contender.command,
      count = series.count, values = series.values, failure = series.failure,
      target = contender.target,
    }
    if not series.failure then
      row.figure = statistics.summary(series.values)
      local reference = references[series.x or 0]
      row.ratio = reference and statistics.ratio(series.values, reference)
      row.holds = runner.holds(row)
    end
    rows[i] = row
  end
  return rows
end

--- true or false where the row has a target, else nil.
---@param row table
---@return boolean|nil
function runner.holds(row)
  local target = row.target
  if not target then return nil end
  local figure = target.absolute and row.figure or row.ratio
  if not figure then return nil end
  if target.atMost then return figure.median <= target.atMost end
  return figure.median >= target.atLeast
end

return runner
