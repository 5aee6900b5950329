-- SPDX-License-Identifier: Apache-2.0
-- The connections of a shared worker taken together: who is there, how much of what they sent
-- waits, and how the loop runs until something has come about.

local admin = require "artel.server_admin"
local Connection = require "artel.server_connection"
local core = require "artel.core"
local dispatch = require "artel.dispatch"
local luvLoop = require "artel.loop_luv"
local Queue = require "artel.queue"
local scheduler = require "artel.scheduler"

local uv = luvLoop.uv

---@class artel.Server
---@field connections table<artel.ServerConnection, boolean>
---@field count integer of them
---@field tally table accepted, messages, sent, requests, errors
---@field stopReason string? who wants it to stop
---@field undelivered integer bytes of all connections that wait to be dispatched
---@field own artel.Connection what handlers that belong to no connection count on
local Server = {}
Server.__index = Server

-- What all connections together may have sent without its being dispatched.
local UNDELIVERED_MAX = 256 << 20
local HANDSHAKE_TIMEOUT = 10
-- How long a connection rests before it gives its buffers back, seconds.
local TRIM_INTERVAL = 1

function Server.log(format, ...)
  io.stderr:write(("artel worker: " .. format .. "\n"):format(...))
end

function Server.new(implementation, plan)
  local codec = plan.factory and require("artel.factory_codec").load(plan.factory)
  return setmetatable({
    implementation = implementation, plan = plan, admin = admin,
    isUnix = core.parseAddress(plan.address).isUnix,
    channelOptions = {
      encoding = plan.encoding, codec = codec, maxMessageSize = plan.maxMessageSize,
      maxMessageItems = plan.maxMessageItems, maxQueuedBytes = plan.maxQueuedBytes,
    },
    own = { implementation = implementation, active = 0 },
    connections = {}, count = 0, undelivered = 0, signals = {},
    tally = { accepted = 0, messages = 0, sent = 0, requests = 0, errors = 0 },
    handshakes = Queue.new(), resting = {},
    afterStopTimeout = function(callback)
      if plan.stopTimeout == math.huge then return { stop = function() end } end
      return luvLoop.after(plan.stopTimeout, callback)
    end,
  }, Server)
end

--- The first one counts; the loop goes on until its round has ended.
function Server:requestStop(reason)
  self.stopReason = self.stopReason or reason
end

--- Runs the loop until `isDone()`, the deadline, or until nothing can happen any more.
---@return boolean done
function Server:turnUntil(isDone, deadline)
  local timer
  if deadline and deadline < math.huge then
    timer = uv.new_timer()
    timer:start(math.max(0, math.ceil((deadline - core.now()) * 1000)), 0, function() end)
    timer:unref()
  end
  while not isDone() and not (deadline and core.now() >= deadline) do
    if not uv.run "once" and not isDone() then break end
  end
  local done = isDone() -- before our timer is one that closes, and so keeps the loop alive
  if timer then timer:close() end
  return done
end

-- ---- connections ----

function Server:isFull()
  return self.maxConnections ~= nil and self.count >= self.maxConnections
end

--- Takes a connection that the system has accepted.
function Server:accepted(descriptor)
  local connection = Connection.new(self, descriptor)
  if not connection then return end
  self.tally.accepted = self.tally.accepted + 1
  self.connections[connection] = true
  self.count = self.count + 1
  if self.stopReason then
    connection:cut "came when the worker was stopping"
  elseif core.sockets.isStarted(connection.channel) then -- JSON has no greeting to wait for
    connection:greet()
  else
    self:awaitGreeting(connection)
  end
end

function Server:forget(connection)
  if not self.connections[connection] then return end
  self.connections[connection] = nil
  self.resting[connection] = nil
  self.count = self.count - 1
  self.listeners:resume()
end

--- Whoever has not greeted in time goes. All have the same time, so one timer does.
function Server:awaitGreeting(connection)
  connection.deadline = core.now() + HANDSHAKE_TIMEOUT
  self.handshakes:push(connection)
  if self.handshakeTimer then return end
  local function look()
    self.handshakeTimer = nil
    local oldest = self.handshakes:peek()
    while oldest and (oldest.greeted or oldest.leaving or oldest.deadline <= core.now()) do
      self.handshakes:pop()
      if not oldest.greeted and not oldest.leaving then oldest:cut "did not greet in time" end
      oldest = self.handshakes:peek()
    end
    if oldest then
      self.handshakeTimer = luvLoop.after(math.max(0, oldest.deadline - core.now()), look)
    end
  end
  self.handshakeTimer = luvLoop.after(HANDSHAKE_TIMEOUT, look)
end

-- ---- memory ----

--- Remembers that a connection was used; those that then rest give their buffers back.
function Server:touch(connection)
  self.resting[connection] = true
  if self.trimTimer then return end
  self.trimTimer = uv.new_timer()
  self.trimTimer:start(math.ceil(TRIM_INTERVAL * 1000), 0, function()
    self.trimTimer:close()
    self.trimTimer = nil
    for each in pairs(self.resting) do
      if core.isOpen(each.channel) then core.sockets.trim(each.channel) end
    end
    self.resting = {}
  end)
  self.trimTimer:unref()
end

--- Bytes that wait in front of the first frame that is not whole; 0 when that one is.
local function partialBytes(connection)
  local channel = connection.channel
  if not core.isOpen(channel) or core.peek(channel) then return 0 end
  return core.unread(channel)
end

--- Who has sent most of a message that never ends, or else most of all.
local function findLargest(connections)
  local largest, most, isPartial = nil, 0, false
  for connection in pairs(connections) do
    local partial = partialBytes(connection)
    local bytes = partial > 0 and partial or connection.undelivered
    if partial > 0 and not isPartial or (partial > 0) == isPartial and bytes > most then
      largest, most, isPartial = connection, bytes, partial > 0
    end
  end
  return largest
end

--- Keeps count of what waits, and cuts the largest off while it is too much.
function Server:countUndelivered(added)
  self.undelivered = self.undelivered + added
  if self.undelivered <= UNDELIVERED_MAX or self.relieving then return end
  self.relieving = true
  for connection in pairs(self.connections) do connection:count() end
  while self.undelivered > UNDELIVERED_MAX do
    local largest = findLargest(self.connections)
    if not largest then break end
    dispatch.refuse(largest.channel, 0, { kind = "overloaded",
      message = "the worker holds more unfinished messages than it may" })
    largest:cut "had the largest unfinished message when memory was short"
  end
  self.relieving = nil
end

-- ---- the end ----

--- Dispatches no new frames from now on; answers to our own requests still count.
function Server:holdFrames()
  for connection in pairs(self.connections) do connection.stopped = true end
end

--- Ends every connection once what it handles has ended and its replies have left.
function Server:endConnections()
  local err = core.newError { kind = "closed", message = "the worker stops" }
  local list = {}
  for connection in pairs(self.connections) do list[#list + 1] = connection end
  for _, connection in ipairs(list) do scheduler.run(connection.finish, connection, err) end
end

--- Closes what is left when the time is over.
function Server:cutConnections()
  local list = {}
  for connection in pairs(self.connections) do list[#list + 1] = connection end
  for _, connection in ipairs(list) do
    scheduler.run(connection.cut, connection, "was still there when the worker ended")
  end
end

--- Stops the timers that only serve connections: they must not hold the loop.
function Server:rest()
  if self.handshakeTimer then self.handshakeTimer.stop() end
end

return Server
