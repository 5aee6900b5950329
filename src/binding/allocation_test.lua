-- SPDX-License-Identifier: Apache-2.0
-- The scenarios of allocation_test.c. `run()` of each does its deed between arm() and disarm(),
-- then looks, with memory there again, at what has become of everything it has used, and
-- answers whether an allocation had failed. It is called for the first allocation, the second
-- and so on until none has failed: in one Lua state, or where it says `anew` in a new one each
-- time. Where there are too many, it is called for each up to the `dense`th, and for each
-- `stride`th from there on.

local test = ...
package.path, package.cpath = "lua/?.lua;lua/?/init.lua", ""

local scenarios = {}
local collectgarbage, ipairs, pcall, type = collectgarbage, ipairs, pcall, type

-- Seconds for what comes at once.
local TIMEOUT = 10

--- Calls the deed while allocations fail. Finalisers wait until there is memory again: Lua
--- itself forgets one whose call it has no memory for.
---@return boolean failed whether one has
---@return boolean ok
---@return any err
local function without(deed, ...)
  collectgarbage "stop"
  test.arm()
  local ok, err = pcall(deed, ...)
  local failed = test.disarm()
  collectgarbage "restart"
  return failed, ok, err
end

local function isLack(err)
  local text = tostring(err)
  return type(err) == "table" and err.errno == "ENOMEM" or text:find "not enough memory"
    or text:find "Cannot allocate memory"
end

--- The only thing that may have gone wrong.
local function checkLack(err)
  if not isLack(err) then
    error("another error than that memory was short: " .. tostring(err), 2)
  end
end

--- The same of a list of errors, and false: one end may tell of it, and the other one that its
--- peer has gone.
local function checkLacks(errors)
  local lacks, others = 0, nil
  for _, err in ipairs(errors) do
    if err and isLack(err) then
      lacks = lacks + 1
    elseif err and err.kind ~= "timeout" then
      others = err
      if err.kind ~= "closed" then checkLack(err) end
    end
  end
  if others and lacks == 0 then checkLack(others) end
end

--- A list of `count` places: to write into it takes no memory.
local function places(count)
  local list = {}
  for i = 1, count do list[i] = false end
  return list
end

local function isSame(left, right)
  if type(left) ~= "table" or type(right) ~= "table" then return left == right end
  for key, value in pairs(left) do
    if not isSame(value, right[key]) then return false end
  end
  for key in pairs(right) do
    if left[key] == nil then return false end
  end
  return true
end

-- ---- messages between two ends ----

local WIDE = {}
for i = 1, 60 do WIDE[i] = { name = "number " .. i, half = i / 2, list = { i, i + 1 } } end

local MESSAGES = {
  1, "text", 2.5, true, { "list", "of", { depth = { 3 } } }, ("x"):rep(3000), WIDE,
  ("long"):rep(25000), { key = ("y"):rep(40), other = {} },
  ("longer than a socket takes"):rep(40000), "last",
}

--- Whether `came` is what was sent, in order: all of it, or a beginning where the end may have
--- been lost.
local function checkArrived(sent, came, mayEnd)
  local at = 0
  for i, message in ipairs(MESSAGES) do
    if sent[i] == true then
      at = at + 1
      if came[at] == nil and mayEnd then return end
      assert(isSame(message, came[at]), ("message %d did not arrive as it was sent"):format(i))
    end
  end
  assert(came[at + 1] == nil, "a message arrived that was not sent")
end

