-- SPDX-License-Identifier: Apache-2.0
-- One shared worker and many masters.
local contender = require "bench.harness.workloads.contender"
local artel, reference = contender.artel, contender.reference

local function server(name, options, extra)
  return reference(name, "epoll_client {tmp}/epoll.sock " .. options .. " -n {n}", extra)
end

local RAW = "--serve raw_epoll"

local function atMost(limit) return { target = { atMost = limit } } end

local masters = {
  name = "masters",
  title = "64 masters at one shared worker",
  measures = "µs a message over all clients, each waiting for its echo before it sends again",
  figure = "ns_per_op", unit = { 1000, "µs" }, better = "lower", n = 200000,
  reference = "raw epoll",
  contenders = {
    server("raw epoll", RAW),
    artel("artel shared worker", "shared.lua masters -n {n}", atMost(1.25)),
    artel("artel shared worker, json", "shared.lua masters --encoding json -n {n}", atMost(1.25)),
    {
      name = "redis-server", kind = "peer", needs = "redis-server",
      command = "bench/peers/redis {bin}/epoll_client {tmp}/redis.sock -n {n}",
    },
  },
}

local manyConnections = {
  name = "connections",
  title = "One more master beside 5,000 idle ones",
  measures = "µs for its round trip",
  figure = "ns_per_op", unit = { 1000, "µs" }, better = "lower", n = 20000,
  reference = "artel, 10 connections",
  contenders = {
    artel("artel, 10 connections", "shared.lua connections --idle 10 -n {n}"),
    artel("artel, 5,000 connections", "shared.lua connections --idle 5000 -n {n}", atMost(1.2)),
    server("raw epoll, 10 connections", RAW .. " --clients 1 --idle 10"),
    server("raw epoll, 5,000 connections", RAW .. " --clients 1 --idle 5000"),
  },
}

local connectionMemory = {
  name = "connection_memory",
  title = "Memory that each of 5,000 connections takes in the server",
  measures = "bytes each beyond the kernel's",
  figure = "bytes_per_connection", unit = { 1, "B" }, better = "lower", n = 100,
  contenders = {
    artel("artel shared worker", "shared.lua connections --idle 5000 -n {n}",
      { target = { atMost = 8192, absolute = true } }),
    artel("artel shared worker, json",
      "shared.lua connections --idle 5000 --encoding json -n {n}",
      { target = { atMost = 8192, absolute = true } }),
    {
      name = "redis-server", kind = "peer", needs = "redis-server",
      command = "bench/peers/redis {bin}/epoll_client {tmp}/redis.sock --clients 1 "
        .. "--idle 5000 -n {n}",
    },
  },
}

local autostart = {
  name = "autostart",
  title = "Autostart of a shared worker to its first reply",
  measures = "ms from connectToSharedWorker, where nothing listens, to the reply",
  figure = "ns_per_op", unit = { 1e6, "ms" }, better = "lower", n = 20,
  reference = "bare exec",
  contenders = {
    reference("bare exec", "bare_exec -n {n}", { n = 200 }),
    artel("artel, msgpack", "shared.lua autostart -n {n}", atMost(4)),
    artel("artel, json", "shared.lua autostart --encoding json -n {n}", atMost(4)),
  },
}

return { masters, manyConnections, connectionMemory, autostart }
