-- SPDX-License-Identifier: Apache-2.0
-- One workload as a bar chart: a bar for each contender, best first.
local markdown = require "bench.harness.markdown"
local svg = require "bench.harness.svg"

local WIDTH, LABELS, VALUES = 820, 290, 110
local TOP, ROW, BAR = 62, 26, 16

local KINDS = {
  { "artel", "artel" },
  { "reference", "what the kernel allows (C reference)" },
  { "peer", "what people use today" },
}

local function sorted(rows, better)
  local list = {}
  for _, row in ipairs(rows) do
    if row.figure then list[#list + 1] = row end
  end
  table.sort(list, function(a, b)
    if a.figure.median == b.figure.median then return a.name < b.name end
    if better == "lower" then return a.figure.median < b.figure.median end
    return a.figure.median > b.figure.median
  end)
  return list
end

local function drawRow(picture, row, y, scale, workload)
  local divisor, unit = workload.unit[1], workload.unit[2]
  local left = LABELS + 8
  picture:text(LABELS, y + BAR - 4, row.name, "text",
    { anchor = "end", weight = row.kind == "artel" and 600 or 400 })
  picture:rect(left, y, math.max(1, row.figure.median * scale), BAR, row.kind)
  local low, high = left + row.figure.min * scale, left + row.figure.max * scale
  picture:line(low, y + BAR / 2, high, y + BAR / 2, "whisker")
  local ratio = row.ratio and row.kind ~= "reference"
    and ("  (%s ×)"):format(markdown.number(row.ratio.median)) or ""
  picture:text(math.max(high, left) + 6, y + BAR - 4,
    markdown.number(row.figure.median / divisor) .. " " .. unit .. ratio, "text",
    { size = 11 })
end

local function drawLegend(picture, y)
  local x = 16
  for _, kind in ipairs(KINDS) do
    picture:rect(x, y, 12, 12, kind[1])
    picture:text(x + 18, y + 10, kind[2], "soft", { size = 11 })
    x = x + 40 + #kind[2] * 6
  end
end

local bars = {}

--- The chart, or nil when nothing was measured.
---@param workload table
---@param rows table[]
---@return string|nil
function bars.draw(workload, rows)
  local list = sorted(rows, workload.better)
  if #list == 0 then return nil end
  local most = 0
  for _, row in ipairs(list) do most = math.max(most, row.figure.max) end
  local scale = (WIDTH - LABELS - VALUES - 30) / most
  local picture = svg.new(WIDTH, TOP + #list * ROW + 56, workload.title,
    ("%s; %s is better"):format(workload.measures,
      workload.better == "lower" and "shorter" or "longer"))
  for i, row in ipairs(list) do drawRow(picture, row, TOP + (i - 1) * ROW, scale, workload) end
  drawLegend(picture, TOP + #list * ROW + 10)
  picture:text(16, TOP + #list * ROW + 42,
    ("Median of %d rounds; the line spans lowest to highest%s"):format(#list[1].values,
      workload.reference and "; × in brackets: against " .. workload.reference or ""),
    "soft", { size = 11 })
  return picture:finish()
end

return bars
