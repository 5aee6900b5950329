-- SPDX-License-Identifier: Apache-2.0
-- What Lua programmers glue together today: uv.spawn of lua5.4 with pipes on its standard
-- input and output.
--
--   lua5.4 luv_spawn.lua roundtrip|structured|stream|blob|life|memory [-n N]
--
-- Chosen: one line a message, read by the worker with blocking io.read and no library; a
-- structured value is a line of lua-cjson, decoded and encoded again by the worker; a blob
-- goes with its length in front, so that nobody searches 16 MiB for a newline.
local cjson = require "cjson"
local uv = require "luv"
local values = require "bench.values"

local LINES = [[
for line in io.lines() do
  io.write(line, "\n")
  io.flush()
end]]

local TABLES = [[
local cjson = require "cjson"
for line in io.lines() do
  io.write(cjson.encode(cjson.decode(line)), "\n")
  io.flush()
end]]

local BLOBS = [[
for line in io.lines() do
  io.write(line, "\n", io.read(tonumber(line)))
  io.flush()
end]]

--- A worker; onLine is called for each line it writes, unless onBytes takes raw bytes.
local function start(source, onLine, onBytes)
  local stdin, stdout = uv.new_pipe(false), uv.new_pipe(false)
  local worker = { stdin = stdin }
  worker.handle, worker.pid = uv.spawn("lua5.4", {
    args = { "-e", source },
    stdio = { stdin, stdout, 2 },
  }, function()
    worker.handle:close()
  end)
  local rest = ""
  uv.read_start(stdout, function(err, bytes)
    assert(not err, err)
    if not bytes then
      stdout:close()
    elseif onBytes then
      onBytes(bytes)
    else
      rest = rest .. bytes
      local from = 1
      while true do
        local at = rest:find("\n", from, true)
        if not at then break end
        local line = rest:sub(from, at - 1)
        from = at + 1
        onLine(line)
      end
      rest = rest:sub(from)
    end
  end)
  return worker
end

local function stop(worker) worker.stdin:close() end

--- Sends count lines with `window` under way, then calls done.
local function pump(worker, count, window, encode, done)
  local sent, received = 0, 0
  local function fill()
    while sent < count and sent - received < window do
      sent = sent + 1
      worker.stdin:write(encode() .. "\n")
    end
  end
  worker.onReply = function()
    received = received + 1
    if received == count then return done() end
    fill()
  end
  fill()
end

local function lines(options, source, window, encode, decode)
  local worker
  worker = start(source, function(line)
    decode(line)
    worker.onReply()
  end)
  pump(worker, options.n // 10 + 1, window, encode, function()
    local began = values.now()
    pump(worker, options.n, window, encode, function()
      values.printSince(began, options.n)
      stop(worker)
    end)
  end)
  uv.run()
end

local function small() return tostring(values.SMALL) end

local workloads = {}

function workloads.roundtrip(options) lines(options, LINES, 1, small, tonumber) end

function workloads.stream(options) lines(options, LINES, values.WINDOW, small, tonumber) end

function workloads.structured(options)
  local value = values.structured()
  lines(options, TABLES, 1, function() return cjson.encode(value) end, cjson.decode)
end

function workloads.blob(options)
  local blob = ("x"):rep(options.s)
  local header = #blob .. "\n"
  local parts, missing, round, began = {}, 0, -1, nil
  local worker
  local function sendBlob()
    missing = #header + #blob
    worker.stdin:write { header, blob }
  end
  worker = start(BLOBS, nil, function(bytes)
    parts[#parts + 1] = bytes
    missing = missing - #bytes
    if missing > 0 then return end
    assert(#table.concat(parts) == #header + #blob) -- the message is one string in the end
    parts = {}
    round = round + 1
    if round == 0 then began = values.now() end
    if round < options.n then return sendBlob() end
    local seconds = values.now() - began
    values.print("ns_per_op", seconds * 1e9 / options.n)
    values.print("mib_per_second", 2 * #blob / 1048576 * options.n / seconds)
    stop(worker)
  end)
  sendBlob()
  uv.run()
end

function workloads.life(options)
  local began
  for i = -1, options.n - 1 do
    if i == 0 then began = values.now() end
    local worker
    worker = start(LINES, function() stop(worker) end)
    worker.stdin:write(small() .. "\n")
    uv.run()
  end
  values.printSince(began, options.n)
end

function workloads.memory()
  local workers, answered = {}, 0
  for i = 1, 8 do
    workers[i] = start(LINES, function()
      answered = answered + 1
      if answered < 8 then return end
      local total = 0
      for _, worker in ipairs(workers) do total = total + values.memoryOf(worker.pid) end
      values.print("kib_per_worker", total / 8)
      for _, worker in ipairs(workers) do stop(worker) end
    end)
  end
  for _, worker in ipairs(workers) do worker.stdin:write(small() .. "\n") end
  uv.run()
end

local options = values.options { n = 10000, s = 16 * 1024 * 1024 }
workloads[options[1]](options)
