-- SPDX-License-Identifier: Apache-2.0
-- Counts instructions of artel's hot path with callgrind and compares with the baseline.
local cjson = require "cjson"
local json = require "bench.harness.json"

local BASELINE = "bench/instructions/baseline.json"
local TOLERANCE = 0.03 -- Lua seeds its string hashes by the clock: counts move by 1 %
local WARM_UP = 300

--- In the order in which they are shown: how often, enough for many garbage collections;
--- and whether the worker's process is the one that counts.
local OPERATIONS = {
  { "encode msgpack integer", 20000 },
  { "encode msgpack 1 KB", 3000 },
  { "encode json 1 KB", 3000 },
  { "decode msgpack 1 KB", 3000 },
  { "decode json 1 KB", 3000 },
  { "channel msgpack integer", 20000 },
  { "channel json integer", 20000 },
  { "worker raw integer", 5000, true },
  { "worker evented integer", 3000, true },
  { "worker shared integer", 3000, true },
}

local scratch = os.getenv("BENCH_TMP")
local counts = scratch .. "/counts"

--- Instructions that one run takes in the process that is watched.
local function instructions(operation, inWorker, count)
  os.remove(counts)
  local watch = inWorker and "" or os.getenv("BENCH_CALLGRIND") .. " "
  local ok = os.execute(("%slua5.4 bench/instructions/workload.lua '%s' %d >%s/output 2>&1")
    :format(watch, operation, count, scratch))
  local file = ok and io.open(counts)
  if not file then
    local output = io.open(scratch .. "/output"):read("a")
    error(("%s: no counts\n%s"):format(operation, output), 0)
  end
  local total = file:read("a"):match("\ntotals: (%d+)")
  file:close()
  return tonumber(total)
end

--- Two runs of different length: the difference knows nothing of the start and the end.
local function perOperation(operation, count, inWorker)
  local few = instructions(operation, inWorker, WARM_UP)
  local many = instructions(operation, inWorker, WARM_UP + count)
  return (many - few) / count
end

local function readBaseline()
  local file = io.open(BASELINE)
  if not file then return {} end
  local baseline = cjson.decode(file:read("a"))
  file:close()
  return baseline
end

local command = arg[1]
if command ~= "record" and command ~= "compare" then
  io.stderr:write("usage: bench/instructions/run compare | record\n")
  os.exit(2)
end
local baseline, now, worse = readBaseline(), {}, 0
print("| operation | baseline | now | change |\n| --- | --- | --- | --- |")
for _, entry in ipairs(OPERATIONS) do
  local operation = entry[1]
  local found = perOperation(operation, entry[2], entry[3])
  local before = baseline[operation]
  local change = before and found / before - 1
  now[operation] = math.floor(found + 0.5)
  if change and change > TOLERANCE then worse = worse + 1 end
  print(("| %s | %s | %.0f | %s |"):format(operation, before and ("%.0f"):format(before) or "none",
    found, change and ("%+.1f %%"):format(change * 100) or ""))
end
if command == "record" then
  local file = assert(io.open(BASELINE, "w"))
  file:write(json.encode(now))
  file:close()
elseif worse > 0 then
  print(("\n%d operation(s) take over %g %% more instructions than the baseline"):format(worse,
    TOLERANCE * 100))
  os.exit(1)
end
