-- SPDX-License-Identifier: Apache-2.0
-- Many requests over two workers: trivial ones, and ones that keep a processor busy.
local contender = require "bench.harness.workloads.contender"
local artel, reference = contender.artel, contender.reference
local node, python, luv = contender.node, contender.python, contender.luv

local map = {
  name = "map",
  title = "An ordered map of 100,000 trivial requests over 2 workers",
  measures = "µs a request",
  figure = "ns_per_op", unit = { 1000, "µs" }, better = "lower", n = 100000,
  reference = "raw map",
  contenders = {
    reference("raw map", "raw_socketpair map -n {n}", { n = 400000 }),
    reference("raw map, one send each", "raw_socketpair map --one-by-one -n {n}"),
    artel("artel pool, shared memory", "pool.lua map --transport shared-memory -n {n}",
      { target = { atMost = 1.0 } }),
    artel("artel pool, socket", "pool.lua map --transport socket -n {n}",
      { target = { atMost = 2.0 } }),
    luv("luv threads (new_work)", "luv_work.lua map -n {n}"),
    node("piscina", "node_piscina.js map -n {n}", { n = 20000, needs = "piscina" }),
    python("Python Pool, its own chunks", "python_multiprocessing.py map -n {n}"),
    python("Python Pool, one by one", "python_multiprocessing.py map --chunk 1 -n {n}",
      { n = 20000 }),
    python("Python executor, chunks of 2,500", "python_executor.py map --chunk 2500 -n {n}"),
    python("Python executor, one by one", "python_executor.py map -n {n}", { n = 10000 }),
  },
}

local function atLeast(limit) return { target = { atLeast = limit, absolute = true } } end

local cpu = {
  name = "map_cpu",
  title = "A map of 20 ms CPU tasks: what a second worker brings",
  measures = "time with one worker divided by time with two, on two cores",
  figure = "speedup", unit = { 1, "×" }, better = "higher", n = 50,
  contenders = {
    artel("artel pool, shared memory", "pool.lua cpu --transport shared-memory -n {n}",
      atLeast(1.95)),
    artel("artel pool, socket", "pool.lua cpu --transport socket -n {n}", atLeast(1.95)),
    luv("luv threads (new_work)", "luv_work.lua cpu -n {n}"),
    node("piscina", "node_piscina.js cpu -n {n}", { needs = "piscina" }),
    python("Python Pool", "python_multiprocessing.py cpu -n {n}"),
    python("Python executor", "python_executor.py cpu -n {n}"),
  },
}

return { map, cpu }
