-- SPDX-License-Identifier: Apache-2.0
-- Moments at which something is due, the earliest first: a binary heap.

local core = require "artel.core"
local isLack = require "artel.lack"

---@class artel.Deadlines
---@field cancelled integer how many of them were cancelled
---@field onEarlier fun()? called when what was added is due before everything else
local Deadlines = {}
Deadlines.__index = Deadlines

-- Fewer than these are not worth looking at all.
local CANCELLED_MIN = 64

---@return artel.Deadlines
function Deadlines.new() return setmetatable({ cancelled = 0 }, Deadlines) end

local function put(self, entry)
  local i = #self + 1
  while i > 1 and self[i // 2].at > entry.at do
    self[i] = self[i // 2]
    i = i // 2
  end
  self[i] = entry
  return i
end

--- Calls `callback(...)` from run(), `seconds` from now.
---@return table entry for cancel()
function Deadlines:add(seconds, callback, ...)
  local entry = { at = core.now() + seconds, callback = callback, ... }
  local i = put(self, entry)
  if i == 1 and self.onEarlier then self.onEarlier() end
  return entry
end

--- Finds the place for an entry, at or below one that is free.
local function sink(self, i, entry)
  local size = #self
  while true do
    local child = 2 * i
    if child > size then break end
    if child < size and self[child + 1].at < self[child].at then child = child + 1 end
    if self[child].at >= entry.at then break end
    self[i] = self[child]
    i = child
  end
  self[i] = entry
end

local function removeFirst(self)
  local last = table.remove(self)
  if #self > 0 then sink(self, 1, last) end
end

local function removeCancelled(self)
  local size, kept = #self, 0
  for i = 1, size do
    local entry = self[i]
    if entry.callback then
      kept = kept + 1
      self[kept] = entry
    end
  end
  for i = kept + 1, size do self[i] = nil end
  for i = kept // 2, 1, -1 do sink(self, i, self[i]) end
  self.cancelled = 0
end

--- An entry that was cancelled stays in the heap until its time, or until there are more such
--- than others: else an hour's requests would be kept where each may take an hour.
function Deadlines:cancel(entry)
  if not entry.callback then return end
  entry.callback = nil
  -- A request among them may be large. Without a call, for which memory could be short.
  for index = 1, #entry do entry[index] = nil end
  self.cancelled = self.cancelled + 1
  if self.cancelled > CANCELLED_MIN and self.cancelled > #self // 2 then removeCancelled(self) end
end

--- Seconds until the earliest is due, at least 0; nil when there is none.
---@return number?
function Deadlines:left()
  while self[1] and not self[1].callback do
    removeFirst(self)
    self.cancelled = self.cancelled - 1
  end
  return self[1] and math.max(0, self[1].at - core.now())
end

--- Calls back what is due. What it could not do for want of memory it does the next time.
function Deadlines:run()
  while self:left() == 0 do
    local entry = self[1]
    local callback = entry.callback
    removeFirst(self)
    entry.callback = nil -- there is nothing left to cancel
    local ok, err = pcall(callback, table.unpack(entry))
    if not ok then
      if isLack(err) then
        entry.callback = callback
        put(self, entry)
      end
      error(err, 0)
    end
  end
end

return Deadlines
