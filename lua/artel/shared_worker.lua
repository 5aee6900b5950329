-- SPDX-License-Identifier: Apache-2.0
-- A shared worker in a master's hands: a channel over a socket, with the right to ask how the
-- worker is and to stop it.

local aside = require "artel.aside"
local channelModule = require "artel.channel"
local connector = require "artel.connector"
local core = require "artel.core"
local dispatch = require "artel.dispatch"
local frame = require "artel.frame"
local Queue = require "artel.queue"
local scheduler = require "artel.scheduler"
local streams = require "artel.streams"
local waiting = require "artel.waiting"
local WorkerStatus = require "artel.status"

local sockets = core.sockets

--- A connection to a worker that many masters share.
---@class artel.SharedWorker: artel.Channel
local SharedWorker, metatable = core.class("artel.SharedWorker")
setmetatable(SharedWorker, { __index = core.class("artel.Channel") })

local QUERY_TIMEOUT = 5

-- Of each connection: address, cookie, identity, encoding, processId, queries.
local details = setmetatable({}, { __mode = "k" })

-- ---- connecting ----

local function timeLeft(deadline) return math.max(0, deadline - core.now()) end

--- Waits for the worker's greeting: then it has surely taken us, and speaks our encoding.
---@return boolean? greeted nil when the connection ended first
---@return artel.Error? err
local function awaitGreeting(channel, deadline, mode)
  while not sockets.isStarted(channel) do
    local kind, code, detail = core.peek(channel)
    if sockets.isStarted(channel) then break end
    if kind == false then
      return nil, core.newError { kind = code, message = detail }
    end
    core.flush(channel)
    if core.fill(channel) == "none"
      and not streams.await(channel:getStream(), "read", timeLeft(deadline), mode) then
      return nil, core.newError { kind = "timeout", message = "the worker did not greet in time: "
        .. "it may be busy in a handler, or standing still" }
    end
  end
  return true
end

--- Tells who waits for a status, the oldest first: they have no numbers.
local function takeStatus(channel)
  local ok, value = core.take(channel)
  local waiter = details[channel].queries:pop()
  if not waiter then return end
  local state = core.state(channel)
  if state.pending[waiter] then -- else its time was over
    state.pending[waiter] = nil
    state.pendingCount = state.pendingCount - 1
  end
  local status, message
  if ok then status, message = WorkerStatus.fromTable(value) end
  waiter.value = status
  waiter.err = not ok and value or message and core.newError { kind = "decode", message = message }
    or nil
  scheduler.wake(waiter)
end

---@class artel.ConnectOptions
---@field address string
---@field timeout number
---@field mode "block"|"suspend"
---@field channel table as for core.pair
---@field cookie string?
---@field identity string?

--- Connects to a worker that listens.
---@param options artel.ConnectOptions
---@return artel.SharedWorker?
---@return artel.Error? err with errno ECONNRESET when the worker went while we connected
local function connect(options)
  local deadline = core.now() + options.timeout
  local descriptor, err = connector.connect(options.address, options.timeout, options.mode)
  if not descriptor then return nil, err end
  local worker
  worker, err = sockets.openClient(descriptor, options.channel)
  if not worker then return nil, err end
  details[worker] = {
    address = options.address, cookie = options.cookie, identity = options.identity,
    encoding = options.channel.encoding, processId = sockets.peerCredentials(worker),
    queries = Queue.new(),
  }
  local greeted
  greeted, err = awaitGreeting(worker, deadline, options.mode)
  if not greeted then
    core.closeNow(worker)
    err.message = ("%s: %s"):format(options.address, err.message)
    if err.kind == "closed" then
      err.kind, err.errno = "connect", "ECONNRESET"
    end
    return nil, err
  end
  dispatch.stateOf(worker).onAdmin = takeStatus
  return worker
end

-- ---- who it is ----

---@return string
function SharedWorker:getSocketAddress()
  core.checkSelf(self, 2)
  return details[self].address
end

--- The worker's process; nil when it is on another machine or cannot be seen.
---@return integer?
function SharedWorker:getProcessId()
  core.checkSelf(self, 2)
  local known = details[self]
  if not known.processId and core.isOpen(self) and core.parseAddress(known.address).isLocal then
    known.processId = sockets.listeningProcess(known.address, 0)
  end
  return known.processId
end

--- Whether the peer may be told the cookie: over unix, whoever else might have put a socket
--- there must not hear it.
---@return true|nil
---@return artel.Error? err
local function checkPeer(worker)
  local known = details[worker]
  local _, uid = sockets.peerCredentials(worker)
  if not uid or uid == 0 or uid == core.files.effectiveUser()
    or known.identity and uid == sockets.userId(known.identity) then
    return true
  end
  return nil, core.newError {
    kind = "connect", errno = "EPERM",
    message = ("the worker at %s runs as user %d, which is not trusted with the admin cookie: "
      .. "trusted are root, the user who asks and the preferredIdentity of the profile")
      :format(known.address, uid),
  }
end

-- ---- admin ----

