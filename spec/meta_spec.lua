-- SPDX-License-Identifier: Apache-2.0
local core = require "artel.core"
require "artel.channel"

-- What each file declares, and the table in which that really is.
local FILES = {
  ["lua/artel/core_meta.lua"] = { class = "artel.core", table = core },
  ["lua/artel/sockets_meta.lua"] = { class = "artel.core.sockets", table = core.sockets },
}

-- The names of the fields and functions of each class: names["artel.core.files"].stat.
local function declared(path)
  local names, class = {}, nil
  local file <close> = assert(io.open(path))
  for line in file:lines() do
    local opened = line:match "^%-%-%-@class (artel%.core[%w.]*)"
    class = opened or class
    if opened then names[class] = names[class] or {} end
    local name = line:match "^%-%-%-@field (%w+)" or line:match "^function [%w.]-(%w+)%("
    if name then names[class][name] = true end
  end
  return names
end

-- What one has and the other has not, as text.
local function difference(declaredNames, real)
  local found = {}
  for name in pairs(real) do
    if not declaredNames[name] then found[#found + 1] = "not declared: " .. name end
  end
  for name in pairs(declaredNames) do
    if real[name] == nil then found[#found + 1] = "does not exist: " .. name end
  end
  table.sort(found)
  return table.concat(found, "\n")
end

for path, described in pairs(FILES) do
  describe(path, function()
    local names = declared(path)

    it("declares exactly what C exports", function()
      local own, real = names[described.class], {}
      for name, value in pairs(described.table) do
        local inner = names[described.class .. "." .. name]
        if inner then assert.equal("", difference(inner, value)) end
        if not inner or own[name] then real[name] = true end
      end
      assert.equal("", difference(own, real))
    end)

    it("is Lua", function() assert(loadfile(path)) end)
  end)
end

describe("the annotations of channels", function()
  it("name the methods that C gives them", function()
    local file <close> = assert(io.open "lua/artel/channel.lua")
    local text = file:read "a"
    for name in pairs(core.class "artel.Channel") do
      assert(text:find("---@field " .. name .. " fun(self", 1, true)
        or text:find("function Channel:" .. name .. "(", 1, true), name)
    end
  end)
end)
