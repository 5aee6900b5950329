-- SPDX-License-Identifier: Apache-2.0
-- How cost grows: durations of one workload at many points, curves on logarithmic axes.
local markdown = require "bench.harness.markdown"
local svg = require "bench.harness.svg"

local WIDTH, HEIGHT = 820, 430
local LEFT, RIGHT, TOP, BOTTOM = 80, 230, 64, 52
local REFERENCE_COLOUR = 2
local COLOURS = { 1, 3, 4, 5, 6, 7, 8 } -- of svg.lua's style, for all others

--- The lines in the order of the contenders: { name, colour, points = { {x, y}, ... } }.
--- One that has no figure keeps its colour, so that others do not change theirs.
local function lines(rows)
  local list, byName, others = {}, {}, 0
  for _, row in ipairs(rows) do
    local line = byName[row.name]
    if not line then
      line = { name = row.name, points = {}, colour = REFERENCE_COLOUR }
      if row.kind ~= "reference" then
        line.colour = COLOURS[others % #COLOURS + 1]
        others = others + 1
      end
      byName[row.name] = line
      list[#list + 1] = line
    end
    if row.figure then line.points[#line.points + 1] = { row.x, row.figure.median } end
  end
  local drawn = {}
  for _, line in ipairs(list) do
    if #line.points > 0 then drawn[#drawn + 1] = line end
  end
  return drawn
end

local function bounds(list, index)
  local low, high = math.huge, 0
  for _, line in ipairs(list) do
    for _, point in ipairs(line.points) do
      low, high = math.min(low, point[index]), math.max(high, point[index])
    end
  end
  return low, high
end

--- Maps a value to a place on a logarithmic axis.
local function logarithmic(low, high, from, to)
  local span = math.max(math.log(high / low), 1e-9)
  return function(value)
    return from + (to - from) * math.log(math.max(value, low) / low) / span
  end
end

local function drawDecades(picture, low, high, place)
  for power = math.ceil(math.log(low, 10)), math.floor(math.log(high, 10)) do
    local y = place(10.0 ^ power)
    picture:line(LEFT, y, WIDTH - RIGHT, y, "grid")
    picture:text(LEFT - 8, y + 4, (markdown.duration(10.0 ^ power):gsub("%.00?", "")), "soft",
      { anchor = "end", size = 11 })
  end
end

local function drawPoints(picture, workload, place)
  local lastEnd = -math.huge
  for _, x in ipairs(workload.points) do
    local at = place(x)
    picture:line(at, TOP, at, HEIGHT - BOTTOM, "grid")
    local label = workload.axis.label(x)
    if at - lastEnd > 2 + #label * 3 then
      picture:text(at, HEIGHT - BOTTOM + 18, label, "soft", { anchor = "middle", size = 11 })
      lastEnd = at + #label * 3
    end
  end
  picture:text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, workload.axis.name, "soft",
    { anchor = "middle" })
end

--- Names stand level with the ends of their lines, pushed apart where they would overlap.
local function drawNames(picture, ends)
  table.sort(ends, function(a, b) return a.y < b.y end)
  local lowest = -math.huge
  for _, entry in ipairs(ends) do
    local y = math.max(entry.y, lowest + 15)
    lowest = y
    picture:text(WIDTH - RIGHT + 10, y + 4, entry.name, "f" .. entry.colour,
      { size = 11, weight = 600 })
  end
end

local curves = {}

--- The chart, or nil when nothing was measured.
---@param workload table
---@param rows table[]
---@return string|nil
function curves.draw(workload, rows)
  local list = lines(rows)
  if #list == 0 then return nil end
  local lowX, highX = workload.points[1], workload.points[#workload.points]
  local lowY, highY = bounds(list, 2)
  lowY, highY = math.max(lowY, highY / 1e9) / 1.3, highY * 1.3
  local placeX = logarithmic(lowX, highX, LEFT, WIDTH - RIGHT)
  local placeY = logarithmic(lowY, highY, HEIGHT - BOTTOM, TOP)
  local picture = svg.new(WIDTH, HEIGHT, workload.title,
    ("%s; lower is better. Medians, both axes logarithmic"):format(workload.measures))
  drawDecades(picture, lowY, highY, placeY)
  drawPoints(picture, workload, placeX)
  local ends = {}
  for i, line in ipairs(list) do
    local colour = line.colour
    local places = {}
    for j, point in ipairs(line.points) do
      places[j] = { placeX(point[1]), placeY(point[2]) }
      picture:dot(places[j][1], places[j][2], "f" .. colour)
    end
    picture:path(places, "line c" .. colour)
    local last = places[#places]
    local value = markdown.duration(line.points[#line.points][2])
    ends[i] = { y = last[2], colour = colour, name = line.name .. ": " .. value }
  end
  drawNames(picture, ends)
  return picture:finish()
end

return curves
