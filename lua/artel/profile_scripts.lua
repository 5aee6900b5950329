-- SPDX-License-Identifier: Apache-2.0
-- Knows the part of a profile that is about its text: what the host will do, as Lua source,
-- and the bootstrap files that hold it.

local address = require "artel.address"
local bootstrapFile = require "artel.bootstrap_file"
local checks = require "artel.profile_checks"
local core = require "artel.core"
local plan = require "artel.plan"

local scripts = {}

-- What is brought to life is named by a module, or by an expression in the methods that end
-- in WithExpression.
local KINDS = {
  { suffix = "", field = "module", check = checks.module },
  { suffix = "WithExpression", field = "expression", check = checks.expression },
}

local function checkSource(kind, text)
  local accepted, reason = checks.accept(kind.check, text)
  if not accepted then return nil, reason end
  return { [kind.field] = accepted }
end

-- The address so that it compares; "" stands for a dedicated worker's.
local function checkAddress(text)
  if text == nil then return "" end
  local parsed, reason = address.parse(text)
  if not parsed then return nil, reason end
  return address.normalize(text)
end

local function keyOf(source, forAddress)
  local field = source.module and "module" or "expression"
  return ("%s\0%s\0%s"):format(field, forAddress, plan.absoluteSource(source)[field])
end

-- Listed scripts: their keys in the order of adding, and each script under its key.
local function list(profile, source, path, forAddress)
  local listed = profile.values.precompiledScripts
  local key = keyOf(source, forAddress)
  if not listed[key] then table.insert(listed, key) end
  listed[key] = { module = source.module, expression = source.expression, path = path,
    address = forAddress ~= "" and forAddress or nil }
end

local function addScript(profile, kind, text, path, forAddress)
  local source, reason = checkSource(kind, text)
  if not source then return reason end
  local acceptedPath, pathReason = checks.accept(checks.path, path)
  if not acceptedPath then return pathReason end
  local acceptedAddress, addressReason = checkAddress(forAddress)
  if not acceptedAddress then return addressReason end
  list(profile, source, acceptedPath, acceptedAddress)
end

local SCRIPT_FIELDS = { module = true, expression = true, path = true, address = true }

local function isScript(value)
  if type(value) ~= "table" or (value.module == nil) == (value.expression == nil) then
    return nil, "{ module = or expression =, path = , address = }"
  end
  for field in pairs(value) do
    if not SCRIPT_FIELDS[field] then return nil, "no field " .. tostring(field) end
  end
  return value
end

local function setScripts(profile, entries)
  local accepted, reason = checks.acceptList(isScript, entries)
  if not accepted then return reason end
  local former = profile.values.precompiledScripts
  profile.values.precompiledScripts = {}
  for index, entry in ipairs(accepted) do
    local kind = entry.module ~= nil and KINDS[1] or KINDS[2]
    reason = addScript(profile, kind, entry[kind.field], entry.path, entry.address)
    if reason then
      profile.values.precompiledScripts = former
      return ("%s (at [%d])"):format(reason, index)
    end
  end
end

--- The path of the listed script of a source, or nil.
---@param profile artel.BootstrapProfile
---@param source artel.ImplementationSource
---@param forAddress? string normalized
---@return string?
function scripts.find(profile, source, forAddress)
  local script = profile.values.precompiledScripts[keyOf(source, forAddress or "")]
  return script and script.path
end

-- The methods that answer something else than the profile; level 3 is their caller.
local function buildPlan(profile, method, kind, text, forAddress)
  local source, reason = checkSource(kind, text)
  local built
  if source then built, reason = plan.build(profile, source, nil, forAddress) end
  if not built then error(("%s: %s"):format(method, reason), 3) end
  return built
end

local function addReaders(class, kind)
  local getter = "getPrecompiledScript" .. kind.suffix
  class[getter] = function(self, text, forAddress)
    local source, reason = checkSource(kind, text)
    local accepted
    if source then accepted, reason = checkAddress(forAddress) end
    if not accepted then error(("%s: %s"):format(getter, reason), 2) end
    return scripts.find(self, source, accepted)
  end

  local generator = "generateScript" .. kind.suffix
  class[generator] = function(self, text, forAddress)
    local built = buildPlan(self, generator, kind, text, forAddress)
    return bootstrapFile.generate(built)
  end

  local compiler = "compileScript" .. kind.suffix
  class[compiler] = function(self, text, forAddress)
    local built = buildPlan(self, compiler, kind, text, forAddress)
    local listed = scripts.find(self, { [kind.field] = text }, built.address)
    local path, message, errno = bootstrapFile.compile(built, listed)
    if path then return path end
    return nil, core.newError { kind = "bootstrap", errno = errno,
      message = "cannot compile a bootstrap file: " .. message }
  end
end

--- Adds the methods to the class.
---@param class artel.BootstrapProfile
---@param addMethod fun(name: string, change: artel.ProfileChange)
---@param addOption fun(name: string, change: artel.ProfileChange)
function scripts.extend(class, addMethod, addOption)
  addMethod("setPrecompiledScripts", setScripts)
  addOption("precompiledScripts", setScripts)
  for _, kind in ipairs(KINDS) do
    addMethod("addPrecompiledScript" .. kind.suffix, function(self, text, path, forAddress)
      return addScript(self, kind, text, path, forAddress)
    end)
    addReaders(class, kind)
  end

  function class:getPrecompiledScripts()
    local answer = {}
    for index, key in ipairs(self.values.precompiledScripts) do
      local script = self.values.precompiledScripts[key]
      answer[index] = { module = script.module, expression = script.expression,
        path = script.path, address = script.address }
    end
    return answer
  end

  function class:generateExpression(module)
    local source, reason = checkSource(KINDS[1], module)
    if not source then error("generateExpression: " .. reason, 2) end
    return plan.expressionFor(source, self:getConstructorArguments())
  end
end

return scripts
