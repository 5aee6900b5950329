-- SPDX-License-Identifier: Apache-2.0
-- Looks for `require "artel..."` of modules that the tree does not have: luacheck reads one
-- file at a time and cannot know. Arguments: the Lua files to read, from the project's folder.

local COMPILED = { ["artel.core"] = true } -- built from src/binding

local function exists(module)
  local stem = "lua/" .. module:gsub("%.", "/")
  return package.searchpath(stem, "./?.lua;./?/init.lua", "") ~= nil
end

local missing = 0
for _, path in ipairs(arg) do
  local number = 0
  for line in io.lines(path) do
    number = number + 1
    for module in line:gmatch("%f[%w_]require%s*%(?%s*[\"'](artel[%w_.]*)[\"']") do
      if not COMPILED[module] and not exists(module) then
        print(("%s:%d: no module '%s'"):format(path, number, module))
        missing = missing + 1
      end
    end
  end
end
os.exit(missing == 0)
