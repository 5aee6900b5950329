-- SPDX-License-Identifier: Apache-2.0
-- Messages, requests, and what cannot be sent or taken in, between two ends in this process.

local _, support, exchange, scenario = ...
local checkLack, checkLacks = support.checkLack, support.checkLacks
local note, places, without = support.note, support.places, support.without

for _, encoding in ipairs { "msgpack", "json" } do
  scenario { name = "messages in " .. encoding, run = function()
    local artel = require "artel"
    local run = exchange.newRun(assert(artel.channelPair(encoding)))
    local failed, ok, err = without(exchange.run, run)
    exchange.check(run, failed, ok, err)
    run.left:close()
    run.right:close()
    return failed
  end }
end

-- What has begun to take it in is gone then, on a stack that had to grow for every call; others
-- have to go on.
scenario { name = "a message that a coroutine takes in", run = function()
  local left, right = assert(require "artel".channelPair())
  assert(left:sendMessage { { "a" }, "message" })
  local run = { values = places(1), problems = places(1) }
  local function receive() note(run, 1, right.receiveMessage, right, 0) end
  local failed = without(coroutine.wrap(receive))
  checkLacks(run.problems)
  local message, err = run.values[1], nil
  if not message then message, err = right:receiveMessage(support.TIMEOUT) end
  if message == nil then checkLack(err) else assert(message[2] == "message") end
  left:close()
  right:close()
  return failed
end }

-- What no socket has to be read for meanwhile.
local SHORT = 9

-- Everything that is loaded and made at first need is so while memory is short.
scenario { name = "first messages", anew = 1, dense = 200, stride = 47, run = function()
  local core = require "artel.core"
  local run = exchange.newRun(assert(core.pair { encoding = "msgpack" }))
  run.most = SHORT
  local failed, ok, err = without(exchange.run, run)
  exchange.check(run, failed, ok, err)
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
