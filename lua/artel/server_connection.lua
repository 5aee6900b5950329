-- SPDX-License-Identifier: Apache-2.0
-- The life of one connection of a shared worker: greeting, onConnect, frames, the end with
-- its replies, onDisconnect.

local channelModule = require "artel.channel"
local core = require "artel.core"
local dispatch = require "artel.dispatch"
local errorFrames = require "artel.error_frames"
local frame = require "artel.frame"
local handlers = require "artel.handlers"
local scheduler = require "artel.scheduler"
local waiting = require "artel.waiting"

local sockets = core.sockets

---@class artel.ServerConnection: artel.Connection
---@field server artel.Server
---@field greeted boolean? the peer is known to speak our encoding; onConnect was called
---@field ending artel.Error? why nothing more is taken from the peer
---@field leaving boolean? onDisconnect was called, or need not be
---@field undelivered integer bytes taken in and not yet dispatched, as the server counted them
---@field querying boolean? a status is being made
---@field hasSpoken boolean? a frame of it was understood
---@field hungUp boolean? nothing more will be sent
---@field patience number? the moment until which what was sent may be on its way
---@field timer table? that cuts the connection unless it is stopped
local Connection = {}
Connection.__index = Connection

-- Between the first two looks whether the kernel has brought the last bytes to a TCP peer, and at
-- most, seconds: who reads nothing shall not keep us looking.
local LINGER_FIRST, LINGER_MAX = 0.005, 0.5

--- Whether the peer has ended and all that it sent was dispatched, or never will be.
local function hasEnded(connection)
  local channel = connection.channel
  local state = core.isOpen(channel) and core.state(channel)
  return state and state.ended
    and (state.asideBytes == 0 or connection.active == 0 or connection.failure ~= nil)
end

--- Whether a frame that comes now is for a handler, and nothing else goes on here.
local function isFree(connection, state)
  return connection.hasSpoken and connection.greeted and connection.active == 0
    and not connection.stopped and not connection.failure and connection.undelivered == 0
    and not state.ended and not state.messageWaiters:peek() and not state.requestWaiters:peek()
end

---@return artel.ServerConnection? nil when the peer has gone already
function Connection.new(server, descriptor)
  local peerName = sockets.peerName(descriptor)
  local channel = peerName and sockets.openServer(descriptor, server.channelOptions)
  if not channel then
    sockets.close(descriptor)
    return nil
  end
  local self = setmetatable({
    server = server, channel = channel, implementation = server.implementation,
    peerName = peerName, active = 0, busy = true, connecting = true, undelivered = 0,
    tally = server.tally, hidesTracebacks = not server.isUnix, linger = LINGER_FIRST,
  }, Connection)
  local state = dispatch.stateOf(channel)
  state.serving, state.lingers, state.connection = true, true, self
  function state.onTurn() self:turn() end
  function state.onOverload() self:onOverload() end
  function state.onClose() self:onClose() end
  -- Loaded when it is first asked for: a start does not need it.
  function state.onAdmin(_, kind) return require("artel.server_admin").take(self, kind) end
  handlers.attach(self)
  local watched, reason = pcall(waiting.update, channel)
  if not watched then -- the kernel's limit of watches, or its memory
    self:log("cannot be served: %s", reason)
    state.onClose = nil
    channelModule.closeAtOnce(channel)
    return nil
  end
  return self
end

function Connection:log(format, ...)
  self.server.log("%s: " .. format, self.peerName, ...)
end

-- ---- frames come in ----

--- The peer is there: onConnect, and frames from then on.
function Connection:greet()
  self.greeted = true
  self.server:greeted(self)
  handlers.connect(self)
  dispatch.pump(self.channel, core.state(self.channel))
end

--- What is to be done after input was taken in and dispatched.
function Connection:turn()
  local channel = self.channel
  if not self.greeted and not self.ending and sockets.isStarted(channel) then self:greet() end
  if not core.isOpen(channel) then return end
  if core.pending(channel) > 0 then core.flush(channel) end
  self:count()
  self.server:touch(self)
  if not self.ending and hasEnded(self) then
    self:finish(core.state(channel).ended)
  elseif self.ending then
    self:settle()
  else
    self:relax()
  end
end

--- Where nothing but frames for handlers can come next they go to them without any of this
--- (lua/artel/server_crowd.lua), until something else goes on.
function Connection:relax()
  local channel = self.channel
  if core.isAtRest(channel) and isFree(self, core.state(channel)) then
    core.setDirect(channel, true)
  end
end

--- Dispatches no new frames any more.
function Connection:hold()
  self.stopped = true
  core.setDirect(self.channel, false)
end

--- Tells the server how many bytes wait here.
function Connection:count()
  local bytes = 0
  if core.isOpen(self.channel) then
    bytes = core.unread(self.channel) + core.state(self.channel).asideBytes
  end
  if bytes ~= self.undelivered then
    local added = bytes - self.undelivered
    self.undelivered = bytes
    self.server:countUndelivered(added)
  end
end

--- Adds what only the channel itself has counted.
function Connection:addCounts(tally)
  local messages, requests = core.handledCounts(self.channel)
  tally.messages, tally.requests = tally.messages + messages, tally.requests + requests
  tally.sent = tally.sent + sockets.messagesSent(self.channel)
end

--- Called when a handler has ended, whichever.
function Connection:handled()
  if self.ending then
    self:settle()
  elseif hasEnded(self) then
    self:finish(core.state(self.channel).ended) -- the end stood behind a frame held back
  else
    self:relax()
  end
