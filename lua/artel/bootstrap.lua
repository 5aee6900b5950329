-- SPDX-License-Identifier: Apache-2.0
-- Stages 1, 2 and 3 in the host: from a plan to a running implementation.

local core = require "artel.core"
local frame = require "artel.frame"

--- A failed step, as the report that the master gets.
local function fail(step, part, message, traceback)
  error({ step = step, part = part, message = message, traceback = traceback }, 0)
end

local function toFailure(err)
  local text = require("artel.error_frames").textOf(err)
  return { message = text, traceback = core.traceback(text, 2) }
end

--- Calls `fn(...)`; answers true and what it answers, or false and a failure.
local function attempt(fn, ...)
  local ok, result, reason = xpcall(fn, toFailure, ...)
  -- When memory has run out Lua calls no message handler.
  if not ok and type(result) ~= "table" then result = { message = tostring(result) } end
  return ok, result, reason
end

--- Runs one chunk of source text; answers what it answers.
local function runChunk(step, part, source, name)
  local chunk, message = load(source, name, "t")
  if not chunk then fail(step, part, message) end
  local ok, result = attempt(chunk)
  if not ok then fail(step, part, result.message, result.traceback) end
  return result
end

local function runParts(stage, parts)
  for i, source in ipairs(parts or {}) do
    runChunk("stage" .. stage, i, source, ("=(stage %d, part %d)"):format(stage, i))
  end
end

local function isPath(name) return name:find("/", 1, true) or name:find("%.lua$") end

--- What a module answers, by its name or by the path of its file.
local function loadModule(step, part, name)
  local ok, result
  if isPath(name) then
    local chunk, message = loadfile(name, "t")
    if not chunk then fail(step, part, message) end
    ok, result = attempt(chunk, name)
  else
    ok, result = attempt(require, name)
  end
  if not ok then fail(step, part, result.message, result.traceback) end
  return result
end

local function isCallable(value)
  if type(value) == "function" then return true end
  local metatable = getmetatable(value)
  return type(metatable) == "table" and metatable.__call ~= nil
end

--- What `expression` is worth.
local function evaluate(expression)
  local source, name = "return " .. expression, "=(implementation)"
  if not load(source, name, "t") and load(expression, name, "t") then
    fail("construct", nil, "the text consists of statements; it must be an expression, such as "
      .. "{ onMessage = function(self, message, channel) end }")
  end
  return runChunk("construct", nil, source, name)
end

--- What makes an implementation from what a module answered; nil when that is one.
local function constructorOf(answered, module)
  if isCallable(answered) then return answered end
  local new = type(answered) == "table" and answered.new or nil
  if new and not isCallable(new) then
    fail("construct", nil, ("the field new of %s is a %s; it must be a function"):format(module,
      type(new)))
  end
  return new
end

