-- SPDX-License-Identifier: Apache-2.0
-- What the specs of shared workers share: a folder for each, workers in it, and the proof that
-- nothing of them is left.

local artel = require "artel"
local core = require "artel.core"
local helper = require "spec.helper"
local uv = require "luv"

local support = {}

--- Seconds; far more than anything here takes.
support.TIMEOUT = helper.TIMEOUT

local ENVIRONMENT_MARK = "ARTEL_SPEC_OF" -- what finds the processes of a spec among all others

local current -- { folder =, mark =, descriptors =, ports = }

local function countDescriptors()
  local count = 0
  local folder = assert(uv.fs_scandir "/proc/self/fd")
  while uv.fs_scandir_next(folder) do count = count + 1 end
  return count
end

function support.read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "a"
  file:close()
  return text
end

function support.write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

--- The processes that were started by the spec, as far as they still run, other than our
--- children.
function support.processes()
  local found = {}
  local folder = assert(uv.fs_scandir "/proc")
  for name in uv.fs_scandir_next, folder do
    local pid = math.tointeger(tonumber(name))
    if pid and pid ~= uv.os_getpid() then
      local environment = support.read("/proc/" .. name .. "/environ") or ""
      if environment:find(current.mark, 1, true) then found[#found + 1] = pid end
    end
  end
  return found
end

--- Waits until a process that is no child of ours has gone.
function support.awaitEnd(pid)
  local watched = core.sockets.watchProcess(pid)
  if not watched then return true end
  local ready = core.pollStreams({ core.sockets.number(watched) }, { 1 }, support.TIMEOUT)
  core.sockets.close(watched)
  return #ready == 1
end

--- The environment for programs that are not ours: a list, without the sanitizer that specs
--- may run with, and with a language that every system has.
function support.environment(further)
  local list = { "LC_ALL=C.UTF-8" }
  for name, value in pairs(uv.os_environ()) do
    if name ~= "LD_PRELOAD" and name ~= "LC_ALL" then list[#list + 1] = name .. "=" .. value end
  end
  for name, value in pairs(further or {}) do list[#list + 1] = name .. "=" .. value end
  return list
end

--- A path in the folder of the spec.
function support.path(name) return current.folder .. "/" .. name end

--- The address of a unix socket in the folder of the spec.
function support.unixAddress(name) return "unix://" .. support.path(name or "w.sock") end

--- An address of a TCP port that nobody uses, nor gets until the spec has ended: it stays bound
--- here, beside which a worker may listen there.
function support.tcpAddress(host)
  local socket = uv.new_tcp()
  host = host or "127.0.0.1"
  assert(socket:bind(host, 0))
  local port = socket:getsockname().port
  table.insert(current.ports, socket)
  return host:find(":", 1, true) and ("tcp://[%s]:%d"):format(host, port)
    or ("tcp://%s:%d"):format(host, port)
end

--- A factory whose workers log into the folder of the spec.
function support.factory(options)
  local all = { adminCookie = "a cookie", outputPath = support.path "log",
    connectTimeout = support.TIMEOUT }
  for name, value in pairs(options or {}) do all[name] = value end
  return artel.WorkerFactory.new(all)
end

--- What the workers have printed.
function support.log() return support.read(support.path "log") or "" end

--- Starts a worker from an expression; answers its factory, address and pid.
function support.start(expression, options, address)
  local factory = support.factory(options)
  address = address or support.unixAddress()
  assert(factory:startSharedWorkerWithExpression(address, expression))
  local pid = assert(factory:getSharedWorkerProcessId(address))
  return factory, address, pid
end

--- Stops a worker and makes sure that it has gone in good order.
function support.stop(factory, address)
  local stopped, err = factory:stopSharedWorker(address, support.TIMEOUT)
  if not stopped then error(("not stopped: %s\n%s"):format(tostring(err), support.log()), 2) end
end

--- To be called in a describe() whose specs write to workers that may have cut them off: who
--- does so gets SIGPIPE, and what luv writes is not exempt.
function support.outliveBrokenPipes(busted)
  local broken
  busted.setup(function()
    broken = uv.new_signal()
    broken:start "sigpipe"
    broken:unref()
  end)
  busted.teardown(function()
    broken:close()
    uv.run "nowait"
  end)
end

--- Connects a bare socket: what a client of any other kind is. It has send, receive and close.
function support.bareClient(address)
  local descriptor = assert(core.sockets.connect(address, support.TIMEOUT))
  local pipe = address:find "^unix" and uv.new_pipe() or uv.new_tcp()
  assert(pipe:open(core.sockets.release(descriptor)))
  local client = { received = "", ended = false }
  pipe:read_start(function(err, chunk)
    if chunk then
      client.received = client.received .. chunk
    else
      client.ended, client.err = true, err
    end
  end)
  function client.send(_, bytes)
    local done, failure = false, nil
    pipe:write(bytes, function(err) done, failure = true, err end)
    helper.runLoopUntil(function() return done end)
    return failure == nil, failure
  end
  --- Writes without waiting for it to leave.
  function client.push(_, bytes) pipe:write(bytes) end
  --- Waits for so many bytes, or for a pattern, or for the end.
  function client:receive(wanted)
    local function isHere()
      if self.ended then return true end
      if type(wanted) == "number" then return #self.received >= wanted end
      return wanted ~= nil and self.received:find(wanted) ~= nil
    end
    helper.runLoopUntil(isHere)
    return self.received
  end
  function client:awaitEnd()
    helper.runLoopUntil(function() return self.ended end)
    return self.received
  end
  function client.stopReading() pipe:read_stop() end
  function client.shutdown()
    local done = false
    pipe:shutdown(function() done = true end)
    helper.runLoopUntil(function() return done end)
  end
  function client.close()
    if not pipe:is_closing() then pipe:close() end
    uv.run "nowait"
  end
  return client
end

local function listFolder(folder)
  local names = {}
  local scan = assert(uv.fs_scandir(folder))
  for name in uv.fs_scandir_next, scan do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function removeFolder(folder)
  local scan = uv.fs_scandir(folder)
  if not scan then return end
  for name, kind in uv.fs_scandir_next, scan do
    local path = folder .. "/" .. name
    if kind == "directory" then removeFolder(path) else os.remove(path) end
  end
  os.remove(folder)
end

local function settle()
  uv.run "nowait" -- closing handles end in the loop
  collectgarbage()
  collectgarbage()
  core.reap()
end

--- To be called in before_each.
function support.setUp()
  uv.new_pipe():close() -- the loop's own descriptors come with its first stream and turn
  settle()
  current = { ports = {} }
  current.folder = assert(core.files.temporaryDirectory())
  current.mark = ENVIRONMENT_MARK .. "=" .. current.folder
  uv.os_setenv(ENVIRONMENT_MARK, current.folder)
  current.descriptors = countDescriptors()
end

--- To be called in after_each: nothing of the workers is left, but what a spec says.
---@param expectedFiles? table<string, boolean> names of files that may be there, beside the log
function support.tearDown(expectedFiles)
  for _, socket in ipairs(current.ports) do socket:close() end
  settle()
  local problems = {}
  for _, pid in ipairs(support.processes()) do
    local command = (support.read(("/proc/%d/cmdline"):format(pid)) or ""):gsub("%z", " ")
    -- One whose start has failed has said so before it is gone.
    if not support.awaitEnd(pid) then
      problems[#problems + 1] = ("process %d is left: %s"):format(pid, command)
      uv.kill(pid, "sigkill")
      support.awaitEnd(pid)
    end
  end
  for _, name in ipairs(listFolder(current.folder)) do
    if name ~= "log" and not (expectedFiles and expectedFiles[name])
      and (name:find "%.sock" or name:find "%.lock$") then
      problems[#problems + 1] = "a file is left: " .. name
    end
  end
  settle()
  local descriptors = countDescriptors()
  if descriptors ~= current.descriptors then
    problems[#problems + 1] = ("%d descriptors, before it were %d"):format(descriptors,
      current.descriptors)
  end
  local log = support.log()
  if log:find "Sanitizer" or log:find ": runtime error: " then
    problems[#problems + 1] = "the sanitizer has found something in a worker"
  end
  removeFolder(current.folder)
  if #problems > 0 then
    error(table.concat(problems, "\n") .. "\nlog:\n" .. log, 0)
  end
end

return support
