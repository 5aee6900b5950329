-- SPDX-License-Identifier: Apache-2.0
-- One fixed piece of artel's hot path, done so many times: what callgrind counts.
--
--   workload.lua OPERATION COUNT
local artel = require "artel"
local core = require "artel.core"
local values = require "bench.values"

local operation, count = arg[1], tonumber(arg[2])

local function encoder(encoding, value)
  return function() core.encode(encoding, value) end
end

local function decoder(encoding, value)
  local bytes = assert(core.encode(encoding, value))
  return function() core.decode(encoding, bytes) end
end

--- Encode, frame, read, find the frame, decode: both ends of a channel in one process.
local function channel(encoding, value)
  local left, right = artel.channelPair(encoding)
  return function()
    left:sendMessage(value)
    right:receiveMessage()
  end
end

-- Its hosts are watched by callgrind, which writes its counts when a host ends.
local factory = artel.WorkerFactory.new {
  hostPath = os.getenv("BENCH_CALLGRIND_HOST"),
  transport = "socket",
  adminCookie = "bench",
}

--- A round trip: what is counted is the worker's part.
local function echo(worker, value)
  return function()
    worker:sendMessage(value)
    assert(worker:receiveMessage())
  end
end

local function dedicated(kind, value)
  local worker = assert(factory:createWorker("bench/artel/workers/echo_" .. kind .. ".lua"))
  return echo(worker, value), function() worker:close(60) end
end

local function shared(value)
  local address = ("unix://%s/shared.sock"):format(os.getenv("BENCH_TMP"))
  local module = "bench/artel/workers/echo_evented.lua"
  local worker = assert(factory:connectToSharedWorker(address, module))
  return echo(worker, value), function()
    worker:close()
    assert(factory:stopSharedWorker(address))
  end
end

local structured = values.structured()

local operations = {
  ["encode msgpack integer"] = function() return encoder("msgpack", values.SMALL) end,
  ["encode msgpack 1 KB"] = function() return encoder("msgpack", structured) end,
  ["encode json 1 KB"] = function() return encoder("json", structured) end,
  ["decode msgpack 1 KB"] = function() return decoder("msgpack", structured) end,
  ["decode json 1 KB"] = function() return decoder("json", structured) end,
  ["channel msgpack integer"] = function() return channel("msgpack", values.SMALL) end,
  ["channel json integer"] = function() return channel("json", values.SMALL) end,
  ["worker raw integer"] = function() return dedicated("raw", values.SMALL) end,
  ["worker evented integer"] = function() return dedicated("evented", values.SMALL) end,
  ["worker shared integer"] = function() return shared(values.SMALL) end,
}

local once, finish = operations[operation]()
for _ = 1, count do once() end
if finish then finish() end
