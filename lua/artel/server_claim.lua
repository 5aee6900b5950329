-- SPDX-License-Identifier: Apache-2.0
-- The first part of a shared worker's start, before any code of its profile runs: nobody else
-- may be starting at the address, the start must be allowed, and nobody may serve it yet.

local core = require "artel.core"
local report = require "artel.server_report"

local sockets = core.sockets

-- Whoever holds the lock is starting up, which may take its time.
local LOCK_TIMEOUT = 60
local PROBE_TIMEOUT = 5

local EXIT_FAILED, EXIT_DISABLED = 1, 78 -- the latter is EX_CONFIG: do not start me again

---@class artel.Claim what a starting worker holds
---@field lock userdata of the address, held until the worker listens
---@field releaseSwitch fun() lets go of the kill switch, which is held likewise if there is one
---@field report artel.ServerReport
---@field inherited userdata[] listeners that a service manager has bound
---@field disabledCode integer

--- The sockets that a service manager hands over; each must be for our address.
local function inherit(plan, reporter)
  if reporter.channel then return {} end
  local count, first = sockets.takeServiceManager()
  if not count then return nil, first end
  local inherited = {}
  for number = first, first + count - 1 do
    -- With options of its own only later, when the socket context is known.
    local listener, err = sockets.adopt(number, {})
    if not listener then return nil, err end
    if not sockets.serves(listener, plan.address) then
      return nil, core.newError { kind = "listen",
        message = ("the inherited descriptor %d is not for %s"):format(number, plan.address) }
    end
    inherited[#inherited + 1] = listener
  end
  return inherited
end

--- Reads the kill switch under its lock, which is then held shared until the worker listens: so
--- who switches waits for it, and a worker that was disabled cannot still come up.
---@return fun()? release
---@return artel.Error? err kind "disabled"
local function holdKillSwitch(plan)
  if not plan.killSwitchPath then return function() end end
  local killSwitch = require "artel.kill_switch"
  local lock, err = killSwitch.hold(plan.killSwitchPath, plan.address)
  if not lock then return nil, err end
  return function() killSwitch.release(lock) end
end

--- Claims the address of the plan.
---@param channel artel.Channel? to who has started us; nil for a service manager
---@return artel.Claim|integer claim or the exit code of a start that ends here
local function claim(channel, plan)
  local reporter = report.new(channel, plan)
  local inherited, err = inherit(plan, reporter)
  if not inherited then
    reporter:failed { step = "listen", message = err.message, errno = err.errno }
    return EXIT_FAILED
  end
  local lock, releaseSwitch
  lock, err = sockets.lockAddress(plan.address, LOCK_TIMEOUT, plan.identity)
  if not lock then
    reporter:failed { step = "listen", message = err.message, errno = err.errno }
    return EXIT_FAILED
  end
  local function giveUp(fields, code)
    if releaseSwitch then releaseSwitch() end
    sockets.removeLock(lock)
    reporter:failed(fields)
    return code
  end
  releaseSwitch, err = holdKillSwitch(plan)
  if not releaseSwitch then
    return giveUp({ step = "disabled", message = err.message, errno = err.errno }, EXIT_DISABLED)
  end
  local served = false
  if #inherited == 0 then
    served, err = sockets.isServed(plan.address, PROBE_TIMEOUT)
    if served == nil then
      return giveUp({ step = "listen", message = err.message, errno = err.errno }, EXIT_FAILED)
    end
  end
  if served then
    local message = ("a worker answers at %s already"):format(plan.address)
    return giveUp({ step = "already", message = message }, channel and 0 or EXIT_FAILED)
  end
  sockets.cleanUpAtExit(lock)
  return { lock = lock, releaseSwitch = releaseSwitch, report = reporter, inherited = inherited }
end

return claim
