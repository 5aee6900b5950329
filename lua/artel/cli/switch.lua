-- SPDX-License-Identifier: Apache-2.0
-- What `artel disable` and `artel enable` share: one change of a kill switch.

local common = require "artel.cli.common"
local core = require "artel.core"
local killSwitch = require "artel.kill_switch"

local switch = {}

local function pathOf(given)
  local path = given["kill-switch"]
    or common.factory(given):getBootstrapProfile():getKillSwitchPath()
  if not path or path == "" then
    common.misuse "--kill-switch FILE is missing, and no profile names one"
  end
  return common.check(core.files.absolutePath(path))
end

--- Which change is asked for: exactly one of addresses and flags.
local function choose(given, operands, flags, forAddresses)
  local chosen = {}
  if #operands > 0 then
    local addresses = {}
    for index, text in ipairs(operands) do addresses[index] = common.address(text) end
    chosen[1] = forAddresses(addresses)
  end
  for _, name in ipairs { "global", "all" } do
    if given[name] then chosen[#chosen + 1] = flags[name] end
  end
  if #chosen == 0 then common.misuse "nothing is named: addresses, or one of the options" end
  if #chosen > 1 then common.misuse "addresses, --global and --all exclude each other" end
  return chosen[1]
end

--- A command that changes the switch.
---@param flags table<string, function> the change for each of its flags
---@param forAddresses fun(addresses: string[]): function
---@return fun(given: table, operands: string[]): integer
function switch.command(flags, forAddresses)
  return function(given, operands)
    local change = choose(given, operands, flags, forAddresses)
    common.check(killSwitch.change(pathOf(given), change, common.timeout(given), "block"))
    return 0
  end
end

return switch