--- Sends all messages, and receives at the other end behind each. What happens to either end is
--- noted in `run`.
local function exchange(run)
  local left, right = run.left, run.right
  for i = 1, run.most or #MESSAGES do
    local ok, sent, err = pcall(left.sendMessage, left, MESSAGES[i])
    if ok and sent then run.sent[i] = true else run.problems[i] = err or sent end
    local message
    ok, message, err = pcall(right.receiveMessage, right, 0)
    if ok and message ~= nil then
      run.count = run.count + 1
      run.came[run.count] = message
    else
      run.problems[#MESSAGES + i] = err or message
    end
  end
end

--- Receives what is still to come; answers why there is no more. A time-out of 0 takes in only so
--- much each time.
local function receiveRest(run)
  local message, err
  local left = 8
  while left > 0 do
    message, err = run.right:receiveMessage(0)
    if message ~= nil then
      run.count = run.count + 1
      run.came[run.count] = message
    else
      left = left - 1
    end
  end
  return err
end

local function newRun(left, right)
  return { left = left, right = right, sent = places(#MESSAGES), count = 0,
    came = places(#MESSAGES), problems = places(2 * #MESSAGES) }
end

local function checkExchange(run, failed, ok, err)
  if not ok then checkLack(err) end
  run.left:flush(TIMEOUT)
  err = receiveRest(run)
  local isOver = err.kind ~= "timeout"
  for i = run.count + 1, #MESSAGES do run.came[i] = nil end
  local sent, sendErr = run.left:sendMessage "again"
  checkArrived(run.sent, run.came, isOver or not sent)
  if not sent then assert(receiveRest(run).kind ~= "timeout", "a peer waits for what is lost") end
  if sent and not isOver then
    local message, lost = run.right:receiveMessage(TIMEOUT)
    assert(message == "again", tostring(lost or message):sub(1, 200))
  end
  run.problems[#run.problems + 1] = err
  run.problems[#run.problems + 1] = sendErr
  checkLacks(run.problems)
  assert(failed or sent and not isOver, ("%s, %s"):format(err, sendErr))
end

for _, encoding in ipairs { "msgpack", "json" } do
  scenarios[#scenarios + 1] = { name = "messages in " .. encoding, run = function()
    local artel = require "artel"
    local run = newRun(assert(artel.channelPair(encoding)))
    local failed, ok, err = without(exchange, run)
    checkExchange(run, failed, ok, err)
    run.left:close()
    run.right:close()
    return failed
  end }
end

--- Adds a scenario.
local function scenario(fields) scenarios[#scenarios + 1] = fields end

-- What no socket has to be read for meanwhile.
local SHORT = 9

-- Everything that is loaded and made at first need is so while memory is short.
scenario { name = "first messages", anew = 1, dense = 200, stride = 47, run = function()
  local core = require "artel.core"
  local run = newRun(assert(core.pair { encoding = "msgpack" }))
  run.most = SHORT
  local failed, ok, err = without(exchange, run)
  checkExchange(run, failed, ok, err)
  return failed
end }

-- What the methods that are written in Lua are loaded at.
scenario { name = "a first method", anew = 1, dense = 40, stride = 41, run = function()
  local core = require "artel.core"
  local left, right = assert(core.pair {})
  local options = { timeout = 0 }
  local function ask() return left:request(1, options) end
  local failed, ok, err = without(ask)
  if not ok then checkLack(err) end
  ok, err = select(2, pcall(ask))
  assert(ok == nil and err.kind == "timeout", tostring(err or ok))
  assert(right:receiveRequest(0) == 1)
  return failed
end }

-- ---- what is loaded ----

scenario { name = "loading artel.core", anew = 1, run = function()
  local failed, ok, err = without(test.openCore)
  if not ok then checkLack(err) end
  local core = test.openCore()
  assert(core.pair {} and core.sockets.connect)
  return failed
end }

scenario { name = "loading artel", anew = 1, dense = 1, stride = 211, run = function()
  local failed, ok, err = without(require, "artel")
  if not ok then checkLack(err) end
  local left, right = require "artel".channelPair()
  assert(left:sendMessage "loaded")
  assert(right:receiveMessage(TIMEOUT) == "loaded")
  return failed
end }

-- ---- requests ----

-- Both ends are in this process, so the steps of request() are taken one by one.
local function askAndAnswer(run)
  local requests, waiting = run.requests, run.waiting
  for i = 1, #run.waiters do
    local waiter = run.waiters[i]
    local ok, id, err = pcall(requests.begin, run.left, run.leftState, i, waiter)
    if ok and id then waiter.id, run.asked[i] = id, true else run.problems[i] = err or id end
    local value, reply
    ok, value, reply = pcall(run.right.receiveRequest, run.right, 0)
    if ok and value ~= nil then
      run.heard[value] = run.heard[value] and 2 or 1
      for _ = 1, 3 do
        ok, err = pcall(reply, value * 10)
        if ok then break end
        run.problems[100 + i] = err
      end
      run.answered[value] = ok and err
    end
    pcall(waiting.await, run.left, run.leftState, waiter, 0, 1)
  end
end

for _, encoding in ipairs { "msgpack", "json" } do
  scenario { name = "requests in " .. encoding, run = function()
    local artel, dispatch = require "artel", require "artel.dispatch"
    local scheduler = require "artel.scheduler"
    local COUNT = 4
    local run = { requests = require "artel.requests", waiting = require "artel.waiting",
      waiters = {}, asked = places(COUNT), heard = places(COUNT), answered = places(COUNT),
      problems = places(200) }
    run.left, run.right = assert(artel.channelPair(encoding))
    run.leftState = dispatch.stateOf(run.left)
    dispatch.stateOf(run.right).answersRequests = true
    for i = 1, COUNT do
      run.waiters[i] = scheduler.newWaiter(function() end)
      run.left:sendMessage("aside " .. i)
    end
    local failed, ok, err = without(askAndAnswer, run)
    if not ok then checkLack(err) end
    while true do
      local value, reply = run.right:receiveRequest(0)
      if value == nil then
        err = reply
        break
      end
      run.heard[value] = run.heard[value] and 2 or 1
      run.answered[value] = reply(value * 10)
    end
    local isOver = err.kind ~= "timeout"
    run.waiting.await(run.left, run.leftState, scheduler.newWaiter(function() end), 0, 1)
    for i, waiter in ipairs(run.waiters) do
      assert(run.heard[i] ~= 2, "a request was heard twice")
      assert(not run.heard[i] or run.asked[i], "a request was heard that was not made")
      if run.asked[i] and not isOver and not run.leftState.ended then
        assert(run.heard[i], "a request was not heard")
        assert(not run.answered[i] or waiter.done, "an answer got lost")
      end
      if waiter.value then assert(waiter.value == i * 10) end
    end
    local messages = 0
    while run.right:receiveMessage(0) ~= nil do messages = messages + 1 end
    assert(isOver or messages == COUNT, "a message that was set aside got lost")
    run.problems[#run.problems + 1] = err
    run.problems[#run.problems + 1] = run.leftState.ended
    checkLacks(run.problems)
    run.left:close()
    run.right:close()
    return failed
  end }
end

-- ---- what cannot be sent or taken in ----

local DEEP = {}
for _ = 1, 200 do DEEP = { DEEP } end

--- Calls the method and notes what it answers: a value, or an error.
local function note(run, i, method, ...)
  local ok, value, err = pcall(method, ...)
  run.values[i], run.problems[i] = ok and value, ok and err or not ok and value
end

local function sendWrong(run)
  local left, right = run.left, run.right
  note(run, 1, left.sendMessage, left, print)
  note(run, 2, left.sendMessage, left, { key = { [1] = "a", b = { print } } })
  note(run, 3, left.sendMessage, left, DEEP)
  note(run, 4, left.sendMessage, left, ("z"):rep(5000))
  note(run, 5, run.putBytes, left, "\0\0\0\2\0\0\0\0\0\xc1\xc1")
  note(run, 6, left.sendMessage, left, "right")
  note(run, 7, right.receiveMessage, right, 0)
  note(run, 8, right.receiveMessage, right, 0)
end

local WRONG_KINDS = { "encode", "encode", "encode", "oversize", nil, nil, "decode" }

-- Anew: the class of errors is made at the first.
scenario { name = "errors", anew = 1, run = function()
  require "artel.channel"
  local core = require "artel.core"
  local run = { values = places(9), problems = places(9), putBytes = core.sockets.putBytes }
  run.left, run.right = core.pair { encoding = "msgpack", maxMessageSize = 4000 }
  local failed, ok, err = without(sendWrong, run)
  if not ok then checkLack(err) end
  for i, problem in ipairs(run.problems) do
    local kind = type(problem) == "table" and problem.kind
    if not failed then assert(kind == (WRONG_KINDS[i] or false), tostring(problem)) end
    if kind then assert(("told: " .. problem):find(kind, 1, true) == 7) end -- the object is whole
    if problem and kind ~= "timeout" and kind ~= WRONG_KINDS[i] and kind ~= WRONG_KINDS[i - 1] then
      checkLack(problem)
    end
  end
  local last = run.values[8] or run.values[7]
  while last ~= "right" and run.values[6] do
    last, err = run.right:receiveMessage(0)
    if last == nil and err.kind ~= "decode" then
      checkLack(err)
      break
    end
  end
  return failed
end }

-- ---- descriptors ----

local function listenAndConnect(run)
  local sockets = run.core.sockets
  note(run, 1, sockets.listen, run.address, { backlog = 5 })
  if not run.values[1] then return end
  note(run, 2, sockets.connect, run.address, 1)
  note(run, 3, sockets.accept, run.values[1])
  if not run.values[2] or not run.values[3] then return end
  note(run, 4, sockets.openClient, run.values[2], run.options)
  note(run, 5, sockets.openServer, run.values[3], run.options)
  local client, server = run.values[4], run.values[5]
  if not client or not server then return end
  note(run, 6, client.sendMessage, client, "hello")
  note(run, 7, server.receiveMessage, server, 0)
end

for _, encoding in ipairs { "msgpack", "json" } do
  -- Anew: each class of userdata is made at first need.
  scenario { name = "sockets, " .. encoding, anew = 1, run = function()
    require "artel.channel"
    local core = require "artel.core"
    local folder = assert(core.files.temporaryDirectory())
    local run = { core = core, address = ("unix://%s/socket"):format(folder), values = places(8),
      problems = places(8), options = { encoding = encoding } }
    local failed, ok, err = without(listenAndConnect, run)
    if not ok then checkLack(err) end
    checkLacks(run.problems)
    if not failed then assert(run.values[7] == "hello") end
    core.files.remove(folder .. "/socket")
    for i = 1, 7 do run.values[i], run.problems[i] = nil, nil end
    collectgarbage()
    collectgarbage()
    -- Once more, now that there is memory: what was made is whole.
    listenAndConnect(run)
    assert(run.values[7] == "hello", tostring(run.problems[7]))
    assert(getmetatable(run.values[2]).__close)
    core.sockets.closeListener(run.values[1])
    core.files.remove(folder .. "/socket")
    core.files.remove(folder)
    return failed
  end }
end

local function watch(run)
  local core = run.core
  note(run, 1, core.watchSet.open)
  if not run.values[1] then return end
  note(run, 2, core.watchSet.put, run.values[1], core.stream(run.left), 1, true, false, true)
  note(run, 3, run.right.sendMessage, run.right, "here")
  note(run, 4, core.waitMany, run.both, 0)
  note(run, 5, core.pollStreams, { core.stream(run.left) }, { 1 }, 0)
  note(run, 6, run.select, run.both, 0)
end

scenario { name = "waiting", anew = 1, run = function()
  local artel, core = require "artel", require "artel.core"
  local run = { core = core, select = artel.select, values = places(7), problems = places(7) }
  run.left, run.right = assert(artel.channelPair())
  run.both = { run.left, run.right }
  local failed, ok, err = without(watch, run)
  if not ok then checkLack(err) end
  checkLacks(run.problems)
  if run.values[3] then
    assert(artel.select(run.both, TIMEOUT)[1] == run.left)
    local message
    message, err = run.left:receiveMessage(0)
    if message ~= "here" then checkLack(err) end
  end
  return failed
end }

-- ---- files and locks ----

local function useFiles(run)
  local files, sockets = run.core.files, run.core.sockets
  note(run, 1, files.absolutePath, "lua")
  note(run, 2, files.temporaryDirectory)
  note(run, 3, files.writeAtomically, run.path, "content", 384)
  note(run, 4, files.readRegular, run.path)
  note(run, 5, sockets.lockFile, run.path .. ".lock", true, 1, -1, -1, 384)
  note(run, 6, sockets.lockAddress, ("unix://%s.socket"):format(run.path), 1)
  note(run, 7, run.core.system.processorCount)
  note(run, 8, sockets.candidates, "tcp://localhost:1")
  note(run, 9, sockets.isServed, "tcp://127.0.0.1:1", 1)
end

scenario { name = "files and locks", anew = 1, run = function()
  local core = require "artel.core"
  local folder = assert(core.files.temporaryDirectory())
  local run = { core = core, path = folder .. "/file", values = places(9), problems = places(9) }
  local failed, ok, err = without(useFiles, run)
  if not ok then checkLack(err) end
  for i, problem in ipairs(run.problems) do
    -- The processors come with how they are found, and a file is there only if it was written.
    local isNone = i == 7 or i == 4 and not run.values[3]
    if problem and not isNone then checkLack(problem) end
  end
  local content = core.files.readRegular(run.path)
  if run.values[3] then assert(content == "content") else assert(content == nil) end
  if run.values[2] then core.files.remove(run.values[2]) end
  for i = 1, 9 do run.values[i] = false end
  collectgarbage()
  collectgarbage()
  for _, name in ipairs { "", ".lock", ".socket.lock" } do core.files.remove(run.path .. name) end
  local removed, reason = core.files.remove(folder)
  assert(removed, reason)
  return failed
end }

-- ---- processes ----

--- Waits until no child is left.
local function awaitChildren(core)
  local deadline = core.now() + TIMEOUT
  while test.hasChildren() do
    assert(core.now() < deadline, "a child is left")
    core.reap()
    core.pollStreams({}, {}, 0.001)
  end
end

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

-- Longer than a socket takes, so it waits for its reader. What of Lua's is needed for that is here
-- for the first time.
scenario { name = "a long first message", anew = 1, run = function()
  local core = require "artel.core"
  local hasFailed
  do
    local worker <close> = assert(core.startWorker(withShell { transport = "socket" }))
    local failed, ok, err = without(worker.sendMessage, worker, ("x"):rep(1000000))
    hasFailed = failed
    if not ok then
      checkLack(err)
      assert(core.pending(worker) == 0, "what raised an error is sent all the same")
    end
    collectgarbage()
    worker:sendMessage(("y"):rep(1000000))
  end
  collectgarbage()
  awaitChildren(core)
  return hasFailed
end }

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

local ECHO = [[{ run = function(_, channel)
  require "artel.requests" -- and all that receiveRequest needs
  for message in channel:messages() do channel:sendMessage(message) end
end }]]

local function echo(run)
  local worker = run.worker
  for i = 1, #MESSAGES do
    local ok, sent, err = pcall(worker.sendMessage, worker, MESSAGES[i])
    if ok and sent then run.sent[i] = true else run.problems[i] = err or sent end
    if run.sent[i] then
      local message
      ok, message, err = pcall(worker.receiveMessage, worker, TIMEOUT)
      if ok and message ~= nil then
        run.count = run.count + 1
        run.came[run.count] = message
      else
        run.problems[#MESSAGES + i] = err or message
      end
    end
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
    local run = newRun(worker, worker)
    run.worker = worker
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
    checkArrived(run.sent, run.came, isOver)
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

-- ---- pools ----

local function askPool(run)
  local pool = run.pool
  for i = 1, #run.values do note(run, i, pool.request, pool, i, run.options) end
  note(run, 1 + #run.values, pool.map, pool, run.items, run.options)
end

do
  local pool
  scenario { name = "a pool", run = function()
    local artel = require "artel"
    pool = pool or artel.createWorkerPoolWithExpression(SQUARES, 2)
    assert(pool:request(1, { timeout = TIMEOUT }) == 1)
    local run = { pool = pool, values = places(3), problems = places(4), items = { 5, 6, 7 },
      options = { timeout = TIMEOUT } }
    local failed, ok, err = without(askPool, run)
    if not ok then checkLack(err) end
    for i, problem in ipairs(run.problems) do
      if problem then checkLack(problem) end
      local value = run.values[i]
      if i <= 3 then assert(not value or value == i * i) end
    end
    local mapped = run.values[4]
    if mapped then
      for i, item in ipairs(run.items) do
        if type(mapped[i]) ~= "number" then checkLack(mapped[i]) end
        assert(type(mapped[i]) ~= "number" or mapped[i] == item * item)
      end
    end
    for i = 1, 4 do
      local answer
      answer, err = pool:request(i, { timeout = TIMEOUT })
      assert(answer == i * i, tostring(err))
    end
    local results = assert(pool:map({ 1, 2, 3 }, { timeout = TIMEOUT }))
    assert(results[1] == 1 and results[2] == 4 and results[3] == 9)
    if not failed then
      pool:close(TIMEOUT)
      pool = nil
    end
    return failed
  end }
end

local MORTAL = [[{ onRequest = function(_, value)
  if value < 0 then os.exit(3) end
  return value
end }]]

local function killAndAsk(run)
  local pool = run.pool
  note(run, 1, pool.request, pool, -1, run.options)
  note(run, 2, pool.request, pool, 2, run.options)
end

scenario { name = "a pool whose worker dies", dense = 1, stride = 5, run = function()
  local artel = require "artel"
  local pool <close> = artel.createWorkerPoolWithExpression(MORTAL, 1)
  assert(pool:request(1, { timeout = TIMEOUT }) == 1)
  local run = { pool = pool, values = places(2), problems = places(2),
    options = { timeout = TIMEOUT } }
  local failed, ok, err = without(killAndAsk, run)
  if not ok then checkLack(err) end
  assert(not run.values[1])
  if run.problems[1].kind ~= "closed" then checkLack(run.problems[1]) end
  if run.problems[2] then checkLack(run.problems[2]) else assert(run.values[2] == 2) end
  for i = 3, 4 do
    local answer
    answer, err = pool:request(i, { timeout = TIMEOUT })
    -- One that was given to a worker about to die ends with it.
    if answer ~= i then assert(failed and err.kind == "closed", tostring(err)) end
  end
  assert(pool:request(5, { timeout = TIMEOUT }) == 5)
  return failed
end }

-- ---- coroutines ----

-- So long the loop goes round while memory is short, seconds.
local SPELL = 0.002

--- One task answers requests and messages, one asks, one receives the messages.
local function converse(run)
  local async, left, right = run.async, run.left, run.right
  run.tasks[1] = async(function()
    for _ = 1, 3 do
      local value, reply = right:receiveRequest()
      if value == nil then error(reply, 0) end
      right:sendMessage(-value)
      reply(value * 10)
    end
  end)
  run.tasks[2] = async(function()
    for i = 1, 3 do run.answers[i] = left:request(i, run.options) end
  end)
  run.tasks[3] = async(function()
    for _ = 1, 3 do
      local message = left:receiveMessage()
      run.messages[-message] = message
    end
  end)
  local deadline = run.core.now() + 2 * SPELL -- the timer, too, may lack memory
  while not run.isOver and run.core.now() < deadline do
    local ok, err = pcall(run.loop.runOnce)
    if not ok then run.problem = err end
  end
end

local function isDone(tasks)
  for i = 1, 3 do
    if tasks[i] and not tasks[i]:isDone() then return false end
  end
  return true
end

local function goRound(run)
  local deadline = run.core.now() + TIMEOUT
  while not isDone(run.tasks) and not run.loop.isIdle() do
    assert(run.core.now() < deadline, "a task waits for ever")
    run.loop.runOnce()
  end
end

scenario { name = "coroutines", run = function()
  local artel, core = require "artel", require "artel.core"
  local loop = require "artel.loop_poll"
  require "artel.scheduler".setLoop(loop)
  local run = { loop = loop, core = core, async = artel.async, tasks = places(3), isOver = false,
    answers = places(3), messages = places(3), problem = false, options = { timeout = 0.2 } }
  run.left, run.right = assert(artel.channelPair())
  loop.after(SPELL, function() run.isOver = true end)
  local failed, ok, err = without(converse, run)
  if not ok then checkLack(err) end
  if run.problem then checkLack(run.problem) end
  if not failed then goRound(run) end
  for i = 1, 3 do
    assert(not run.answers[i] or run.answers[i] == i * 10)
    if not failed then assert(run.answers[i] and run.messages[i] == -i) end
  end
  -- Whoever still waits is told of the end.
  run.left:close()
  run.right:close()
  goRound(run)
  assert(isDone(run.tasks), "a task waits for ever")
  for i = 1, 3 do
    if run.tasks[i] then pcall(run.tasks[i].await, run.tasks[i], 0) end
  end
  return failed
end }

return scenarios
