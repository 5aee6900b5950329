-- SPDX-License-Identifier: Apache-2.0
-- The part of WorkerFactory that is about shared workers: connecting to them, starting them,
-- asking them how they are, and stopping them.

local address = require "artel.address"
local bootstrapFile = require "artel.bootstrap_file"
local channelModule = require "artel.channel"
local core = require "artel.core"
local currentWorker = require "artel.current_worker"
local dispatch = require "artel.dispatch"
local factoryCodec = require "artel.factory_codec"
local hostPath = require "artel.host_path"
local plan = require "artel.plan"
local scheduler = require "artel.scheduler"
local scripts = require "artel.profile_scripts"
local sharedWorker = require "artel.shared_worker"
local streams = require "artel.streams"
local waiting = require "artel.waiting"
local withLimit = require "artel.with_limit"

local sockets = core.sockets

local factory = {}

local QUERY_TIMEOUT = 5
-- How much longer than its own stop time-out a worker gets by default to be gone.
local STOP_GRACE = 5
-- What a worker that stops may still send, bytes.
local UNREAD_MAX = 64 << 20
-- Between two looks at a worker that is too busy to be asked who it is.
local PAUSE = 0.02

local function timeLeft(deadline) return math.max(0, deadline - core.now()) end

--- The address, normalized; raises when it is none.
local function checkAddress(text, level)
  local parsed, reason = address.parse(text)
  if not parsed then error(reason, level + 1) end
  return address.normalize(text), parsed
end

local function checkTimeout(timeout, name, level)
  if timeout ~= nil and not (type(timeout) == "number" and timeout >= 0) then
    error(("bad time-out of '%s' (seconds from 0 up expected)"):format(name), level + 1)
  end
end

-- ---- starting ----

--- What the host is told: the plan itself, or the file that holds it.
local function planToSend(profile, source, built)
  local listed = scripts.find(profile, source, built.address)
  if not listed then return built end
  local path, reason = bootstrapFile.compile(built, listed)
  if not path then return nil, core.newError { kind = "spawn", message = reason } end
  return { bootstrapFile = path, address = built.address, implementation = built.implementation }
end

--- Waits for the report of a host that has been started.
---@return boolean? ready false when another worker answers there already
---@return artel.Error? err
local function awaitReport(channel, built, level, timeout)
  local state = dispatch.stateOf(channel)
  local waiter = scheduler.newWaiter(function() state.readyWaiter = nil end)
  state.readyWaiter = waiter
  local told = waiting.await(channel, state, waiter, timeout, level + 1)
  channelModule.closeAtOnce(channel)
  if not told then
    return nil, core.newError { kind = "timeout", message =
      ("the worker at %s was not ready within %g s; it goes on starting")
        :format(built.address, timeout) }
  end
  local err = waiter.err
  if not err then return true end
  if err.step == "already" then return false end
  if err.kind == "closed" then
    err.kind = "bootstrap"
    err.message = ("the host for %s ended before it was ready; %s"):format(built.address,
      built.outputPath and "what it printed is in " .. built.outputPath
        or "what it printed is lost without an output path (setOutputPath)")
  end
  return nil, err
end

