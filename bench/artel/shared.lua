-- SPDX-License-Identifier: Apache-2.0
-- artel's shared worker: driven by the same C clients as raw_epoll, and started on demand.
--
--   shared.lua masters|connections|autostart [-n N] [--idle 0] [--encoding msgpack|json]
local artel = require "artel"
local values = require "bench.values"

local MODULE = "bench/artel/workers/echo_evented.lua"

--- As many descriptors as the system lets a worker have: 5,000 connections need more than
--- the 1,024 that are usual.
local function mostFiles()
  local pipe = assert(io.popen("ulimit -H -n"))
  local most = pipe:read("n")
  pipe:close()
  return most or 65536 -- "unlimited"
end

local options = values.options { n = 10000, idle = 0, encoding = "msgpack" }

local folder = os.getenv("BENCH_TMP") or "/tmp"
local path = ("%s/artel-%s.sock"):format(folder, options.encoding)
local address = "unix://" .. path

local factory = artel.WorkerFactory.new {
  channelFactory = options.encoding,
  adminCookie = "bench",
  resourceLimits = { openFiles = mostFiles() },
}

--- Runs the C clients against the worker; they print the figures.
local function drive(arguments)
  assert(factory:startSharedWorker(address, MODULE))
  local pid = assert(factory:getSharedWorkerProcessId(address))
  local client = assert(os.getenv("BENCH_BIN"), "BENCH_BIN is not set: use bench/run")
  local ok = os.execute(("'%s/epoll_client' '%s' --frames %s --pid %d -n %d %s"):format(
    client, path, options.encoding, pid, options.n, arguments))
  assert(factory:stopSharedWorker(address))
  assert(ok, "the clients failed")
end

local workloads = {}

function workloads.masters() drive("--clients 64") end

function workloads.connections() drive("--clients 1 --idle " .. options.idle) end

function workloads.autostart()
  local total = 0
  for i = 0, options.n do
    local began = values.now()
    do
      local worker <close> = assert(factory:connectToSharedWorker(address, MODULE))
      worker:sendMessage(i)
      assert(worker:receiveMessage() == i)
      if i > 0 then total = total + values.now() - began end -- the first warms the caches
    end
    assert(factory:stopSharedWorker(address))
  end
  values.print("ns_per_op", total * 1e9 / options.n)
end

workloads[options[1]]()
