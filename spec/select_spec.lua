-- SPDX-License-Identifier: Apache-2.0
local artel = require "artel"
local core = require "artel.core"
local helper = require "spec.helper"

local TIMEOUT = helper.TIMEOUT

describe("artel.select", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  -- Everything that holds for a script holds for a coroutine under a loop.
  local WAYS = {
    ["in a script"] = function(fn) fn() end,
    ["in artel.async"] = helper.await,
  }
  for way, run in pairs(WAYS) do
    describe(way, function()
      it("answers those that have a message, in the order of the list #valgrind", function()
        local one <close> = helper.pair()
        local a, b = one.left, one.right
        local two <close> = helper.pair()
        local c, d = two.left, two.right
        local three <close> = helper.pair()
        local e = three.left
        run(function()
          b:sendMessage "for a"
          d:sendMessage "for c"
          assert.same({ c, a }, artel.select({ c, e, a }, TIMEOUT))
          assert.equal("for a", a:receiveMessage(0))
          assert.same({ c }, artel.select({ a, c, e }, TIMEOUT))
          assert.equal("for c", c:receiveMessage(0))
        end)
      end)

      it("sees a message that is already in the buffer", function()
        local one <close> = helper.pair()
        local a, b = one.left, one.right
        run(function()
          for n = 1, 3 do b:sendMessage(n) end
          for n = 1, 3 do
            assert.same({ a }, artel.select({ a }, TIMEOUT))
            assert.equal(n, a:receiveMessage(0))
          end
          local ready, err = artel.select({ a }, 0)
          assert.is_nil(ready)
          assert.equal("timeout", err.kind)
        end)
      end)

      it("counts the end of a channel as something to receive", function()
        local one <close> = helper.pair()
        local a, b = one.left, one.right
        local two <close> = helper.pair()
        local c = two.left
        run(function()
          b:close()
          assert.same({ a }, artel.select({ c, a }, TIMEOUT))
          assert.same({ a }, artel.select({ c, a }))
          local message, err = a:receiveMessage(0)
          assert.is_nil(message)
          assert.equal("closed", err.kind)
        end)
      end)

      it("waits as long as it is told to", function()
        local one <close> = helper.pair()
        local a = one.left
        run(function()
          for _, timeout in ipairs { 0, 0.01 } do
            local began = core.now()
            local ready, err = artel.select({ a }, timeout)
            assert.is_nil(ready)
            assert.equal("timeout", err.kind)
            assert.is_true(core.now() - began >= timeout)
          end
        end)
      end)

      it("tells of the worker that died, and not of the one that lives", function()
        local dying <close> = helper.worker(helper.raw "channel:receiveMessage() os.exit(3)")
        local living <close> = helper.worker(helper.raw "channel:receiveMessage()")
        run(function()
          dying:sendMessage "now"
          assert.same({ dying }, artel.select({ living, dying }, TIMEOUT))
          local message, err = dying:receiveMessage(0)
          assert.is_nil(message)
          assert.equal(3, err.exitCode)
        end)
      end)

      it("sends what is queued meanwhile", function()
        local worker <close> = helper.worker(helper.raw
          "for m in channel:messages() do channel:sendMessage(#m) end")
        run(function()
          worker:sendMessage(("x"):rep(4 << 20))
          assert.same({ worker }, artel.select({ worker }, TIMEOUT))
          assert.equal(4 << 20, worker:receiveMessage(0))
        end)
      end)
    end)
  end

  it("does not hold up other coroutines, nor take messages from them", function()
    local one <close> = helper.pair()
    local a, b = one.left, one.right
    local two <close> = helper.pair()
    local c, d = two.left, two.right
    local selected = artel.async(function() return artel.select { a, c } end)
    local receiver = artel.async(function() return a:receiveMessage() end)
    b:sendMessage "for the receiver"
    assert.equal("for the receiver", receiver:await(TIMEOUT))
    assert.is_false(selected:isDone())
    d:sendMessage "for select"
    assert.same({ c }, selected:await(TIMEOUT))
  end)

  it("takes a channel that is in the list more than once, and notes the end of no other", function()
    -- Their own children keep both channels open: the end of the process alone is to be seen.
    local options = { transport = "socket" }
    local one <close> = helper.worker(helper.raw(helper.KEEPS_OPEN), options)
    local oneChild <close> = helper.killed(one:receiveMessage(TIMEOUT))
    local two <close> = helper.worker(helper.raw(helper.KEEPS_OPEN .. [[
      local uv = require "luv"
      local path = ("/proc/%d/stat"):format(uv.os_getppid())
      local state
      repeat -- until its master sleeps
        local file <close> = io.open(path)
        state = file:read("a"):match "^%d+ %(.*%) (%a)"
      until state == "S"
      uv.kill(uv.os_getpid(), "sigkill")]]), options)
    local twoChild <close> = helper.killed(two:receiveMessage(TIMEOUT))
    one:kill "KILL"
    assert.same({ one, one, one }, artel.select({ one, one, one, two }, TIMEOUT))
    two:sendMessage "go"
    assert.same({ two }, artel.select({ two }, TIMEOUT))
    local message, err = two:receiveMessage(0)
    assert.is_nil(message)
    assert.equal("SIGKILL", err.signal)
    assert.is_true(helper.isAlive(oneChild.pid) and helper.isAlive(twoChild.pid))
  end)

  it("sends what is queued at the other end of a pair while it blocks", function()
    local pair <close> = helper.pair()
    local left, right = pair.left, pair.right
    local long = ("x"):rep(4 << 20) -- more than the system takes at once
    local sender = artel.async(function() return left:sendMessage(long) end)
    assert.same({ right }, artel.select({ right }, TIMEOUT))
    assert.equal(#long, #right:receiveMessage(0))
    assert.is_true(sender:await(TIMEOUT))
  end)

  it("goes on waiting when somebody else has taken what it was woken for", function()
    local uv = require "luv"
    local TAKERS = {
      ["another that selects"] = function(a, got)
        local task = artel.async(function()
          artel.select { a }
          got[#got + 1] = a:receiveMessage(0)
        end)
        return function() return task:isDone() end
      end,
      ["a listener"] = function(a, got)
        a:registerRead(uv, function() got[#got + 1] = a:receiveMessage(0) end, true)
        return function() return #got > 0 end
      end,
    }
    for who, take in pairs(TAKERS) do
      for _, options in ipairs { {}, { timeout = TIMEOUT } } do
        local one <close> = helper.pair()
        local a, b = one.left, one.right
        local got = {}
        local selected = artel.async(function()
          artel.select({ a }, options.timeout)
          got[#got + 1] = a:receiveMessage(0)
        end)
        local hasTaken = take(a, got)
        b:sendMessage "first"
        helper.runLoopUntil(function() return #got > 0 end)
        assert.is_false(selected:isDone() and hasTaken(), who)
        b:sendMessage "second"
        helper.runLoopUntil(function() return selected:isDone() and hasTaken() end)
        selected:await() -- raises what it has raised
        assert.same({ "first", "second" }, got)
      end
    end
  end)

  it("ends when one of its channels is closed meanwhile", function()
    local one <close> = helper.pair()
    local a = one.left
    local two <close> = helper.pair()
    local c = two.left
    local selected = artel.async(function() return artel.select { a, c } end)
    c:close()
    local ready, err = selected:await(TIMEOUT)
    assert.is_nil(ready)
    assert.equal("closed", err.kind)
  end)

  it("can be cancelled and leaves nothing behind at the channels", function()
    local one <close> = helper.pair()
    local a, b = one.left, one.right
    local selected = artel.async(function() return artel.select { a } end)
    selected:cancel()
    local ready, err = selected:await(TIMEOUT)
    assert.is_nil(ready)
    assert.equal("cancelled", err.kind)
    b:sendMessage "still there"
    assert.equal("still there", a:receiveMessage(TIMEOUT))
  end)

  it("raises for what is no list of channels, where it was called", function()
    local pair <close> = helper.pair()
    local closed = artel.channelPair()
    closed:close()
    local WRONG = {
      [{}] = "a list of channels expected, got an empty table",
      channels = "a list of channels expected, got string",
      [{ 1 }] = "entry 1: artel channel expected, got number",
      [{ pair.left, io.stderr }] = "entry 2: artel channel expected, got userdata",
      [{ closed }] = "entry 1: attempt to use a closed channel",
    }
    for list, expected in pairs(WRONG) do
      helper.raisesHere(("bad argument #1 to 'select' (%s)"):format(expected),
        function() artel.select(list) end)
    end
  end)
end)
