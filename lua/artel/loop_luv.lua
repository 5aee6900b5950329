-- SPDX-License-Identifier: Apache-2.0
-- The scheduler's view of luv's loop: descriptors, timers and "soon".

local core = require "artel.core"
local uv = core.requireOnMainThread "luv"

local loop = { uv = uv }

--- What escapes a luv callback ends the program, and luv shows nothing but strings: so every
--- error becomes its text and a traceback.
local function toText(err) return core.traceback(err, 2) end

local function guarded(fn)
  return function(...)
    local ok, text = xpcall(fn, toText, ...)
    if not ok then error(text, 0) end
  end
end

-- luv crashes when Lua ends while a handle is still closing. So the newest closing handle has
-- a guard behind it, which Lua finalises before the handle and which lets luv finish.
local guard
local guardClass = {
  __gc = function(self)
    if self == guard and not uv.loop_mode() then uv.run("nowait") end
  end,
}

local function closeHandle(handle)
  if handle:is_closing() then return end
  handle:close()
  guard = setmetatable({}, guardClass)
end

-- Handles of collected watches: stopped at once, closed at the next call into this module,
-- since a finaliser that runs when Lua ends can leave no guard behind.
local orphans = {}

local function closeOrphans()
  for i = #orphans, 1, -1 do
    closeHandle(orphans[i])
    orphans[i] = nil
  end
end

---@class artel.LuvWatch
local Watch = {}
Watch.__index = Watch
Watch.__gc = function(self)
  if self.handle then
    self.handle:stop() -- before its descriptor is closed
    orphans[#orphans + 1] = self.handle
  end
end

--- Calls `callback(owner)` when `descriptor` is ready, while set() asks for it. The owner is
--- held weakly.
---@return artel.LuvWatch
function loop.watch(descriptor, owner, callback)
  closeOrphans()
  local handle, message = uv.new_poll(descriptor)
  if not handle then
    error(("luv cannot watch descriptor %d (%s): does the program watch it with a poll handle "
      .. "of its own? Use channel:registerRead instead"):format(descriptor, message), 0)
  end
  local self = setmetatable({ handle = handle, events = nil, idle = true }, Watch)
  local holder = setmetatable({ owner = owner, watch = self }, { __mode = "v" })
  self.onReady = guarded(function()
    local watch = holder.watch
    if watch and watch.idle then
      -- Nobody wanted it any more, but stopping and starting costs two system calls that a
      -- wait which comes right back would pay each time. Now it is not coming back.
      watch.handle:stop()
      watch.events = nil
    elseif holder.owner then
      callback(holder.owner)
    end
  end)
  return self
end

--- Says what to wait for. With neither the loop does not stay alive for this descriptor.
function Watch:set(read, write)
  local events = read and (write and "rw" or "r") or (write and "w" or nil)
  if not events then
    if not self.idle then
      self.idle = true
      uv.unref(self.handle)
    end
    return
  end
  if self.events ~= events then
    self.handle:start(events, self.onReady)
    self.events = events
  end
  if self.idle then
    self.idle = false
    uv.ref(self.handle)
  end
end

--- Waits for reading without keeping the loop alive.
function Watch:setBackground()
  self.handle:start("r", self.onReady)
  self.events, self.idle = "r", false
  uv.unref(self.handle)
end

function Watch:close()
  if self.handle then closeHandle(self.handle) end
  self.handle = nil
end

--- Calls `callback()` once, `seconds` from now.
---@param background? boolean nothing waits for it: it does not keep the loop alive
---@return { stop: fun() }
function loop.after(seconds, callback, background)
  local timer = uv.new_timer()
  local function stop() closeHandle(timer) end
  uv.update_time() -- the loop's clock stands still while Lua runs
  timer:start(math.ceil(seconds * 1000), 0, guarded(function()
    stop()
    callback()
  end))
  if background then uv.unref(timer) end
  return { stop = stop }
end

--- Calls `callback()` from the loop, as soon as possible.
function loop.soon(callback) loop.after(0, callback) end

return loop
