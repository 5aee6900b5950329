-- SPDX-License-Identifier: Apache-2.0
-- Percentiles of many durations in little memory: a histogram whose steps grow by a tenth, so
-- that an answer is off by a twentieth at most.

---@class artel.Percentiles
local Percentiles = {}
Percentiles.__index = Percentiles

local ceil, log = math.ceil, math.log

local SMALLEST = 1e-6 -- seconds; shorter ones count as this
local STEP = math.log(1.1)

---@return artel.Percentiles
function Percentiles.new()
  return setmetatable({ counts = {}, total = 0 }, Percentiles)
end

---@param seconds number
function Percentiles:add(seconds)
  local counts = self.counts
  local bucket = seconds <= SMALLEST and 0 or ceil(log(seconds / SMALLEST) / STEP)
  counts[bucket] = (counts[bucket] or 0) + 1
  self.total = self.total + 1
end

--- The duration that `percent` of those added do not exceed; nil when none was added.
---@param percent number
---@return number? seconds
function Percentiles:get(percent)
  if self.total == 0 then return nil end
  local wanted, seen, bucket = self.total * percent / 100, self.counts[0] or 0, 0
  while seen < wanted do
    bucket = bucket + 1
    seen = seen + (self.counts[bucket] or 0)
  end
  return SMALLEST * math.exp((bucket - 0.5) * STEP)
end

return Percentiles
