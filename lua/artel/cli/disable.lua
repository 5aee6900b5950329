-- SPDX-License-Identifier: Apache-2.0
-- `artel disable`: forbids shared workers to start.

local changes = require "artel.kill_switch".changes
local common = require "artel.cli.common"
local switch = require "artel.cli.switch"

local OWN_OPTIONS = {
  common.KILL_SWITCH,
  { long = "global", help = "whatever its address, no shared worker may start" },
}

---@type artel.cli.Command
return {
  name = "disable", operands = "[ADDRESS]...", least = 0, most = math.huge,
  run = switch.command({ global = changes.setGlobal(true) }, changes.disable),
  summary = "Forbids shared workers to start",
  text = "Those that run go on: stop them afterwards.",
  options = common.options(OWN_OPTIONS),
}
