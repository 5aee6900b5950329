-- SPDX-License-Identifier: Apache-2.0
-- Messages and requests that had to be taken out of a channel's buffer before anybody could have
-- them, since somebody waits for what is behind them. They are kept in order, decoded.

local core = require "artel.core"
local Queue = require "artel.queue"

local aside = {}

-- So many bytes are kept, of messages and requests together.
local BYTES_MAX = 256 << 20
-- So many are kept where nobody waits for ever if no more are.
local FREELY_BYTES_MAX = 1 << 20
-- No more requests are kept than this: they are found by ids, which a peer can choose so that they
-- collide, since Lua hashes numbers without a seed.
aside.REQUESTS_MAX = 4096

--- Whether more is kept than a channel may have.
---@param state artel.ChannelState
---@return boolean
function aside.isTooMuch(state) return state.asideBytes > BYTES_MAX end

--- Whether there is a place for one more request.
---@return boolean
function aside.hasPlace(state)
  local requests = state.requestsAside
  return not (requests and requests:length() >= aside.REQUESTS_MAX)
end

--- Whether one more may be kept though nobody has to have what is behind it.
---@return boolean
function aside.mayKeepFreely(state)
  return state.asideBytes < FREELY_BYTES_MAX and aside.hasPlace(state)
end

--- Takes the frame that is next.
---@return true|nil ok
---@return any value or an error
---@return integer bytes of the stream
local function take(channel)
  local before = core.unread(channel)
  local ok, value = core.take(channel)
  return ok, value, before - core.unread(channel)
end

-- ---- messages ----

--- Keeps the message that is next.
function aside.keepMessage(channel, state)
  local entry = { nil, nil, 0 } -- once it is taken, there must be a place for it
  state.inbox:reserve()
  local ok, value, bytes = take(channel)
  entry[ok and 1 or 2], entry[3] = value, bytes
  state.inbox:push(entry)
  state.asideBytes = state.asideBytes + bytes
  core.setQueuedInLua(channel, true)
end

local function forget(channel, state, entry)
  state.asideBytes = state.asideBytes - (entry[3] or 0)
  if state.inbox:isEmpty() then core.setQueuedInLua(channel, false) end
end

--- The oldest message, as { message, err }; nil when there is none.
function aside.popMessage(channel, state)
  local entry = state.inbox:pop()
  if entry then forget(channel, state, entry) end
  return entry
end

--- Takes one of the messages away.
function aside.removeMessage(channel, state, entry)
  state.inbox:remove(entry)
  forget(channel, state, entry)
end

--- Makes a message, or an error in the place of one, the next that is received.
function aside.putBack(channel, state, message, err)
  state.inbox:pushFront { message, err }
  core.setQueuedInLua(channel, true)
end

--- Has the messages of one channel received from another one. What was too much for the first
--- would be too much for the second.
---@param state artel.ChannelState of the first, from which nobody will receive any more
---@param heir artel.Channel
---@param heirState artel.ChannelState
function aside.bequeath(state, heir, heirState)
  if state.inbox:isEmpty() or aside.isTooMuch(state) then return end
  for entry in heirState.inbox:items() do state.inbox:push(entry) end -- as a rule there is none
  state.inbox, heirState.inbox = heirState.inbox, state.inbox
  state.asideBytes, heirState.asideBytes = 0, heirState.asideBytes + state.asideBytes
  core.setQueuedInLua(heir, true)
end

-- ---- requests ----

--- Keeps the request that is next; aside.hasPlace() has said that it may.
---@param id integer
function aside.keepRequest(channel, state, id)
  if not state.requestsAside then state.requestsAside, state.asideById = Queue.new(), {} end
  local entry = { id = id, ok = nil, value = nil, bytes = 0 } -- as in keepMessage()
  state.requestsAside:reserve()
  state.asideById[id] = entry
  entry.ok, entry.value, entry.bytes = take(channel)
  state.requestsAside:push(entry)
  state.asideBytes = state.asideBytes + entry.bytes
end

--- The oldest request, which there is: id, ok, value, isCancelled.
---@return table
function aside.popRequest(state)
  local entry = state.requestsAside:pop()
  state.asideBytes, state.asideById[entry.id] = state.asideBytes - entry.bytes, nil
  return entry
end

--- Marks a request as one that nobody waits for: it is found without a search, of which a peer
--- could demand many.
---@param id integer
---@return boolean found
function aside.cancelRequest(state, id)
  local entry = state.asideById and state.asideById[id]
  if entry then entry.isCancelled = true end
  return entry ~= nil
end

return aside
