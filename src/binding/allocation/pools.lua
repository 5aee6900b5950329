-- SPDX-License-Identifier: Apache-2.0
-- Pools, and coroutines that a loop serves.

local _, support, _, scenario = ...
local TIMEOUT, checkLack = support.TIMEOUT, support.checkLack
local note, places, without = support.note, support.places, support.without

local SQUARES = "{ onRequest = function(_, value) return value * value end }"

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

-- One request is in flight, two are queued.
scenario { name = "a pool that is closed in use", run = function()
  local artel, core = require "artel", require "artel.core"
  local loop = require "artel.loop_poll"
  require "artel.scheduler".setLoop(loop)
  local pool <close> = artel.createWorkerPoolWithExpression(
    "{ onRequest = function(_, _, channel) channel:receiveMessage() end }", 1)
  assert(pool:waitUntilReady(TIMEOUT))
  local run = { loop = loop, core = core, tasks = {} }
  for i = 1, 3 do
    run.tasks[i] = artel.async(function() return pool:request(i) end)
  end
  local failed, ok, err = without(pool.close, pool, 0)
  if not ok then checkLack(err) end
  pool:close(0)
  goRound(run)
  for _, task in ipairs(run.tasks) do
    assert(task:isDone(), "a task waits for ever")
    local awaited, raised, problem = pcall(task.await, task, 0)
    if not awaited then
      checkLack(raised)
    elseif problem.kind ~= "cancelled" then
      checkLack(problem)
    end
  end
  return failed
end }
