-- SPDX-License-Identifier: Apache-2.0
-- WorkerFactory: creates workers as a bootstrap profile says.

local BootstrapProfile = require "artel.profile"
local bootstrapFile = require "artel.bootstrap_file"
local checks = require "artel.profile_checks"
local core = require "artel.core"
local factoryCodec = require "artel.factory_codec"
local hostPath = require "artel.host_path"
local killSwitchMethods = require "artel.kill_switch_methods"
local methods = require "artel.methods"
local plan = require "artel.plan"
local poolOptions = require "artel.pool_options"
local pools = require "artel.pool"
local scripts = require "artel.profile_scripts"
local sharedFactory = require "artel.shared_factory"
local workers = require "artel.worker"

--- Creates workers that share one bootstrap profile.
---@class artel.WorkerFactory
---@field private profile artel.BootstrapProfile
local WorkerFactory = {}
local metatable = { __name = "artel.WorkerFactory", __index = WorkerFactory }

--- A factory for the profile, or for one made of the options.
---@param profile? artel.BootstrapProfile|table
---@return artel.WorkerFactory
function WorkerFactory.new(profile)
  local class = getmetatable(profile)
  if class == nil or class.__index ~= BootstrapProfile then
    local made, reason = BootstrapProfile.fromOptions(profile)
    if not made then error("WorkerFactory.new: " .. reason, 2) end
    profile = made
  end
  return setmetatable({ profile = profile }, metatable)
end

--- The profile, which may still be changed: it is read when a worker is created.
---@return artel.BootstrapProfile
function WorkerFactory:getBootstrapProfile() return self.profile end

--- What the worker is told: the plan itself, or the file that holds it and what only we know.
local function planToSend(profile, source, built)
  local listed = scripts.find(profile, source)
  if not listed then return built end
  local fileContent = plan.build(profile, source)
  local path, reason = bootstrapFile.compile(fileContent, listed)
  if not path then return nil, reason end
  return { bootstrapFile = path, implementation = built.implementation }
end

--- Starts a worker.
---@param field "module"|"expression" what `text` is
---@param level integer where misuse is raised, as for error()
---@param pooled? { captureOutput: boolean } with claim words for the requests of a pool
---@return artel.Worker?
---@return artel.Error?
function WorkerFactory:startWorker(field, text, arguments, level, pooled)
  local profile = self.profile
  local accepted, reason = checks.accept(checks[field], text)
  local source = { [field] = accepted }
  local built
  if accepted then built, reason = plan.build(profile, source, arguments) end
  if not built then error("createWorker: " .. reason, level + 1) end
  local toSend
  toSend, reason = planToSend(profile, source, built)
  if not toSend then return nil, core.newError { kind = "spawn", message = reason } end
  toSend.claims = pooled and true
  local path
  path, reason = hostPath.find(profile:getHostPath())
  if not path then return nil, core.newError { kind = "spawn", message = reason } end
  local argv = table.move(profile:getHostArguments(), 1, #profile:getHostArguments(), 2, { path })
  argv[#argv + 1] = "host"
  local ok, codec = pcall(factoryCodec.options, profile:getChannelFactory())
  if not ok then error(codec, level + 1) end
  return workers.start {
    path = path, argv = argv, plan = toSend, encoding = codec.encoding, codec = codec.codec,
    maxMessageSize = built.maxMessageSize, maxMessageItems = built.maxMessageItems,
    maxQueuedBytes = built.maxQueuedBytes, stopTimeout = built.stopTimeout,
    transport = profile:getTransport(), ringSize = profile:getRingSize(),
    label = source.module or "an expression", claims = toSend.claims,
    captureErrors = pooled and pooled.captureOutput or nil,
    -- Another user shall have no hold of our terminal, into which it could type commands.
    newSession = profile:getPreferredIdentity() and true or nil,
  }
end

--- Starts a dedicated worker that runs a module.
---@param module string a module's name, or the path of its file
---@param ... any arguments of its constructor, behind those of the profile
---@return artel.Worker?
---@return artel.Error?
function WorkerFactory:createWorker(module, ...)
  local worker, err = self:startWorker("module", module, table.pack(...), 2)
  return worker, err -- no tail call, which would take our level off the stack
end

--- Starts a dedicated worker whose implementation is the value of a Lua expression.
---@param expression string
---@return artel.Worker?
---@return artel.Error?
function WorkerFactory:createWorkerWithExpression(expression)
  local worker, err = self:startWorker("expression", expression, nil, 2)
  return worker, err
end

--- Starts a pool.
---@param field "module"|"expression" what `text` is
---@param text string
---@param count? integer|table
---@param options? table
---@param level integer where misuse is raised, as for error()
---@return artel.WorkerPool
function WorkerFactory:startPool(field, text, count, options, level)
  local accepted, reason = checks.accept(checks[field], text)
  local checked
  if accepted then checked, reason = poolOptions.pool(count, options) end
  if not checked then error("createWorkerPool: " .. reason, level + 1) end
  local profile = self.profile
  local ok, codec = pcall(factoryCodec.options, profile:getChannelFactory())
  if not ok then error(codec, level + 1) end
  local built
  built, reason = plan.build(profile, { [field] = accepted }, checked.arguments)
  if not built then error("createWorkerPool: " .. reason, level + 1) end
  if checked.captureOutput and built.outputPath then
    error("createWorkerPool: option captureOutput: the profile has an output path already",
      level + 1)
  end
  return pools.new(checked, function()
    return self:startWorker(field, accepted, checked.arguments, 1, checked)
  end, { encoding = codec.encoding, codec = codec.codec, maxMessageSize = built.maxMessageSize,
    stopTimeout = built.stopTimeout })
end

--- Starts a pool of workers that run a module.
---@param module string
---@param count? integer|table how many, or the options; by default as many as processors
---@param options? table
---@return artel.WorkerPool
function WorkerFactory:createWorkerPool(module, count, options)
  local pool = self:startPool("module", module, count, options, 2)
  return pool
end

--- Starts a pool of workers whose implementation is the value of a Lua expression.
---@param expression string
---@return artel.WorkerPool
function WorkerFactory:createWorkerPoolWithExpression(expression, count, options)
  local pool = self:startPool("expression", expression, count, options, 2)
  return pool
end

sharedFactory.extend(WorkerFactory)
killSwitchMethods.extend(WorkerFactory)
methods.guard(WorkerFactory, "profile", "artel.WorkerFactory", { new = true })

return WorkerFactory
