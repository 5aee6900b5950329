-- SPDX-License-Identifier: Apache-2.0
-- Whom a starting shared worker tells how it went: the master that waits at the other end of
-- the report channel, or a service manager and the log.

local core = require "artel.core"
local frame = require "artel.frame"

---@class artel.ServerReport
---@field channel artel.Channel? nil for a service manager, and after the report
---@field logsItself boolean? standard error is the worker's own: what failed belongs there too
local Report = {}
Report.__index = Report

-- How long a report may take to leave, seconds: its reader does nothing but wait for it.
local REPORT_TIMEOUT = 5

---@param channel artel.Channel?
---@return artel.ServerReport
function Report.new(channel, plan)
  return setmetatable({ channel = channel, address = plan.address, service = not channel }, Report)
end

local function send(self, kind, fields)
  local channel = self.channel
  if not channel then return end
  self.channel = nil
  if fields then
    core.queue(channel, kind, 0, fields)
  else
    core.queue(channel, kind, 0)
  end
  pcall(channel.flush, channel, REPORT_TIMEOUT)
  core.closeNow(channel)
end

--- The worker listens.
function Report:ready()
  send(self, frame.READY)
  if self.service then core.sockets.notifyServiceManager "READY=1" end
end

--- The worker has begun to stop.
function Report:stopping()
  if self.service then core.sockets.notifyServiceManager "STOPPING=1" end
end

--- The start has failed.
---@param fields table step, message; part, traceback and errno where they apply
function Report:failed(fields)
  if self.service or self.logsItself then
    io.stderr:write(("artel worker: %s: %s: %s\n"):format(self.address, fields.step,
      fields.traceback or fields.message))
  end
  send(self, frame.FAILED, fields)
end

return Report
