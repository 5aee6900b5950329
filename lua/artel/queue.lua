-- SPDX-License-Identifier: Apache-2.0
-- A first-in first-out queue that forgets what has left it.

---@class artel.Queue
---@field private first integer index of the oldest item
---@field private last integer index of the newest item; first - 1 when empty
local Queue = {}
Queue.__index = Queue

---@return artel.Queue
function Queue.new() return setmetatable({ first = 1, last = 0 }, Queue) end

--- Adds an item behind all others.
---@param item any not nil
function Queue:push(item)
  local last = self.last + 1
  self[last] = item -- raises where there is no memory for it: then nothing has happened
  self.last = last
end

--- Sees to it that the next push() needs no memory.
function Queue:reserve() self[self.last + 1] = false end

--- Sees to it that the next pushFront() needs no memory.
function Queue:reserveFront() self[self.first - 1] = false end

--- Puts an item before all others.
---@param item any not nil
function Queue:pushFront(item)
  local first = self.first - 1
  self[first] = item
  self.first = first
end

--- Takes the oldest item; nil when there is none.
function Queue:pop()
  local first = self.first
  local item = self[first]
  if not item then return nil end -- nothing, or a place that was reserved
  self[first] = nil
  if first == self.last then
    self.first, self.last = 1, 0
  else
    self.first = first + 1
  end
  return item
end

--- The oldest item, which stays; nil when there is none.
function Queue:peek() return self[self.first] or nil end

--- Takes an item out wherever it stands. Calls nothing, for which memory could be short.
---@return boolean found
function Queue:remove(item)
  for i = self.first, self.last do
    if self[i] == item then
      for j = i, self.last - 1 do self[j] = self[j + 1] end
      self[self.last] = nil
      self.last = self.last - 1
      return true
    end
  end
  return false
end

--- Iterates over the items, the oldest first; the queue must not change meanwhile.
---@return fun(): any
function Queue:items()
  local index = self.first - 1
  return function()
    index = index + 1
    return self[index] or nil
  end
end

---@return boolean
function Queue:isEmpty() return self.last < self.first end

---@return integer
function Queue:length() return self.last - self.first + 1 end

return Queue
