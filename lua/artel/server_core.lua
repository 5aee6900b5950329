-- SPDX-License-Identifier: Apache-2.0
-- The connections of a shared worker taken together: who is there, how much of what they sent
-- waits, and how the loop runs until something has come about.

local Connection = require "artel.server_connection"
local core = require "artel.core"
local errorFrames = require "artel.error_frames"
local luvLoop = require "artel.loop_luv"
local printable = require "artel.printable"
local scheduler = require "artel.scheduler"
local waiting = require "artel.waiting"

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

--- The time that a peer has to greet, seconds. A field, so that a spec need not wait so long.
Server.GREETING_TIMEOUT = 10

-- What all connections together may have sent without its being dispatched.
local UNDELIVERED_MAX = 256 << 20
-- Between two looks at who has not greeted in time, seconds: a flood of such must not make us
-- look at all of them for each.
local GREETING_PAUSE = 0.1
-- How long a connection rests before it gives its buffers back, seconds.
local TRIM_INTERVAL = 1
-- After so many bytes at once the heap gives back what is free in it: buffers of many connections
-- lie there between others, and malloc by itself gives back none but the last ones.
local HEAP_TRIM_MIN = 1 << 20

--- A timer of our own affairs: it alone does not keep the loop alive.
local function after(timer, seconds, callback)
  uv.update_time()
  timer:start(luvLoop.toMilliseconds(seconds), 0, callback)
  timer:unref()
end

function Server.line(format, ...)
  return "artel worker: " .. printable(format:format(...)) .. "\n"
end

function Server.log(format, ...) io.stderr:write(Server.line(format, ...)) end

function Server.new(implementation, plan)
  local codec = plan.factory and require("artel.factory_codec").load(plan.factory)
  return setmetatable({
    implementation = implementation, plan = plan,
    isUnix = core.parseAddress(plan.address).isUnix,
    channelOptions = {
      encoding = plan.encoding, codec = codec, maxMessageSize = plan.maxMessageSize,
      maxMessageItems = plan.maxMessageItems, maxQueuedBytes = plan.maxQueuedBytes,
    },
    own = { implementation = implementation, active = 0 },
    connections = {}, count = 0, undelivered = 0, signals = {},
    tally = { accepted = 0, messages = 0, sent = 0, requests = 0, errors = 0 },
    ungreeted = {}, greetingTimer = uv.new_timer(), greetingsDue = math.huge,
    used = {}, trimTimer = uv.new_timer(),
    afterStopTimeout = function(callback)
      if plan.stopTimeout == math.huge then return { stop = function() end } end
      return luvLoop.after(plan.stopTimeout, callback)
    end,
  }, Server)
end

--- The first one counts; the loop goes on until its round has ended.
function Server:requestStop(reason)
  if self.stopReason then return end
  self.stopReason = reason
  core.sockets.startStopLimit()
end

--- Whether there is room for one more connection, and use for it. Those that come when a stop
--- was asked for are left where they are: then they hear at most once that we are gone, and
--- not until the address is ours to leave, so that whoever starts next finds it free.
function Server:mayAccept() return not self.stopReason and not self:isFull() end

--- Runs the loop until `isDone()`, the deadline, or until nothing can happen any more.
---@return boolean done
function Server.turnUntil(isDone, deadline)
  local timer
  if deadline and deadline < math.huge then
    timer = uv.new_timer()
    after(timer, deadline - core.now(), function() end)
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
  if core.sockets.isStarted(connection.channel) then -- JSON has no greeting to wait for
    connection:greet()
  else
    self:awaitGreeting(connection)
  end
end

function Server:forget(connection)
  if not self.connections[connection] then return end
  self.connections[connection], self.ungreeted[connection], self.used[connection] = nil, nil, nil
  self.count = self.count - 1
  self.listeners:resume()
end

--- Cuts off who has not greeted in time.
function Server:checkGreetings()
  local now, late, earliest = core.now(), {}, math.huge
  for connection, deadline in pairs(self.ungreeted) do
    if deadline <= now then
      late[#late + 1] = connection
    else
      earliest = math.min(earliest, deadline)
    end
  end
  self.greetingsDue = math.max(earliest, now + GREETING_PAUSE)
  if earliest < math.huge then
    after(self.greetingTimer, self.greetingsDue - now, function() self:checkGreetings() end)
  end
  for _, connection in ipairs(late) do
    -- The greeting may be here: were we too busy to read it, that is not the peer's fault.
    if self.ungreeted[connection] then waiting.turn(connection.channel) end
    if self.ungreeted[connection] then connection:cut "did not greet in time" end
  end
end

--- Gives a connection the time in which it has to greet.
function Server:awaitGreeting(connection)
  local deadline = core.now() + Server.GREETING_TIMEOUT
  self.ungreeted[connection] = deadline
  if deadline < self.greetingsDue then self:checkGreetings() end
end

--- It has greeted, or need not any more.
function Server:greeted(connection)
  self.ungreeted[connection] = nil
end

-- ---- memory ----

--- Remembers that a connection was used; those that then rest give their buffers back.
function Server:touch(connection)
  self.used[connection] = true
  if self.trims then return end
  self.trims = true
  after(self.trimTimer, TRIM_INTERVAL, function()
    self.trims = nil
    local freed = 0
    for each in pairs(self.used) do
      if core.isOpen(each.channel) then freed = freed + core.sockets.trim(each.channel) end
    end
    self.used = {}
    if freed >= HEAP_TRIM_MIN then core.sockets.trimHeap() end
  end)
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
    errorFrames.refuse(largest.channel, 0, { kind = "overloaded",
      message = "the worker holds more unfinished messages than it may" })
    largest:cut "had the largest unfinished message when memory was short"
  end
  self.relieving = nil
end

-- ---- the end ----

--- Dispatches no new frames from now on; answers to our own requests still count.
function Server:holdFrames()
  for connection in pairs(self.connections) do connection:hold() end
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

--- luv crashes when Lua ends while a handle is still closing.
function Server:finishClosing()
  self.greetingTimer:close()
  self.trimTimer:close()
  for _, signal in ipairs(self.signals) do signal:close() end
  uv.run "nowait"
  core.sockets.clearStopLimit() -- SIGTERM and SIGINT end the process from now on
end

return Server
