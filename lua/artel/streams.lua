-- SPDX-License-Identifier: Apache-2.0
-- How a call waits for a descriptor that is no channel, or for a moment: blocking, or
-- suspended while the loop goes on.

local core = require "artel.core"
local scheduler = require "artel.scheduler"

local streams = {}

local READ, WRITE = 1, 4 -- POLLIN and POLLOUT

-- A waiting coroutine is known to its waiter alone.
local anchors = {} -- luacheck: ignore 241 (who looks into it is the garbage collector)

local function wake(waiter) scheduler.run(scheduler.wake, waiter) end

local leaving = { __close = function(waiter)
  anchors[waiter] = nil
  waiter.watch:close()
end }

local function suspend(descriptor, wanted, timeout)
  local waiter = {}
  waiter.watch = scheduler.loop().watch(descriptor, waiter, wake)
  local _ <close> = setmetatable(waiter, leaving)
  anchors[waiter] = true
  waiter.watch:set(wanted == "read", wanted == "write")
  return scheduler.suspend(waiter, timeout)
end

--- Waits until a descriptor is ready.
---@param descriptor integer
---@param wanted "read"|"write"
---@param timeout number? seconds
---@param mode "block"|"suspend" what waiting.check() answered
---@return boolean ready false at the time-out
function streams.await(descriptor, wanted, timeout, mode)
  if mode == "suspend" then return suspend(descriptor, wanted, timeout) end
  local events = wanted == "read" and READ or WRITE
  return #core.pollStreams({ descriptor }, { events }, timeout) > 0
end

--- Lets `seconds` pass.
function streams.pause(seconds, mode)
  if mode == "suspend" then
    scheduler.suspend({}, seconds)
  else
    core.pollStreams({}, {}, seconds)
  end
end

return streams
