-- SPDX-License-Identifier: Apache-2.0
-- Processor time of a master and its worker over shared memory while both wait, and what looking
-- before sleeping costs a master, of one worker or of a pool, while a handler takes 5 ms for each
-- request: what it uses more than over a socket, where nobody looks. Fails when either is more than
-- its target.
local artel = require "artel"
local core = require "artel.core"

local folder, secondsText = table.unpack(arg)
local seconds = tonumber(secondsText or 10)
if not seconds then
  io.stderr:write "usage: bench/idle/run [SECONDS]\n"
  os.exit(2)
end

local HANDLER = 0.005 -- seconds that a request takes
local MOST_IDLE, MOST_LOOKING = 0.1, 2 -- percent of one processor
local WARM_UP = 2000 -- quick requests before: looking has paid
local ROUNDS = 10 -- of one transport and the other, since the machine's weather changes

local fine = true
local function tell(what, used, time, most)
  local percent = used / time * 100
  fine = fine and (not most or percent < most)
  print(("%-40s %8.2f ms in %6.2f s  %6.3f %%%s"):format(what, used * 1000, time, percent,
    most and (", target: below %g %%"):format(most) or ""))
end

--- Seconds that a process has been on a processor.
local function processorTime(pid)
  local text = assert(io.open(("/proc/%s/schedstat"):format(pid))):read "a"
  return tonumber(text:match "^%d+") / 1e9
end

local function tellNothingComes(kind, worker)
  local pid = worker:getProcessId()
  local master, other, start = processorTime "self", processorTime(pid), core.now()
  assert(select(2, worker:receiveMessage(seconds)).kind == "timeout")
  local time = core.now() - start
  tell(kind .. ": master, nothing comes", processorTime "self" - master, time, MOST_IDLE)
  tell(kind .. ": worker, nothing comes", processorTime(pid) - other, time, MOST_IDLE)
end

--- Against the handlers' own time, which other programs on the machine do not stretch.
local function tellWaiting(kind, worker, socketWorker)
  local requests = math.ceil(seconds / HANDLER / ROUNDS)
  local function use(used, asked)
    local before = processorTime "self"
    for _ = 1, requests do assert(asked:request(HANDLER)) end
    return used + processorTime "self" - before
  end
  local looking, socket = 0, 0
  for _ = 1, ROUNDS do looking, socket = use(looking, worker), use(socket, socketWorker) end
  local time = ROUNDS * requests * HANDLER
  tell(kind .. ": master, 5 ms a request", looking, time)
  tell(kind .. ": the same over a socket", socket, time)
  tell(kind .. ": lost to looking", looking - socket, time, MOST_LOOKING)
end

-- A call on a pool looks at all its workers: here one computes while the other rests.
do
  local function start(transport)
    local factory = artel.WorkerFactory.new { transport = transport }
    local pool = assert(factory:createWorkerPool(folder .. "/evented.lua", 2))
    for _ = 1, WARM_UP do assert(pool:request(0)) end
    return pool
  end
  local pool <close> = start "shared-memory"
  local socketPool <close> = start "socket"
  tellWaiting("pool", pool, socketPool)
end

for _, kind in ipairs { "raw", "evented" } do
  local function start(transport)
    local factory = artel.WorkerFactory.new { transport = transport }
    local worker = assert(factory:createWorker(("%s/%s.lua"):format(folder, kind)))
    for _ = 1, WARM_UP do assert(worker:request(0)) end
    return worker
  end
  local worker <close> = start "shared-memory"
  local socketWorker <close> = start "socket"
  tellNothingComes(kind, worker)
  tellWaiting(kind, worker, socketWorker)
end
os.exit(fine, true)
