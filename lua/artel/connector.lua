-- SPDX-License-Identifier: Apache-2.0
-- Connects to addresses without ever holding up a loop.

local core = require "artel.core"
local scheduler = require "artel.scheduler"
local streams = require "artel.streams"

local sockets = core.sockets

local connector = {}

-- A unix listener whose backlog is full cannot be waited for: it is asked again.
local PAUSE_FIRST, PAUSE_LONGEST = 0.001, 0.02

local function timeLeft(deadline) return math.max(0, deadline - core.now()) end

local function timeoutError(timeout)
  return core.newError {
    kind = "timeout", errno = "ETIMEDOUT",
    message = ("the connection was not made within %g s"):format(timeout),
  }
end

--- Asks the name server through luv, which has threads for that.
---@return table[]? found { addr = number }
---@return artel.Error? err
local function askNameServer(uv, host)
  local waiter = {}
  local request, message = uv.getaddrinfo(host, nil, { socktype = "stream" }, function(err, found)
    waiter.err, waiter.found = err, found
    scheduler.run(scheduler.wake, waiter)
  end)
  if request then
    scheduler.suspend(waiter)
    message = waiter.err
    if waiter.found and #waiter.found > 0 then return waiter.found end
  end
  return nil, core.newError {
    kind = "connect", errno = "EHOSTUNREACH",
    message = ("cannot resolve %s: %s"):format(host, message or "the host has no address"),
  }
end

--- What to try in turn; without a loop that asks name servers, nil.
local function candidatesOf(address)
  local candidates, err = sockets.candidates(address)
  local uv = scheduler.loop().uv
  if candidates or err or not uv then return candidates, err end
  local found
  found, err = askNameServer(uv, core.parseAddress(address).host)
  if not found then return nil, err end
  candidates = {}
  for _, entry in ipairs(found) do
    for _, candidate in ipairs(sockets.candidates(address, entry.addr) or {}) do
      candidates[#candidates + 1] = candidate
    end
  end
  return candidates
end

local function tryOne(candidate, deadline)
  local pause = PAUSE_FIRST
  while true do
    local descriptor, connected = sockets.connectBegin(candidate)
    if connected == true then return descriptor end
    if descriptor == nil then return nil, connected end
    if descriptor then
      local watch, err = sockets.connectWatch(descriptor)
      if not watch then return nil, err end
      local ready = streams.await(sockets.number(watch), "read", timeLeft(deadline), "suspend")
      sockets.close(watch)
      if not ready then
        sockets.close(descriptor)
        return nil
      end
      local finished
      finished, err = sockets.connectFinish(descriptor)
      if finished then return descriptor end
      return nil, err
    end
    if timeLeft(deadline) == 0 then return nil end
    streams.pause(math.min(pause, timeLeft(deadline)), "suspend")
    pause = math.min(pause * 2, PAUSE_LONGEST)
  end
end

local function connectSuspended(address, timeout)
  local deadline = core.now() + timeout
  local candidates, failure = candidatesOf(address)
  if failure then return nil, failure end
  if not candidates then return sockets.connect(address, timeout) end
  for index, candidate in ipairs(candidates) do
    -- The last one has all the time there is, the others half of it.
    local left = timeLeft(deadline)
    local share = index == #candidates and left or left / 2
    local descriptor, err = tryOne(candidate, core.now() + share)
    if descriptor then return descriptor end
    err = err or timeoutError(timeout)
    err.message = ("cannot connect to %s: %s"):format(sockets.nameOf(candidate), err.message)
    failure = failure or err
  end
  return nil, failure
end

--- Connects to an address.
---@param address string
---@param timeout number seconds; math.huge for ever
---@param mode "block"|"suspend" what waiting.check() answered
---@return userdata? descriptor of artel.core.sockets
---@return artel.Error? err
function connector.connect(address, timeout, mode)
  if mode == "suspend" then return connectSuspended(address, timeout) end
  return sockets.connect(address, timeout)
end

return connector
