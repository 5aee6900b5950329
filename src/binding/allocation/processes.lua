-- SPDX-License-Identifier: Apache-2.0
-- Workers and daemons, from start to end.

local _, support, exchange, scenario = ...
local TIMEOUT, awaitChildren, without = support.TIMEOUT, support.awaitChildren, support.without
local checkLack, checkLacks = support.checkLack, support.checkLacks
local note, places = support.note, support.places

-- ---- processes ----

-- In place of the host: it ends as that does, when its master has gone.
local SHELL = { path = "/bin/sh", argv = { "sh", "-c", "cat <&3 >/dev/null" }, plan = {} }

local function withShell(options)
  for name, value in pairs(SHELL) do options[name] = value end
  return options
end

local function startAndDrop(run)
  note(run, 1, run.core.startWorker, run.options)
  if not run.values[1] then return end
  run.values[1] = nil
  collectgarbage() -- its finaliser is called, and memory is still short
end

for _, options in ipairs {
  withShell { transport = "socket", claims = true },
  withShell { transport = "shared-memory", ringSize = 65536 },
  withShell { transport = "auto", ringSize = 65536, claims = true, captureErrors = true },
} do
  scenario { name = "a worker dropped, " .. options.transport, anew = 1, run = function()
    local core = require "artel.core"
    local run = { core = core, options = options, values = places(1),
      problems = places(1) }
    local failed, ok, err = without(startAndDrop, run)
    if not ok then checkLack(err) end
    checkLacks(run.problems)
    run.values[1] = nil
    collectgarbage()
    awaitChildren(core)
    return failed
  end }
end

-- Lua's stack has to grow for it.
local NESTED = {}
for _ = 1, 60 do NESTED = { NESTED } end

-- Longer than a socket takes, so they wait for their reader: a string in C, a table in Lua, which
-- is loaded for that.
local LONG = ("x"):rep(1000000)
for _, message in ipairs { LONG, { LONG } } do
  scenario { name = "a long first " .. type(message), anew = 1, run = function()
    local core = require "artel.core"
    local hasFailed
    do
      local worker <close> = assert(core.startWorker(withShell { transport = "socket" }))
      local failed, ok, err = without(worker.sendMessage, worker, message)
      hasFailed = failed
      if not ok then
        checkLack(err)
        assert(core.pending(worker) == 0, "what raised an error is sent all the same")
      end
      collectgarbage()
      worker:sendMessage(message)
    end
    collectgarbage()
    awaitChildren(core)
    return hasFailed
  end }
end

scenario { name = "a daemon", anew = 1, run = function()
  local core = require "artel.core"
  local run = { core = core, values = places(1), problems = places(1),
    options = { path = "/bin/true", argv = { "true" }, plan = NESTED } }
  local failed, ok, err = without(note, run, 1, core.startDaemon, run.options)
  if not ok then checkLack(err) end
  checkLacks(run.problems)
  awaitChildren(core)
  return failed
end }

-- ---- other processes ----

local MESSAGES = exchange.MESSAGES

local ECHO = [[{ run = function(_, channel)
  require "artel.requests" -- and all that receiveRequest needs
  for message in channel:messages() do channel:sendMessage(message) end
end }]]

local function echo(run)
  for i = 1, #MESSAGES do
    exchange.send(run, i)
    if run.sent[i] then exchange.receive(run, i, TIMEOUT) end
  end
end

for _, options in ipairs {
  { transport = "socket" }, { transport = "shared-memory" },
  { transport = "socket", channelFactory = "json" },
} do
  local name = ("a worker that echoes, %s, %s"):format(options.transport, options.channelFactory or
    "msgpack")
  local worker
  scenario { name = name, run = function()
    local artel = require "artel"
    worker = worker or assert(artel.WorkerFactory.new(options):createWorkerWithExpression(ECHO))
    local run = exchange.newRun(worker, worker)
    local failed, ok, err = without(echo, run)
    if not ok then checkLack(err) end
    -- A worker that is told nothing more sends back what it has got, and ends.
    local sent, sendErr = worker:sendMessage "again"
    local message
    while sent do
      message, err = worker:receiveMessage(TIMEOUT)
      if message == nil or message == "again" then break end
      run.count = run.count + 1
      run.came[run.count] = message
    end
    local isOver = message ~= "again"
    for i = run.count + 1, #MESSAGES do run.came[i] = nil end
    exchange.checkArrived(run.sent, run.came, isOver)
    run.problems[#run.problems + 1] = isOver and err or false
    run.problems[#run.problems + 1] = sendErr
    checkLacks(run.problems)
    assert(failed or not isOver, tostring(err))
    if isOver or not failed then
      worker:close(TIMEOUT)
      assert(not worker:isRunning())
      worker = nil
    end
    return failed
  end }
end

local function spawnAndAsk(run)
  note(run, 1, run.factory.createWorkerWithExpression, run.factory, run.expression)
  local worker = run.values[1]
  if not worker then return end
  note(run, 2, worker.waitUntilReady, worker, TIMEOUT)
  note(run, 3, worker.request, worker, 4, run.options)
  note(run, 4, worker.close, worker, TIMEOUT)
end

local SQUARES = "{ onRequest = function(_, value) return value * value end }"

scenario { name = "a worker from start to end", dense = 1, stride = 3, run = function()
  local artel, core = require "artel", require "artel.core"
  local run = { factory = artel.WorkerFactory.new(), expression = SQUARES, values = places(4),
    problems = places(4), options = { timeout = TIMEOUT } }
  local failed, ok, err = without(spawnAndAsk, run)
  if not ok then checkLack(err) end
  for i = 1, 3 do
    if run.problems[i] then checkLacks { run.problems[i] } end
  end
  assert(run.values[3] == false or run.values[3] == nil or run.values[3] == 16)
  if not failed then assert(run.values[3] == 16 and run.values[4] == 0) end
  if run.values[1] then
    run.values[1]:close(TIMEOUT)
    assert(not run.values[1]:isRunning())
  end
  run.values[1] = false
  collectgarbage()
  awaitChildren(core)
  return failed
end }
