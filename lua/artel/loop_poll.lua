-- SPDX-License-Identifier: Apache-2.0
-- The scheduler's loop in a host whose implementation does not use luv: poll(2) and a list
-- of timers, run one round at a time by the runner.

local core = require "artel.core"

local READ, WRITE = 1, 4 -- POLLIN and POLLOUT; the same on every Unix we know

local loop = {}

local watches = {} -- watch → true while it waits for something
local timers = {} -- timer → true

---@class artel.PollWatch
local Watch = {}
Watch.__index = Watch

--- Calls `callback(owner)` when `descriptor` is ready, while set() asks for it.
---@return artel.PollWatch
function loop.watch(descriptor, owner, callback)
  return setmetatable({ descriptor = descriptor, owner = owner, callback = callback }, Watch)
end

--- Says what to wait for; with neither the watch rests.
function Watch:set(read, write)
  if self.moved then return self.moved:set(read, write) end
  self.events = (read and READ or 0) + (write and WRITE or 0)
  watches[self] = self.events ~= 0 or nil
end

--- Waits for reading without keeping the loop busy.
function Watch:setBackground()
  self.events, self.background = READ, true
  watches[self] = true
  -- What is not waited for may be collected.
  self.holder = setmetatable({ owner = self.owner }, { __mode = "v" })
  self.owner = nil
end

function Watch:close()
  watches[self] = nil
  if self.moved then self.moved:close() end
end

--- Calls `callback()` once, `seconds` from now.
---@param background? boolean nothing waits for it: it keeps nobody busy
---@return { stop: fun() }
function loop.after(seconds, callback, background)
  local timer = { at = core.now() + seconds, callback = callback, background = background }
  timers[timer] = true
  timer.stop = function() timers[timer] = nil end
  return timer
end

--- Calls `callback()` in the next round.
function loop.soon(callback) loop.after(0, callback) end

--- Whether nobody but the caller waits for anything.
function loop.isIdle()
  for watch in next, watches do
    if not watch.background then return false end
  end
  for timer in next, timers do
    if not timer.background then return false end
  end
  return true
end

--- Hands everything that is waited for over to another loop, which runs from now on.
function loop.moveTo(other)
  for timer in pairs(timers) do
    timer.stop = other.after(math.max(0, timer.at - core.now()), timer.callback,
      timer.background).stop
  end
  for watch in pairs(watches) do
    local owner = watch.owner or watch.holder.owner
    watch.moved = other.watch(watch.descriptor, owner, watch.callback)
    if watch.background then
      watch.moved:setBackground()
    else
      watch.moved:set(watch.events & READ ~= 0, watch.events & WRITE ~= 0)
    end
  end
  timers, watches = {}, {}
end

local function runTimers()
  local now, due = core.now(), {}
  for timer in pairs(timers) do
    if timer.at <= now then due[#due + 1] = timer end
  end
  table.sort(due, function(a, b) return a.at < b.at end)
  for _, timer in ipairs(due) do
    if timers[timer] then -- an earlier one may have stopped it
      timers[timer] = nil
      timer.callback()
    end
  end
end

--- Waits until something is ready or due, and serves it.
function loop.runOnce()
  local list, descriptors, events = {}, {}, {}
  for watch in pairs(watches) do
    list[#list + 1] = watch
    descriptors[#list], events[#list] = watch.descriptor, watch.events
  end
  local earliest
  for timer in pairs(timers) do
    if not earliest or timer.at < earliest then earliest = timer.at end
  end
  local timeout = earliest and math.max(0, earliest - core.now())
  for _, index in ipairs(core.pollStreams(descriptors, events, timeout)) do
    local watch = list[index]
    local owner = watch.owner or watch.holder.owner
    if owner == nil then watch:close() end
    if watches[watch] then watch.callback(owner) end
  end
  runTimers()
end

return loop