--- Asks the worker to stop. Whether it does depends on the cookie alone; it does not answer.
---@return true|nil sent
---@return artel.Error? err
function SharedWorker:stop()
  core.checkOpen(self, 2)
  local cookie = details[self].cookie
  if not cookie then
    error("stopping a shared worker needs an admin cookie in the profile (setAdminCookie)", 2)
  end
  local trusted, err = checkPeer(self)
  if not trusted then return nil, err end
  local queued
  queued, err = core.queue(self, frame.STOP, 0, cookie)
  if not queued then return nil, err end
  return self:flush()
end

local function queueQuery(worker)
  local known = details[worker]
  if known.cookie then
    local trusted, err = checkPeer(worker)
    if not trusted then return nil, err end
    return core.queue(worker, frame.QUERY, 0, known.cookie)
  end
  if known.encoding == "json" then return core.queue(worker, frame.QUERY, 0, false) end
  return core.queue(worker, frame.QUERY, 0)
end

-- Its place among the queries stays: the answer will come and must go to nobody else.
local function abandonQuery(waiter)
  local state = waiter.state
  if state.pending[waiter] then
    state.pending[waiter] = nil
    state.pendingCount = state.pendingCount - 1
  end
end

--- Asks the worker how it is. Messages that arrive meanwhile are kept for receiveMessage.
---@param timeout? number seconds, 5 by default
---@return artel.WorkerStatus?
---@return artel.Error? err
function SharedWorker:query(timeout)
  if timeout ~= nil and not (type(timeout) == "number" and timeout >= 0) then
    error("bad argument #1 to 'query' (seconds from 0 up expected)", 2)
  end
  core.checkOpen(self, 2)
  waiting.check(2)
  timeout = timeout or QUERY_TIMEOUT
  local state = dispatch.stateOf(self)
  if state.ended then return nil, state.ended end
  local queued, err = queueQuery(self)
  if not queued then return nil, err end
  local waiter = scheduler.newWaiter(abandonQuery)
  waiter.state = state
  details[self].queries:push(waiter)
  state.pending[waiter] = waiter
  state.pendingCount = state.pendingCount + 1
  core.flush(self)
  if not waiting.await(self, state, waiter, timeout, 2) then
    return nil, core.newError {
      kind = "timeout", message = ("no status within %g s"):format(timeout),
    }
  end
  if waiter.err then return nil, waiter.err end
  return waiter.value
end

-- ---- messages that were set aside ----

--- As receiveMessage, but not one of those that were set aside.
---@param timeout? number seconds
---@return any message
---@return artel.Error? err
function SharedWorker:receiveMessageDirectly(timeout)
  if timeout ~= nil and not (type(timeout) == "number" and timeout >= 0) then
    error("bad argument #1 to 'receiveMessageDirectly' (seconds from 0 up expected)", 2)
  end
  core.checkOpen(self, 2)
  local message, err = channelModule.receiveNew(self, dispatch.stateOf(self), timeout, 2)
  return message, err
end

--- Iterates over what was set aside; of what could not be decoded only receiveMessage tells.
local function setAside(worker)
  local state = core.state(worker)
  if not state then return function() end end
  local items = state.inbox:items()
  return function()
    local entry
    repeat entry = items() until entry == nil or entry[2] == nil
    return entry
  end
end

---@return integer
function SharedWorker:getUnreceivedMessageCount()
  core.checkSelf(self, 2)
  local count = 0
  for _ in setAside(self) do count = count + 1 end
  return count
end

--- The messages that were set aside, which stay.
---@return any[]
function SharedWorker:peekUnreceivedMessages()
  core.checkSelf(self, 2)
  local messages = {}
  for entry in setAside(self) do messages[#messages + 1] = entry[1] end
  return messages
end

--- Takes one of them away.
---@param index integer from 1
---@return any message nil when there is none with that index
function SharedWorker:removeUnreceivedMessage(index)
  core.checkSelf(self, 2)
  if math.type(index) ~= "integer" then
    error("bad argument #1 to 'removeUnreceivedMessage' (integer expected)", 2)
  end
  local position = 0
  for entry in setAside(self) do
    position = position + 1
    if position == index then
      aside.removeMessage(self, core.state(self), entry)
      return entry[1]
    end
  end
  return nil
end

--- Puts a message back: the next receiveMessage answers it.
---@param message any not nil
function SharedWorker:unreceiveMessage(message)
  core.checkOpen(self, 2)
  if message == nil then
    error("bad argument #1 to 'unreceiveMessage' (a value expected, got nil)", 2)
  end
  aside.putBack(self, dispatch.stateOf(self), message)
end

--- Inside a shared worker: listens no more; the worker ends when its loop has nothing left.
SharedWorker.stopCurrent = require("artel.current_worker").stopCurrent

metatable.__tostring = function(self)
  local state = core.isOpen(self) and core.state(self)
  return ("artel shared worker %s (%s)"):format(details[self].address,
    state and state.ended and "it has gone" or core.isOpen(self) and "connected" or "closed")
end

return { class = SharedWorker, connect = connect, checkPeer = checkPeer }
