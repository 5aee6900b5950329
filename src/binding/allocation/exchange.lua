-- SPDX-License-Identifier: Apache-2.0
-- Messages of all sizes between two ends while memory is short: what was reported as sent arrives,
-- in order, once, and nothing else does.

local support = ...
local checkLack, isSame, places = support.checkLack, support.isSame, support.places
local TIMEOUT = support.TIMEOUT

local exchange = {}

local WIDE = {}
for i = 1, 60 do WIDE[i] = { name = "number " .. i, half = i / 2, list = { i, i + 1 } } end

local MESSAGES = {
  1, "text", 2.5, true, { "list", "of", { depth = { 3 } } }, ("x"):rep(3000), WIDE,
  ("long"):rep(25000), { key = ("y"):rep(40), other = {} },
  ("longer than a socket takes"):rep(40000), "last",
}

exchange.MESSAGES = MESSAGES

--- Whether `came` is what was sent, in order: all of it, or a beginning where the end may have
--- been lost.
function exchange.checkArrived(sent, came, mayEnd)
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

--- Sends the `i`th message, and notes in `run` what comes of it.
function exchange.send(run, i)
  local ok, sent, err = pcall(run.left.sendMessage, run.left, MESSAGES[i])
  if ok and sent then run.sent[i] = true else run.problems[i] = err or sent end
end

--- Receives behind it, likewise.
function exchange.receive(run, i, timeout)
  local ok, message, err = pcall(run.right.receiveMessage, run.right, timeout)
  if ok and message ~= nil then
    run.count = run.count + 1
    run.came[run.count] = message
  else
    run.problems[#MESSAGES + i] = err or message
  end
end

--- Sends all messages, and receives at the other end behind each.
function exchange.run(run)
  for i = 1, run.most or #MESSAGES do
    exchange.send(run, i)
    exchange.receive(run, i, 0)
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

function exchange.newRun(left, right)
  return { left = left, right = right, sent = places(#MESSAGES), count = 0,
    came = places(#MESSAGES), problems = places(2 * #MESSAGES) }
end

function exchange.check(run, failed, ok, err)
  if not ok then checkLack(err) end
  run.left:flush(TIMEOUT)
  err = receiveRest(run)
  local isOver = err.kind ~= "timeout"
  for i = run.count + 1, #MESSAGES do run.came[i] = nil end
  local sent, sendErr = run.left:sendMessage "again"
  exchange.checkArrived(run.sent, run.came, isOver or not sent)
  if not sent then assert(receiveRest(run).kind ~= "timeout", "a peer waits for what is lost") end
  if sent and not isOver then
    local message, lost = run.right:receiveMessage(TIMEOUT)
    assert(message == "again", tostring(lost or message):sub(1, 200))
  end
  run.problems[#run.problems + 1] = err
  run.problems[#run.problems + 1] = sendErr
  support.checkLacks(run.problems)
  assert(failed or sent and not isOver, ("%s, %s"):format(err, sendErr))
end

return exchange
