-- SPDX-License-Identifier: Apache-2.0
-- Moments at which something is due, the earliest first: a binary heap.

local core = require "artel.core"

---@class artel.Deadlines
---@field onEarlier fun()? called when what was added is due before everything else
local Deadlines = {}
Deadlines.__index = Deadlines

---@return artel.Deadlines
function Deadlines.new() return setmetatable({}, Deadlines) end

--- Calls `callback(...)` from run(), `seconds` from now.
---@return table entry for cancel()
function Deadlines:add(seconds, callback, ...)
  local entry = { at = core.now() + seconds, callback = callback, ... }
  local i = #self + 1
  while i > 1 and self[i // 2].at > entry.at do
    self[i] = self[i // 2]
    i = i // 2
  end
  self[i] = entry
  if i == 1 and self.onEarlier then self.onEarlier() end
  return entry
end

--- The entry stays in the heap until its time, and does nothing then.
function Deadlines.cancel(entry) entry.callback = nil end

local function removeFirst(self)
  local last = table.remove(self)
  local size = #self
  if size == 0 then return end
  local i = 1
  while true do
    local child = 2 * i
    if child > size then break end
    if child < size and self[child + 1].at < self[child].at then child = child + 1 end
    if self[child].at >= last.at then break end
    self[i] = self[child]
    i = child
  end
  self[i] = last
end

--- Seconds until the earliest is due, at least 0; nil when there is none.
---@return number?
function Deadlines:left()
  while self[1] and not self[1].callback do removeFirst(self) end
  return self[1] and math.max(0, self[1].at - core.now())
end

--- Calls back what is due.
function Deadlines:run()
  while self:left() == 0 do
    local entry = self[1]
    removeFirst(self)
    entry.callback(table.unpack(entry))
  end
end

return Deadlines
