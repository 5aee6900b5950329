-- SPDX-License-Identifier: Apache-2.0
-- How cost grows: one workload at many points as curves on logarithmic axes.
local markdown = require "harness.markdown"
local svg = require "harness.svg"

local WIDTH, HEIGHT = 820, 430
local LEFT, RIGHT, TOP, BOTTOM = 80, 230, 64, 52
local COLOURS = 8

--- The lines in the order of the contenders: { name, points = { {x, y}, ... } }.
local function lines(rows)
  local list, byName = {}, {}
  for _, row in ipairs(rows) do
    if row.figure then
      local line = byName[row.name]
      if not line then
        line = { name = row.name, points = {} }
        byName[row.name] = line
        list[#list + 1] = line
      end
      line.points[#line.points + 1] = { row.x, row.figure.median }
    end
  end
  return list
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

local function drawDecades(picture, low, high, place, workload)
  local divisor, unit = workload.unit[1], workload.unit[2]
  for power = math.floor(math.log(low / divisor, 10)), math.ceil(math.log(high / divisor, 10)) do
    local value = 10.0 ^ power
    local y = place(value * divisor)
    if value * divisor >= low * 0.999 and value * divisor <= high * 1.001 then
      picture:line(LEFT, y, WIDTH - RIGHT, y, "grid")
      picture:text(LEFT - 8, y + 4, ("%g %s"):format(value, unit), "soft",
        { anchor = "end", size = 11 })
    end
  end
end

local function drawPoints(picture, workload, place)
  local lastEnd = -math.huge
  for _, x in ipairs(workload.points) do
    local at = place(x)
    picture:line(at, TOP, at, HEIGHT - BOTTOM, "grid")
    local label = workload.axis.label(x)
    if at - lastEnd > 4 + #label * 3.4 then
      picture:text(at, HEIGHT - BOTTOM + 18, label, "soft", { anchor = "middle", size = 11 })
      lastEnd = at + #label * 3.4
    end
  end
  picture:text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, workload.axis.name, "soft",
    { anchor = "middle" })
end

--- Names stand at the ends of their lines, pushed apart where they would overlap.
local function drawNames(picture, ends)
  table.sort(ends, function(a, b) return a.y < b.y end)
  local lowest = -math.huge
  for _, entry in ipairs(ends) do
    local y = math.max(entry.y, lowest + 15)
    lowest = y
    picture:text(entry.x + 10, y + 4, entry.name, "f" .. entry.colour, { size = 11, weight = 600 })
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
  drawDecades(picture, lowY, highY, placeY, workload)
  drawPoints(picture, workload, placeX)
  local ends = {}
  for i, line in ipairs(list) do
    local colour = (i - 1) % COLOURS + 1
    local places = {}
    for j, point in ipairs(line.points) do
      places[j] = { placeX(point[1]), placeY(point[2]) }
      picture:dot(places[j][1], places[j][2], "f" .. colour)
    end
    picture:path(places, "line c" .. colour)
    local last = places[#places]
    local value = markdown.number(line.points[#line.points][2] / workload.unit[1])
    ends[i] = { x = last[1], y = last[2], colour = colour, name = line.name .. ": " .. value }
  end
  drawNames(picture, ends)
  return picture:finish()
end

return curves