--- Starts a worker at an address of this machine.
---@param source artel.ImplementationSource
---@param level integer where misuse is raised, as for error()
---@param timeout number? seconds
---@return boolean? started false when one already answers there
---@return artel.Error? err
local function start(self, forAddress, source, level, timeout)
  local profile = self:getBootstrapProfile()
  local built, reason = plan.build(profile, source, nil, forAddress)
  if not built then error(reason, level + 1) end
  if currentWorker.isStoppingAt(built.address) then
    error("a worker that stops cannot start its own successor: it would wait for itself", level + 1)
  end
  waiting.check(level + 1)
  local toSend, err = planToSend(profile, source, built)
  if not toSend then return nil, err end
  local path
  path, reason = hostPath.find(profile:getHostPath())
  if not path then return nil, core.newError { kind = "spawn", message = reason } end
  local arguments = profile:getHostArguments()
  local argv = table.move(arguments, 1, #arguments, 2, { path })
  argv[#argv + 1] = "host"
  argv[#argv + 1] = "--detach"
  local channel
  channel, err = core.startDaemon { path = path, argv = argv, plan = toSend }
  if not channel then return nil, withLimit(err) end
  return awaitReport(channel, built, level + 1, timeout)
end

factory.start = start

-- ---- connecting ----

local function connect(self, forAddress, timeout, level)
  local profile = self:getBootstrapProfile()
  local channelOptions = factoryCodec.options(profile:getChannelFactory())
  channelOptions.maxMessageSize = profile:getMaxMessageSize() or plan.SHARED_MESSAGE_SIZE
  channelOptions.maxMessageItems = profile:getMaxMessageItems() or plan.SHARED_MESSAGE_ITEMS
  channelOptions.maxQueuedBytes = profile:getMaxQueuedBytes()
  return sharedWorker.connect {
    address = forAddress, timeout = timeout or profile:getConnectTimeout(),
    mode = waiting.check(level + 1), channel = channelOptions,
    cookie = profile:getAdminCookie(), identity = profile:getPreferredIdentity(),
  }
end

-- The last one: who listened has gone while we connected.
local NOBODY_LISTENS = { ENOENT = true, ECONNREFUSED = true, ECONNRESET = true }

local function nobodyListens(err) return err.kind == "connect" and NOBODY_LISTENS[err.errno] end

local function connectOrStart(self, text, source, autoStart, level)
  local forAddress, parsed = checkAddress(text, level + 1)
  local worker, err = connect(self, forAddress, nil, level + 1)
  if worker or not nobodyListens(err) or not source or autoStart == false then
    return worker, err
  end
  if not parsed.isLocal then
    err.message = err.message .. "; a worker on another machine cannot be started from here"
    return nil, err
  end
  for _ = 1, 2 do -- once more if the worker has gone again before we had it
    local started
    started, err = start(self, forAddress, source, level + 1)
    if started == nil then return nil, err end
    worker, err = connect(self, forAddress, nil, level + 1)
    if worker or not nobodyListens(err) then break end
  end
  return worker, err
end

-- ---- asking and stopping ----

--- Who listens at a local address.
local function findProcess(forAddress, timeout, mode)
  if mode == "block" then return sockets.listeningProcess(forAddress, timeout) end
  local deadline = core.now() + timeout
  while true do
    local pid, err = sockets.listeningProcess(forAddress, 0)
    if pid or err.kind ~= "timeout" or timeLeft(deadline) == 0 then return pid, err end
    streams.pause(math.min(PAUSE, timeLeft(deadline)), mode)
  end
end

--- What the worker said when it ended this connection and nothing else: it never heard that it
--- should stop.
local function refusal(worker, processId)
  local state = dispatch.stateOf(worker)
  dispatch.pump(worker, state)
  local err = state.connectionError
  if not err then return nil end
  err.message = ("%s; so the worker did not hear that it should stop, but SIGTERM%s stops it too")
    :format(err.message, processId and " to process " .. processId or "")
  return err
end

--- Waits until the worker hangs up, and its process, where it can be seen, has gone.
---@return boolean gone
---@return artel.Error? err it hung up for another reason
local function awaitEnd(worker, processId, deadline, mode)
  local watched, err
  if processId then
    watched, err = sockets.watchProcess(processId)
    if err and err.errno == "ESRCH" then return true end
  end
  local hungUp, left
  repeat
    left = timeLeft(deadline)
    if not streams.await(worker:getStream(), "read", left, mode) then return false end
    -- Replies that were still on their way are no hang-up; but nobody sends them for ever.
    hungUp = core.fill(worker) == "end"
  until hungUp or left == 0 or core.unread(worker) > UNREAD_MAX
  err = hungUp and refusal(worker, processId) or nil
  if err or not watched then return hungUp and not err, err end
  -- No tail call: what is watched by its number alone would be collected meanwhile.
  local gone = streams.await(sockets.number(watched), "read", timeLeft(deadline), mode)
  sockets.close(watched)
  return gone
end

local function stop(self, text, timeout, level)
  local forAddress, parsed = checkAddress(text, level + 1)
  checkTimeout(timeout, "stopSharedWorker", level + 1)
  local profile = self:getBootstrapProfile()
  if not profile:getAdminCookie() then
    error("stopping a shared worker needs an admin cookie in the profile (setAdminCookie)",
      level + 1)
  end
  local mode = waiting.check(level + 1)
  timeout = timeout or profile:getStopTimeout() + STOP_GRACE
  local deadline = core.now() + timeout
  local worker, err = connect(self, forAddress, math.min(timeout, profile:getConnectTimeout()),
    level + 1)
  if not worker then
    if nobodyListens(err) then return false end
    return nil, err
  end
  local processId = worker:getProcessId()
    or parsed.isLocal and findProcess(forAddress, timeLeft(deadline), mode) or nil
  local sent
  sent, err = worker:stop()
  local gone, refused
  if sent then
    gone, refused = awaitEnd(worker, processId, deadline, mode)
  else
    refused = refusal(worker, processId)
  end
  channelModule.closeAtOnce(worker)
  if gone then return true end
  if refused or not sent then return nil, refused or err end
  return nil, core.newError {
    kind = "timeout",
    message = ("the worker at %s has not gone within %g s: the admin cookie is wrong, or it takes "
      .. "longer to stop"):format(forAddress, timeout),
  }
end

local function query(self, text, timeout, level)
  local forAddress = checkAddress(text, level + 1)
  checkTimeout(timeout, "querySharedWorker", level + 1)
  timeout = timeout or QUERY_TIMEOUT
  local deadline = core.now() + timeout
  local worker, err = connect(self, forAddress, timeout, level + 1)
  if not worker then return nil, err end
  local status
  status, err = worker:query(timeLeft(deadline))
  channelModule.closeAtOnce(worker)
  if not status then return nil, err end
  return status
end

-- ---- the methods ----
-- Their tail calls take them off the stack: the level 1 of what they call is who called them.

local SOURCES = {
  module = "the name or path of a module", expression = "the text of an expression",
}

local function checkSource(text, field, name, level)
  if type(text) ~= "string" or text == "" then
    error(("bad argument #2 to '%s' (%s expected, got %s)"):format(name, SOURCES[field],
      text == "" and "an empty string" or type(text)), level + 1)
  end
  return { [field] = text }
end

local function addCreators(class, field, suffix)
  local connectName = "connectToSharedWorker" .. suffix
  class[connectName] = function(self, forAddress, text, autoStart)
    local source = text ~= nil and checkSource(text, field, connectName, 2) or nil
    return connectOrStart(self, forAddress, source, autoStart, 1)
  end
  local startName = "startSharedWorker" .. suffix
  class[startName] = function(self, forAddress, text)
    local source = checkSource(text, field, startName, 2)
    return start(self, checkAddress(forAddress, 2), source, 1)
  end
end

--- Adds the methods to WorkerFactory. Their types are in api_meta.lua.
---@param class artel.WorkerFactory
function factory.extend(class)
  addCreators(class, "module", "")
  addCreators(class, "expression", "WithExpression")

  --- The process that listens at an address of this machine.
  function class:getSharedWorkerProcessId(forAddress)
    local normalized, parsed = checkAddress(forAddress, 2)
    local mode = waiting.check(2)
    if not parsed.isLocal then
      return nil, core.newError { kind = "connect",
        message = normalized .. " is on another machine: its processes cannot be seen" }
    end
    return findProcess(normalized, self:getBootstrapProfile():getConnectTimeout(), mode)
  end

  --- Asks the worker at an address to stop, and waits until its process has gone.
  function class:stopSharedWorker(forAddress, timeout) return stop(self, forAddress, timeout, 1) end

  --- Asks the worker at an address how it is.
  function class:querySharedWorker(forAddress, timeout)
    return query(self, forAddress, timeout, 1)
  end
end

--- The names of the methods: each stands on artel too, with a default factory.
factory.names = {
  "connectToSharedWorker", "connectToSharedWorkerWithExpression", "startSharedWorker",
  "startSharedWorkerWithExpression", "getSharedWorkerProcessId", "stopSharedWorker",
  "querySharedWorker",
}

return factory
