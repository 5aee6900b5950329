-- SPDX-License-Identifier: Apache-2.0
-- `artel stop`: stops a shared worker and waits until its process has gone.

local common = require "artel.cli.common"

local function run(given, operands)
  local forAddress = common.address(operands[1])
  local factory = common.factory(given)
  if not factory:getBootstrapProfile():getAdminCookie() then
    common.misuse("stopping a worker needs its admin cookie: --admin-cookie-file FILE, or the "
      .. "environment variable ARTEL_ADMIN_COOKIE")
  end
  local stopped = common.check(factory:stopSharedWorker(forAddress, common.timeout(given)))
  io.stdout:write(stopped and "stopped\n" or "not running\n")
  return 0
end

---@type artel.cli.Command
return {
  name = "stop", operands = "ADDRESS", least = 1, most = 1, run = run,
  summary = "Stops a shared worker and waits until its process has gone",
  text = "When nobody listens at ADDRESS, nothing is done.",
  options = common.options(common.COOKIE_OPTIONS),
}