--- Creates the implementation from what the module answered.
local function construct(plan)
  local wanted = plan.implementation
  if wanted.expression then return evaluate(wanted.expression) end
  local answered = loadModule("construct", nil, wanted.module)
  if answered == nil or answered == true then -- require makes true of nothing
    fail("construct", nil, ("%s answers nothing; the file of a module ends with a return")
      :format(wanted.module))
  end
  local constructor = constructorOf(answered, wanted.module)
  if not constructor then return answered end
  local arguments = { n = #wanted.arguments }
  for i, expression in ipairs(wanted.arguments) do
    arguments[i] = runChunk("construct", nil, "return " .. expression,
      ("=(constructor argument %d)"):format(i))
  end
  local ok, result, reason = attempt(constructor, table.unpack(arguments, 1, arguments.n))
  if not ok then
    local text = result.message
    if text:find "local 'self'" then
      text = text .. " (is new defined with a colon? It is called without self)"
    end
    fail("construct", nil, text, result.traceback)
  end
  if result == nil and type(reason) == "string" then
    fail("construct", nil, ("the constructor of %s answers nil, %s"):format(wanted.module, reason))
  end
  return result
end

local HANDLERS = { "run", "setLoop", "initialize", "onConnect", "onMessage", "onRequest",
  "onDisconnect", "onQuery", "onStop", "terminate" }

--- The names of the functions of an implementation and of the classes behind it.
local function functionNames(implementation)
  local names, seen = {}, {}
  local holder = implementation
  while type(holder) == "table" and not seen[holder] do
    seen[holder] = true
    for key, value in next, holder do
      if type(key) == "string" and isCallable(value) then names[#names + 1] = key end
    end
    local metatable = getmetatable(holder)
    holder = type(metatable) == "table" and rawget(metatable, "__index")
  end
  table.sort(names)
  return names
end

--- What it has, for who has misspelt one of them.
local function functionsIn(implementation)
  local names = functionNames(implementation)
  return #names > 0 and "; it has " .. table.concat(names, ", ") or ""
end

--- Whether two names are the same but for one letter (more, less, another), or for two swapped.
local function isNear(one, other)
  local at = 1
  while at <= #one and one:byte(at) == other:byte(at) do at = at + 1 end
  local rest, otherRest = one:sub(at), other:sub(at)
  return rest:sub(2) == otherRest or rest == otherRest:sub(2) or rest:sub(2) == otherRest:sub(2)
    or rest:sub(3) == otherRest:sub(3) and rest:sub(1, 2):reverse() == otherRest:sub(1, 2)
end

local ALIKE_LEN = 5 -- letters: shorter names are near too many others

--- The handler that who has written `name` must have meant, if it is none itself.
local function handlerMeant(name)
  local plain, meant = name:gsub("_", ""):lower(), nil
  for _, handler in ipairs(HANDLERS) do
    local wanted = handler:lower()
    if name == handler then return nil end
    if plain == wanted or #plain >= ALIKE_LEN and plain:sub(1, 2) == wanted:sub(1, 2)
      and isNear(plain, wanted) then meant = handler end
  end
  return meant
end

--- Fails when a handler is misspelt: it would never be called, and nobody would hear of it.
local function checkNames(implementation, name)
  for _, key in ipairs(functionNames(implementation)) do
    local meant = handlerMeant(key)
    if meant and not implementation[meant] then -- who has that one too means another
      fail("construct", nil, ("%s of the implementation %s is no handler and would never be called;"
        .. " is %s meant?"):format(key, name, meant))
    end
  end
end

local SHORT = 80 -- bytes of an expression that a message may quote

local function nameOf(wanted)
  local text = wanted.module or wanted.expression
  return (wanted.module or #text <= SHORT) and text or "that the expression gives"
end

local function checkImplementation(plan, implementation)
  local isShared = plan.address ~= nil
  local name = nameOf(plan.implementation)
  local kind = type(implementation)
  if kind ~= "table" and kind ~= "userdata" then
    fail("construct", nil, ("the implementation %s is %s; it must be a table with run, onMessage "
      .. "or onRequest"):format(name, kind == "nil" and kind or "a " .. kind))
  end
  for _, handler in ipairs(HANDLERS) do
    local value = implementation[handler]
    if value and not isCallable(value) then
      fail("construct", nil, ("%s of the implementation %s is a %s; it must be a function")
        :format(handler, name, type(value)))
    end
  end
  if isShared and not (implementation.onMessage or implementation.onRequest) then
    fail("construct", nil, ("the implementation %s has neither onMessage nor onRequest, one of "
      .. "which a shared worker needs%s"):format(name, functionsIn(implementation)))
  end
  if not (implementation.run or implementation.onMessage or implementation.onRequest) then
    fail("construct", nil, ("the implementation %s has none of run, onMessage and onRequest%s")
      :format(name, functionsIn(implementation)))
  end
  if isShared or not implementation.run then checkNames(implementation, name) end
end

--- Handlers are coroutines, and any of them may be the first to load luv.
local function loadLuvOnMainThread()
  package.preload.luv = function(name)
    package.preload.luv = nil
    return core.requireOnMainThread(name)
  end
end

local function bringUp(plan)
  runParts(1, plan.stage1)
  for i, name in ipairs(plan.scripts or {}) do loadModule("script", i, name) end
  runParts(2, plan.stage2)
  local implementation = construct(plan)
  checkImplementation(plan, implementation)
  rawset(_G, plan.variable, implementation) -- also where undeclared globals are forbidden
  runParts(3, plan.stage3)
  return implementation
end

--- The channel's own settings: from here on it speaks the profile's encoding.
local function configure(channel, plan)
  local codec
  if plan.factory then
    codec = require("artel.factory_codec").load(plan.factory)
  end
  core.configure(channel, {
    encoding = plan.encoding, codec = codec, maxMessageSize = plan.maxMessageSize,
    maxMessageItems = plan.maxMessageItems, maxQueuedBytes = plan.maxQueuedBytes,
  })
end

--- A raw implementation has the channel to itself.
local function runRaw(channel, implementation)
  core.queue(channel, frame.READY, 0)
  core.flush(channel)
  local ok, failure = attempt(implementation.run, implementation, channel)
  local state = core.isOpen(channel) and core.state(channel) -- nil: it never had to wait
  local fault = state and require("artel.error_frames").fault(channel)
  if ok and not fault then
    if core.isOpen(channel) then
      channel:flush() -- however long its master takes to read: what was sent is delivered
      channel:close()
    end
    return 0
  end
  local what = ok and fault.message
    or "an error in run: " .. (failure.traceback or failure.message)
  io.stderr:write("artel worker: ", what, "\n")
  if core.isOpen(channel) then
    core.queue(channel, frame.ERROR, 0, ok and fault
      or { kind = "remote", message = failure.message, traceback = failure.traceback })
    channel:close()
  end
  return 1
end

--- Runs the stages; answers the implementation, or nil and what to report.
local function runStages(channel, plan, claim)
  require("artel.current_worker").set { plan = plan }
  package.path = plan.packagePath or package.path
  package.cpath = plan.packageCPath or package.cpath
  loadLuvOnMainThread()
  local ok, result = pcall(function()
    if not claim then configure(channel, plan) end
    return bringUp(plan)
  end)
  if ok then return result end
  return nil, type(result) == "table" and result
    or { step = "profile", message = tostring(result) }
end

--- Brings the implementation of `plan` to life and runs it to its end.
---@param channel artel.Channel? to the master, or to who has started a shared worker
---@param claim artel.Claim? of a shared worker
---@return integer code exit code of the process
local function bootstrap(channel, plan, claim)
  local implementation, report = runStages(channel, plan, claim)
  if claim then
    claim.report.logsItself = true
    if implementation then
      local ok, server = pcall(require, "artel.server") -- with luv, which wants descriptors
      if ok then return server(implementation, plan, claim) end
      report = { step = "loop", message = tostring(server) }
    end
    claim.report:failed(report)
    return 1
  end
  if not implementation then
    require("artel.error_frames").reportFailedStart(channel, plan, report)
    return 1
  end
  if implementation.run then return runRaw(channel, implementation) end
  return require("artel.runner").run(channel, implementation, plan)
end

return bootstrap
