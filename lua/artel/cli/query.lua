-- SPDX-License-Identifier: Apache-2.0
-- `artel query`: shows what a shared worker tells about how it is.

local common = require "artel.cli.common"
local plugin = require "artel.cli.plugin"
local printable = require "artel.printable"

local function describe(counter)
  local value, unit = counter:getValue(), counter:getUnit()
  if value == nil then return "unknown" end
  return plugin.number(value) .. (unit and " " .. unit or "")
end

local function run(given, operands)
  local forAddress = common.address(operands[1])
  local factory = common.factory(given)
  local status = common.check(factory:querySharedWorker(forAddress, common.timeout(given)))
  io.stdout:write(printable(status:getTextStatus() or "(no text status)"), "\n")
  for _, counter in ipairs(status:getCounters()) do
    io.stdout:write(printable(("%s: %s"):format(counter:getName(), describe(counter))), "\n")
  end
  return 0
end

---@type artel.cli.Command
return {
  name = "query", operands = "ADDRESS", least = 1, most = 1, run = run,
  summary = "Asks a shared worker how it is",
  text = "Prints the status text and a line for each counter. With the admin cookie the worker "
    .. "tells everything; without it, what it tells to everybody.",
  options = common.options(common.COOKIE_OPTIONS),
}
