-- SPDX-License-Identifier: Apache-2.0
-- Real texts to work on: the licences that every Debian brings, each once.

local uv = require "luv"

local texts = {}

texts.FOLDER = "/usr/share/common-licenses"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

--- The texts of a folder, in the order of their names. Links (GPL to GPL-3) are left out.
---@param folder? string
---@return { name: string, text: string }[]
function texts.list(folder)
  folder = folder or texts.FOLDER
  local found = {}
  local entries = assert(uv.fs_scandir(folder))
  for name, kind in function() return uv.fs_scandir_next(entries) end do
    if kind == "file" then
      found[#found + 1] = { name = name, text = read(folder .. "/" .. name) }
    end
  end
  table.sort(found, function(a, b) return a.name < b.name end)
  return found
end

return texts
