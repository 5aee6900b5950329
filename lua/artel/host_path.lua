-- SPDX-License-Identifier: Apache-2.0
-- Knows where the host executable can be.

local core = require "artel.core"

local hostPath = {}

local NAME = "artel"
-- <prefix>/lib/x86_64-linux-gnu/lua/5.4/artel/core.so is as deep as it gets.
local LEVELS_UP = 6

local function folderOf(path)
  return path:match "^(/.*)/[^/]*$" or "/"
end

local function join(folder, name)
  return (folder == "/" and "" or folder) .. "/" .. name
end

-- bin/artel in each folder above our own code: <prefix>/lib/lua/5.4/artel/core.so belongs to
-- <prefix>/bin/artel, and build/lib/artel/core.so to build/bin/artel.
local function addBesideModule(candidates)
  local folder = core.files.codePath
  if not folder then return end
  if core.files.codeIsProgram and folder:match "[^/]*$" == NAME then
    candidates[#candidates + 1] = folder -- a worker that starts workers: we are the host
  end
  for _ = 1, LEVELS_UP do
    if folder == "/" then return end
    folder = folderOf(folder)
    candidates[#candidates + 1] = join(folder, "bin/" .. NAME)
  end
end

local function addSearchPath(candidates)
  for folder in (os.getenv "PATH" or ""):gmatch "[^:]+" do
    if folder:sub(1, 1) == "/" then candidates[#candidates + 1] = join(folder, NAME) end
  end
end

local function listCandidates()
  local candidates = {}
  addBesideModule(candidates)
  candidates[#candidates + 1] = join(core.files.installPrefix, "bin/" .. NAME)
  addSearchPath(candidates)
  return candidates
end

--- The host to start, its path from the root.
---@param chosen? string the profile's own: taken as it is, starting it tells the rest
---@return string? path
---@return string? reason where it was looked for, and what to do
function hostPath.find(chosen)
  if chosen then return core.files.absolutePath(chosen) or chosen end
  local override = core.files.hostOverride()
  if override then
    local path = core.files.absolutePath(override) or override
    if core.files.isExecutable(path) then return path end
    return nil, ("the environment variable ARTEL_HOST names %s, which is not an executable file")
      :format(path)
  end
  local tried, seen = {}, {}
  for _, candidate in ipairs(listCandidates()) do
    if core.files.isExecutable(candidate) then return candidate end
    if not seen[candidate] then
      seen[candidate] = true
      tried[#tried + 1] = "  " .. candidate
    end
  end
  return nil, ("the host executable was not found; tried\n%s\nInstall artel, or name the host in "
    .. "the environment variable ARTEL_HOST or with profile:setHostPath(path)")
    :format(table.concat(tried, "\n"))
end

return hostPath
