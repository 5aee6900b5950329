-- SPDX-License-Identifier: Apache-2.0
-- What a worker costs to have: its life and its memory.
local contender = require "bench.harness.workloads.contender"
local artel, reference = contender.artel, contender.reference
local node, python, luv = contender.node, contender.python, contender.luv

local life = {
  name = "life",
  title = "The life of a worker",
  measures = "ms for spawn, first reply and exit",
  figure = "ns_per_op", unit = { 1e6, "ms" }, better = "lower", n = 60,
  reference = "bare exec",
  contenders = {
    reference("bare exec", "bare_exec -n {n}", { n = 200 }),
    artel("artel raw, shared memory", "dedicated.lua life --transport shared-memory -n {n}",
      { target = { atMost = 2.0 } }),
    artel("artel raw, socket", "dedicated.lua life --transport socket -n {n}",
      { target = { atMost = 2.0 } }),
    artel("artel evented, socket",
      "dedicated.lua life --worker evented --transport socket -n {n}"),
    luv("luv spawn and pipes", "luv_spawn.lua life -n {n}"),
    node("Node worker_threads", "node_threads.js life -n {n}", { n = 15 }),
    node("Node fork", "node_fork.js life -n {n}", { n = 10 }),
    python("Python Process and Pipe (fork)", "python_multiprocessing.py life -n {n}"),
  },
}

local function most(kibibytes) return { target = { atMost = kibibytes, absolute = true } } end

local memory = {
  name = "memory",
  title = "Memory of an idle worker",
  measures = "KiB each for 8 workers after one reply (PSS: shared pages counted by their share)",
  figure = "kib_per_worker", unit = { 1, "KiB" }, better = "lower",
  contenders = {
    artel("artel raw, socket", "dedicated.lua memory --transport socket", most(500)),
    artel("artel raw, shared memory", "dedicated.lua memory --transport shared-memory", most(550)),
    artel("artel raw, shared memory, after traffic",
      "dedicated.lua memory --traffic --transport shared-memory", most(550 + 256)),
    artel("artel raw, socket, after traffic",
      "dedicated.lua memory --traffic --transport socket"),
    artel("artel evented, socket", "dedicated.lua memory --worker evented --transport socket"),
    luv("luv spawn, no library", "luv_spawn.lua memory"),
    node("Node worker_threads", "node_threads.js memory"),
    node("Node fork", "node_fork.js memory"),
    python("Python Process and Pipe (fork)", "python_multiprocessing.py memory"),
  },
}

return { life, memory }
