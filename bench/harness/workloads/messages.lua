-- SPDX-License-Identifier: Apache-2.0
-- One master, one worker: round trips, structured values, streams, blobs.
local contender = require "bench.harness.workloads.contender"
local artel, reference = contender.artel, contender.reference
local node, python, luv = contender.node, contender.python, contender.luv

local MICROSECONDS = { 1000, "µs" }

local function atMost(limit) return { target = { atMost = limit } } end

local roundTrip = {
  name = "round_trip",
  title = "Round trip of a small integer",
  measures = "µs from sending a message to having its echo",
  figure = "ns_per_op", unit = MICROSECONDS, better = "lower", n = 40000,
  reference = "raw socketpair",
  contenders = {
    reference("raw socketpair", "raw_socketpair pingpong -n {n}"),
    reference("raw ring, spinning", "raw_ring pingpong -n {n}", { n = 1000000 }),
    artel("artel raw, shared memory",
      "dedicated.lua roundtrip --transport shared-memory -n {n}", atMost(0.12)),
    artel("artel evented, shared memory",
      "dedicated.lua roundtrip --worker evented --transport shared-memory -n {n}", atMost(0.15)),
    artel("artel raw, socket", "dedicated.lua roundtrip --transport socket -n {n}", atMost(1.10)),
    artel("artel evented, socket",
      "dedicated.lua roundtrip --worker evented --transport socket -n {n}", atMost(1.25)),
    artel("artel raw, socket, json",
      "dedicated.lua roundtrip --transport socket --encoding json -n {n}", atMost(1.10)),
    artel("artel evented, socket, json",
      "dedicated.lua roundtrip --worker evented --transport socket --encoding json -n {n}",
      atMost(1.25)),
    luv("luv threads (new_work)", "luv_work.lua roundtrip -n {n}"),
    luv("luv spawn and pipes", "luv_spawn.lua roundtrip -n {n}"),
    node("Node worker_threads", "node_threads.js roundtrip -n {n}"),
    node("Node fork, json", "node_fork.js roundtrip -n {n}"),
    node("Node fork, advanced", "node_fork.js roundtrip --advanced -n {n}"),
    python("Python Process and Pipe", "python_multiprocessing.py roundtrip -n {n}"),
  },
}

local function onOneProcessor(entry)
  entry.command = "taskset -c 0 " .. entry.command
  entry.needs = "taskset"
  return entry
end

local oneProcessor = {
  name = "round_trip_one_cpu",
  title = "Round trip of a small integer, one CPU allowed",
  measures = "µs from sending a message to having its echo, both processes on one CPU",
  figure = "ns_per_op", unit = MICROSECONDS, better = "lower", n = 40000,
  reference = "raw socketpair",
  contenders = {
    onOneProcessor(reference("raw socketpair", "raw_socketpair pingpong -n {n}")),
    onOneProcessor(artel("artel raw, shared memory",
      "dedicated.lua roundtrip --transport shared-memory -n {n}", atMost(1.15))),
    onOneProcessor(artel("artel evented, shared memory",
      "dedicated.lua roundtrip --worker evented --transport shared-memory -n {n}", atMost(1.15))),
    onOneProcessor(artel("artel raw, socket",
      "dedicated.lua roundtrip --transport socket -n {n}", atMost(1.15))),
    onOneProcessor(artel("artel evented, socket",
      "dedicated.lua roundtrip --worker evented --transport socket -n {n}", atMost(1.15))),
  },
}

