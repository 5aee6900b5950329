-- SPDX-License-Identifier: Apache-2.0
-- What a pool tells of itself.

local core = require "artel.core"
local WorkerCounter = require "artel.counter"
local WorkerStatus = require "artel.status"

local poolStatus = {}

local PERCENTS = { 50, 95, 99 }

local function addTimes(counters, name, times)
  for _, percent in ipairs(PERCENTS) do
    counters[#counters + 1] = WorkerCounter.new(("%s_time_p%d"):format(name, percent),
      times:get(percent), "s", 0)
  end
end

--- The status of a pool's engine.
---@return artel.WorkerStatus
function poolStatus.of(engine)
  local ready, busy, sharing = 0, 0, 0
  for _, slot in ipairs(engine.slots) do
    if slot.isReady then ready = ready + 1 end
    if slot:load() > 0 then busy = busy + 1 end
    if slot:isAlive() and core.transportName(slot.worker) == "shared-memory" then
      sharing = sharing + 1
    end
  end
  local size = #engine.slots
  local counters = {
    WorkerCounter.new("workers", size, nil, 0),
    WorkerCounter.new("ready", ready, nil, 0, size),
    WorkerCounter.new("busy", busy, nil, 0, size),
    WorkerCounter.new("shared_memory", sharing, nil, 0, size),
    WorkerCounter.new("queued", engine.queued, nil, 0),
    WorkerCounter.new("done", engine.finished, "c", 0),
    WorkerCounter.new("failed", engine.failed, "c", 0),
    WorkerCounter.new("restarts", engine.staff.restarts, "c", 0),
  }
  addTimes(counters, "waiting", engine.waitTimes)
  addTimes(counters, "running", engine.runTimes)
  local text = engine.staff.suspended and "suspended: " .. engine.staff.suspended.message
    or ("%d of %d workers busy, %d requests queued"):format(busy, size, engine.queued)
  -- A container that may use less than its machine has explains a pool smaller than expected.
  text = text .. ("; %d processors: %s"):format(core.system.processorCount())
  return WorkerStatus.new(text, counters)
end

return poolStatus