end

--- Called when onConnect or onMessage has raised.
function Connection:failed(failure)
  self:log("an error in a handler: %s", failure.traceback)
  local err = core.newError {
    kind = "closed", message = "the connection was ended because of an error in a handler",
  }
  if core.isOpen(self.channel) then
    errorFrames.refuse(self.channel, 0, handlers.shown(self, failure))
    dispatch.finish(self.channel, core.state(self.channel), err)
  end
  self:finish(err)
end

-- ---- a peer that does not read ----

--- A message did not fit into the queue: the peer has the stop time-out to make room.
function Connection:onOverload()
  if self.timer or self.ending then return end
  local limit = self.server.plan.maxQueuedBytes
  self.timer = self.server.afterStopTimeout(function()
    self.timer = nil
    if core.isOpen(self.channel) and core.pending(self.channel) > limit // 2 then
      self:cut "does not read what it is sent"
    end
  end)
end

--- A reply was lost, since the queue is full: the peer must not wait for it for ever.
function Connection:flooded() self:cut "does not read its replies" end

-- ---- the end ----

local JSON_ERROR = '{"_error_":0,"kind":"protocol","message":%s}\n'

--- What a peer that speaks another encoding is told, in its own: one that begins as a msgpack
--- greeting does is taken for that, any other for JSON.
local function rejection(encoding, text, fault)
  if fault:find('got "A', 1, true) then
    local body = core.encode("msgpack", { kind = "protocol", message = text })
    return "ATL1" .. string.pack(">I4I1I4", #body, frame.ERROR, 0) .. body
  end
  return encoding ~= "json" and JSON_ERROR:format(core.encode("json", text)) or nil
end

--- Tells the peer what it did wrong, as far as it can be told.
local function explain(connection, err)
  connection:log("%s", err.message)
  connection.tally.errors = connection.tally.errors + 1
  local encoding = connection.server.channelOptions.encoding
  local isStranger = not (encoding == "json" and connection.hasSpoken
    or encoding ~= "json" and connection.greeted)
  local text = ("this worker speaks %s: %s"):format(encoding, err.message)
  local bytes = isStranger and rejection(encoding, text, err.message)
  if bytes then
    sockets.putBytes(connection.channel, bytes)
  else
    errorFrames.refuse(connection.channel, 0, { kind = err.kind, message = err.message })
  end
end

--- Takes no more from the peer. What is being handled ends, replies leave, then it is over.
function Connection:finish(err)
  if self.ending then return end
  self.ending = err
  self:hold()
  if core.isOpen(self.channel) and (err.kind == "protocol" or err.kind == "oversize")
    and err ~= core.state(self.channel).connectionError then -- which is what the peer has told us
    explain(self, err)
  end
  if self.timer then self.timer.stop() end
  self.timer = nil
  self:settle()
end

--- Whether nothing of what we sent is on its way any more.
local function isDrained(connection)
  local channel = connection.channel
  if not core.isOpen(channel) then return true end
  if core.pending(channel) > 0 then
    core.flush(channel)
    if core.pending(channel) > 0 then
      waiting.update(channel)
      connection.timer = connection.timer or connection.server.afterStopTimeout(function()
        connection.timer = nil
        if core.isOpen(channel) then connection:cut "did not read its last replies" end
      end)
      return false
    end
  end
  if not connection.hungUp then
    connection.hungUp = true
    core.shutdownWrite(channel)
  end
  -- To close a TCP socket that holds unread input would throw away what is still being sent.
  if connection.server.isUnix or sockets.unsent(channel) == 0 then return true end
  connection.patience = connection.patience or core.now() + connection.server.plan.stopTimeout
  if core.now() > connection.patience then return true end
  scheduler.loop().after(connection.linger, function() connection:settle() end)
  connection.linger = math.min(2 * connection.linger, LINGER_MAX)
  return false
end

local function disconnected(connection, ok, failure)
  if not ok then
    connection.tally.errors = connection.tally.errors + 1
    connection:log("an error in onDisconnect: %s", failure.traceback)
  end
  connection:close()
end

--- Goes on with the end as far as it can go now.
function Connection:settle()
  if self.leaving or self.active > 0 then return end
  if not isDrained(self) then return end
  self.leaving = true
  local onDisconnect = self.implementation.onDisconnect
  if self.greeted and onDisconnect then
    handlers.start(self, disconnected, onDisconnect, self.channel, self.ending)
  else
    self:close()
  end
end

--- Closes at once; handlers that still run see a closed channel.
function Connection:cut(reason)
  self:log("cut off: it %s", reason)
  self.tally.errors = self.tally.errors + 1
  self.ending = self.ending or core.newError { kind = "closed", message = "it " .. reason }
  self:hold()
  self:closeChannel()
  self:settle()
end

--- The channel is about to be closed: by us at the end, or by a handler. Then the end is still to
--- come, when what is at work now has come back.
function Connection:onClose()
  self:addCounts(self.tally)
  if self.ending then return end
  scheduler.loop().soon(function() self:finish(core.state(self.channel).ended) end)
end

function Connection:closeChannel()
  if core.isOpen(self.channel) then
    sockets.discardInput(self.channel)
    channelModule.closeAtOnce(self.channel)
  end
  self:count()
end

function Connection:close()
  if self.timer then self.timer.stop() end
  self.timer = nil
  self:closeChannel()
  self.server:forget(self)
end

return Connection
