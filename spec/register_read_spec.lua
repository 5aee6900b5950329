-- SPDX-License-Identifier: Apache-2.0
local artel = require "artel"
local core = require "artel.core"
local helper = require "spec.helper"
local uv = require "luv"

local TIMEOUT = helper.TIMEOUT

-- Runs the loop until `isDone()`, or until nothing keeps it going.
local function runUntil(isDone)
  local deadline = uv.hrtime() + TIMEOUT * 1e9
  while not isDone() and uv.loop_alive() do
    assert(uv.hrtime() < deadline, "too slow")
    uv.run "once"
  end
end

describe("channel:registerRead", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  it("calls the listener with channel and loop for each message, until the end", function()
    local pair <close> = helper.pair()
    local left, right = pair.left, pair.right
    local got, reason = {}, nil
    left:registerRead(uv, function(channel, loop)
      assert.equal(left, channel)
      assert.equal(uv, loop)
      local message, err = channel:receiveMessage(0)
      if message == nil then reason = err else got[#got + 1] = message end
    end)
    for n = 1, 3 do right:sendMessage(n) end
    runUntil(function() return #got == 3 end)
    right:sendMessage(4)
    right:close()
    uv.run() -- the registration is over at the end, and nothing else keeps the loop going
    assert.same({ 1, 2, 3, 4 }, got)
    assert.equal("closed", reason.kind)
  end)

  it("is told of a message that was in the buffer before", function()
    local pair <close> = helper.pair()
    local left, right = pair.left, pair.right
    for n = 1, 3 do right:sendMessage(n) end
    assert.equal(1, left:receiveMessage(TIMEOUT)) -- takes all of them in
    local got = {}
    left:registerRead(uv, function() got[#got + 1] = left:receiveMessage(0) end)
    runUntil(function() return #got == 2 end)
    assert.same({ 2, 3 }, got)
  end)

  it("is told of what a call took in that waited for something else", function()
    local pair <close> = helper.pair()
    local left, right = pair.left, pair.right
    local got = {}
    left:registerRead(uv, function() got[#got + 1] = left:receiveMessage(0) end)
    for n = 1, 3 do right:sendMessage(n) end
    assert.equal(1, left:receiveMessage(TIMEOUT)) -- before the loop has run
    local server = artel.async(function()
      local _, reply = right:receiveRequest()
      right:sendMessage(4)
      reply "response"
    end)
    local response = artel.async(function() return left:request(1) end)
    assert.equal("response", response:await(TIMEOUT))
    server:await(TIMEOUT)
    runUntil(function() return #got == 3 end)
    assert.same({ 2, 3, 4 }, got)
  end)

  it("lets the loop do everything else while its listener leaves a message where it is", function()
    local pair <close> = helper.pair()
    local left, right = pair.left, pair.right
    local MANY = 1000
    local calls, rounds = 0, 0
    local check = uv.new_check() -- it is called after each look for input
    check:start(function() rounds = rounds + 1 end)
    left:registerRead(uv, function()
      calls = calls + 1
      if calls == MANY then left:unregisterRead(uv) end
    end)
    right:sendMessage(1)
    runUntil(function() return calls == MANY or rounds == 2 * MANY end)
    check:stop()
    assert.is_true(calls == MANY and rounds >= MANY - 1,
      ("%d calls in %d rounds"):format(calls, rounds))
  end)

  it("is called again while the listener leaves a message where it is", function()
    local pair <close> = helper.pair()
    local left, right = pair.left, pair.right
    local calls = 0
    left:registerRead(uv, function()
      calls = calls + 1
      if calls == 3 then left:receiveMessage(0) end
    end)
    right:sendMessage(1)
    runUntil(function() return calls == 3 end)
    for _ = 1, 5 do uv.run "nowait" end
    assert.equal(3, calls)
  end)

  it("is called once if asked so", function()
    local pair <close> = helper.pair()
    local left, right = pair.left, pair.right
    local calls = 0
    left:registerRead(uv, function() calls = calls + 1 end, true)
    right:sendMessage(1)
    right:sendMessage(2)
    uv.run()
    assert.equal(1, calls)
    assert.equal(1, left:receiveMessage(0))
  end)

  it("is never called for half a message", function()
    local pair <close> = helper.pair()
    local left, right = pair.left, pair.right
    local calls = 0
    left:registerRead(uv, function()
      calls = calls + 1
      assert.equal(4 << 20, #left:receiveMessage(0))
    end)
    local sender = artel.async(function() return right:sendMessage(("x"):rep(4 << 20)) end)
    runUntil(function() return calls > 0 end)
    assert.is_true(sender:await(TIMEOUT))
    assert.equal(1, calls)
  end)

  it("keeps the loop going, and an idle channel does not", function()
    local pair <close> = helper.pair()
    local left, right = pair.left, pair.right
    assert.is_false(uv.loop_alive())
    left:registerRead(uv, function() left:unregisterRead(uv) end)
    right:registerRead(uv, print)
    uv.run "nowait"
    assert.is_true(uv.loop_alive())
    right:unregisterRead(uv)
    right:sendMessage(1)
    uv.run()
    assert.is_false(uv.loop_alive())
    assert.equal(1, left:receiveMessage(0))
  end)

  it("replaces an earlier listener", function()
    local pair <close> = helper.pair()
    local left, right = pair.left, pair.right
    local first, second = 0, 0
    left:registerRead(uv, function() first = first + 1 end)
    left:registerRead(uv, function()
      second = second + 1
      left:receiveMessage(0)
    end)
    right:sendMessage(1)
    runUntil(function() return second > 0 end)
    assert.same({ 0, 1 }, { first, second })
  end)

  it("tells of the end again when it is registered after it", function()
    local pair <close> = helper.pair()
    local left, right = pair.left, pair.right
    right:close()
    for _ = 1, 2 do
      local reason
      left:registerRead(uv, function() reason = select(2, left:receiveMessage(0)) end)
      uv.run()
      assert.equal("closed", reason.kind)
    end
  end)

  it("lets the listener close the channel, and use others", function()
    local one <close> = helper.pair()
    local two <close> = helper.pair()
    local closed = false
    one.left:registerRead(uv, function()
      two.left:sendMessage "from a listener"
      assert.equal("from a listener", two.right:receiveMessage())
      one.left:close()
      closed = true
    end)
    one.right:sendMessage(1)
    uv.run()
    assert.is_true(closed)
  end)

  it("does not call the listener out of somebody else's call", function()
    local pair <close> = helper.pair()
    local left, right = pair.left, pair.right
    local inCall, calledInside, calls = false, false, 0
    left:registerRead(uv, function()
      calls = calls + 1
      calledInside = calledInside or inCall
    end)
    right:sendMessage(1)
    right:close()
    inCall = true
    assert.equal(1, left:receiveMessage(0))
    assert.equal("closed", select(2, left:receiveMessage(0)).kind)
    inCall = false
    uv.run()
    assert.is_false(calledInside)
    assert.equal(1, calls)
  end)

  it("tells of a worker's death with its exit status", function()
    local worker <close> = helper.worker(helper.raw "channel:receiveMessage() os.exit(7)")
    local reason
    worker:registerRead(uv, function() reason = select(2, worker:receiveMessage(0)) end)
    worker:sendMessage "go"
    uv.run()
    assert.equal("closed", reason.kind)
    assert.equal(7, reason.exitCode)
  end)

  it("tells of a worker's death though its own child keeps the channel open", function()
    local worker <close> = helper.worker(helper.raw(helper.KEEPS_OPEN .. "os.exit(5)"))
    local grandchild <close> = helper.killed(worker:receiveMessage(TIMEOUT))
    local reason
    worker:registerRead(uv, function() reason = select(2, worker:receiveMessage(0)) end)
    worker:sendMessage "go"
    uv.run()
    assert.is_true(helper.isAlive(grandchild.pid))
    assert.equal(5, reason.exitCode)
  end)

  it("lets a loop of one's own watch the descriptor", function()
    local pair <close> = helper.pair()
    local left, right = pair.left, pair.right
    local stream = left:getStream()
    assert.equal("integer", math.type(stream))
    assert.same({}, core.pollStreams({ stream }, { 1 }, 0))
    right:sendMessage(1)
    right:sendMessage(2)
    assert.same({ 1 }, core.pollStreams({ stream }, { 1 }, TIMEOUT))
    local got = {}
    repeat
      local message, err = left:receiveMessage(0)
      got[#got + 1] = message
    until err
    assert.same({ 1, 2 }, got)
  end)

  for _, transport in ipairs { "socket", "shared-memory" } do
    it("lets such a loop send what a time-out has left queued: " .. transport, function()
      local worker <close> = helper.worker(helper.raw [[
        channel:sendMessage(#channel:receiveRequest())]], { transport = transport })
      assert.is_true(worker:waitUntilReady(TIMEOUT))
      local stream = worker:getStream()
      helper.freeze(worker)
      local answer, err = worker:request(("x"):rep(16 << 20), { timeout = 0.01 })
      assert.is_nil(answer)
      assert.equal("timeout", err.kind)
      worker:kill "SIGCONT"
      assert.equal(16 << 20, helper.eventually(function()
        return (worker:receiveMessage(0))
      end))
      assert.is_true(core.pollStreams({ stream }, { 1 }, TIMEOUT)[1] == 1) -- its end
    end)
  end
end)
