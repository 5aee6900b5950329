-- SPDX-License-Identifier: Apache-2.0
-- Processor time of a waiting master and of its worker over shared memory: while both wait,
-- and while a handler takes 5 ms for each request. Fails when it is more than the targets.
local artel = require "artel"
local core = require "artel.core"

local folder, secondsText = table.unpack(arg)
local seconds = tonumber(secondsText or 10)
if not seconds then
  io.stderr:write "usage: bench/idle/run [SECONDS]\n"
  os.exit(2)
end

local HANDLER = 0.005 -- seconds that a request takes
local MOST_IDLE, MOST_WAITING = 0.1, 2 -- percent of one processor
local WARM_UP = 2000 -- quick requests before: looking before sleeping has paid

local fine = true
local function tell(what, used, time, most)
  local percent = used / time * 100
  fine = fine and percent < most
  print(("%-44s %8.2f ms in %6.2f s  %6.3f %%  (target: below %g %%)")
    :format(what, used * 1000, time, percent, most))
end

--- Seconds that a process has been on a processor.
local function processorTime(pid)
  local text = assert(io.open(("/proc/%s/schedstat"):format(pid))):read "a"
  return tonumber(text:match "^%d+") / 1e9
end

for _, kind in ipairs { "raw", "evented" } do
  local factory = artel.WorkerFactory.new { transport = "shared-memory" }
  local worker = assert(factory:createWorker(("%s/%s.lua"):format(folder, kind)))
  local pid = worker:getProcessId()
  local function used() return processorTime "self", processorTime(pid) end

  for _ = 1, WARM_UP do assert(worker:request(0)) end
  local master, other = used()
  local start = core.now()
  assert(select(2, worker:receiveMessage(seconds)).kind == "timeout")
  local time, masterNow, otherNow = core.now() - start, used()
  tell(kind .. ": master, nothing comes", masterNow - master, time, MOST_IDLE)
  tell(kind .. ": worker, nothing comes", otherNow - other, time, MOST_IDLE)

  local requests = math.ceil(seconds / HANDLER)
  master = used()
  for _ = 1, requests do assert(worker:request(HANDLER)) end
  -- Of the handlers' own time, which other programs on the machine do not stretch.
  tell(kind .. ": master, 5 ms each request", (used()) - master, requests * HANDLER, MOST_WAITING)
  worker:close()
end
os.exit(fine, true)
