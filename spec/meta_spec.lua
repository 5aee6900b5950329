-- SPDX-License-Identifier: Apache-2.0
-- What is declared for editors apart from the code, compared with what there is: neither more nor
-- less.
local artel = require "artel"
local core = require "artel.core"
local killSwitchMethods = require "artel.kill_switch_methods"
local poolOptions = require "artel.pool_options"
local sharedFactory = require "artel.shared_factory"
local uv = require "luv"

-- What each file declares, and the table in which that really is.
local FILES = {
  ["lua/artel/core_meta.lua"] = { class = "artel.core", table = core },
  ["lua/artel/sockets_meta.lua"] = { class = "artel.core.sockets", table = core.sockets },
}

local API = "lua/artel/api_meta.lua"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

-- Of each class in the files its fields and functions: names["artel.core.files"].stat. A field's
-- value is its type and what is said about it.
local function declared(...)
  local names, class = {}, nil
  for _, path in ipairs { ... } do
    for line in io.lines(path) do
      local opened = line:match "^%-%-%-@class (artel[%w.]*)"
      class = opened or class
      if opened then names[class] = names[class] or {} end
      local name, text = line:match "^%-%-%-@field (%w+)%?? (.+)"
      if name == "private" then name = nil end
      name = name or line:match "^function [%w.:]-(%w+)%("
      if name then names[class][name] = text or true end
    end
  end
  return names
end

-- What the pattern finds in the text, as a set.
local function namesIn(text, pattern)
  local names = {}
  for name in text:gmatch(pattern) do names[name] = true end
  return names
end

local function declaredKinds() return namesIn(read(API), '\n%-%-%-| "(%w+)"') end

-- The names in the first column of the table with that heading in docs/api.md.
local function documented(heading)
  local rows = read("docs/api.md"):match("\n| " .. heading .. " |(.-)\n\n")
  local columns = {}
  for column in rows:gmatch "\n| (.-) |" do columns[#columns + 1] = column end
  return namesIn(table.concat(columns, "\n"), "`(%w+)")
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

describe(API, function()
  local names = declared(API)

  it("is Lua", function() assert(loadfile(API)) end)

  it("declares the fields of errors that docs/api.md names", function()
    local fields = documented "field"
    fields.path = true -- docs/wire.md has it: others may send it, though no artel does
    assert.equal("", difference(names["artel.Error"], fields))
  end)

  it("declares the kinds of errors that docs/api.md names", function()
    assert.equal("", difference(declaredKinds(), documented "kind"))
  end)

  it("declares the options that there are", function()
    local options = declared(API, "lua/artel/profile_meta.lua")
    -- What is inherited is not declared again.
    for _, class in ipairs { "artel.MapOptions", "artel.PoolOptions" } do
      for name in pairs(options[class]) do options["artel.MapWithPoolOptions"][name] = true end
    end
    for class, check in pairs {
      ["artel.BootstrapProfileOptions"] = artel.BootstrapProfile.fromOptions,
      ["artel.MapOptions"] = poolOptions.map,
      ["artel.MapWithPoolOptions"] = poolOptions.both,
      ["artel.PoolOptions"] = poolOptions.pool,
    } do
      local _, reason = check { unknown = true }
      assert.equal("", difference(options[class], namesIn(reason:match "there are: (.*)", "%w+")))
    end
  end)

  it("declares what is added to factories and to artel when they are loaded", function()
    local added = {}
    for _, list in ipairs { sharedFactory.names, killSwitchMethods.names } do
      for _, name in ipairs(list) do added[name] = true end
    end
    assert.equal("", difference(names["artel.WorkerFactory"], added))
    assert.equal("", difference(names["artel"], added))
  end)

  it("declares that alike in both places, but for self", function()
    for name, text in pairs(names["artel.WorkerFactory"]) do
      assert.equal((text:gsub("^fun%(self,? ?", "fun(")), names["artel"][name])
    end
  end)

  it("declares the handlers that workers look for and docs/api.md names", function()
    local looked = read("lua/artel/bootstrap.lua"):match "\nlocal HANDLERS = (%b{})"
    for _, real in ipairs { namesIn(looked, '"(%w+)"'), documented "handler" } do
      assert.equal("", difference(names["artel.Implementation"], real))
    end
  end)
end)

describe("the errors that are made in Lua", function()
  local fields, kinds = {}, {}

  -- Adds the fields that a file gives to errors or looks at, and its kinds.
  local function look(text)
    for kind in text:gmatch '%f[%w]kind = "(%w+)"' do kinds[kind] = true end
    text = text:gsub('"[^"\n]*"', "")
    for name in text:gmatch "%f[%w_]err%.(%w+)" do fields[name] = true end
    for _, pattern in ipairs { "newError (%b{})", "errorWith(%b())", "local more = (%b{})" } do
      for made in text:gmatch(pattern) do
        for name in made:gmatch "(%w+) =%s" do fields[name] = true end
      end
    end
  end

  setup(function()
    local folder = assert(uv.fs_scandir "lua/artel")
    for name in uv.fs_scandir_next, folder do
      if name:find "%.lua$" then look(read("lua/artel/" .. name)) end
    end
  end)

  it("have the fields that are declared", function()
    assert.equal("", difference(declared(API)["artel.Error"], fields))
  end)

  it("are of the kinds that are declared", function()
    assert.equal("", difference(declaredKinds(), kinds))
  end)
end)

describe("annotations", function()
  it("name the methods of channels", function()
    local names = declared("lua/artel/channel.lua")["artel.Channel"]
    assert.equal("", difference(names, core.class "artel.Channel"))
  end)

  it("name the methods of factories", function()
    local names = declared("lua/artel/factory.lua", API)["artel.WorkerFactory"]
    assert.equal("", difference(names, artel.WorkerFactory))
  end)

  it("name the functions of artel, but for those that stand in its table", function()
    local names = declared("lua/artel/init.lua", API)["artel"]
    local real = {}
    for name in pairs(artel) do real[name] = true end
    local own = read("lua/artel/init.lua"):match "\nlocal artel = (%b{})"
    for name in pairs(namesIn(own, "\n  (%w+) = ")) do real[name] = nil end
    assert.equal("", difference(names, real))
  end)
end)
