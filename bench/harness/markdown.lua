-- SPDX-License-Identifier: Apache-2.0
-- How results read: Markdown tables of medians, spread and ratios.
local markdown = {}

--- Three significant digits, without an exponent.
---@param value number
---@return string
function markdown.number(value)
  local size = math.abs(value)
  if size >= 100 then return ("%.0f"):format(value) end
  if size >= 10 then return ("%.1f"):format(value) end
  return ("%.2f"):format(value)
end

local number = markdown.number

local DURATIONS = { { 1e9, "s" }, { 1e6, "ms" }, { 1e3, "µs" } }

--- Nanoseconds in the unit that suits them.
---@param nanoseconds number
---@return string
function markdown.duration(nanoseconds)
  for _, duration in ipairs(DURATIONS) do
    if nanoseconds >= duration[1] * 0.9999 then
      return number(nanoseconds / duration[1]) .. " " .. duration[2]
    end
  end
  return number(nanoseconds) .. " ns"
end

local function spread(summary, divisor)
  return ("%s … %s"):format(number(summary.min / divisor), number(summary.max / divisor))
end

local function target(row, unit)
  local wanted = row.target
  if not wanted then return "" end
  local text = wanted.atMost and ("≤ %g"):format(wanted.atMost)
    or ("≥ %g"):format(wanted.atLeast)
  return wanted.absolute and text .. " " .. unit or text .. " ×"
end

local function verdict(row)
  if row.holds == nil then return "" end
  return row.holds and "yes" or "**no**"
end

local function cells(row, workload)
  local divisor, unit = workload.unit[1], workload.unit[2]
  if row.failure then
    local why = row.failure:gsub("|", "\\|"):sub(1, 100)
    return { row.name, "failed: " .. why, "", "", target(row, unit), "" }
  end
  return {
    row.name,
    number(row.figure.median / divisor),
    spread(row.figure, divisor),
    row.ratio and ("%s (%s)"):format(number(row.ratio.median), spread(row.ratio, 1)) or "",
    target(row, unit),
    verdict(row),
  }
end

--- The table of one workload.
---@param workload table
---@param rows table[]
---@return string
function markdown.table(workload, rows)
  local unit = workload.unit[2]
  local head = {
    "contender", unit .. ", median", "min … max",
    workload.reference and "× " .. workload.reference or "×", "target", "holds",
  }
  local lines = {
    "| " .. table.concat(head, " | ") .. " |",
    "|" .. (" --- |"):rep(#head),
  }
  for _, row in ipairs(rows) do
    lines[#lines + 1] = "| " .. table.concat(cells(row, workload), " | ") .. " |"
  end
  return table.concat(lines, "\n")
end

--- The table of a sweep, which is always one of durations: a line for each point, a column
--- for each contender.
---@param workload table
---@param rows table[]
---@return string
function markdown.matrix(workload, rows)
  local columns, cellsAt = {}, {}
  for _, row in ipairs(rows) do
    if not cellsAt[row.name] then
      cellsAt[row.name] = {}
      columns[#columns + 1] = row.name
    end
    cellsAt[row.name][row.x] = row.figure and markdown.duration(row.figure.median)
      or row.failure and "failed"
  end
  local lines = {
    ("| %s | %s |"):format(workload.axis.name, table.concat(columns, " | ")),
    "|" .. (" --- |"):rep(#columns + 1),
  }
  for _, x in ipairs(workload.points) do
    local line = { workload.axis.label(x) }
    for _, name in ipairs(columns) do line[#line + 1] = cellsAt[name][x] or "" end
    lines[#lines + 1] = "| " .. table.concat(line, " | ") .. " |"
  end
  return table.concat(lines, "\n")
end

--- Machine and versions as a list.
---@param fields table<string, any>
---@return string
function markdown.facts(fields)
  local names = {}
  for name in pairs(fields) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do
    local value = fields[name]
    names[i] = ("%s: %s"):format(name, type(value) == "number" and ("%d"):format(value) or value)
  end
  return table.concat(names, " · ")
end

return markdown
