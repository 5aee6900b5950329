-- SPDX-License-Identifier: Apache-2.0
-- artel's dedicated workers, as a user would write it: a blocking master, a worker that
-- echoes.
--
--   dedicated.lua roundtrip|structured|string|stream|blob|life|memory [-n N] [-s BYTES]
--     [--worker raw|evented] [--encoding msgpack|json] [--transport auto|socket|shared-memory]
local artel = require "artel"
local values = require "bench.values"

local options = values.options {
  n = 10000, s = 16 * 1024 * 1024,
  worker = "raw", encoding = "msgpack", transport = "auto", traffic = false,
}

local factory = artel.WorkerFactory.new {
  channelFactory = options.encoding,
  transport = options.transport,
}

--- A figure must never stand under another transport's name.
local function checkTransport(worker)
  local asked = options.transport
  if asked ~= "auto" and not tostring(worker):find(asked, 1, true) then
    error("asked for " .. asked .. ", got " .. tostring(worker), 0)
  end
end

local function start()
  local module = "bench/artel/workers/echo_" .. options.worker .. ".lua"
  local worker = assert(factory:createWorker(module))
  checkTransport(worker)
  return worker
end

local function roundTrips(worker, value, count)
  for _ = 1, count do
    worker:sendMessage(value)
    assert(worker:receiveMessage())
  end
end

local function stream(worker, count)
  local sent, received = 0, 0
  while received < count do
    while sent < count and sent - received < values.WINDOW do
      assert(worker:sendMessage(sent))
      sent = sent + 1
    end
    assert(worker:receiveMessage() == received)
    received = received + 1
  end
end

--- Warms up, measures, prints; answers the seconds it took.
local function measure(go)
  local worker <close> = start()
  go(worker, options.n // 10 + 1)
  local began = values.now()
  go(worker, options.n)
  values.printSince(began, options.n)
  return values.now() - began
end

local function measureRoundTrips(value)
  return measure(function(worker, count) roundTrips(worker, value, count) end)
end

local workloads = {}

function workloads.roundtrip() measureRoundTrips(values.SMALL) end

function workloads.structured() measureRoundTrips(values.structured()) end

function workloads.string() measureRoundTrips(("x"):rep(options.s)) end

function workloads.stream() measure(stream) end

function workloads.blob()
  local seconds = measureRoundTrips(("x"):rep(options.s))
  values.print("mib_per_second", 2 * options.s / 1048576 * options.n / seconds)
end

function workloads.life()
  local began
  for i = -1, options.n - 1 do
    if i == 0 then began = values.now() end
    local worker <close> = start()
    roundTrips(worker, i, 1)
  end
  values.printSince(began, options.n)
end

function workloads.memory()
  local workers, total = {}, 0
  for i = 1, 8 do
    workers[i] = start()
    roundTrips(workers[i], i, 1)
    if options.traffic then
      stream(workers[i], 20000)
      roundTrips(workers[i], values.structured(), 2000)
    end
  end
  -- A worker that has nothing to do for a second gives back what it needs no more.
  if options.traffic then workers[8]:receiveMessage(2.5) end
  for _, worker in ipairs(workers) do
    total = total + values.memoryOf(worker:getProcessId())
  end
  values.print("kib_per_worker", total / #workers)
  for _, worker in ipairs(workers) do worker:close() end
end

workloads[options[1]]()
