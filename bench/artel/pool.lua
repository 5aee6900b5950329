-- SPDX-License-Identifier: Apache-2.0
-- artel's worker pool with its defaults: an ordered map in a plain script.
--
--   pool.lua map|cpu|start [-n N] [--workers 2] [--transport auto|socket|shared-memory]
local artel = require "artel"
local values = require "bench.values"

local MODULE = "bench/artel/workers/tasks.lua"

local options = values.options { n = 10000, workers = 2, transport = "auto" }

local factory = artel.WorkerFactory.new { transport = options.transport }

local function open(workers)
  local pool = assert(factory:createWorkerPool(MODULE, workers))
  assert(pool:waitUntilReady())
  local asked = options.transport -- a figure must never stand under another's name
  if asked ~= "auto" and not tostring(pool[1]):find(asked, 1, true) then
    error("asked for " .. asked .. ", got " .. tostring(pool[1]), 0)
  end
  return pool
end

local function list(count, make)
  local items = {}
  for i = 1, count do items[i] = make(i) end
  return items
end

--- Seconds of one map over the pool, after a small one that wakes every worker.
local function timedMap(workers, items)
  local pool <close> = open(workers)
  assert(pool:map(table.move(items, 1, 2 * workers, 1, {})))
  local began = values.now()
  local results = assert(pool:map(items))
  local seconds = values.now() - began
  assert(#results == #items)
  return seconds, results
end

local workloads = {}

function workloads.map()
  local items = list(options.n, function(i) return i end)
  local seconds, results = timedMap(options.workers, items)
  for i, result in ipairs(results) do assert(result == i * i) end
  values.print("ns_per_op", seconds * 1e9 / options.n)
end

function workloads.cpu()
  local rounds = values.calibrate(0.02)
  local items = list(options.n, function() return { rounds = rounds } end)
  local one = timedMap(1, items)
  values.print("speedup", one / timedMap(2, items))
end

function workloads.start()
  local began = values.now()
  local pool <close> = open(options.workers)
  values.printSince(began, 1)
  assert(#pool == options.workers)
end

workloads[options[1]]()
