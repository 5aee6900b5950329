-- SPDX-License-Identifier: Apache-2.0
-- A picture in SVG that reads well on light and on dark pages: elements, text, colours.
local svg = {}

local FONT = "font-family='system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif'"

-- Colours that most kinds of colour blindness still tell apart (after Okabe and Ito).
local STYLE = [[
<style>
  .page { fill: #ffffff } .text { fill: #1f2328 } .soft { fill: #59636e }
  .grid { stroke: #d1d9e0; stroke-width: 1 } .whisker { stroke: #1f2328; stroke-width: 1.5 }
  .reference { fill: #8b949e } .artel { fill: #0072b2 } .peer { fill: #e69f00 }
  .target { stroke: #d1242f; stroke-width: 2 }
  .line { fill: none; stroke-width: 2 }
  .c1 { stroke: #0072b2 } .c2 { stroke: #8b949e } .c3 { stroke: #d55e00 }
  .c4 { stroke: #009e73 } .c5 { stroke: #cc79a7 } .c6 { stroke: #e69f00 }
  .c7 { stroke: #56b4e9 } .c8 { stroke: #1f2328 }
  .f1 { fill: #0072b2 } .f2 { fill: #6e7781 } .f3 { fill: #d55e00 } .f4 { fill: #009e73 }
  .f5 { fill: #b5588f } .f6 { fill: #b27b00 } .f7 { fill: #2f8fc4 } .f8 { fill: #1f2328 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .text { fill: #f0f6fc } .soft { fill: #9198a1 }
    .grid { stroke: #3d444d } .whisker { stroke: #f0f6fc }
    .reference { fill: #6e7681 } .artel { fill: #4ea3e0 } .peer { fill: #c98a06 }
    .c1 { stroke: #4ea3e0 } .c8 { stroke: #f0f6fc } .f1 { fill: #4ea3e0 }
    .f2 { fill: #9198a1 } .f3 { fill: #f07b3f } .f4 { fill: #2fbf95 } .f5 { fill: #e39cc4 }
    .f6 { fill: #e6a817 } .f7 { fill: #7cc8ee } .f8 { fill: #f0f6fc }
  }
</style>]]

local ESCAPES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ["'"] = "&#39;" }

--- Text that is safe inside an element or an attribute.
---@param text string
---@return string
function svg.escape(text) return (text:gsub("[&<>']", ESCAPES)) end

---@class bench.Picture
---@field private parts string[]
local Picture = {}
Picture.__index = Picture

--- A new picture with its background and its title.
---@param width number
---@param height number
---@param title string
---@param subtitle string
---@return bench.Picture
function svg.new(width, height, title, subtitle)
  local picture = setmetatable({ parts = {
    ("<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %g %g' width='%g' height='%g' %s "
      .. "role='img' aria-label='%s'>"):format(width, height, width, height, FONT,
      svg.escape(title)),
    STYLE,
    ("<rect class='page' width='%g' height='%g' rx='6'/>"):format(width, height),
  } }, Picture)
  picture:text(16, 26, title, "text", { size = 15, weight = 600 })
  picture:text(16, 45, subtitle, "soft", { size = 12 })
  return picture
end

---@param x number
---@param y number
---@param text string
---@param class string
---@param options { size: number?, weight: number?, anchor: string? }?
function Picture:text(x, y, text, class, options)
  options = options or {}
  self.parts[#self.parts + 1] = ("<text class='%s' x='%.1f' y='%.1f' font-size='%g' "
    .. "font-weight='%g' text-anchor='%s'>%s</text>"):format(class, x, y, options.size or 12,
      options.weight or 400, options.anchor or "start", svg.escape(text))
end

---@param x number
---@param y number
---@param width number
---@param height number
---@param class string
function Picture:rect(x, y, width, height, class)
  self.parts[#self.parts + 1] =
    ("<rect class='%s' x='%.1f' y='%.1f' width='%.1f' height='%.1f' rx='2'/>")
    :format(class, x, y, width, height)
end

---@param x1 number
---@param y1 number
---@param x2 number
---@param y2 number
---@param class string
function Picture:line(x1, y1, x2, y2, class)
  self.parts[#self.parts + 1] =
    ("<line class='%s' x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f'/>")
    :format(class, x1, y1, x2, y2)
end

---@param x number
---@param y number
---@param class string
function Picture:dot(x, y, class)
  self.parts[#self.parts + 1] =
    ("<circle class='%s' cx='%.1f' cy='%.1f' r='3'/>"):format(class, x, y)
end

---@param points { [1]: number, [2]: number }[]
---@param class string
function Picture:path(points, class)
  local steps = {}
  for i, point in ipairs(points) do steps[i] = ("%.1f,%.1f"):format(point[1], point[2]) end
  self.parts[#self.parts + 1] =
    ("<polyline class='%s' points='%s'/>"):format(class, table.concat(steps, " "))
end

---@return string
function Picture:finish() return table.concat(self.parts, "\n") .. "\n</svg>\n" end

return svg
