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
---@param profile? artel.BootstrapProfile|artel.BootstrapProfileOptions
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

local function absolute(path) return path and (core.files.absolutePath(path) or path) end

--- Settles all that a start depends on, once for all workers of a pool: what its program changes
--- later, the profile or its current folder, shall not make another worker of a replacement.
---@param source artel.ImplementationSource
---@param name string of the function that was called
---@param level integer where misuse is raised, as for error()
---@param pooled? { captureOutput: boolean } with claim words for the requests of a pool
---@return table prepared for start()
local function prepare(profile, source, arguments, name, level, pooled)
  local built, reason = plan.build(profile, source, arguments)
  if not built then error(("%s: %s"):format(name, reason), level + 1) end
  local ok, codec = pcall(factoryCodec.options, profile:getChannelFactory())
  if not ok then error(codec, level + 1) end
  built.claims = pooled and true
  local file = absolute(scripts.find(profile, source))
  local argv = profile:getHostArguments()
  table.insert(argv, 1, "") -- the host, which start() looks for
  argv[#argv + 1] = "host"
  return {
    plan = built, file = file, filePlan = file and plan.build(profile, source),
    hostPath = hostPath.find(profile:getHostPath()) or profile:getHostPath(),
    options = {
      argv = argv, encoding = codec.encoding, codec = codec.codec,
      maxMessageSize = built.maxMessageSize, maxMessageItems = built.maxMessageItems,
      maxQueuedBytes = built.maxQueuedBytes, stopTimeout = built.stopTimeout,
      transport = profile:getTransport(), ringSize = profile:getRingSize(),
      label = source.module or "an expression", claims = built.claims,
      captureErrors = pooled and pooled.captureOutput or nil,
      -- Another user shall have no hold of our terminal, into which it could type commands.
      newSession = profile:getPreferredIdentity() and true or nil,
    },
  }
end

--- What the worker is told: the plan itself, or the file that holds it and what only we know.
local function planToSend(prepared)
  if not prepared.file then return prepared.plan end
  local path, reason = bootstrapFile.compile(prepared.filePlan, prepared.file)
  if not path then return nil, reason end
  return { bootstrapFile = path, implementation = prepared.plan.implementation,
    claims = prepared.plan.claims }
end

--- Starts a worker, perhaps another one of the same.
---@param prepared table
---@return artel.Worker?
---@return artel.Error?
local function start(prepared)
  local path
  local toSend, reason = planToSend(prepared)
  if toSend then path, reason = hostPath.find(prepared.hostPath) end
  if not path then return nil, core.newError { kind = "spawn", message = reason } end
  local options = prepared.options
  options.path, options.argv[1], options.plan = path, path, toSend
  return workers.start(options)
end

--- The name of the method that was called, for what it complains about.
local function nameOf(method, field)
  return method .. (field == "expression" and "WithExpression" or "")
end

--- Starts a dedicated worker.
---@private
---@param field "module"|"expression" what `text` is
---@param level integer where misuse is raised, as for error()
---@return artel.Worker?
---@return artel.Error?
function WorkerFactory:startWorker(field, text, arguments, level)
  local name = nameOf("createWorker", field)
  local accepted, reason = checks.accept(checks[field], text)
  if not accepted then error(("%s: %s"):format(name, reason), level + 1) end
  return start(prepare(self.profile, { [field] = accepted }, arguments, name, level + 1))
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

--- Starts a dedicated worker whose implementation is the value of a Lua expression. Further
--- arguments are refused: there is no constructor for them.
---@param expression string
---@return artel.Worker?
---@return artel.Error?
function WorkerFactory:createWorkerWithExpression(expression, ...)
  local worker, err = self:startWorker("expression", expression, table.pack(...), 2)
  return worker, err
end

--- Starts a pool.
---@private
---@param field "module"|"expression" what `text` is
---@param text string
---@param count? integer|artel.PoolOptions
---@param options? artel.PoolOptions
---@param level integer where misuse is raised, as for error()
---@param name? string of the function that was called; by default the method for that field
---@return artel.WorkerPool
function WorkerFactory:startPool(field, text, count, options, level, name)
  name = name or nameOf("createWorkerPool", field)
  local accepted, reason = checks.accept(checks[field], text)
  local checked
  if accepted then checked, reason = poolOptions.pool(count, options) end
  if not checked then error(("%s: %s"):format(name, reason), level + 1) end
  local prepared = prepare(self.profile, { [field] = accepted }, checked.arguments, name,
    level + 1, checked)
  if checked.captureOutput and prepared.plan.outputPath then
    error(name .. ": option captureOutput: the profile has an output path already", level + 1)
  end
  return pools.new(checked, function() return start(prepared) end, prepared.options)
end

--- Starts a pool of workers that run a module.
---@param module string
---@param count? integer|artel.PoolOptions how many, or the options instead
---@param options? artel.PoolOptions
---@return artel.WorkerPool
function WorkerFactory:createWorkerPool(module, count, options)
  local pool = self:startPool("module", module, count, options, 2)
  return pool
end

--- Starts a pool of workers whose implementation is the value of a Lua expression.
---@param expression string
---@param count? integer|artel.PoolOptions how many, or the options instead
---@param options? artel.PoolOptions
---@return artel.WorkerPool
function WorkerFactory:createWorkerPoolWithExpression(expression, count, options)
  local pool = self:startPool("expression", expression, count, options, 2)
  return pool
end

sharedFactory.extend(WorkerFactory)
killSwitchMethods.extend(WorkerFactory)
methods.guard(WorkerFactory, "profile", "artel.WorkerFactory", { new = true })

return WorkerFactory
