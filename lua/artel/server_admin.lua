-- SPDX-License-Identifier: Apache-2.0
-- What a shared worker does with stop and query frames, and what it tells about itself.

local core = require "artel.core"
local dispatch = require "artel.dispatch"
local frame = require "artel.frame"
local handlers = require "artel.handlers"
local waiting = require "artel.waiting"
local WorkerCounter = require "artel.counter"
local WorkerStatus = require "artel.status"

local admin = {}

local statusMetatable = getmetatable(WorkerStatus.new())

--- Whether a peer has shown the right cookie. Without one nobody is privileged.
local function isPrivileged(connection, cookie)
  local wanted = connection.server.plan.adminCookie
  if not wanted or type(cookie) ~= "string" or not core.sockets.secretEquals(wanted, cookie) then
    return false
  end
  connection.hidesTracebacks = false
  return true
end

--- What the system and the server count, for privileged peers.
local function systemCounters(server)
  local counters = WorkerCounter.getSystemCounters()
  local tally = setmetatable({}, { __index = server.tally })
  for connection in pairs(server.connections) do
    if core.isOpen(connection.channel) then connection:addCounts(tally) end
  end
  local function add(name, value, unit, max)
    counters[#counters + 1] = WorkerCounter.new("sys_" .. name, value, unit, 0, max)
  end
  add("connections_open", server.count, nil, server.maxConnections)
  add("connections_accepted", tally.accepted, "c")
  add("messages_received", tally.messages, "c")
  add("messages_sent", tally.sent, "c")
  add("requests", tally.requests, "c")
  add("errors", tally.errors, "c")
  return counters
end

--- What onQuery answered, as a status; nil and why when it cannot be one.
local function toStatus(answer)
  if answer == nil or answer == core.null then return WorkerStatus.new() end
  if getmetatable(answer) == statusMetatable then return answer end
  if type(answer) == "string" then return WorkerStatus.new(answer) end
  return WorkerStatus.fromTable(answer)
end

local function send(connection, status)
  local channel = connection.channel
  local queued, err = core.queue(channel, frame.STATUS, 0, status:toTable())
  -- JSON takes no text that is not UTF-8; and it may be longer than maxMessageSize.
  if not queued and err.kind ~= "overloaded" then
    connection:log("the status cannot be sent: %s", err.message)
    status = WorkerStatus.new("the status cannot be sent: " .. err.message)
    queued, err = core.queue(channel, frame.STATUS, 0, status:toTable())
  end
  if not queued and err.kind == "overloaded" then return connection:flooded() end
  core.flush(channel)
  if core.pending(channel) > 0 then waiting.update(channel) end
end

--- Sends the status that onQuery's answer makes.
local function respond(connection, privileged, ok, answer)
  local server = connection.server
  local status, message
  if ok then
    status, message = toStatus(answer)
  else
    message = answer.message
  end
  if not status then
    server.tally.errors = server.tally.errors + 1
    connection:log("an error in onQuery: %s", ok and message or answer.traceback)
    status = WorkerStatus.new(connection.hidesTracebacks and "an error in onQuery"
      or "an error in onQuery: " .. message)
  end
  if not core.isOpen(connection.channel) then return end
  if privileged then
    local counters = status:getCounters()
    table.move(systemCounters(server), 1, 64, #counters + 1, counters)
    status = WorkerStatus.new(status:getTextStatus(), counters)
  end
  send(connection, status)
end

local function query(connection, cookie)
  local privileged = isPrivileged(connection, cookie)
  local onQuery = connection.implementation.onQuery
  if not onQuery then return respond(connection, privileged, true, nil) end
  connection.querying = true
  handlers.start(connection, function(_, ok, answer)
    connection.querying = nil
    respond(connection, privileged, ok, answer)
    if core.isOpen(connection.channel) then
      local state = core.state(connection.channel)
      if state.holdsBack then dispatch.pump(connection.channel, state) end
    end
  end, onQuery, privileged)
end

--- Takes a stop or query frame. Statuses have no numbers, so they are made one by one.
---@return false? held when the frame must wait
function admin.take(connection, kind)
  if connection.querying or connection.stopped or not connection.greeted then return false end
  local ok, cookie = core.take(connection.channel)
  connection.hasSpoken = true
  if kind == frame.QUERY then
    query(connection, ok and cookie)
  elseif ok and isPrivileged(connection, cookie) then
    connection.server:requestStop("a message from " .. connection.peerName)
  end
end

return admin
