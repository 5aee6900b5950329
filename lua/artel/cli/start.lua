-- SPDX-License-Identifier: Apache-2.0
-- `artel start`: starts a shared worker and waits until it listens.

local common = require "artel.cli.common"
local sharedFactory = require "artel.shared_factory"

local OWN_OPTIONS = {
  { long = "output", value = "FILE", help = "where the worker's output goes (/dev/null)" },
  { long = "identity", value = "USER", help = "the user that the worker becomes, if it may" },
  common.KILL_SWITCH,
}

local function set(profile, setter, value)
  if value == nil then return end
  local accepted, reason = pcall(profile[setter], profile, value)
  if not accepted then common.misuse(reason) end
end

local function run(given, operands)
  local forAddress = common.address(operands[1])
  local factory = common.factory(given)
  local profile = factory:getBootstrapProfile()
  set(profile, "setOutputPath", given.output)
  set(profile, "setPreferredIdentity", given.identity)
  set(profile, "setKillSwitchPath", given["kill-switch"])
  -- What it raises is somebody's wrong wish, and told without a place in our sources.
  local called, started, err = pcall(sharedFactory.start, factory, forAddress,
    { module = operands[2] }, 1, common.timeout(given))
  if not called then common.fail(started) end
  common.check(started, err)
  local processId = factory:getSharedWorkerProcessId(forAddress)
  io.stdout:write(started and "started" or "already running",
    processId and (", process %d"):format(processId) or "", "\n")
  return 0
end

---@type artel.cli.Command
return {
  name = "start", operands = "ADDRESS MODULE", least = 2, most = 2, run = run,
  summary = "Starts a shared worker and waits until it listens",
  text = "MODULE is a name that Lua's require finds, or the path of a Lua file. When a worker "
    .. "answers at ADDRESS already, nothing is done.",
  options = common.options(OWN_OPTIONS, common.COOKIE_OPTIONS),
}