local structured = {
  name = "structured",
  title = "Round trip of a 1 KB table",
  measures = "µs there and back, 20 string fields and a list of 20 integers",
  figure = "ns_per_op", unit = MICROSECONDS, better = "lower", n = 20000,
  reference = "raw socketpair, 8 bytes",
  contenders = {
    reference("raw socketpair, 8 bytes", "raw_socketpair pingpong -n {n}"),
    reference("raw socketpair, 1,000 bytes", "raw_socketpair pingpong -s 1000 -n {n}"),
    artel("artel raw, shared memory",
      "dedicated.lua structured --transport shared-memory -n {n}", atMost(0.4)),
    artel("artel raw, socket", "dedicated.lua structured --transport socket -n {n}", atMost(1.5)),
    artel("artel raw, socket, json",
      "dedicated.lua structured --transport socket --encoding json -n {n}", atMost(1.5)),
    artel("artel evented, socket",
      "dedicated.lua structured --worker evented --transport socket -n {n}"),
    luv("luv threads and cjson", "luv_work.lua structured -n {n}"),
    luv("luv spawn and cjson", "luv_spawn.lua structured -n {n}"),
    node("Node worker_threads", "node_threads.js structured -n {n}"),
    node("Node fork, json", "node_fork.js structured -n {n}"),
    node("Node fork, advanced", "node_fork.js structured --advanced -n {n}"),
    python("Python Process and Pipe", "python_multiprocessing.py structured -n {n}"),
  },
}

local stream = {
  name = "stream",
  title = "Small messages streamed both ways",
  measures = "µs a message and its echo, 200 under way, one sendMessage each",
  figure = "ns_per_op", unit = MICROSECONDS, better = "lower", n = 100000,
  reference = "raw stream",
  contenders = {
    reference("raw stream", "raw_stream -n {n}"),
    reference("raw ring, spinning", "raw_ring stream -n {n}", { n = 2000000 }),
    artel("artel raw, shared memory",
      "dedicated.lua stream --transport shared-memory -n {n}", atMost(0.12)),
    artel("artel raw, socket", "dedicated.lua stream --transport socket -n {n}", atMost(1.0)),
    artel("artel evented, socket",
      "dedicated.lua stream --worker evented --transport socket -n {n}", atMost(1.0)),
    artel("artel raw, socket, json",
      "dedicated.lua stream --transport socket --encoding json -n {n}", atMost(1.0)),
    luv("luv threads (new_work)", "luv_work.lua stream -n {n}"),
    luv("luv spawn and pipes", "luv_spawn.lua stream -n {n}", { n = 40000 }),
    node("Node worker_threads", "node_threads.js stream -n {n}"),
    node("Node fork, json", "node_fork.js stream -n {n}"),
    node("Node fork, advanced", "node_fork.js stream --advanced -n {n}", { n = 40000 }),
    python("Python Process and Pipe", "python_multiprocessing.py stream -n {n}", { n = 40000 }),
  },
}

local function atLeast(limit) return { target = { atLeast = limit } } end

local blob = {
  name = "blob",
  title = "A string of 16 MiB there and back",
  measures = "MiB a second, both directions counted",
  figure = "mib_per_second", unit = { 1, "MiB/s" }, better = "higher", n = 60,
  reference = "raw copy",
  contenders = {
    reference("raw copy", "raw_copy -n {n}"),
    artel("artel raw, shared memory",
      "dedicated.lua blob --transport shared-memory -n {n}", atLeast(0.8)),
    artel("artel raw, socket", "dedicated.lua blob --transport socket -n {n}", atLeast(0.6)),
    artel("artel raw, socket, json",
      "dedicated.lua blob --transport socket --encoding json -n {n}"),
    luv("luv threads (new_work)", "luv_work.lua blob -n {n}"),
    luv("luv spawn and pipes", "luv_spawn.lua blob -n {n}"),
    node("Node worker_threads", "node_threads.js blob -n {n}"),
    node("Node fork, json", "node_fork.js blob -n {n}", { n = 4 }),
    node("Node fork, advanced", "node_fork.js blob --advanced -n {n}", { n = 4 }),
    python("Python Process and Pipe (bytes)", "python_multiprocessing.py blob -n {n}"),
  },
}

return { roundTrip, oneProcessor, structured, stream, blob }
