-- SPDX-License-Identifier: Apache-2.0
-- The listening sockets of a shared worker: when they accept, when they pause, when they end.

local core = require "artel.core"
local scheduler = require "artel.scheduler"

local sockets = core.sockets

---@class artel.ServerListeners
local Listeners = {}
Listeners.__index = Listeners

-- Connections taken in one go, so that those which are there already get their turn.
local BATCH = 64
-- How long accepting rests when there is no descriptor left, seconds.
local PAUSE = 0.1
-- How often, and how long, the lock of the address is asked for when listening is to end.
local LOCK_PAUSE, LOCK_TIMEOUT = 0.01, 5

---@param server artel.Server
function Listeners.new(server)
  return setmetatable({ server = server, list = {}, watches = {} }, Listeners)
end

--- Begins to listen, but not to accept.
---@return true|nil
---@return artel.Error? err
function Listeners:open(inherited, address, options)
  for _, listener in ipairs(inherited) do
    local configured, err = sockets.configure(listener, options)
    if not configured then return nil, err end
    self.list[#self.list + 1] = listener
  end
  if #inherited == 0 then
    local listener, err = sockets.listen(address, options)
    if not listener then return nil, err end
    self.list[1] = listener
  end
  return true
end

local function accept(self, listener)
  for _ = 1, BATCH do
    if self.closed or not self.server:mayAccept() then break end
    local descriptor, err = sockets.accept(listener)
    if descriptor == false then return end
    if not descriptor then return self:rest(err) end
    self.server:accepted(descriptor)
  end
  self:update()
end

--- Accepts from now on.
function Listeners:start()
  for index, listener in ipairs(self.list) do
    self.watches[index] = scheduler.loop().watch(sockets.listenerNumber(listener), listener,
      function(found) scheduler.run(accept, self, found) end)
  end
  self:update()
end

--- Watches the sockets, or does not while there is no room.
function Listeners:update()
  local wanted = not self.resting and self.server:mayAccept()
  for _, watch in ipairs(self.watches) do watch:set(wanted, false) end
end

--- Out of descriptors or memory: the sockets stay readable, so looking again would spin.
function Listeners:rest(err)
  if not self.complained then
    self.server.log("accepting pauses: %s", err.message)
    self.complained = true
  end
  self.resting = scheduler.loop().after(PAUSE, function() self:resume() end)
  self:update()
end

--- There may be room again.
function Listeners:resume()
  if self.resting then self.resting.stop() end
  self.resting = nil
  self:update()
end

--- Listens no more: socket files go. May be repeated.
function Listeners:close()
  self.closed = true
  if self.resting then self.resting.stop() end
  for _, watch in ipairs(self.watches) do watch:close() end
  for _, listener in ipairs(self.list) do sockets.closeListener(listener) end
  self.watches, self.list = {}, {}
end

--- Takes the lock of the address and then listens no more, so that whoever starts next at the
--- address waits for us to be gone: while we listen it only hears that we are there. Calls
--- `ended()` afterwards, perhaps at once.
function Listeners:finish(lock, ended)
  if self.closed then return ended() end
  local deadline = core.now() + LOCK_TIMEOUT
  local function try()
    local locked, err = sockets.resumeLock(lock, 0)
    if not locked and err.kind == "timeout" and core.now() < deadline then
      scheduler.loop().after(LOCK_PAUSE, try)
      return
    end
    if not locked then self.server.log("stopping without the lock: %s", err.message) end
    self:close()
    ended()
  end
  try()
end

return Listeners
