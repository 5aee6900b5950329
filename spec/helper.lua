-- SPDX-License-Identifier: Apache-2.0
-- What the specs of channels and workers share: one time limit, folders that go away, scripts
-- run as users run them, and the check that a spec leaves nothing behind.

local artel = require "artel"
local program = require "spec.program"
local uv = require "luv"

local helper = {}

--- No wait in a spec takes longer, in seconds; far more than anything needs, on busy machines
--- too. Only a spec that fails waits for so long.
helper.TIMEOUT = 120

--- Whether this process is slow and large since something watches its memory.
helper.isWatched = (os.getenv "ARTEL_SANITIZED" or os.getenv "ARTEL_VALGRIND"
  or os.getenv "ARTEL_COLLECTING") ~= nil

helper.ENCODINGS = { "msgpack", "json" }

-- ---- what a spec may leave behind ----

function helper.countDescriptors()
  local count = 0
  local folder = assert(uv.fs_scandir "/proc/self/fd")
  while uv.fs_scandir_next(folder) do count = count + 1 end
  return count
end

--- How often memory that is shared with workers is mapped here.
function helper.countSharedMappings()
  local file <close> = assert(io.open "/proc/self/maps")
  return select(2, file:read("a"):gsub("memfd:artel", ""))
end

--- Process ids of the children of a process, zombies among them.
---@param pid? integer this process by default
---@return integer[]
function helper.children(pid)
  pid = pid or uv.os_getpid()
  local list = {}
  local file = io.open(("/proc/%d/task/%d/children"):format(pid, pid))
  if not file then return list end
  for child in file:read("a"):gmatch "%d+" do list[#list + 1] = math.tointeger(child) end
  file:close()
  return list
end

-- What is opened for good: by artel for luv's loop, and by luv with the first child of its own.
require "artel.loop_luv"
program.run { "true" }

local function settle()
  uv.run "nowait" -- closing handles end in the loop; its own descriptors come with it
  collectgarbage()
  collectgarbage()
  uv.run "nowait"
end

--- To be called in a describe(): each of its specs must close what it opens.
function helper.leaveNothing(busted)
  local descriptors, mappings
  busted.before_each(function()
    settle()
    descriptors, mappings = helper.countDescriptors(), helper.countSharedMappings()
  end)
  busted.after_each(function()
    settle()
    local children = helper.children()
    assert(#children == 0, "children are left: " .. table.concat(children, " "))
    local left = helper.countDescriptors() - descriptors
    assert(left == 0, ("%d descriptors too many are open"):format(left))
    left = helper.countSharedMappings() - mappings
    assert(left == 0, ("%d shared pieces of memory too many are mapped"):format(left))
  end)
end

-- ---- things to close ----

--- A folder that goes away with its variable: `local folder <close> = helper.folder()`.
---@return { path: string }
function helper.folder()
  return setmetatable({ path = program.makeFolder() },
    { __close = function(self) program.removeFolder(self.path) end })
end

---@return string text
function helper.read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

function helper.write(path, text)
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
end

--- Two connected channels that are closed with their variable.
---@return { left: artel.Channel, right: artel.Channel }
function helper.pair(channelFactory)
  local left, right = artel.channelPair(channelFactory)
  return setmetatable({ left = left, right = right }, { __close = function()
    left:close()
    right:close()
  end })
end

-- ---- workers ----

--- The path of an implementation in spec/fixtures.
function helper.fixture(name) return ("%s/spec/fixtures/%s.lua"):format(program.top, name) end

--- A worker whose implementation is the value of a Lua expression.
---@param options? table of the profile; what the worker prints goes nowhere by default
---@return artel.Worker
function helper.worker(expression, options)
  options = options or {}
  options.outputPath = options.outputPath or "/dev/null"
  return assert(artel.WorkerFactory.new(options):createWorkerWithExpression(expression))
end

--- How the bytes get to a dedicated worker or one of a pool.
helper.TRANSPORTS = { "shared-memory", "socket" }

--- What a dedicated worker or a pool may speak, as options of its profile. What is said of
--- faults must hold over each.
helper.CHANNELS = {
  { over = "in shared memory", options = { transport = "shared-memory" } },
  { over = "over a socket", options = { transport = "socket" } },
  { over = "in JSON", options = { channelFactory = "json" } },
}

--- Calls `define(over, worker, pool)` for each of them: the end of a title, and functions that
--- start a worker as helper.worker() does, and a pool (expression, count, its options, profile's).
function helper.overEach(define)
  for _, channel in ipairs(helper.CHANNELS) do
    local function profile(options)
      local all = { outputPath = "/dev/null" }
      for name, value in pairs(channel.options) do all[name] = value end
      for name, value in pairs(options or {}) do all[name] = value end
      return artel.WorkerFactory.new(all)
    end
    define(channel.over, function(expression, options)
      return assert(profile(options):createWorkerWithExpression(expression))
    end, function(expression, count, poolOptions, options)
      return profile(options):createWorkerPoolWithExpression(expression, count, poolOptions)
    end)
  end
end

--- A raw implementation whose run() is the text.
function helper.raw(body) return ("{ run = function(self, channel) %s\nend }"):format(body) end

--- For a raw implementation: starts a child that keeps the channel open and lasts longer than
--- any spec, sends its process id, and goes on at the next message.
helper.KEEPS_OPEN = [[
  local _, pid = require "luv".spawn("sleep", { args = { "1000" }, stdio = { nil, nil, nil, 3 } })
  channel:sendMessage(pid)
  channel:receiveMessage() ]]

--- A process that is killed with its variable.
---@return { pid: integer }
function helper.killed(pid)
  return setmetatable({ pid = pid }, { __close = function() uv.kill(pid, "sigkill") end })
end

--- Runs a Lua script to its end in a fresh lua5.4, in a folder of its own.
---@param text string
---@param options? { environment: table?, arguments: string[]? }
---@return spec.ProgramResult
function helper.script(text, options)
  options = options or {}
  local folder <close> = helper.folder()
  local path = folder.path .. "/script.lua"
  helper.write(path, text)
  return program.run({ "lua5.4", path, table.unpack(options.arguments or {}) },
    { folder = folder.path, environment = options.environment })
end

--- Runs a script that prints a line before it waits, and sends it SIGINT as soon as it does.
---@return spec.ProgramResult
function helper.interrupted(text)
  local folder <close> = helper.folder()
  local path = folder.path .. "/script.lua"
  helper.write(path, text)
  return program.run({ "lua5.4", path }, { folder = folder.path, onOutput = function(pid)
    helper.eventually(function() return helper.state(pid) == "S" or not helper.isAlive(pid) end)
    uv.kill(pid, "sigint")
  end })
end

--- Runs a call that must come back, and long before anything else would end it; answers what
--- it answers.
function helper.promptly(fn, ...)
  local began = uv.hrtime()
  local answer = table.pack(fn(...))
  local took = (uv.hrtime() - began) / 1e9
  assert(took < helper.TIMEOUT, ("it took %g s"):format(took))
  return table.unpack(answer, 1, answer.n)
end

--- Calls `probe` until it answers something true, and answers that; for what no event tells.
function helper.eventually(probe)
  local deadline = uv.hrtime() + helper.TIMEOUT * 1e9
  while uv.hrtime() < deadline do
    local answer = probe()
    if answer then return answer end
    uv.sleep(2)
  end
  error("it did not come to pass within " .. helper.TIMEOUT .. " s", 2)
end

--- Runs luv's loop until `isDone()`, and nothing else meanwhile. Handles that were closed until
--- then have ended.
function helper.runLoopUntil(isDone)
  local timer, isLate = uv.new_timer(), false
  uv.update_time()
  timer:start(helper.TIMEOUT * 1000, 0, function() isLate = true end)
  while not isDone() and not isLate do uv.run "once" end
  timer:close()
  uv.run "nowait"
  if isLate then error("it did not come to pass within " .. helper.TIMEOUT .. " s", 2) end
end

--- Runs luv's loop until nothing keeps it going.
function helper.runLoopToEnd()
  local watchdog = uv.new_timer()
  uv.update_time()
  watchdog:start(helper.TIMEOUT * 1000, 0, uv.stop)
  uv.unref(watchdog)
  local isAlive = uv.run()
  watchdog:close()
  uv.run "nowait"
  if isAlive then error("the loop did not end within " .. helper.TIMEOUT .. " s", 2) end
end

--- Calls `fn` from a luv callback, outside any coroutine of artel's; answers as pcall does.
---@return boolean ok
---@return any err
function helper.fromCallback(fn)
  local timer, called, ok, err = uv.new_timer(), false, nil, nil
  timer:start(0, 0, function()
    timer:close()
    ok, err = pcall(fn)
    called = true
  end)
  helper.runLoopUntil(function() return called end)
  return ok, err
end

--- What a process does, as a letter of proc(5), "S" when it sleeps; nil when there is none.
function helper.state(pid)
  local file = io.open(("/proc/%d/stat"):format(pid))
  if not file then return nil end
  local state = file:read("a"):match "^%d+ %(.*%) (%a)"
  file:close()
  return state
end

--- Whether there is a process with this number that has not ended.
function helper.isAlive(pid)
  local state = helper.state(pid)
  return state ~= nil and state ~= "Z" and state ~= "X"
end

--- Stops a worker by SIGSTOP, and answers when it stands still.
function helper.freeze(worker)
  local pid = worker:getProcessId()
  worker:kill "STOP"
  helper.eventually(function() return helper.state(pid) == "T" end)
end

--- Waits until a process that has written into a file sleeps, or has ended.
function helper.restsAfter(pid, path)
  helper.eventually(function()
    local file <close> = io.open(path)
    return file and file:seek "end" > 0 and (helper.state(pid) == "S" or not helper.isAlive(pid))
  end)
end

--- Runs `fn` in artel.async to its end; what it raises is raised.
function helper.await(fn, ...)
  local task = artel.async(fn, ...)
  local answer = table.pack(task:await(helper.TIMEOUT))
  assert(task:isDone(), "it did not end within " .. helper.TIMEOUT .. " s")
  return table.unpack(answer, 1, answer.n)
end

--- Checks that `fn` raises what is expected, and names the line from which it was called here.
function helper.raisesHere(expected, fn)
  local ok, err = pcall(fn)
  assert(not ok, "nothing was raised; expected: " .. expected)
  err = tostring(err)
  assert(err:find(expected, 1, true), "raised: " .. err)
  local here = debug.getinfo(2, "S").short_src
  assert(err:sub(1, #here + 1) == here .. ":", "raised elsewhere: " .. err)
end

return helper
