-- SPDX-License-Identifier: Apache-2.0
-- Percentiles of many durations in little memory: a histogram whose steps grow by a tenth, so
-- that an answer is off by a twentieth at most.

---@class artel.Percentiles
local Percentiles = {}
Percentiles.__index = Percentiles

local SMALLEST = 1e-6 -- seconds; shorter ones count as this
local STEP = math.log(1.1)

---@return artel.Percentiles
function Percentiles.new()
  return setmetatable({ counts = {}, total = 0, last = 0 }, Percentiles)
end

---@param seconds number
function Percentiles:add(seconds)
  local bucket = seconds <= SMALLEST and 0 or math.ceil(math.log(seconds / SMALLEST) / STEP)
  self.counts[bucket] = (self.counts[bucket] or 0) + 1
  self.total = self.total + 1
  if bucket > self.last then self.last = bucket end
end

--- The duration that `percent` of those added do not exceed; nil when none was added.
---@param percent number
---@return number? seconds
function Percentiles:get(percent)
  if self.total == 0 then return nil end
  local wanted, seen = self.total * percent / 100, 0
  for bucket = 0, self.last do
    seen = seen + (self.counts[bucket] or 0)
    if seen >= wanted then return SMALLEST * math.exp((bucket - 0.5) * STEP) end
  end
end

return Percentiles
