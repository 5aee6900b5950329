-- SPDX-License-Identifier: Apache-2.0
-- luv's own thread pool: a function that runs in libuv's worker threads.
--
--   UV_THREADPOOL_SIZE=2 lua5.4 luv_work.lua roundtrip|structured|stream|blob|map|cpu [-n N]
--
-- Chosen: one uv.new_work whose function is queued once for each item, the only form there
-- is. Threads take numbers, strings, booleans and nil, no tables: a structured value goes
-- through lua-cjson on both sides, as users write it. The pool has as many threads as the
-- others have workers. For map 128 items are queued at a time, which measured faster here
-- than queueing all of them at once.
local cjson = require "cjson"
local uv = require "luv"
local values = require "bench.values"

local MAP_WINDOW = 128

local function echo(value) return value end

local function echoTable(text)
  local json = require "cjson" -- each thread has a Lua state of its own
  return json.encode(json.decode(text))
end

local function square(n, index) return n * n, index end

-- Sees no upvalue either, so the loop of values.burn is written out.
local function burn(rounds)
  local state = 1
  for _ = 1, rounds do state = (state * 1103515245 + 12345) & 0x7fffffff end
  return state
end

--- Runs fn for 1..count with `window` items queued; send(i) → arguments, take(results...).
local function pump(fn, count, window, send, take)
  local sent, received = 0, 0
  local work
  local function fill()
    while sent < count and sent - received < window do
      sent = sent + 1
      work:queue(send(sent))
    end
  end
  work = uv.new_work(fn, function(...)
    received = received + 1
    take(...)
    fill()
  end)
  fill()
  uv.run()
  assert(received == count)
end

local function messages(options, fn, window, send, take)
  pump(fn, options.n // 10 + 1, window, send, take)
  local start = values.now()
  pump(fn, options.n, window, send, take)
  values.printSince(start, options.n)
  return values.now() - start
end

local function nothing() end

local workloads = {}

function workloads.roundtrip(options)
  messages(options, echo, 1, function() return values.SMALL end, nothing)
end

function workloads.stream(options)
  messages(options, echo, values.WINDOW, function() return values.SMALL end, nothing)
end

function workloads.structured(options)
  local value = values.structured()
  messages(options, echoTable, 1, function() return cjson.encode(value) end, cjson.decode)
end

function workloads.blob(options)
  local blob = ("x"):rep(options.s)
  local seconds = messages(options, echo, 1, function() return blob end, nothing)
  values.print("mib_per_second", 2 * options.s / 1048576 * options.n / seconds)
end

function workloads.map(options)
  local results = {}
  messages(options, square, MAP_WINDOW, function(i) return i, i end,
    function(result, index) results[index] = result end)
  assert(#results == options.n)
end

function workloads.cpu(options)
  local rounds = values.calibrate(0.02)
  local function send() return rounds end
  pump(burn, 2, 2, send, nothing)
  local start = values.now()
  pump(burn, options.n, 1, send, nothing)
  local one = values.now() - start
  start = values.now()
  pump(burn, options.n, 2, send, nothing)
  values.print("speedup", one / (values.now() - start))
end

local options = values.options { n = 10000, s = 16 * 1024 * 1024 }
workloads[options[1]](options)
