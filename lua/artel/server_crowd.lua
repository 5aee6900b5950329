-- SPDX-License-Identifier: Apache-2.0
-- How the many connections of a shared worker share one coroutine: the frames of all that are
-- ready go to their handlers one after another in C (src/binding/crowd.c), and a connection gets a
-- coroutine of its own when a handler waits or something else is out of the ordinary.

local core = require "artel.core"
local handlers = require "artel.handlers"
local scheduler = require "artel.scheduler"
local waiting = require "artel.waiting"

local serve, serving, hasReady = core.watchSet.serve, core.watchSet.serving, core.watchSet.hasReady
local toFailure, settled = handlers.toFailure, handlers.settled

--- The coroutine of `owner` is the connection's own from here on, and counts among its handlers.
---@param isAtWork boolean a handler has begun and not ended
---@return artel.ServerConnection
local function adopt(owner, channel, isAtWork)
  local state = core.state(channel)
  local connection = state.connection
  core.setDirect(channel, false)
  state.pumping = nil
  connection.server:touch(connection)
  connection.active = connection.active + 1
  owner.connection, owner.channel, owner.running = connection, channel, connection.running
  if isAtWork and not owner[1] then connection.busy = owner end -- no request: a message
  return connection
end

--- What C leaves to do with one connection.
---@return boolean goesOn the coroutine still belongs to all
local function lookAfter(owner, set, owners, ok, channel, ...)
  local connection = owner.connection -- when its handler has waited
  if not ok then
    local raised = connection and connection.channel or serving(set, owners)
    if not raised then error(channel.traceback, 0) end -- no handler: a bug of ours
    handlers.proceed(owner, connection or adopt(owner, raised, true), false, channel)
  elseif not channel then
    return false
  elseif connection then
    if connection.busy == owner then connection.busy = false end
    handlers.proceed(owner, connection, true, ...)
  elseif ... then
    handlers.proceed(owner, adopt(owner, channel, false), true, ...)
  else
    connection = core.state(channel).connection
    connection.server:touch(connection)
    return true
  end
  return false
end

local function serveAll(owner, set, owners, implementation)
  while lookAfter(owner, set, owners,
    settled(xpcall(serve, toFailure, set, owners, implementation, owner))) do end
end

--- Answers what the loop gives all that is ready.
---@param implementation table
---@return fun(set: userdata, owners: table<integer, any>)
local function new(implementation)
  local spare -- an owner that belongs to no connection
  return function(set, owners)
    while hasReady(set) do
      local owner = spare or { isHandler = true }
      scheduler.startHandler(owner, serveAll, owner, set, owners, implementation)
      local channel = serving(set, owners)
      if channel then -- a handler of it waits
        adopt(owner, channel, true)
        if core.isOpen(channel) and not core.isAtRest(channel) then waiting.turn(channel) end
      end
      spare = not owner.connection and owner or nil
    end
  end
end

return new
