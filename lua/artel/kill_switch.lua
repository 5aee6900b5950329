-- SPDX-License-Identifier: Apache-2.0
-- Knows the kill switch: the file that says which shared workers may not start, and how it is
-- changed by many processes at once without losing a change.

local core = require "artel.core"
local streams = require "artel.streams"

local killSwitch = {}

-- Who holds the lock changes the file, or starts a worker, which may take its time.
local LOCK_TIMEOUT = 60
-- Between two looks at a lock that others hold.
local FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.02
-- What it says is for its owner, unless somebody has made it readable for others.
local FILE_MODE = tonumber("600", 8)
local LENGTH_MAX = 16 << 20 -- far more addresses than there are

local function failure(message, errno)
  return core.newError { kind = "disabled", message = message, errno = errno }
end

-- ---- the file ----

local function isListOfStrings(value)
  if type(value) ~= "table" then return false end
  local count = 0
  for _ in pairs(value) do count = count + 1 end
  for index = 1, count do
    if type(value[index]) ~= "string" then return false end
  end
  return true
end

--- What is wrong with the content, or nil. Nothing may be missing: a misspelt key must not
--- allow what was forbidden.
local function faultOf(fields)
  if type(fields) ~= "table" or #fields > 0 then return "it is no object" end
  if type(fields.global) ~= "boolean" then return 'its "global" is neither true nor false' end
  if not isListOfStrings(fields.addresses) then return 'its "addresses" is no list of strings' end
end

local function folderOf(path)
  local folder = path:match "^(.*)/[^/]*$" or "."
  return folder == "" and "/" or folder
end

--- Reads the file; one that is not there is an empty one.
---@return { global: boolean, addresses: string[] }? fields and what others keep beside them
---@return artel.Error? err
function killSwitch.read(path)
  local function bad(what, errno)
    return nil, failure(("the kill switch %s cannot be read: %s"):format(path, what), errno)
  end
  local facts, message, errno = core.files.stat(path)
  if not facts then
    -- Without the folder there is no lock either, so no worker can start.
    if errno ~= "ENOENT" or not core.files.stat(folderOf(path)) then return bad(message, errno) end
    return { global = false, addresses = {} }
  end
  -- A link would be replaced by the first change.
  if facts.type ~= "file" then return bad "it is no regular file" end
  local text
  text, message, errno = core.files.readRegular(path, LENGTH_MAX)
  if not text then return bad(message, errno) end
  local fields
  fields, message = core.decode("json", text)
  message = fields == nil and message or faultOf(fields)
  if message then return bad(message) end
  return fields
end

