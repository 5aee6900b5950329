-- SPDX-License-Identifier: Apache-2.0
-- The part of WorkerFactory that is about the kill switch.

local address = require "artel.address"
local core = require "artel.core"
local currentWorker = require "artel.current_worker"
local export = require "artel.export"
local killSwitch = require "artel.kill_switch"
local waiting = require "artel.waiting"

local changes = killSwitch.changes

local methods = {}

--- The path of the profile's switch; in a worker its own, unless the profile names another.
local function pathOf(factory, method, level)
  local path = factory:getBootstrapProfile():getKillSwitchPath()
    or currentWorker.WorkerRunner.getKillSwitchPath()
  if not path then
    error(("%s: the profile names no kill switch (setKillSwitchPath)"):format(method), level + 1)
  end
  return core.files.absolutePath(path) or path
end

--- The addresses from an address, a list, or an iterator, which is read to its end.
---@return string[]
local function collect(what, method, level, ...)
  local addresses = {}
  local function add(item)
    local parsed, reason = address.parse(item)
    if not parsed then error(("%s: %s"):format(method, reason), level + 2) end
    addresses[#addresses + 1] = address.normalize(item)
  end
  if type(what) == "string" then
    add(what)
  elseif type(what) == "function" then
    for item in what, ... do add(item) end
  elseif type(what) == "table" then
    for _, item in ipairs(what) do add(item) end
    for key in pairs(what) do
      if not addresses[key] then
        error(("%s: a list has no key %s"):format(method, export.value(key) or type(key)),
          level + 1)
      end
    end
  else
    error(("bad argument #1 to '%s' (an address, a list or an iterator of addresses expected, "
      .. "got %s)"):format(method, type(what)), level + 1)
  end
  return addresses
end

--- Changes the switch of a factory; where it may not wait or the path is missing, it raises.
local function changeFor(factory, method, change, level)
  local path = pathOf(factory, method, level + 1)
  if killSwitch.isHeldByStart(path) then
    error(method .. ": a worker that still starts holds the kill switch itself", level + 1)
  end
  return killSwitch.change(path, change, nil, waiting.check(level + 1))
end

--- Adds the methods to WorkerFactory. Their types are in api_meta.lua.
---@param class artel.WorkerFactory
function methods.extend(class)
  --- Forbids workers to start; those that run go on.
  function class:disableSharedWorker(addresses, ...)
    local list = collect(addresses, "disableSharedWorker", 2, ...)
    local done, err = changeFor(self, "disableSharedWorker", changes.disable(list), 2)
    return done, err -- no tail call, which would take our level off the stack
  end

  --- Allows again what disableSharedWorker has forbidden.
  function class:reEnableSharedWorker(addresses, ...)
    local list = collect(addresses, "reEnableSharedWorker", 2, ...)
    local done, err = changeFor(self, "reEnableSharedWorker", changes.enable(list), 2)
    return done, err
  end

  --- Forbids every shared worker to start.
  function class:disableSharedWorkersGlobally()
    local done, err = changeFor(self, "disableSharedWorkersGlobally", changes.setGlobal(true), 2)
    return done, err
  end

  --- Takes disableSharedWorkersGlobally back; single addresses stay forbidden.
  function class:reEnableSharedWorkersGlobally()
    local done, err = changeFor(self, "reEnableSharedWorkersGlobally", changes.setGlobal(false), 2)
    return done, err
  end

  --- Forbids nothing any more.
  function class:reEnableAllSharedWorkers()
    local done, err = changeFor(self, "reEnableAllSharedWorkers", changes.enableAll(), 2)
    return done, err
  end

  --- The addresses that are forbidden one by one.
  function class:getDisabledSharedWorkers()
    local fields, err = killSwitch.read(pathOf(self, "getDisabledSharedWorkers", 2))
    if not fields then return nil, err end
    return table.move(fields.addresses, 1, #fields.addresses, 1, {})
  end

  --- Whether no worker may start at the address: by itself, or since none may.
  function class:isSharedWorkerDisabled(forAddress)
    local path = pathOf(self, "isSharedWorkerDisabled", 2)
    local parsed, reason = address.parse(forAddress)
    if not parsed then error("isSharedWorkerDisabled: " .. reason, 2) end
    local fields, err = killSwitch.read(path)
    if not fields then return true, err end
    return killSwitch.forbids(fields, address.normalize(forAddress)) ~= nil
  end

  --- Whether no shared worker at all may start.
  function class:areSharedWorkersDisabledGlobally()
    local fields, err = killSwitch.read(pathOf(self, "areSharedWorkersDisabledGlobally", 2))
    if not fields then return true, err end
    return fields.global
  end
end

--- The names of the methods: each stands on artel too, with a default factory.
methods.names = {
  "disableSharedWorker", "reEnableSharedWorker", "disableSharedWorkersGlobally",
  "reEnableSharedWorkersGlobally", "reEnableAllSharedWorkers", "getDisabledSharedWorkers",
  "isSharedWorkerDisabled", "areSharedWorkersDisabledGlobally",
}

return methods
