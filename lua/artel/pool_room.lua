-- SPDX-License-Identifier: Apache-2.0
-- What waits in a pool, in number and in bytes, and whether more may. A request waits in the
-- queue, or at a worker behind the first one there, or behind one of pool[i]:request().

local core = require "artel.core"

local poolRoom = {}

--- How many wait; those that an idle worker will get at once do not count.
local function count(engine)
  local waits = engine.queued
  for _, slot in ipairs(engine.slots) do
    local inFlight = slot.inFlight
    if inFlight > 0 then
      local isAskedMore = slot.state.pendingCount > inFlight -- found without a call
      waits = waits + inFlight - (isAskedMore and slot:firstWaits() and 0 or 1)
    elseif slot:hasRoom() and slot.state.pendingCount == 0 then
      waits = waits - 1
    end
  end
  return waits
end

--- The bytes of those that wait.
local function countBytes(engine)
  local bytes = engine.openBytes
  for _, slot in ipairs(engine.slots) do bytes = bytes - slot:firstBytes() end
  return bytes
end

--- Whether so many bytes may be added to those that wait. Looks at the workers only if it must.
---@param engine artel.PoolEngine
---@param bytes integer
---@return boolean
function poolRoom.hasBytesFor(engine, bytes)
  local most = engine.options.maxQueueBytes
  return engine.openBytes + bytes <= most or countBytes(engine) + bytes <= most
end

--- Why a request of so many bytes is not taken; nil when it is. One that would wait alone
--- always fits, however large.
---@param engine artel.PoolEngine
---@param bytes integer
---@return artel.Error? overloaded
function poolRoom.refusal(engine, bytes)
  local waits = count(engine)
  if waits < engine.options.maxQueue and (waits <= 0 or poolRoom.hasBytesFor(engine, bytes)) then
    return nil
  end
  return core.newError { kind = "overloaded",
    message = ("%d requests of %d bytes are queued already (see maxQueue and maxQueueBytes)")
      :format(waits, countBytes(engine)) }
end

return poolRoom
