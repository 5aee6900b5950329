-- SPDX-License-Identifier: Apache-2.0
-- Knows what the addresses of shared workers tell about where they lead.

local core = require "artel.core"

---@class artel.address
local address = {}

local LONGEST_PATH = 107

--- An address taken apart, its path absolute.
---@class artel.ParsedAddress
---@field isUnix boolean
---@field path? string unix: from the root
---@field host? string tcp: a name or number, IPv6 without brackets
---@field port? integer tcp
---@field isLocal boolean
---@field isNetworkExposed boolean

--- Takes an address apart; the other functions are made of it.
---@param text any
---@return artel.ParsedAddress? parsed
---@return string? reason a whole sentence
function address.parse(text)
  if type(text) ~= "string" then
    return nil, "an address is a string such as unix:///run/x.sock or tcp://127.0.0.1:4000, got "
      .. type(text)
  end
  local parsed, fault = core.parseAddress(text)
  if not parsed then return nil, ("the address %q %s"):format(text, fault) end
  if parsed.isUnix then
    local path, reason = core.files.absolutePath(parsed.path)
    if not path then return nil, reason end
    if #path > LONGEST_PATH then
      return nil, ("the address %q has a path of more than %d bytes: %s"):format(text, LONGEST_PATH,
        path)
    end
    parsed.path = path
  end
  return parsed
end

local function check(text)
  local parsed, reason = address.parse(text)
  if not parsed then error(reason, 3) end
  return parsed
end

--- The address as it means the same from every folder: a relative path begins here.
---@param text string
---@return string
function address.normalize(text)
  local parsed = check(text)
  return parsed.isUnix and "unix://" .. parsed.path or text
end

---@param text string
---@return boolean
function address.isUnix(text)
  return check(text).isUnix
end

--- Whether a worker at the address runs, or would be started, on this machine: unix sockets,
--- localhost, loopback, the wildcard, and the addresses of our interfaces. A name other than
--- localhost counts as remote.
---@param text string
---@return boolean
function address.isLocal(text)
  return check(text).isLocal
end

--- Whether other machines may reach it: everything but unix sockets, localhost and loopback.
---@param text string
---@return boolean
function address.isNetworkExposed(text)
  return check(text).isNetworkExposed
end

--- The path of a unix address, from the root; nil for a tcp one.
---@param text string
---@return string?
function address.getSocketFile(text)
  return check(text).path
end

--- What follows `unix://` or `tcp://`, as it was written.
---@param text string
---@return string
function address.stripScheme(text)
  check(text)
  return (text:gsub("^%a+://", "", 1))
end

return address
