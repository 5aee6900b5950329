-- SPDX-License-Identifier: Apache-2.0
-- `artel enable`: allows again what `artel disable` has forbidden.

local changes = require "artel.kill_switch".changes
local common = require "artel.cli.common"
local switch = require "artel.cli.switch"

local OWN_OPTIONS = {
  common.KILL_SWITCH,
  { long = "global", help = "take `disable --global` back; addresses stay disabled" },
  { long = "all", help = "forbid nothing any more" },
}

---@type artel.cli.Command
return {
  name = "enable", operands = "[ADDRESS]...", least = 0, most = math.huge,
  run = switch.command({ global = changes.setGlobal(false), all = changes.enableAll() },
    changes.enable),
  summary = "Allows shared workers again to start",
  options = common.options(OWN_OPTIONS),
}
