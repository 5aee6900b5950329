-- SPDX-License-Identifier: Apache-2.0
-- The scheduler's view of luv's loop: descriptors, timers and "soon".

local core = require "artel.core"
local uv = require "luv"

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

---@class artel.LuvWatch
local Watch = {}
Watch.__index = Watch
-- The handle is luv's until it is closed, and it must be closed before its descriptor is.
Watch.__gc = function(self) self:close() end

--- Calls `callback(owner)` when `descriptor` is ready, while set() asks for it. The owner is
--- held weakly.
---@return artel.LuvWatch
function loop.watch(descriptor, owner, callback)
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

function Watch:close()
  if self.handle and not self.handle:is_closing() then self.handle:close() end
  self.handle = nil
end

--- Calls `callback()` once, `seconds` from now.
---@return { stop: fun() }
function loop.after(seconds, callback)
  local timer = uv.new_timer()
  local function stop()
    if not timer:is_closing() then timer:close() end
  end
  uv.update_time() -- the loop's clock stands still while Lua runs
  timer:start(math.ceil(seconds * 1000), 0, guarded(function()
    stop()
    callback()
  end))
  return { stop = stop }
end

--- Calls `callback()` from the loop, as soon as possible.
function loop.soon(callback) loop.after(0, callback) end

return loop
