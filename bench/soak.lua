-- SPDX-License-Identifier: Apache-2.0
-- Who asks and who disturbs in bench/soak, and the account.
local artel = require "artel"
local core = require "artel.core"
local uv = require "luv"

local workerPath, secondsText, seedText = table.unpack(arg)
local seconds, seed = tonumber(secondsText), math.tointeger(tonumber(seedText or 1))
if not seconds or not seed then
  io.stderr:write "usage: bench/soak SECONDS [SEED]\n"
  os.exit(2)
end
math.randomseed(seed)

local CLIENTS, SLOW_READERS = 8, 2
local REQUEST_TIMEOUT = 1 -- seconds
local KEPT_KILOBYTES = 4096 -- more of Lua's at the end would be tables that are never emptied
local LAST_REQUESTS = 60 -- so long the last ones may take to end
local MARK = "ARTEL_SOAK_OF"

local folder = assert(core.files.temporaryDirectory())
uv.os_setenv(MARK, folder) -- finds the processes that are left

-- ---- the account ----

local account = { sent = 0, answered = 0, failed = {}, wrong = 0, open = 0 }
local events = {} -- what was done to the workers, and connections, by name

local function count(list, name) list[name] = (list[name] or 0) + 1 end

-- Every error must say why by one of these.
local REASONS = {}
for kind in ("remote timeout cancelled closed overloaded bootstrap"):gmatch "%a+" do
  REASONS[kind] = true
end

--- One request from its sending to its end, whichever.
local function ask(what, request, send)
  account.sent, account.open = account.sent + 1, account.open + 1
  local answer, err = send(request, { timeout = REQUEST_TIMEOUT })
  account.open = account.open - 1
  if answer ~= nil then
    account.answered = account.answered + 1
    if answer.number ~= request.number or answer.payload ~= request.payload then
      account.wrong = account.wrong + 1
    end
    return true
  end
  local reason = err.kind
  if reason == "remote" and (request.what ~= "fail" or err.value ~= request.number) then
    account.wrong = account.wrong + 1
  end
  if not REASONS[reason] then account.wrong = account.wrong + 1 end
  count(account.failed, ("%s: %s%s"):format(what, reason, err.phase and ", " .. err.phase or ""))
  return false, reason
end

local number = 0

--- Mostly something quick; sometimes what takes long, fails, is large, or ends the worker.
local function makeRequest()
  number = number + 1
  local request, chance = { number = number }, math.random(1000)
  if chance <= 2 then
    request.what = "exit"
  elseif chance <= 4 then
    request.what, request.seconds = "compute", 2 * REQUEST_TIMEOUT
  elseif chance <= 60 then
    request.what, request.seconds = "compute", math.random() / 100
  elseif chance <= 100 then
    request.what = "fail"
  elseif chance <= 110 then
    request.payload = ("p"):rep(math.random(1 << 20))
  end
  return request
end

-- ---- who asks ----

local function countDescriptors()
  local found = 0
  local scan = assert(uv.fs_scandir "/proc/self/fd")
  while uv.fs_scandir_next(scan) do found = found + 1 end
  return found
end

require "artel.loop_luv" -- opens a descriptor for good, and the loop some with its first stream
uv.new_pipe():close()
uv.run "nowait"
local descriptors = countDescriptors()

local ends = core.now() + seconds
local function isOver() return core.now() >= ends end

local function sleep(time)
  local thread = coroutine.running()
  local timer = uv.new_timer()
  timer:start(math.ceil(time * 1000), 0, function()
    timer:close()
    coroutine.resume(thread)
  end)
  coroutine.yield()
end

local factory = artel.WorkerFactory.new {
  adminCookie = "soak", outputPath = folder .. "/log", stopTimeout = 2,
}
local address = "unix://" .. folder .. "/soak.sock"
local pool = factory:createWorkerPool(workerPath, 2,
  { cancelGrace = 0.2, restartLimit = { count = 100, within = 1 } })

local function poolClient()
  while not isOver() do
    ask("pool", makeRequest(), function(...) return pool:request(...) end)
  end
end

--- Connects, which starts the worker where it is not there.
local function connect()
  local worker, err = factory:connectToSharedWorker(address, workerPath)
  count(events, worker and "connections made" or "connections failed: " .. err.kind)
  if not worker then sleep(0.05) end
  return worker
end

--- Two at a time have one connection, so that one may close it while the other waits.
local function sharedClients()
  while not isOver() do
    local worker = connect()
    local function talk()
      local goesOn = true
      while worker and goesOn and not isOver() and math.random(50) > 1 do
        local _, reason = ask("shared", makeRequest(), function(...)
          local ok, answer, err = pcall(worker.request, worker, ...)
          if ok then return answer, err end
          return nil, { kind = "closed" } -- the other one has closed it: misuse, but an end
        end)
        goesOn = reason ~= "closed"
      end
      if worker then worker:close() end
    end
    local other = artel.async(talk)
    talk()
    other:await()
  end
end

local function slowReader()
  while not isOver() do
    local worker = connect()
    if worker then
      count(events, "floods that nobody read")
      worker:sendMessage(math.random(20000))
      sleep(math.random() * 0.5)
      for _ = 1, math.random(100) do worker:receiveMessage(0.1) end
      worker:close()
    end
  end
