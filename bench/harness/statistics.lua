-- SPDX-License-Identifier: Apache-2.0
-- What is said about a list of rounds: its middle and its spread.
local statistics = {}

---@class bench.Summary
---@field median number
---@field min number
---@field max number

---@param list number[] at least one
---@return number
function statistics.median(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  local middle = (#sorted + 1) // 2
  if #sorted % 2 == 1 then return sorted[middle] end
  return (sorted[middle] + sorted[middle + 1]) / 2
end

---@param list number[] at least one
---@return bench.Summary
function statistics.summary(list)
  return {
    median = statistics.median(list),
    min = math.min(table.unpack(list)),
    max = math.max(table.unpack(list)),
  }
end

--- Ratios of what ran in the same round: a machine that slows down for a while slows both.
---@param list number[]
---@param reference number[] of the same rounds
---@return bench.Summary
function statistics.ratio(list, reference)
  local ratios = {}
  for i = 1, math.min(#list, #reference) do ratios[i] = list[i] / reference[i] end
  return statistics.summary(ratios)
end

return statistics
