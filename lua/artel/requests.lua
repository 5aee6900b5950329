-- SPDX-License-Identifier: Apache-2.0
-- Requests and their answers over a channel, seen from both ends.

local core = require "artel.core"
local dispatch = require "artel.dispatch"
local errorFrames = require "artel.error_frames"
local frame = require "artel.frame"
local scheduler = require "artel.scheduler"
local waiting = require "artel.waiting"

local requests = {}

local ID_MAX = 0xFFFFFFFF

--- The next free request id: from state.firstId, skipping 0 and those outstanding.
local function nextId(state)
  local first = state.firstId
  local id = state.lastId or first - 1
  repeat id = id < ID_MAX and id + 1 or first until state.pending[id] == nil
  state.lastId = id
  return id
end

--- Sends a request; its answer will wake `waiter`.
---@return integer|nil id nil when nothing was sent
---@return artel.Error? err
function requests.begin(channel, state, value, waiter)
  if state.final then return nil, state.final end -- also while our own close() flushes
  local id = nextId(state)
  state.pending[id] = waiter -- before anything is queued, should there be no memory for it
  local queued, err = core.queue(channel, frame.REQUEST, id, value)
  if not queued then
    state.pending[id] = nil
    return nil, err
  end
  state.pendingCount = state.pendingCount + 1
  core.flush(channel) -- a peer that has gone shows when its end is read
  return id
end

--- Forgets a request that is still unanswered, and tells the peer so.
function requests.cancel(channel, state, id)
  if state.pending[id] == nil then return end
  state.pending[id] = nil
  state.pendingCount = state.pendingCount - 1
  if core.isOpen(channel) and core.queue(channel, frame.CANCEL, id) then core.flush(channel) end
  if state.onAnswered then state.onAnswered() end
end

local function abandonRequest(waiter) requests.cancel(waiter.channel, waiter.state, waiter.id) end

--- The time-out among the options of a request; raises for what is none.
---@param level integer as for error(), seen from the caller
---@return number? timeout
function requests.checkOptions(options, level)
  if options == nil then return nil end
  if type(options) ~= "table" then
    error("bad argument #2 to 'request' (a table such as { timeout = 5 } expected)", level + 1)
  end
  for name in pairs(options) do
    if name ~= "timeout" then
      error(("unknown option '%s'; there is: timeout"):format(name), level + 1)
    end
  end
  local timeout = options.timeout
  if timeout ~= nil and not (type(timeout) == "number" and timeout >= 0) then
    error("bad option 'timeout' (seconds from 0 up expected)", level + 1)
  end
  return timeout
end

--- As begin(), and waits for room in a full queue.
local function beginWithRoom(channel, state, value, waiter, timeout, level)
  local id, err = requests.begin(channel, state, value, waiter)
  while not id and err.kind == "overloaded" and waiting.mayWaitToSend() do
    local drained
    drained, err = waiting.drain(channel, state, 0, timeout, level + 1)
    if not drained then return nil, err end
    id, err = requests.begin(channel, state, value, waiter)
  end
  return id, err
end

--- Channel:request(), see lua/artel/channel.lua.
---@param level integer where misuse is raised, as for error()
function requests.request(channel, value, options, level)
  core.checkOpen(channel, level + 1)
  local timeout = requests.checkOptions(options, level + 1)
  if value == nil then
    error("bad argument #1 to 'request' (a value expected, got nil)", level + 1)
  end
  local state = dispatch.stateOf(channel)
  waiting.check(level + 1, state)
  local waiter = scheduler.newWaiter(abandonRequest)
  waiter.channel, waiter.state = channel, state
  local id, err = beginWithRoom(channel, state, value, waiter, timeout, level + 1)
  if not id then return nil, err end
  waiter.id = id
  if not waiting.await(channel, state, waiter, timeout, level + 1) then
    return nil, core.newError {
      kind = "timeout", phase = "running",
      message = ("no response within %g s"):format(timeout),
    }
  end
  if waiter.err then return nil, waiter.err end
  return waiter.value
end

--- Sends what a handler answered: a value, or nil and a reason, or nothing.
---@param hold? boolean queue it only; the caller flushes soon
---@return true|nil sent
---@return artel.Error? err
---@return boolean? lost not even a refusal fits into the queue
function requests.respond(channel, id, response, reason, hold)
  if not core.isOpen(channel) then
    return nil, core.newError { kind = "closed", message = "this end was closed" }
  end
  local queued, err, lost
  if response == nil and reason ~= nil then
    queued, err = errorFrames.refuse(channel, id,
      { kind = "remote", message = errorFrames.textOf(reason), value = reason })
    lost = not queued
  else
    if response == nil then response = core.null end
    queued, err = core.queue(channel, frame.RESPONSE, id, response)
    if not queued then -- the requester must not wait for ever for what cannot be sent
      local message = err.message
      if err.kind == "encode" then message = "the response: " .. message end -- not what was asked
      lost = not errorFrames.refuse(channel, id, { kind = err.kind, message = message })
    end
  end
  if not hold then
    local flushed, flushErr = core.flush(channel)
    if flushed == nil then return nil, flushErr end
  end
  if not queued then return nil, err, lost end
  return true
end

local function abandonWait(waiter) waiter.queue:remove(waiter) end

--- Channel:receiveRequest(), see lua/artel/channel.lua.
function requests.receive(channel, timeout, level)
  core.checkOpen(channel, level + 1)
  waiting.checkTimeout(timeout, "receiveRequest", 1, level + 1)
  local state = dispatch.stateOf(channel)
  state.answersRequests = true
  local entry, answered
  local function reply(response, reason)
    if answered then error("this request was answered already", 2) end
    if core.isOpen(channel) then core.claimFinish(channel, entry.id) end
    local sent, err = requests.respond(channel, entry.id, response, reason)
    answered = true -- not before: where there was no memory for it, it may be tried again
    if sent and core.pending(channel) > 0 then return waiting.afterQueueing(channel, 2) end
    return sent, err
  end
  entry = state.requests:pop()
  while entry and not core.claimBegin(channel, entry.id) do entry = state.requests:pop() end
  if entry then return entry.value, reply end
  if state.ended then return nil, state.ended end
  local waiter = scheduler.newWaiter(abandonWait, state.requestWaiters)
  if not waiting.await(channel, state, waiter, timeout, level + 1) then
    return nil, core.newError {
      kind = "timeout", message = ("no request within %g s"):format(timeout),
    }
  end
  if waiter.err then return nil, waiter.err end
  if not core.claimBegin(channel, waiter.id) then -- taken back by a pool: wait on
    return requests.receive(channel, timeout, level)
  end
  entry = waiter
  return entry.value, reply
end

return requests
