-- SPDX-License-Identifier: Apache-2.0
-- How cost grows with the size of messages, the count of workers and of connections.
local contender = require "bench.harness.workloads.contender"
local artel, reference = contender.artel, contender.reference
local node, python, luv = contender.node, contender.python, contender.luv

local KIB, MIB = 1024, 1024 * 1024

local function bytes(x)
  if x >= MIB then return x // MIB .. " MiB" end
  if x >= KIB then return x // KIB .. " KiB" end
  return x .. " B"
end

local function plain(x) return tostring(x) end

--- About as many bytes at every size, but never more messages than a second holds.
local function forSize(budget)
  return function(x) return math.max(3, math.min(10000, budget // x)) end
end

local size = {
  name = "grow_size",
  title = "Round trip by the size of the message",
  measures = "µs there and back of one string",
  figure = "ns_per_op", unit = { 1000, "µs" }, better = "lower",
  n = forSize(256 * MIB),
  reference = "raw socketpair",
  axis = { name = "size of the string", label = bytes },
  points = { 16, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB,
    64 * MIB },
  contenders = {
    artel("artel, shared memory", "dedicated.lua string --transport shared-memory -s {x} -n {n}"),
    reference("raw socketpair", "raw_socketpair pingpong -s {x} -n {n}"),
    artel("artel, socket", "dedicated.lua string --transport socket -s {x} -n {n}"),
    artel("artel, socket, json",
      "dedicated.lua string --transport socket --encoding json -s {x} -n {n}"),
    luv("luv threads (new_work)", "luv_work.lua blob -s {x} -n {n}"),
    node("Node worker_threads", "node_threads.js blob -s {x} -n {n}"),
    node("Node fork, json", "node_fork.js blob -s {x} -n {n}",
      { n = forSize(32 * MIB), upTo = 16 * MIB }),
    python("Python Pipe (bytes)", "python_multiprocessing.py blob -s {x} -n {n}"),
  },
}

local workers = {
  name = "grow_workers",
  title = "Trivial requests by the count of workers",
  measures = "µs a request of an ordered map, on the cores of this machine",
  figure = "ns_per_op", unit = { 1000, "µs" }, better = "lower", n = 50000,
  axis = { name = "workers", label = plain },
  points = { 1, 2, 4, 8, 16, 32, 64 },
  contenders = {
    artel("artel, shared memory",
      "pool.lua map --transport shared-memory --workers {x} -n {n}"),
    artel("artel, socket", "pool.lua map --transport socket --workers {x} -n {n}"),
    python("Python Pool, chunks", "python_multiprocessing.py map --workers {x} -n {n}"),
    python("Python Pool, one by one",
      "python_multiprocessing.py map --chunk 1 --workers {x} -n {n}", { n = 5000 }),
    node("piscina", "node_piscina.js map --workers {x} -n {n}",
      { n = 5000, needs = "piscina", upTo = 32 }),
  },
}

local starting = {
  name = "grow_pool_start",
  title = "Start of a pool by the count of workers",
  measures = "ms until every worker is ready",
  figure = "ns_per_op", unit = { 1e6, "ms" }, better = "lower", n = 1,
  axis = workers.axis,
  points = workers.points,
  contenders = {
    artel("artel, shared memory", "pool.lua start --transport shared-memory --workers {x}"),
    artel("artel, socket", "pool.lua start --transport socket --workers {x}"),
  },
}

local CONNECTIONS = { 10, 50, 200, 1000, 2000, 5000 }

local connections = {
  name = "grow_connections",
  title = "One master's round trip by the count of idle connections",
  measures = "µs for a round trip at a shared worker",
  figure = "ns_per_op", unit = { 1000, "µs" }, better = "lower", n = 10000,
  reference = "raw epoll",
  axis = { name = "idle connections", label = plain },
  points = CONNECTIONS,
  contenders = {
    artel("artel", "shared.lua connections --idle {x} -n {n}"),
    reference("raw epoll",
      "epoll_client {tmp}/epoll.sock --serve raw_epoll --clients 1 --idle {x} -n {n}"),
  },
}

return { size, workers, starting, connections }
