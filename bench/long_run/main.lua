-- SPDX-License-Identifier: Apache-2.0
-- The master of bench/long_run: sends ahead by ever other numbers of messages, and compares
-- each one that comes.
local artel = require "artel"

local folder, countText, seedText = table.unpack(arg)
local count = math.tointeger(tonumber(countText))
local seed = math.tointeger(tonumber(seedText or 1))
if not count or count < 1 or not seed then
  io.stderr:write "usage: bench/long_run/run COUNT [SEED]\n"
  os.exit(2)
end
package.path = folder .. "/?.lua;" .. package.path -- the worker's as well
local messages = require "messages"

local MOST_AHEAD = 10 -- as a power of two
local LOST = 60 -- seconds without a message: none will come

math.randomseed(seed)
local factory = artel.WorkerFactory.new { transport = "shared-memory" }
local worker = assert(factory:createWorker(folder .. "/worker.lua", seed))
local outgoing, due = messages.of(seed), messages.of(~seed)

local sent, received, bytes = 0, 0, 0

local function fail(format, ...)
  io.stderr:write(("WRONG: after %d messages there and %d back: %s\n")
    :format(sent, received, format:format(...)))
  os.exit(1)
end

local function residentKilobytes(pid)
  local status = assert(io.open(("/proc/%s/status"):format(pid))):read "a"
  return math.tointeger(tonumber(status:match "VmRSS:%s*(%d+)"))
end

local function noteMemory()
  return { residentKilobytes "self", residentKilobytes(worker:getProcessId()) }
end

local function sendOne()
  local message = outgoing()
  local ok, err = worker:sendMessage(message)
  if not ok then fail("%s", err) end
  sent, bytes = sent + 1, bytes + #message
end

local function receiveOne()
  local message, err = worker:receiveMessage(LOST)
  if message == nil then fail("%s", err) end
  local expected = due()
  if message ~= expected then fail("%s", messages.explain(message, expected)) end
  received, bytes = received + 1, bytes + #message
end

local early
while received < count do
  local ahead = 1 << math.random(0, MOST_AHEAD)
  while sent < count and sent - received < ahead do sendOne() end
  messages.pauseNowAndThen()
  for _ = 1, math.random(sent - received) do receiveOne() end
  if not early and received >= count // 10 then early = noteMemory() end
end
local late = noteMemory()
local more, err = worker:receiveMessage(0.1)
if more ~= nil or err.kind ~= "timeout" then fail("more came: %s", more or err) end
local code, signal = worker:close(LOST)
if code ~= 0 then fail("the worker ended with %s", code or signal) end

print(("seed %d, %s"):format(seed, worker))
print(("messages   %d there, %d back, %d MiB"):format(sent, received, bytes >> 20))
for i, who in ipairs { "master", "worker" } do
  print(("memory of the %s: %d KiB after a tenth, %d KiB at the end")
    :format(who, early[i], late[i]))
end
print "nothing is lost, doubled, out of order or altered"
