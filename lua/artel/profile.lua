-- SPDX-License-Identifier: Apache-2.0
-- Gathers everything the host needs to bring an implementation to life. The methods that
-- are made here from tables are written out, with their types, in profile_meta.lua.

local checks = require "artel.profile_checks"
local export = require "artel.export"
local methods = require "artel.methods"
local parameters = require "artel.profile_parameters"
local scripts = require "artel.profile_scripts"

---@class artel.BootstrapProfile
local BootstrapProfile = {}
local metatable = { __name = "artel.BootstrapProfile", __index = BootstrapProfile }

BootstrapProfile.metatable = metatable

function metatable.__newindex(_, name)
  error(("a bootstrap profile has no field %s: its values have setters"):format(tostring(name)), 2)
end

-- What sets a value answers nothing, or the reason why it cannot: the caller decides who is
-- told, the one who called a setter or the one who gave options to BootstrapProfile.new.
---@alias artel.ProfileChange fun(profile: artel.BootstrapProfile, ...): string?

---@type table<string, artel.ProfileChange>
local options = {}
local optionOrder = {} -- in which options are applied: a later one may lean on an earlier one

local function addOption(name, change)
  options[name] = change
  optionOrder[#optionOrder + 1] = name
end

local function addMethod(name, change)
  BootstrapProfile[name] = function(self, ...)
    local reason = change(self, ...)
    if reason then error(("%s: %s"):format(name, reason), 2) end
    return self
  end
end

local function capitalize(name)
  return name:sub(1, 1):upper() .. name:sub(2)
end

local function copyOf(value)
  if type(value) ~= "table" then return value end
  local copy = {}
  for key, field in pairs(value) do copy[key] = field end
  return copy
end

local function defineValue(parameter)
  local name, check, default = parameter.name, parameter.check, parameter.default
  local function change(self, value)
    local accepted, reason
    if value ~= nil then
      accepted, reason = checks.accept(check, value)
      if accepted == nil then return reason end
    end
    self.values[name] = accepted
  end
  addMethod("set" .. capitalize(name), change)
  addOption(name, change)
  BootstrapProfile["get" .. capitalize(name)] = function(self)
    local value = self.values[name]
    if value ~= nil then return copyOf(value) end
    if type(default) == "function" then return default(self) end
    return default
  end
end

local function defineList(parameter)
  local name, check = parameter.name, parameter.check
  addMethod("set" .. capitalize(name), function(self, list)
    local accepted, reason = checks.acceptList(check, list)
    if not accepted then return reason end
    self.values[name] = accepted
  end)
  addMethod("add" .. capitalize(parameter.singular), function(self, item)
    local accepted, reason = checks.accept(check, item)
    if accepted == nil then return reason end
    table.insert(self.values[name], accepted)
  end)
  BootstrapProfile["get" .. capitalize(name)] = function(self) return copyOf(self.values[name]) end
  addOption(name, function(self, list)
    local accepted, reason = checks.acceptList(check, list)
    if not accepted then return reason end
    -- Behind the variables of the same stage, which its parts may use.
    table.move(accepted, 1, #accepted, #self.values[name] + 1, self.values[name])
  end)
end

-- A global variable is a part that assigns to it.
local function defineVariables(stage)
  local list = ("stage%dParts"):format(stage)
  local function assign(self, name, expression, reason)
    if not expression then return reason end
    local variable, expected = checks.accept(checks.identifier, name)
    if not variable then return expected end
    table.insert(self.values[list], ("%s = %s"):format(variable, expression))
  end
  local function assignValue(self, name, value) return assign(self, name, export.value(value)) end
  addMethod(("addStage%dGlobalVariableWithValue"):format(stage), assignValue)
  addMethod(("addStage%dGlobalVariableWithExpression"):format(stage), function(self, name, text)
    return assign(self, name, checks.accept(checks.expression, text))
  end)
  addOption(("stage%dVariables"):format(stage), function(self, variables)
    if type(variables) ~= "table" then return "expected { name = value }" end
    local names = {}
    for name in pairs(variables) do
      if type(name) ~= "string" then return "expected { name = value }" end
      names[#names + 1] = name
    end
    table.sort(names)
    for _, name in ipairs(names) do
      local reason = assignValue(self, name, variables[name])
      if reason then return reason end
    end
  end)
end

for stage = 1, 3 do defineVariables(stage) end
for _, parameter in ipairs(parameters) do
  if parameter.singular then defineList(parameter) else defineValue(parameter) end
end

-- Arguments become text at once, so that a table that changes afterwards changes nothing.
local function setConstructorArguments(self, values)
  if values ~= nil and type(values) ~= "table" then return "expected a list" end
  local texts, reason = export.list(values or {})
  if not texts then return reason end
  self.values.constructorArguments = texts
end

addMethod("setConstructorArguments", setConstructorArguments)
addOption("constructorArguments", setConstructorArguments)
addMethod("addConstructorArgumentWithValue", function(self, value)
  local text, reason = export.value(value)
  if not text then return reason end
  table.insert(self.values.constructorArguments, text)
end)
addMethod("addConstructorArgumentWithExpression", function(self, expression)
  local text, reason = checks.accept(checks.expression, expression)
  if not text then return reason end
  table.insert(self.values.constructorArguments, text)
end)

--- The expressions of the constructor arguments, in order.
---@return string[]
function BootstrapProfile:getConstructorArguments()
  return copyOf(self.values.constructorArguments)
end

--- Whether a loop expression was set; the worker then runs luv's loop from the start.
---@return boolean
function BootstrapProfile:hasLoopExpression()
  return self.values.loopExpression ~= nil
end

scripts.extend(BootstrapProfile, addMethod, addOption)

--- A profile from options, for those who want to raise at their own caller's level.
---@private
---@param given? artel.BootstrapProfileOptions
---@return artel.BootstrapProfile? profile
---@return string? reason
function BootstrapProfile.fromOptions(given)
  if given ~= nil and type(given) ~= "table" then
    return nil, "expected a table of options, got " .. type(given)
  end
  local profile = setmetatable({
    values = { hostArguments = {}, stage1Parts = {}, scriptsToRequire = {}, stage2Parts = {},
      stage3Parts = {}, constructorArguments = {}, precompiledScripts = {} },
  }, metatable)
  for name in pairs(given or {}) do
    if not options[name] then
      local names = table.move(optionOrder, 1, #optionOrder, 1, {})
      table.sort(names)
      return nil, ("there is no option %s; there are: %s"):format(tostring(name),
        table.concat(names, ", "))
    end
  end
  for _, name in ipairs(optionOrder) do
    local value = given and given[name]
    if value ~= nil then
      local reason = options[name](profile, value)
      if reason then return nil, ("option %s: %s"):format(name, reason) end
    end
  end
  return profile
end

--- A profile; each setter's value may be given by name: `{ adminCookie = "...", stopTimeout = 2 }`,
--- and `stage1Variables = { name = value }`, likewise for stages 2 and 3.
---@param given? artel.BootstrapProfileOptions
---@return artel.BootstrapProfile
function BootstrapProfile.new(given)
  local profile, reason = BootstrapProfile.fromOptions(given)
  if not profile then error("BootstrapProfile.new: " .. reason, 2) end
  return profile
end

--- The text of a Lua expression that rebuilds the value exactly. Raises for what no
--- expression can rebuild: functions, userdata, threads, cycles.
---@param value any
---@return string
function BootstrapProfile.exportValue(value)
  local text, reason = export.value(value)
  if not text then error("exportValue: " .. reason, 2) end
  return text
end

methods.guard(BootstrapProfile, "values", "artel.BootstrapProfile",
  { new = true, fromOptions = true, exportValue = true })

return BootstrapProfile
