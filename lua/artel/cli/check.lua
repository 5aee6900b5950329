-- SPDX-License-Identifier: Apache-2.0
-- `artel check`, also installed as check_shared_worker: a monitoring plugin that queries a
-- worker and compares its counters with ranges.

local common = require "artel.cli.common"
local plugin = require "artel.cli.plugin"
local Range = require "artel.range"

local OWN_OPTIONS = {
  { long = "counter", short = "m", value = "NAME", many = true,
    help = "a counter to look at; may be repeated" },
  { long = "warning", short = "w", value = "RANGE", many = true, read = Range.fromString,
    help = "WARNING when the counter is not in the range; as often as -m, in the same order, or "
      .. "not at all" },
  { long = "critical", short = "c", value = "RANGE", many = true, read = Range.fromString,
    help = "likewise, CRITICAL" },
}

--- Ranges belong to the counters by their order, so there are as many or none.
local function checkCounts(given)
  local count = #(given.counter or {})
  for _, name in ipairs { "warning", "critical" } do
    if given[name] and #given[name] ~= count then
      common.misuse(("--%s is given %d times, but --counter %d times"):format(name, #given[name],
        count))
    end
  end
end

--- The state of one counter, and why if it is not OK.
---@return string state
---@return string? why
local function judge(name, counter, warning, critical)
  if not counter then return "UNKNOWN", name .. " is missing" end
  local value, unit = counter:getValue(), counter:getUnit()
  if not value then return "UNKNOWN", name .. " is not known" end
  local text = ("%s is %s%s"):format(name, plugin.number(value), unit and " " .. unit or "")
  if critical and not critical:contains(value) then
    return "CRITICAL", ("%s (critical: not in %s)"):format(text, critical)
  elseif warning and not warning:contains(value) then
    return "WARNING", ("%s (warning: not in %s)"):format(text, warning)
  end
  return "OK"
end

--- Looks at the counters that were asked for.
---@param status artel.WorkerStatus
---@return string state
---@return string[] remarks
---@return string[] perfdata
local function judgeAll(status, given)
  local byName, names = {}, given.counter
  for _, counter in ipairs(status:getCounters()) do byName[counter:getName()] = counter end
  if not names then -- then they are only shown
    names = {}
    for index, counter in ipairs(status:getCounters()) do names[index] = counter:getName() end
  end
  local state, remarks, perfdata = "OK", {}, {}
  for index, name in ipairs(names) do
    local counter = byName[name]
    local warning = given.warning and given.warning[index]
    local critical = given.critical and given.critical[index]
    if given.counter then
      local own, why = judge(name, counter, warning, critical)
      state = plugin.worse(state, own)
      remarks[#remarks + 1] = why
    end
    if counter then perfdata[#perfdata + 1] = plugin.perfdata(counter, warning, critical) end
  end
  return state, remarks, perfdata
end

local function run(given, operands)
  checkCounts(given)
  local forAddress = common.address(operands[1])
  local factory = common.factory(given)
  local status, err = factory:querySharedWorker(forAddress, common.timeout(given))
  if not status then
    io.stdout:write(plugin.line("CRITICAL", tostring(err)))
    return plugin.EXIT_CODES.CRITICAL
  end
  local state, remarks, perfdata = judgeAll(status, given)
  local text = status:getTextStatus()
  if text and text:find "%S" or #remarks == 0 then
    remarks[#remarks + 1] = text and text:find "%S" and text or "the worker answers"
  end
  io.stdout:write(plugin.line(state, table.concat(remarks, ", "), perfdata))
  return plugin.EXIT_CODES[state]
end

---@type artel.cli.Command
return {
  name = "check", operands = "ADDRESS", least = 1, most = 1, run = run,
  summary = "Checks a shared worker, as a plugin of Nagios, Icinga and their kin",
  text = "A RANGE is MIN:MAX, both included; MAX alone begins at 0, ~ is no minimum, nothing "
    .. "behind the colon no maximum, and @ before it means outside. Exit codes: 0 OK, 1 WARNING, "
    .. "2 CRITICAL (also when the worker does not answer), 3 UNKNOWN (a counter is missing, wrong "
    .. "usage, or this help).",
  options = common.options(OWN_OPTIONS, common.COOKIE_OPTIONS),
  usageCode = plugin.EXIT_CODES.UNKNOWN, failureCode = plugin.EXIT_CODES.UNKNOWN,
  helpCode = plugin.EXIT_CODES.UNKNOWN,
  -- Monitoring systems read nothing but the first line of standard output.
  complain = function(message) io.stdout:write(plugin.line("UNKNOWN", message)) end,
}
