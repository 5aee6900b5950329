-- SPDX-License-Identifier: Apache-2.0
-- Real texts to work on, as every Debian brings them: the licences, each once, and the
-- copyright notices of all packages, which are many.

local uv = require "luv"

local texts = {}

texts.FOLDER = "/usr/share/common-licenses"
texts.NOTICES = "/usr/share/doc"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

--- The names in a folder that are of one kind, in order. Links (GPL to GPL-3) are left out.
local function names(folder, wanted)
  local found = {}
  local entries = assert(uv.fs_scandir(folder))
  for name, kind in function() return uv.fs_scandir_next(entries) end do
    if kind == wanted then found[#found + 1] = name end
  end
  table.sort(found)
  return found
end

--- The texts of a folder, in the order of their names.
---@param folder? string
---@return { name: string, text: string }[]
function texts.list(folder)
  folder = folder or texts.FOLDER
  local found = names(folder, "file")
  for i, name in ipairs(found) do
    found[i] = { name = name, text = read(folder .. "/" .. name) }
  end
  return found
end

--- The paths of the files of a folder, in the order of their names.
---@param folder? string
---@return string[]
function texts.paths(folder)
  folder = folder or texts.FOLDER
  local found = names(folder, "file")
  for i, name in ipairs(found) do found[i] = folder .. "/" .. name end
  return found
end

--- The paths of the copyright notices of all packages.
---@return string[]
function texts.notices()
  local found = {}
  for _, package in ipairs(names(texts.NOTICES, "directory")) do
    local path = ("%s/%s/copyright"):format(texts.NOTICES, package)
    local status = uv.fs_lstat(path)
    if status and status.type == "file" then found[#found + 1] = path end
  end
  return found
end

return texts
