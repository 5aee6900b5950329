-- SPDX-License-Identifier: Apache-2.0
-- artel: worker subprocesses for Lua 5.4. What `require "artel"` answers.

local core = require "artel.core"
local channelModule = require "artel.channel"
local checks = require "artel.profile_checks"
local factoryCodec = require "artel.factory_codec"
local killSwitchMethods = require "artel.kill_switch_methods"
local sharedFactory = require "artel.shared_factory"
local maps = require "artel.map"
local methods = require "artel.methods"
local task = require "artel.task"

---@class artel
local artel = {
  address = require "artel.address",
  array = core.array,
  async = task.async,
  BootstrapProfile = require "artel.profile",
  isCancelled = require("artel.handlers").isCancelled,
  null = core.null,
  object = core.object,
  Range = require "artel.range",
  select = require "artel.select",
  SharedWorker = require("artel.shared_worker").class,
  WorkerCounter = require "artel.counter",
  WorkerFactory = require "artel.factory",
  WorkerPool = require("artel.pool").class,
  WorkerRunner = require("artel.current_worker").WorkerRunner,
  WorkerStatus = require "artel.status",
}

local defaultFactory

--- The factory behind the functions of the module: a profile with nothing but defaults.
local function factory()
  defaultFactory = defaultFactory or artel.WorkerFactory.new()
  return defaultFactory
end

--- Two connected channels in this process: handlers can be tested without a worker.
---@param channelFactory? "msgpack"|"json"|{ module: string, options?: any }
---@return artel.Channel
---@return artel.Channel
function artel.channelPair(channelFactory)
  local wanted, reason = checks.accept(checks.channelFactory, channelFactory or "msgpack")
  if not wanted then error("channelPair: " .. reason, 2) end
  local ok, options = pcall(factoryCodec.options, wanted)
  if not ok then error("channelPair: " .. tostring(options), 2) end
  return channelModule.pair(options)
end

--- Starts a dedicated worker with a default profile. See WorkerFactory:createWorker.
---@param module string
---@param ... any
---@return artel.Worker?
---@return artel.Error?
function artel.createWorker(module, ...)
  local worker, err = factory():startWorker("module", module, table.pack(...), 2)
  return worker, err -- no tail call, which would take our level off the stack
end

--- See WorkerFactory:createWorkerWithExpression.
---@param expression string
---@return artel.Worker?
---@return artel.Error?
function artel.createWorkerWithExpression(expression, ...)
  local worker, err = factory():startWorker("expression", expression, table.pack(...), 2)
  return worker, err
end

--- See WorkerFactory:createWorkerPool.
---@param module string
---@param count? integer|artel.PoolOptions
---@param options? artel.PoolOptions
---@return artel.WorkerPool
function artel.createWorkerPool(module, count, options)
  local pool = factory():startPool("module", module, count, options, 2)
  return pool
end

--- See WorkerFactory:createWorkerPoolWithExpression.
---@param expression string
---@param count? integer|artel.PoolOptions
---@param options? artel.PoolOptions
---@return artel.WorkerPool
function artel.createWorkerPoolWithExpression(expression, count, options)
  local pool = factory():startPool("expression", expression, count, options, 2)
  return pool
end

--- Calls `what` for every item on every core; the results in order.
---@param what function|string `fn(item, context)` without upvalues, or a module with onRequest
---@param items any[]|fun(): any
---@param options? artel.MapWithPoolOptions
---@return artel.MapResults? results nil at the first error
---@return artel.Error|table<integer, artel.Error>? err or all of them, collected by index
function artel.map(what, items, options)
  local results, err = maps.map(factory(), what, items, options, 2)
  return results, err
end

--- The same as an iterator of index, response, err, item, in order of completion.
---@param what function|string
---@param items any[]|fun(): any
---@param options? artel.MapWithPoolOptions
---@return fun(): integer?, any, artel.Error?, any iterator
---@return nil
---@return nil
---@return table closing for the loop that is left: ends the rest
function artel.imap(what, items, options)
  local iterate, state, initial, closing = maps.imap(factory(), what, items, options, 2)
  return iterate, state, initial, closing -- no tail call: errors are to name who has called this
end

-- See lua/artel/shared_factory.lua and lua/artel/kill_switch_methods.lua; for their types,
-- lua/artel/api_meta.lua.
for _, names in ipairs { sharedFactory.names, killSwitchMethods.names } do
  for _, name in ipairs(names) do
    artel[name] = function(...) return artel.WorkerFactory[name](factory(), ...) end
    methods.static(artel, name, "artel")
  end
end

-- Those of the same names on a factory are called with a colon.
for _, name in ipairs { "channelPair", "createWorker", "createWorkerWithExpression",
  "createWorkerPool", "createWorkerPoolWithExpression", "map", "imap" } do
  methods.static(artel, name, "artel")
end

return artel