--- The text of the file: keys in a fixed order, for people and version control.
local function encode(fields)
  local names = {}
  for name in pairs(fields) do names[#names + 1] = name end
  table.sort(names)
  local items = {}
  for index, name in ipairs(names) do
    local value = name == "addresses" and core.array(fields.addresses) or fields[name]
    items[index] = ("%s: %s"):format(core.encode("json", name), core.encode("json", value))
  end
  return ("{%s}\n"):format(table.concat(items, ", "))
end

--- Replaces the file in one step.
---@return true?
---@return artel.Error? err
local function write(path, fields)
  local written, message, errno = core.files.writeAtomically(path, encode(fields), FILE_MODE, true)
  if not written then return nil, failure(message, errno) end
  return true
end

-- ---- the lock ----

--- Whose the lock shall be if it has to be made: as the switch is, or as its folder.
local function ownerOf(path)
  local facts = core.files.stat(path)
  if facts and facts.type == "file" then return facts.uid, facts.gid, facts.mode end
  facts = core.files.stat(folderOf(path))
  if not facts then return core.files.effectiveUser(), -1, FILE_MODE end
  return facts.uid, facts.gid, FILE_MODE
end

local function lock(path, exclusive, timeout)
  local uid, gid, mode = ownerOf(path)
  return core.sockets.lockFile(path .. ".lock", exclusive, timeout, uid, gid, mode)
end

--- Waits for the lock in the way that fits where we are.
local function lockExclusively(path, timeout, mode)
  local deadline = core.now() + timeout
  local pause = FIRST_PAUSE
  while true do
    local held, err = lock(path, true, 0)
    local left = deadline - core.now()
    if held or err.kind ~= "timeout" or left <= 0 then return held, err end
    streams.pause(math.min(pause, left), mode)
    pause = math.min(pause * 2, LONGEST_PAUSE)
  end
end

-- What this process holds since its own start is not over.
local heldByStart

--- For a worker that starts: holds the lock, so that who switches waits until the worker
--- listens, and answers whether it may start.
---@param forAddress string
---@return userdata? held to be given to release()
---@return artel.Error? err kind "disabled"
function killSwitch.hold(path, forAddress)
  local held, err = lock(path, false, LOCK_TIMEOUT)
  if not held then return nil, failure(err.message, err.errno) end
  local fields
  fields, err = killSwitch.read(path)
  if fields then
    local forbids = killSwitch.forbids(fields, forAddress)
    if not forbids then
      heldByStart = path
      return held
    end
    err = failure(("the kill switch %s forbids %s to start"):format(path, forbids))
  end
  core.sockets.removeLock(held)
  return nil, err
end

--- The worker listens, or will not.
function killSwitch.release(held)
  heldByStart = nil
  core.sockets.removeLock(held)
end

--- Whether the start of this very worker holds the lock: waiting for it would never end.
---@return boolean
function killSwitch.isHeldByStart(path) return path == heldByStart end

-- ---- asking and changing ----

local function indexOf(list, wanted)
  for index, item in ipairs(list) do
    if item == wanted then return index end
  end
end

--- What the switch forbids, in words, if that concerns the address.
---@return string?
function killSwitch.forbids(fields, forAddress)
  if fields.global then return "every shared worker" end
  return indexOf(fields.addresses, forAddress) and "the shared worker at " .. forAddress or nil
end

--- Reads, changes and writes the file while nobody else does.
---@param change fun(fields: table): boolean? answers whether it has changed something
---@param timeout number? seconds that the lock may take
---@param mode "block"|"suspend"
---@return true?
---@return artel.Error? err
function killSwitch.change(path, change, timeout, mode)
  local held, err = lockExclusively(path, timeout or LOCK_TIMEOUT, mode)
  if not held then return nil, err end
  local called, done, reason = pcall(function()
    local fields, unreadable = killSwitch.read(path)
    if not fields then return nil, unreadable end
    if not change(fields) then return true end
    return write(path, fields)
  end)
  core.sockets.removeLock(held)
  if not called then error(done, 0) end
  return done, reason
end

--- What there is to be changed: each answers a function for killSwitch.change().
local changes = {}

function changes.disable(addresses)
  return function(fields)
    local known, changed = {}, false
    for _, item in ipairs(fields.addresses) do known[item] = true end
    for _, item in ipairs(addresses) do
      if not known[item] then
        known[item], changed = true, true
        table.insert(fields.addresses, item)
      end
    end
    return changed
  end
end

function changes.enable(addresses)
  return function(fields)
    local gone, kept = {}, {}
    for _, item in ipairs(addresses) do gone[item] = true end
    for _, item in ipairs(fields.addresses) do
      if not gone[item] then kept[#kept + 1] = item end
    end
    local changed = #kept < #fields.addresses
    fields.addresses = kept
    return changed
  end
end

function changes.setGlobal(global)
  return function(fields)
    local changed = fields.global ~= global
    fields.global = global
    return changed
  end
end

function changes.enableAll()
  return function(fields)
    local changed = fields.global or #fields.addresses > 0
    fields.global, fields.addresses = false, {}
    return changed
  end
end

killSwitch.changes = changes

return killSwitch