end

-- ---- who disturbs ----

local function signal(pid, name)
  if pid then uv.kill(pid, name) end
end

--- Stops a process for a moment.
local function pause(pid)
  signal(pid, "sigstop")
  sleep(math.random() * 0.3)
  signal(pid, "sigcont")
end

local DISTURBANCES = {
  { "pool workers killed", function()
    signal(pool[math.random(#pool)]:getProcessId(), "sigkill")
  end },
  { "pool workers paused", function() pause(pool[math.random(#pool)]:getProcessId()) end },
  { "pool workers terminated", function()
    signal(pool[math.random(#pool)]:getProcessId(), "sigterm")
  end },
  { "shared worker killed", function()
    signal(factory:getSharedWorkerProcessId(address), "sigkill")
  end },
  { "shared worker paused", function() pause(factory:getSharedWorkerProcessId(address)) end },
  { "shared worker stopped", function()
    local stopped, err = factory:stopSharedWorker(address, 10)
    if stopped == nil then count(events, "stops that failed: " .. err.kind) end
  end },
}

local function disturber()
  while not isOver() do
    sleep(0.05 + math.random() / 2)
    local name, disturb = table.unpack(DISTURBANCES[math.random(#DISTURBANCES)])
    count(events, name)
    disturb()
  end
end

-- ---- the end ----

--- Processes that were started by this one, other than itself.
local function processes()
  local found = {}
  for name in uv.fs_scandir_next, assert(uv.fs_scandir "/proc") do
    local pid = math.tointeger(tonumber(name))
    local file = pid and pid ~= uv.os_getpid() and io.open("/proc/" .. name .. "/environ")
    if file then
      if (file:read "a" or ""):find(folder, 1, true) then found[#found + 1] = pid end
      file:close()
    end
  end
  return found
end

local function kilobytes()
  return math.tointeger(tonumber(io.open("/proc/self/status"):read "a":match "VmRSS:%s*(%d+)"))
end

local tasks = {}
for _ = 1, CLIENTS do tasks[#tasks + 1] = artel.async(poolClient) end
for _ = 1, CLIENTS // 2 do tasks[#tasks + 1] = artel.async(sharedClients) end
for _ = 1, SLOW_READERS do tasks[#tasks + 1] = artel.async(slowReader) end
tasks[#tasks + 1] = artel.async(disturber)

local early
local timer = uv.new_timer()
timer:start(math.ceil(seconds * 250), 0, function() early = kilobytes() end)
for _, task in ipairs(tasks) do
  local ended, err = pcall(task.await, task, math.max(0.001, ends + LAST_REQUESTS - core.now()))
  if not ended or not task:isDone() then
    io.stderr:write("a client has not come to its end: ", tostring(err), "\n")
    account.wrong = account.wrong + 1
  end
end
local late = kilobytes()
timer:close()
pool:close()
-- The last shared worker may have been killed, and its socket file is the next one's to remove.
local last = factory:connectToSharedWorker(address, workerPath)
if last then last:close() end
local stopped = factory:stopSharedWorker(address, 10)
pool = nil
collectgarbage()
collectgarbage()
core.reap()
uv.run "nowait"

-- ---- what it comes to ----

local problems = {}
local function check(fine, format, ...)
  if not fine then problems[#problems + 1] = format:format(...) end
end

local function printSorted(list)
  local names, sum = {}, 0
  for name in pairs(list) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    print(("  %9d  %s"):format(list[name], name))
    sum = sum + list[name]
  end
  return sum
end

print(("%g s, seed %d"):format(seconds, seed))
print(("requests sent  %9d"):format(account.sent))
print(("answered       %9d"):format(account.answered))
print "failed"
local failed = printSorted(account.failed)
print "meanwhile"
printSorted(events)
local kept = math.floor(collectgarbage "count")
print(("memory of the master: %d KiB after a quarter of the time, %d KiB at its end")
  :format(early or 0, late))
print(("of that Lua keeps %d KiB"):format(kept))

local left = processes()
for _ = 1, 100 do -- one that was told to end may be on its way
  if #left == 0 then break end
  uv.sleep(100)
  left = processes()
end
check(account.sent == account.answered + failed, "%d requests have not ended",
  account.sent - account.answered - failed)
check(account.answered > 0, "nothing was answered")
check(account.wrong == 0, "%d requests ended in a wrong way", account.wrong)
check(stopped, "the shared worker could not be stopped")
check(kept <= KEPT_KILOBYTES, "Lua still holds %d KiB", kept)
check(#left == 0, "%d processes are left", #left)
check(countDescriptors() == descriptors, "%d descriptors are open, before it were %d",
  countDescriptors(), descriptors)
for _, pid in ipairs(left) do uv.kill(pid, "sigkill") end
core.files.remove(folder .. "/log")
for name in uv.fs_scandir_next, assert(uv.fs_scandir(folder)) do
  check(false, "a file is left: %s", name)
  core.files.remove(folder .. "/" .. name)
end
core.files.remove(folder)
for _, problem in ipairs(problems) do print("WRONG: " .. problem) end
if #problems == 0 then print "the account balances, and nothing is left" end
os.exit(#problems == 0, true)
