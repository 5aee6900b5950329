-- SPDX-License-Identifier: Apache-2.0
-- Calls that block, on a channel that coroutines or a listener wait for in the loop: what the
-- calls take from the channel, or from the doorbell, must reach those too.

local artel = require "artel"
local core = require "artel.core"
local helper = require "spec.helper"

local TIMEOUT = helper.TIMEOUT
local TOO_LONG = 450000 -- bytes: more than a ring holds, or a socket, and less than two rings

for _, transport in ipairs(helper.TRANSPORTS) do
  describe("a channel over " .. transport .. " that a coroutine waits for", function()
    helper.leaveNothing { before_each = before_each, after_each = after_each }

    local function start(body)
      return helper.worker(helper.raw(body), { transport = transport, stopTimeout = 0 })
    end

    it("brings it the answer that comes while a long string is sent", function()
      local worker <close> = start [[
        local value, reply = channel:receiveRequest()
        reply(value .. "!")
        channel:receiveMessage()
        channel:receiveMessage()]]
      local task = artel.async(function() return worker:request "first" end)
      assert.is_true(worker:sendMessage(("x"):rep(8 << 20)))
      assert.equal("first!", task:await(TIMEOUT))
    end)

    it("brings it the first message, and the next one to who waits behind it", function()
      local worker <close> = start [[
        channel:receiveMessage()
        channel:sendMessage "one"
        channel:sendMessage "two"
        channel:receiveMessage()]]
      assert.is_true(worker:waitUntilReady(TIMEOUT))
      local task = artel.async(function() return worker:receiveMessage() end)
      worker:sendMessage "go"
      assert.equal("two", worker:receiveMessage())
      assert.equal("one", task:await(TIMEOUT))
    end)

    it("lets the loop end after a call that has waited there in vain", function()
      local worker <close> = start [[
        local value, reply = channel:receiveRequest()
        reply(value)
        channel:receiveMessage()]]
      assert.equal("first", helper.await(worker.request, worker, "first"))
      for _, wait in ipairs {
        function() return worker:receiveMessage(0.01) end,
        function() return worker:receiveRequest(0.01) end,
        function() return worker:request("second", { timeout = 0.01 }) end,
      } do
        assert.equal("timeout", select(2, wait()).kind)
        helper.runLoopToEnd()
      end
    end)

    it("lets it send on though somebody asks for the descriptor", function()
      local worker <close> = start [[
        channel:sendMessage(#channel:receiveMessage())
        channel:receiveMessage()]]
      assert.is_true(worker:waitUntilReady(TIMEOUT))
      helper.freeze(worker)
      local task = artel.async(worker.sendMessage, worker, ("x"):rep(TOO_LONG))
      assert.is_false(task:isDone())
      worker:getStream()
      worker:kill "CONT"
      assert.is_true(task:await(TIMEOUT))
      assert.equal(TOO_LONG, worker:receiveMessage(TIMEOUT))
    end)

    it("lets it send on though somebody else has sent what it waits for", function()
      local folder <close> = helper.folder()
      local full, empty = folder.path .. "/full", folder.path .. "/empty"
      local worker <close> = start(([[
        local artel, core, uv = require "artel", require "artel.core", require "luv"
        local task = artel.async(channel.sendMessage, channel, ("x"):rep(%d))
        if task:isDone() then error "there was room for all" end
        assert(io.open(%q, "w")):close()
        while core.pending(channel) > 0 do
          core.flush(channel)
          uv.sleep(1)
        end
        local file <close> = assert(io.open(%q, "w"))
        file:write "by now":flush()
        channel:receiveMessage() -- its sleep takes what has rung for the room
        channel:sendMessage(task:await(%d))
        channel:receiveMessage()]]):format(TOO_LONG, full, empty, TIMEOUT))
      helper.eventually(function() return io.open(full) end):close()
      assert.equal(TOO_LONG, #worker:receiveMessage(TIMEOUT))
      helper.restsAfter(worker:getProcessId(), empty)
      worker:sendMessage "go on"
      assert.is_true(worker:receiveMessage(TIMEOUT))
    end)
  end)
end

describe("a channel that the loop looks after", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  it("rings for its listener after a call that has waited for room", function()
    local folder <close> = helper.folder()
    -- Between the look that finds no room and the wait for it the master takes everything.
    local worker <close> = helper.worker(helper.raw(([[
      local core, uv = require "artel.core", require "luv"
      local wait = core.waitChannel
      function core.waitChannel(...)
        core.waitChannel = wait
        assert(io.open(%q, "w")):close()
        while not io.open(%q) do uv.sleep(1) end
        return wait(...)
      end
      channel:registerRead(uv, function()
        local message = channel:receiveMessage(0)
        if message then channel:sendMessage(message .. "!") else os.exit(0) end
      end)
      for _ = 1, 5 do uv.run "nowait" end -- until the loop sleeps with nothing to do
      channel:sendMessage { ("x"):rep(300000) }
      uv.run()]]):format(folder.path .. "/full", folder.path .. "/empty")),
      { transport = "shared-memory" })
    helper.eventually(function() return io.open(folder.path .. "/full") end):close()
    while core.fill(worker) == "more" do end
    helper.write(folder.path .. "/empty", "")
    assert.equal(300000, #worker:receiveMessage(TIMEOUT)[1])
    worker:sendMessage "hello"
    assert.equal("hello!", worker:receiveMessage(TIMEOUT))
  end)

  it("brings a coroutine what comes while the other end of its pair blocks", function()
    local both <close> = helper.pair()
    local task = artel.async(function() return both.right:receiveMessage() end)
    both.left:sendMessage "over there"
    local _, err = both.left:receiveMessage(0.01)
    assert.equal("timeout", err.kind)
    assert.equal("over there", task:await(TIMEOUT))
  end)
end)
