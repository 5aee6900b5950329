-- SPDX-License-Identifier: Apache-2.0
-- artel.map and artel.imap: a pool of its own for one map.

local core = require "artel.core"
local export = require "artel.export"
local poolMap = require "artel.pool_map"
local poolOptions = require "artel.pool_options"
local waiting = require "artel.waiting"

local map = {}

--- The expression of an implementation that calls `fn(item, context)`.
---@return string? expression
---@return string? reason
local function expressionFor(fn, context)
  local names = core.upvalueNames(fn)
  if not names then return nil, "a function written in C cannot be handed to a worker" end
  for _, name in ipairs(names) do
    if name ~= "_ENV" then
      return nil, ("upvalue `%s`: require it inside; make a number or string <const>; hand any "
        .. "other value over as options.context: it is the function's second argument"):format(name)
    end
  end
  local exported, reason = export.value(context)
  if not exported then return nil, "options.context: " .. reason end
  -- The code is our own function's, for a worker of our own: no peer's bytecode is loaded.
  return ("require(\"artel.map_worker\")(%s, %s)"):format(export.quote(string.dump(fn)), exported)
end

--- The pool for a map, which its caller closes.
local function poolFor(factory, what, context, options, name, level)
  if type(what) == "string" then
    if context ~= nil then
      error(name .. ": options.context goes with a function, not with a module", level + 1)
    end
    return (factory:startPool("module", what, nil, options, level + 1, name))
  end
  if type(what) ~= "function" then
    error(("bad argument #1 to '%s' (a function or a module expected, got %s)"):format(name,
      type(what)), level + 1)
  end
  local expression, reason = expressionFor(what, context)
  if not expression then error(("%s: %s"):format(name, reason), level + 1) end
  return (factory:startPool("expression", expression, nil, options, level + 1, name))
end

local function prepare(factory, what, items, given, name, level)
  poolMap.checkItems(items, name, 2, level + 1)
  waiting.check(level + 1) -- a pool that is started must be closed, which waits
  local options, forPool, context = poolOptions.both(given)
  if not options then error(("%s: %s"):format(name, forPool), level + 1) end
  if type(items) == "table" and not (given and given.workers) then
    forPool.workers = math.max(1, math.min(forPool.workers, #items))
  end
  return poolFor(factory, what, context, forPool, name, level + 1), options
end

--- Calls `what(item, context)`, or the onRequest of a module, for every item, on every core.
---@return any[]? results in order
---@return artel.Error|table? err
function map.map(factory, what, items, options, level)
  local pool <close>, mapOptions = prepare(factory, what, items, options, "map", level + 1)
  local results, err = poolMap.map(pool:engine(), items, mapOptions, level + 1)
  return results, err
end

--- The same as an iterator of index, response, err, item.
function map.imap(factory, what, items, options, level)
  local pool, mapOptions = prepare(factory, what, items, options, "imap", level + 1)
  return poolMap.imap(pool:engine(), items, mapOptions, function() pool:close() end)
end

return map
