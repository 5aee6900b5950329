-- SPDX-License-Identifier: Apache-2.0
-- Counts the system calls that one round trip takes in each process, with strace, and fails
-- unless those over a socket are one send and one receive in each.
local FEW, MANY = 500, 1500

local scratch = os.getenv("BENCH_TMP")

local CONTENDERS = {
  { "raw socketpair", os.getenv("BENCH_BIN") .. "/raw_socketpair pingpong -n %d" },
  { "artel raw, socket", "lua5.4 bench/artel/dedicated.lua roundtrip --transport socket -n %d" },
  { "artel evented, socket",
    "lua5.4 bench/artel/dedicated.lua roundtrip --worker evented --transport socket -n %d" },
  { "artel raw, shared memory",
    "lua5.4 bench/artel/dedicated.lua roundtrip --transport shared-memory -n %d" },
}

local function lines(command)
  local pipe = assert(io.popen(command))
  local list = {}
  for line in pipe:lines() do list[#list + 1] = line end
  pipe:close()
  return list
end

--- Calls by name for each process of one run, the master first: it has the lowest id.
local function trace(command, count)
  os.execute("rm -f " .. scratch .. "/trace.*")
  local ok = os.execute(("strace -ff -qq -o %s/trace %s > %s/output 2>&1"):format(
    scratch, command:format(count), scratch))
  if not ok then return nil end
  local processes = {}
  for _, path in ipairs(lines("ls -v " .. scratch .. "/trace.*")) do
    local calls = {}
    for line in io.lines(path) do
      local name = line:match("^([%w_]+)%(")
      if name then calls[name] = (calls[name] or 0) + 1 end
    end
    processes[#processes + 1] = calls
  end
  return processes
end

--- What `many` has more than `few`, for each round trip: start and end do not count.
local function perRoundTrip(few, many)
  local difference = (MANY + MANY // 10) - (FEW + FEW // 10) -- with the warm-up
  local parts = {}
  for name, calls in pairs(many) do
    local each = math.floor((calls - (few[name] or 0)) / difference * 100 + 0.5) / 100
    if each ~= 0 then
      parts[#parts + 1] = { name = name, each = each }
    end
  end
  table.sort(parts, function(a, b)
    if a.each == b.each then return a.name < b.name end
    return a.each > b.each
  end)
  for i, part in ipairs(parts) do parts[i] = ("%.2f %s"):format(part.each, part.name) end
  return #parts > 0 and table.concat(parts, ", ") or "none"
end

local NEEDED = "1.00 recvfrom, 1.00 sendto"

local failed = false
print("| contender | master | worker |\n| --- | --- | --- |")
for _, contender in ipairs(CONTENDERS) do
  local few, many = trace(contender[2], FEW), trace(contender[2], MANY)
  if few and many and few[2] and many[2] then
    local master, worker = perRoundTrip(few[1], many[1]), perRoundTrip(few[2], many[2])
    print(("| %s | %s | %s |"):format(contender[1], master, worker))
    local isSocket = not contender[1]:find "shared memory"
    failed = failed or isSocket and (master ~= NEEDED or worker ~= NEEDED)
  else
    print(("| %s | failed | |"):format(contender[1]))
    failed = true
  end
end
if failed then
  print(("\nover a socket each process should need %s"):format(NEEDED))
  os.exit(1)
end
