-- SPDX-License-Identifier: Apache-2.0
-- Knows how a profile becomes a plan: the one table of plain data that tells a host what to
-- do, sent over a dedicated worker's channel or kept in a bootstrap file.

local address = require "artel.address"
local core = require "artel.core"
local export = require "artel.export"

local plan = {}

local VERSION = 1

-- What holds unless the profile says otherwise. Dedicated workers trust their only master;
-- a shared one serves whoever can reach it.
local DEDICATED_LIMITS = { maxMessageSize = 1 << 30, maxQueuedBytes = 1 << 30 }
-- These two are for masters of shared workers too: neither end is the other's to trust.
plan.SHARED_MESSAGE_SIZE, plan.SHARED_MESSAGE_ITEMS = 16 << 20, 1000000
local SHARED_LIMITS = {
  maxMessageSize = plan.SHARED_MESSAGE_SIZE, maxMessageItems = plan.SHARED_MESSAGE_ITEMS,
  maxQueuedBytes = 64 << 20,
}

--- What is brought to life: one of the two.
---@class artel.ImplementationSource
---@field module? string
---@field expression? string

local function isPath(module)
  return module:find("/", 1, true) ~= nil or module:find "%.lua$" ~= nil
end

-- Without a current folder (it was removed) a relative path has no absolute one.
local function absolute(path)
  return core.files.absolutePath(path) or path
end

local function absoluteModule(module)
  return isPath(module) and absolute(module) or module
end

--- The source with a module's path from the root, so that it means the same everywhere.
---@param source artel.ImplementationSource
---@return artel.ImplementationSource
function plan.absoluteSource(source)
  if source.expression then return { expression = source.expression } end
  return { module = absoluteModule(source.module) }
end

-- Search paths handed down must lead a daemon, and who uses a bootstrap file, to the same
-- files from another folder. The name of a folder may spoil that.
local function absoluteTemplates(path)
  local here = core.files.currentDirectory()
  if not path or not here or here:find "[?;]" then return path end
  return (path:gsub("[^;]+", absolute))
end

local CONSTRUCT = [[
(function(module, ...)
  local metatable = getmetatable(module)
  if type(module) == "function" or type(metatable) == "table" and metatable.__call then
    return module(...)
  elseif type(module) == "table" and module.new then
    return module.new(...)
  end
  return module
end)(%s)]]

--- The expression with which a host creates the implementation.
---@param source artel.ImplementationSource
---@param arguments string[] expressions
---@return string
function plan.expressionFor(source, arguments)
  if source.expression then return source.expression end
  local module = absoluteModule(source.module)
  local loader = isPath(module) and "dofile" or "require"
  local items = { ("%s(%s)"):format(loader, export.quote(module)) }
  for _, argument in ipairs(arguments) do
    -- A comment at an argument's end must not swallow what follows.
    items[#items + 1] = argument:find("--", 1, true) and argument .. "\n" or argument
  end
  return (CONSTRUCT:gsub("%%s", { ["%s"] = table.concat(items, ", ") }))
end

local function checkIdentity(name)
  if not name then return true end
  local exists, reason = core.files.userExists(name)
  if exists then return true end
  return false, reason or ("there is no user %q to be the preferred identity"):format(name)
end

local function checkAddress(text)
  local parsed, reason = address.parse(text)
  if not parsed then return nil, reason end
  if not parsed.isLocal then
    return nil, ("%s is on another machine: a worker there can be connected to, not started")
      :format(text)
  end
  return address.normalize(text)
end

local function implementationOf(profile, source, furtherArguments)
  local wanted = plan.absoluteSource(source)
  if wanted.expression then
    if furtherArguments and (furtherArguments.n or #furtherArguments) > 0 then
      return nil, "an expression is used as it is and takes no constructor arguments"
    end
    return wanted
  end
  local arguments = profile:getConstructorArguments()
  if furtherArguments then
    local further, reason = export.list(furtherArguments)
    if not further then return nil, "constructor arguments: " .. reason end
    table.move(further, 1, #further, #arguments + 1, arguments)
  end
  wanted.arguments = arguments
  return wanted
end

local function scriptsOf(profile)
  local scripts = profile:getScriptsToRequire()
  for index, script in ipairs(scripts) do scripts[index] = absoluteModule(script) end
  return scripts
end

local function addChannel(built, profile, limits)
  local factory = profile:getChannelFactory()
  built.encoding = type(factory) == "string" and factory or "msgpack"
  built.factory = type(factory) == "table" and factory or nil
  built.maxMessageSize = profile:getMaxMessageSize() or limits.maxMessageSize
  built.maxMessageItems = profile:getMaxMessageItems() or limits.maxMessageItems
  built.maxQueuedBytes = profile:getMaxQueuedBytes() or limits.maxQueuedBytes
  built.stopTimeout = profile:getStopTimeout()
  built.connectTimeout = profile:getConnectTimeout()
end

local function addProcess(built, profile)
  local outputPath, killSwitchPath = profile:getOutputPath(), profile:getKillSwitchPath()
  built.packagePath = absoluteTemplates(profile:getPackagePath())
  built.packageCPath = absoluteTemplates(profile:getPackageCPath())
  built.identity = profile:getPreferredIdentity()
  built.limits = profile:getResourceLimits()
  built.outputPath = outputPath and absolute(outputPath)
  built.killSwitchPath = killSwitchPath and absolute(killSwitchPath)
end

--- The whole plan. A failure is misuse: the caller raises it where the application is.
---@param profile artel.BootstrapProfile
---@param source artel.ImplementationSource
---@param furtherArguments? table values, as `table.pack` makes it, behind the profile's own
---@param forAddress? string of a shared worker; none for a dedicated one
---@return table? built
---@return string? reason
function plan.build(profile, source, furtherArguments, forAddress)
  local built = { version = VERSION }
  local known, reason = checkIdentity(profile:getPreferredIdentity())
  if not known then return nil, reason end
  if forAddress ~= nil then
    built.address, reason = checkAddress(forAddress)
    if not built.address then return nil, reason end
  end
  built.implementation, reason = implementationOf(profile, source, furtherArguments)
  if not built.implementation then return nil, reason end
  addProcess(built, profile)
  addChannel(built, profile, forAddress and SHARED_LIMITS or DEDICATED_LIMITS)
  built.stage1, built.stage2 = profile:getStage1Parts(), profile:getStage2Parts()
  built.stage3 = profile:getStage3Parts()
  built.scripts = scriptsOf(profile)
  built.variable = profile:getVariableName()
  built.loopExpression = profile:hasLoopExpression() and profile:getLoopExpression() or nil
  built.socketContextExpression = profile:getSocketContextExpression()
  built.adminCookie = profile:getAdminCookie()
  return built
end

return plan
