-- SPDX-License-Identifier: Apache-2.0
local artel = require "artel"
local core = require "artel.core"
local frame = require "artel.frame"
local helper = require "spec.helper"

local TIMEOUT = helper.TIMEOUT

describe("a channel", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  for _, encoding in ipairs(helper.ENCODINGS) do
    describe("over " .. encoding, function()
      it("carries messages in their order, both ways", function()
        local both <close> = helper.pair(encoding)
        local left, right = both.left, both.right
        for n = 1, 5 do
          assert.is_true(left:sendMessage { n = n })
          assert.is_true(right:sendMessage("reply " .. n))
        end
        for n = 1, 5 do
          assert.same({ n = n }, right:receiveMessage(TIMEOUT))
          assert.equal("reply " .. n, left:receiveMessage(TIMEOUT))
        end
      end)

      it("carries whatever is true or false, and artel.null", function()
        local both <close> = helper.pair(encoding)
        local left, right = both.left, both.right
        for _, value in ipairs { false, true, artel.null, "", 0, 0.5, -1 } do
          left:sendMessage(value)
          local message, err = right:receiveMessage(TIMEOUT)
          assert.equal(value, message)
          assert.equal(math.type(value), math.type(message))
          assert.is_nil(err)
        end
      end)

      it("refuses nil, and what cannot be sent with its path, and goes on", function()
        local both <close> = helper.pair(encoding)
        local left, right = both.left, both.right
        local sent, err = left:sendMessage(nil)
        assert.is_nil(sent)
        assert.equal("encode", err.kind)
        sent, err = left:sendMessage { jobs = { 1, { callback = print } } }
        assert.is_nil(sent)
        assert.equal("encode", err.kind)
        assert.truthy(tostring(err):find("message.jobs[2].callback", 1, true), tostring(err))
        assert.is_true(left:sendMessage "next")
        assert.equal("next", right:receiveMessage(TIMEOUT))
      end)

      it("gives what came before its end, then says that it has ended, again and again", function()
        local both <close> = helper.pair(encoding)
        local left, right = both.left, both.right
        left:sendMessage(1)
        left:sendMessage(2)
        left:close()
        local got = {}
        for message in right:messages() do got[#got + 1] = message end
        assert.same({ 1, 2 }, got)
        for _ = 1, 2 do
          local message, err = right:receiveMessage()
          assert.is_nil(message)
          assert.equal("closed", err.kind)
        end
      end)

      it("takes 8 MiB from each side before either reads", function()
        local both <close> = helper.pair(encoding)
        local left, right = both.left, both.right
        local text = ("x"):rep(8 << 20)
        assert.is_true(left:sendMessage(text))
        assert.is_true(right:sendMessage(text))
        assert.equal(#text, #right:receiveMessage(TIMEOUT))
        assert.equal(#text, #left:receiveMessage(TIMEOUT))
      end)

      it("carries strings of any length whole, also those that are sent without a copy", function()
        local both <close> = helper.pair(encoding)
        local left, right = both.left, both.right
        local ten = encoding == "msgpack" and "\xff12345678\0" or "0123456789"
        for _, length in ipairs { 65535, 65536, 65537, 300000, 3 << 20 } do
          local text = ten:rep(length // 10 + 1):sub(1, length)
          local function send()
            assert.is_true(left:sendMessage(text))
            assert.is_true(left:sendMessage "behind it")
          end
          local function receive()
            assert.is_true(text == right:receiveMessage(TIMEOUT), length)
            assert.equal("behind it", right:receiveMessage(TIMEOUT))
          end
          send()
          receive()
          local sending = artel.async(send)
          helper.await(receive)
          sending:await(TIMEOUT)
        end
      end)

      it("says so when a message is longer than the limit, and goes on", function()
        local left, right = core.pair { encoding = encoding, maxMessageSize = 1000 }
        local sent, err = left:sendMessage(("x"):rep(1001))
        assert.is_nil(sent)
        assert.equal("oversize", err.kind)
        left:sendMessage "short"
        assert.equal("short", right:receiveMessage(TIMEOUT))
        left:close()
        right:close()
      end)

      it("ends at a frame that is longer than its own limit", function()
        local left, right = core.pair { encoding = encoding }
        core.configure(right, { encoding = encoding, maxMessageSize = 1000 })
        left:sendMessage "short"
        left:sendMessage(("x"):rep(1001))
        assert.equal("short", right:receiveMessage(TIMEOUT))
        local message, err = right:receiveMessage(TIMEOUT)
        assert.is_nil(message)
        assert.equal("oversize", err.kind)
        left:close()
        right:close()
      end)
    end)
  end

  it("answers one value for a message, so that printing it shows no nil", function()
    local both <close> = helper.pair()
    local left, right = both.left, both.right
    left:sendMessage(1)
    assert.equal(1, select("#", right:receiveMessage(TIMEOUT)))
    right:sendMessage(1)
    assert.equal(1, select("#", left:receiveMessage()))
  end)

  it("waits as long as it is told to, and not at all for 0", function()
    local both <close> = helper.pair()
    local left = both.left
    for _, timeout in ipairs { 0, 0.01 } do
      local began = core.now()
      local message, err = left:receiveMessage(timeout)
      assert.is_nil(message)
      assert.equal("timeout", err.kind)
      assert.is_true(core.now() - began >= timeout)
    end
  end)

  it("refuses objects with reserved keys in JSON, where they mean something else", function()
    local both <close> = helper.pair "json"
    local left, right = both.left, both.right
    for _, key in ipairs { "_request_", "_response_", "_error_", "_stop_", "_query_", "_status_",
      "_cancel_" } do
      local sent, err = left:sendMessage { [key] = 1 }
      assert.is_nil(sent)
      assert.equal("encode", err.kind)
      assert.truthy(tostring(err):find(key, 1, true))
    end
    assert.is_true(left:sendMessage { inner = { _stop_ = 1 } })
    assert.same({ inner = { _stop_ = 1 } }, right:receiveMessage(TIMEOUT))
    local packed <close> = helper.pair "msgpack"
    local a, b = packed.left, packed.right
    a:sendMessage { _stop_ = 1 }
    assert.same({ _stop_ = 1 }, b:receiveMessage(TIMEOUT))
  end)

  it("gives nil and an error for a message that cannot be decoded, then the next one", function()
    local both <close> = helper.pair { module = "spec.fixtures.picky_codec" }
    local left, right = both.left, both.right
    left:sendMessage "good"
    left:sendMessage "bad"
    left:sendMessage "good again"
    local got = {}
    for message in right:messages() do got[#got + 1] = message end
    assert.same({ "good" }, got)
    local message, err = right:receiveMessage(TIMEOUT)
    assert.is_nil(message)
    assert.equal("decode", err.kind)
    assert.matches("a bad one", tostring(err))
    assert.equal("good again", right:receiveMessage(TIMEOUT))
  end)

  it("gives nil and an error for a message of 0 bytes, then the next one", function()
    local pair <close> = helper.pair "msgpack"
    local left, right = pair.left, pair.right
    core.sockets.putBytes(left, string.pack(">I4I1I4", 0, 0, 0) .. string.pack(">I4I1I4", 1, 0, 0)
      .. "\7")
    left:flush()
    local message, err = right:receiveMessage(TIMEOUT)
    assert.is_nil(message)
    assert.equal("decode", err.kind)
    assert.equal(7, right:receiveMessage(TIMEOUT))
  end)

  it("ends at what is no JSON, but not at JSON that Lua cannot hold", function()
    local pair <close> = helper.pair "json"
    local left, right = pair.left, pair.right
    core.sockets.putBytes(left,
      '["\\ud800"] 99999999999999999999 {"a":1,"a":2} "good" [1 2] "lost"')
    left:flush()
    for _ = 1, 3 do
      local message, err = right:receiveMessage(TIMEOUT)
      assert.is_nil(message)
      assert.equal("decode", err.kind)
    end
    assert.equal("good", right:receiveMessage(TIMEOUT))
    for _ = 1, 2 do
      local message, err = right:receiveMessage(TIMEOUT)
      assert.is_nil(message)
      assert.equal("protocol", err.kind)
      assert.matches("neither a comma nor the end of an array", tostring(err))
    end
  end)

  it("tells what is missing in the object of a JSON frame", function()
    local WRONG = {
      ['{"_request_":1,"payload":5}'] = 'expected "body" beside "_request_" or "_response_", got',
      ['{"_response_":1}'] = 'expected "body" beside "_request_" or "_response_", got',
      ['{"_request_":"1","body":5}'] = "expected an id from 0 to 4294967295 in a frame's object",
      ['{"_error_":4294967296}'] = "expected an id from 0 to 4294967295 in a frame's object",
      ['{"_cancel_":null}'] = "expected an id from 0 to 4294967295 in a frame's object",
      ['{"_stop_":"x"}'] = "expected a JSON text that may be sent here",
    }
    for text, expected in pairs(WRONG) do
      local pair <close> = helper.pair "json"
      core.sockets.putBytes(pair.left, text .. "\n")
      pair.left:flush()
      local message, err = pair.right:receiveMessage(TIMEOUT)
      assert.is_nil(message)
      assert.equal("protocol", err.kind)
      assert.truthy(err.message:find(expected, 1, true), err.message)
    end
  end)

  it("queues at most so much for a peer that does not read", function()
    local left, right = core.pair { maxQueuedBytes = 200000 }
    local text, accepted = ("x"):rep(50000), 0
    helper.await(function()
      local owner = core.coroutines[coroutine.running()]
      owner.isHandler = true -- a handler never waits for room
      local sent, pending
      repeat
        sent, pending = left:sendMessage(text)
        accepted = accepted + (sent and 1 or 0)
      until not sent
      assert.equal("overloaded", pending.kind)
      assert.matches("fit beside them; maxQueuedBytes is the limit", pending.message, 1, true)
    end)
    for _ = 1, accepted do assert.equal(#text, #right:receiveMessage(TIMEOUT)) left:flush(0) end
    assert.is_true(left:sendMessage "room again")
    left:close()
    right:close()
  end)

  it("always has room for one message in an empty queue", function()
    local left, right = core.pair { maxQueuedBytes = 10 }
    left:sendMessage(("x"):rep(1000))
    assert.equal(1000, #right:receiveMessage(TIMEOUT))
    left:close()
    right:close()
  end)

  it("tells how much waits above the high-water mark, and flush waits for it", function()
    local both <close> = helper.pair()
    local left, right = both.left, both.right
    helper.await(function()
      core.coroutines[coroutine.running()].isHandler = true
      local sent, pending = left:sendMessage(("x"):rep(4 << 20))
      assert.is_true(sent)
      assert.is_true(pending > 65536 and pending <= 4 << 20)
      local flushed, err = left:flush(0)
      assert.is_nil(flushed)
      assert.equal("timeout", err.kind)
      local reader = artel.async(function() return #right:receiveMessage(TIMEOUT) end)
      assert.is_true(left:flush(TIMEOUT))
      assert.equal(4 << 20, reader:await(TIMEOUT))
    end)
  end)

  it("cannot be read by a finaliser that runs while it decodes", function()
    local pair <close> = helper.pair()
    local left, right = pair.left, pair.right
    local big = {}
    for n = 1, 20000 do big[n] = { "some text " .. n } end
    left:sendMessage(big)
    left:sendMessage(("x"):rep(1 << 20))
    local refused, armed = 0, true
    local function arm()
      setmetatable({}, { __gc = function()
        local ok, err = pcall(right.receiveMessage, right, 0)
        if not ok then
          refused = refused + 1
          assert(err:find "in a finaliser")
        end
        if armed then arm() end
      end })
    end
    arm()
    local mode = collectgarbage "incremental"
    collectgarbage("incremental", 1, 1000, 1)
    collectgarbage()
    local first = right:receiveMessage()
    armed = false
    collectgarbage(mode)
    if type(first) == "table" then assert.same(big[20000], first[20000]) end
    assert.is_true(refused > 0)
    collectgarbage()
  end)

  it("has metamethods that refuse what is no channel", function()
    local pair <close> = helper.pair()
    local metatable = getmetatable(pair.left)
    for _, wrong in ipairs { io.stdout, artel.null, "text", 1, {}, print } do
      assert.error_matches(function() metatable.__gc(wrong) end, "artel channel expected")
    end
    assert.error_matches(metatable.__gc, "artel channel expected")
    pair.left:sendMessage "still here"
    assert.equal("still here", pair.right:receiveMessage(TIMEOUT))
  end)

  it("may be closed twice, and then not be used", function()
    local left, right = artel.channelPair()
    assert.is_true(left:close())
    assert.is_true(left:close())
    local uv = require "luv"
    for name, call in pairs {
      sendMessage = function() left:sendMessage(1) end,
      receiveMessage = function() left:receiveMessage() end,
      messages = function() left:messages() end,
      flush = function() left:flush() end,
      request = function() left:request(1) end,
      receiveRequest = function() left:receiveRequest() end,
      getStream = function() left:getStream() end,
      registerRead = function() left:registerRead(uv, print) end,
      unregisterRead = function() left:unregisterRead(uv) end,
      select = function() artel.select { right, left } end,
    } do
      helper.raisesHere("attempt to use a closed channel", call)
      assert.truthy(name)
    end
    assert.equal("artel channel (closed)", tostring(left))
    right:close()
  end)

  it("is closed when all that it has taken has left, whoever waits for that meanwhile", function()
    local left, right = core.pair { maxQueuedBytes = 2300000 }
    local function text(letter) return letter:rep(1 << 20) end
    assert(helper.fromCallback(function() assert.is_true(left:sendMessage(text "a")) end))
    local taken = artel.async(function() return left:sendMessage(text "b") end)
    local waits = { -- since there is no room
      artel.async(function() return left:sendMessage(text "c") end),
      artel.async(function() return left:request(text "d") end),
    }
    local closing = artel.async(function() return left:close() end)
    local got = artel.async(function()
      local letters = {}
      for message in right:messages() do letters[#letters + 1] = message:sub(1, 1) end
      return table.concat(letters)
    end)
    assert.equal("ab", got:await(TIMEOUT))
    assert.is_true(taken:await(TIMEOUT))
    for _, wait in ipairs(waits) do
      assert.equal("closed", select(2, wait:await(TIMEOUT)).kind)
    end
    assert.is_true(closing:await(TIMEOUT))
    right:close()
  end)

  it("iterates, flushes and closes without a state in Lua while nothing is out of the ordinary",
    function()
      local left, right = core.pair { encoding = "msgpack" }
      assert.is_true(left:sendMessage(1))
      assert.is_true(left:flush())
      assert.is_true(left:close())
      local got = {}
      for message in right:messages() do got[#got + 1] = message end
      assert.same({ 1 }, got)
      assert.is_nil(core.state(left))
      assert.is_nil(core.state(right))
      local message, err = right:receiveMessage()
      assert.is_nil(message)
      assert.equal("closed", err.kind)
      do local _ <close> = right end
      assert.is_false(core.isOpen(right))
    end)

  it("iterates from messages that were set aside to those that come, and to the end", function()
    local both <close> = helper.pair()
    local left, right = both.left, both.right
    left:sendMessage "aside"
    local answered = artel.async(function() return right:request "question" end)
    local question, reply = left:receiveRequest(TIMEOUT)
    assert.equal("question", question)
    reply "answer"
    assert.equal("answer", answered:await(TIMEOUT))
    left:sendMessage "later"
    left:close()
    local got = {}
    for message in right:messages() do got[#got + 1] = message end
    assert.same({ "aside", "later" }, got)
  end)

  it("raises for wrong arguments, where it was called", function()
    local both <close> = helper.pair()
    local left = both.left
    for _, timeout in ipairs { -1, "soon", {}, 0 / 0 } do
      helper.raisesHere("bad argument #1", function() left:receiveMessage(timeout) end)
      helper.raisesHere("bad argument #1", function() left:receiveRequest(timeout) end)
      helper.raisesHere("bad argument #1", function() left:flush(timeout) end)
      helper.raisesHere("bad argument #2", function() artel.select({ left }, timeout) end)
      helper.raisesHere("timeout", function() left:request(1, { timeout = timeout }) end)
    end
    helper.raisesHere("bad argument #1", function() left:request(nil) end)
    helper.raisesHere("bad argument #2", function() left:request(1, 5) end)
    helper.raisesHere("unknown option 'tmeout'", function() left:request(1, { tmeout = 5 }) end)
    helper.raisesHere("bad argument #1", function() left:registerRead({}, print) end)
    helper.raisesHere("bad argument #2", function()
      left:registerRead(require "luv", "no function")
    end)
    for _, name in ipairs { "flush", "close", "receiveRequest" } do
      helper.raisesHere("is it called with a colon?", function() left[name]() end)
    end
    helper.raisesHere("bad argument #1 to 'sendMessage' (artel channel expected, got string; "
      .. "is it called with a colon?)", function() left.sendMessage "text" end)
  end)

  it("raises for a channel factory that there is not, where it was called", function()
    helper.raisesHere('channelPair: expected "msgpack", "json" or',
      function() artel.channelPair "xml" end)
    helper.raisesHere("no.such.codec", function()
      artel.channelPair { module = "no.such.codec" }
    end)
  end)

  it("sends what is still queued and finds room when it is collected", function()
    local left, right = artel.channelPair()
    local piece, count = ("x"):rep(10000), 0
    repeat
      core.queue(left, frame.MESSAGE, 0, piece)
      count = count + 1
    until not core.flush(left)
    repeat until core.fill(right) == "none"
    left = nil -- luacheck: ignore 311 (the collector sees it)
    collectgarbage()
    collectgarbage()
    for _ = 1, count do assert.equal(piece, right:receiveMessage(TIMEOUT)) end
    assert.equal("closed", select(2, right:receiveMessage(TIMEOUT)).kind)
    right:close()
  end)

  it("is closed with its variable, and by the garbage collector", function()
    local left, right = artel.channelPair()
    do
      local closing <close> = left
      assert.equal("artel channel (socket)", tostring(closing))
    end
    assert.equal("artel channel (closed)", tostring(left))
    local message, err = right:receiveMessage()
    assert.is_nil(message)
    assert.equal("closed", err.kind)
    right = select(2, artel.channelPair())
    collectgarbage()
    collectgarbage()
    message, err = right:receiveMessage(TIMEOUT)
    assert.is_nil(message)
    assert.equal("closed", err.kind)
    right:close()
  end)
end)

describe("a custom channel factory", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  it("makes the codec from its options, on both sides", function()
    local both <close> = helper.pair {
      module = "spec.fixtures.picky_codec", options = { suffix = "!" },
    }
    local left, right = both.left, both.right
    left:sendMessage "hello"
    assert.equal("hello!!", right:receiveMessage(TIMEOUT))
  end)

  it("may use the channel that it encodes and decodes for", function()
    local both <close> = helper.pair { module = "spec.fixtures.picky_codec" }
    local left, right = both.left, both.right
    local codec = require "spec.fixtures.picky_codec"
    codec.beforeEncode = function()
      codec.beforeEncode = nil
      left:sendMessage "inner"
    end
    assert.is_true(left:sendMessage "outer")
    assert.equal("inner", right:receiveMessage(TIMEOUT))
    left:sendMessage "another"
    local inner
    codec.beforeDecode = function()
      codec.beforeDecode = nil
      inner = right:receiveMessage(0)
    end
    assert.equal("outer", right:receiveMessage(TIMEOUT))
    assert.equal("another", inner)
  end)

  it("has no message that a finaliser closes the channel over, or takes a second time", function()
    local both <close> = helper.pair { module = "spec.fixtures.picky_codec" }
    local left, right = both.left, both.right
    local text, refused, armed = ("x"):rep(50000), 0, true
    local function use(method, ...)
      local ok, err = pcall(method, right, ...)
      if not ok and err:find "in a finaliser" then refused = refused + 1 end
    end
    local function arm()
      setmetatable({}, { __gc = function()
        if not armed then return end
        use(right.receiveMessage, 0)
        use(right.close)
        use(getmetatable(right).__gc)
        arm()
      end })
    end
    left:sendMessage(text)
    collectgarbage()
    collectgarbage "stop"
    arm()
    local mode = collectgarbage "incremental"
    collectgarbage("incremental", 1, 1000, 1)
    collectgarbage "restart"
    local message = right:receiveMessage(TIMEOUT)
    armed = false
    collectgarbage(mode)
    assert.equal(text, message)
    assert.is_true(refused >= 3)
    collectgarbage()
  end)

  it("may write a message in 0 bytes", function()
    local both <close> = helper.pair { module = "spec.fixtures.picky_codec" }
    both.left:sendMessage ""
    assert.equal("", both.right:receiveMessage(TIMEOUT))
  end)

  it("whose encode raises, or answers no string, refuses the message alone", function()
    local both <close> = helper.pair { module = "spec.fixtures.picky_codec" }
    local left, right = both.left, both.right
    for value, expected in pairs { [1] = "strings only", [2] = "did not answer a string" } do
      local sent, err = left:sendMessage(value)
      assert.is_nil(sent)
      assert.equal("encode", err.kind)
      assert.truthy(tostring(err):find(expected, 1, true), tostring(err))
    end
    left:sendMessage "good"
    assert.equal("good", right:receiveMessage(TIMEOUT))
  end)
end)
