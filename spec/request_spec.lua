-- SPDX-License-Identifier: Apache-2.0
local artel = require "artel"
local core = require "artel.core"
local dispatch = require "artel.dispatch"
local helper = require "spec.helper"
local uv = require "luv"

local TIMEOUT = helper.TIMEOUT

-- Answers requests at one end of a pair, as a raw worker does.
local function serve(channel, answer)
  return artel.async(function()
    while true do
      local value, reply = channel:receiveRequest()
      if value == nil then return reply end
      answer(value, reply)
    end
  end)
end

describe("a request", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  for _, encoding in ipairs(helper.ENCODINGS) do
    describe("over " .. encoding, function()
      it("gets its response, in whatever order the answers come", function()
        local both <close> = helper.pair(encoding)
        local left, right = both.left, both.right
        local replies = {}
        serve(right, function(value, reply)
          replies[#replies + 1] = { value, reply }
          if #replies < 3 then return end
          for i = 3, 1, -1 do replies[i][2]({ answer = replies[i][1] * 10 }) end
        end)
        local tasks, order = {}, {}
        for n = 1, 3 do
          tasks[n] = artel.async(function()
            local response = left:request(n)
            order[#order + 1] = n
            return response
          end)
        end
        for n = 1, 3 do assert.same({ answer = n * 10 }, tasks[n]:await(TIMEOUT)) end
        assert.same({ 3, 2, 1 }, order)
      end)

      it("gets false and artel.null as they are, and artel.null for nothing", function()
        local both <close> = helper.pair(encoding)
        local left, right = both.left, both.right
        serve(right, function(value, reply)
          if value == "nothing" then reply() else reply(value) end
        end)
        helper.await(function()
          assert.is_false(left:request(false, { timeout = TIMEOUT }))
          assert.equal(artel.null, left:request(artel.null))
          assert.equal(artel.null, left:request "nothing")
        end)
      end)

      it("gets the reason of a refusal as a value #valgrind", function()
        local both <close> = helper.pair(encoding)
        local left, right = both.left, both.right
        serve(right, function(value, reply) reply(nil, value) end)
        helper.await(function()
          for _, reason in ipairs { { why = "so" }, "text", false } do
            local response, err = left:request(reason)
            assert.is_nil(response)
            assert.equal("remote", err.kind)
            assert.same(reason, err.value)
          end
        end)
      end)

      it("is told when its response cannot be sent, and the channel goes on", function()
        local both <close> = helper.pair(encoding)
        local left, right = both.left, both.right
        serve(right, function(value, reply)
          if value == "bad" then
            local sent, err = reply { at = { print } }
            assert.is_nil(sent)
            assert.equal("encode", err.kind)
          else
            reply(value)
          end
        end)
        helper.await(function()
          local response, err = left:request "bad"
          assert.is_nil(response)
          assert.equal("encode", err.kind)
          assert.truthy(tostring(err):find("at[1]", 1, true), tostring(err))
          assert.equal("good", left:request "good")
        end)
      end)

      it("is answered though the reason is a text that the encoding cannot carry", function()
        local both <close> = helper.pair(encoding)
        local left, right = both.left, both.right
        local odd = setmetatable({}, { __tostring = function() return "\xff\0odd" end })
        serve(right, function(_, reply) reply(nil, odd) end)
        helper.await(function()
          local response, err = left:request(1, { timeout = TIMEOUT })
          assert.is_nil(response)
          assert.equal("remote", err.kind)
          assert.matches("odd", err.message)
        end)
      end)
    end)
  end

  it("is answered 'remote' where nobody answers requests", function()
    local both <close> = helper.pair()
    local left, right = both.left, both.right
    helper.await(function()
      local reader = artel.async(function() return right:receiveMessage(TIMEOUT) end)
      local response, err = left:request(1, { timeout = TIMEOUT })
      assert.is_nil(response)
      assert.equal("remote: the peer answers no requests: it has not called receiveRequest()",
        tostring(err))
      left:sendMessage "over"
      assert.equal("over", reader:await())
    end)
  end)

  it("that takes too long ends, and its late answer harms nobody", function()
    local both <close> = helper.pair()
    local left, right = both.left, both.right
    local late
    serve(right, function(value, reply)
      if value == "slow" then late = reply else reply(value) end
    end)
    helper.await(function()
      local response, err = left:request("slow", { timeout = 0.01 })
      assert.is_nil(response)
      assert.equal("timeout", err.kind)
      assert.equal("fast", left:request("fast", { timeout = TIMEOUT }))
      assert.is_true(late "too late")
      assert.equal("as fast", left:request("as fast", { timeout = TIMEOUT }))
    end)
  end)

  it("ends with the channel, at either end", function()
    for _, closes in ipairs { "left", "right" } do
      local both <close> = helper.pair()
      local left, right = both.left, both.right
      local ends = { left = left, right = right }
      local tasks = {}
      for n = 1, 3 do tasks[n] = artel.async(function() return left:request(n) end) end
      local server = artel.async(function() return right:receiveRequest() end)
      assert.equal(1, (server:await(TIMEOUT)))
      ends[closes]:close()
      for n = 1, 3 do
        local response, err = tasks[n]:await(TIMEOUT)
        assert.is_nil(response)
        assert.equal("closed", err.kind)
      end
    end
  end)

  it("may be answered once", function()
    local both <close> = helper.pair()
    local left, right = both.left, both.right
    local again
    serve(right, function(value, reply)
      reply(value)
      again = reply
    end)
    helper.await(function() assert.equal(1, left:request(1)) end)
    helper.raisesHere("answered already", function() again(2) end)
  end)

  it("leaves messages that come before its response for those who want messages", function()
    local both <close> = helper.pair()
    local left, right = both.left, both.right
    serve(right, function(value, reply)
      right:sendMessage "first"
      right:sendMessage "second"
      reply(value)
      right:sendMessage "third"
    end)
    helper.await(function()
      assert.equal(1, left:request(1))
      assert.equal("first", left:receiveMessage(0))
      assert.equal("second", left:receiveMessage(0))
      assert.equal("third", left:receiveMessage(TIMEOUT))
    end)
  end)

  it("waits for room when the queue is full", function()
    local left, right = core.pair { maxQueuedBytes = 100000 }
    local server = serve(right, function(value, reply) reply(#value) end)
    helper.await(function()
      core.coroutines[coroutine.running()].isHandler = true -- which fills the queue
      while left:sendMessage(("x"):rep(50000)) do end
      core.coroutines[coroutine.running()].isHandler = nil
      local reader = artel.async(function() for _ in right:messages() do end end)
      assert.equal(90000, left:request(("y"):rep(90000), { timeout = TIMEOUT }))
      left:close()
      reader:await(TIMEOUT)
    end)
    assert.equal("closed", server:await(TIMEOUT).kind)
    right:close()
  end)

  it("of a worker is answered by its onRequest while another one still waits #valgrind", function()
    local worker <close> = helper.worker [[{
      onRequest = function(self, value)
        if value == "go" then
          held:sendMessage("go")
          return "gone"
        end
        local artel = require "artel"
        local left, right = artel.channelPair()
        held = left
        return right:receiveMessage()
      end }]]
    helper.await(function()
      local waits = artel.async(function() return worker:request "wait" end)
      assert.equal("gone", worker:request "go")
      assert.equal("go", waits:await(TIMEOUT))
    end)
  end)

  local RAISED = {
    { "error('text', 0)", "text", "text" },
    { "error({ code = 7 })", 'remote: {"code":7}', { code = 7 } },
    { "error({ print })", "remote: an error that is a table" },
    { "error({ ('x'):rep(2000) })", "remote: an error that is a table", { ("x"):rep(2000) } },
    { "error(setmetatable({}, { __name = 'class' }))", "remote: []", {} },
    { "error(setmetatable({}, { __tostring = function() return 'odd' end }))", "odd", nil },
    { "error(setmetatable({}, { __tostring = function() error('no') end }))", "without a text" },
    { "error()", "nil" },
    { "return nil, { why = 'so' }", 'remote: {"why":"so"}', { why = "so" } },
  }
  for _, case in ipairs(RAISED) do
    it("whose handler does " .. case[1] .. " ends 'remote', and the worker goes on", function()
      local worker <close> = helper.worker(([[{
        onRequest = function(self, value) if value == 1 then return 1 end %s end }]])
        :format(case[1]))
      local response, err = worker:request(2, { timeout = TIMEOUT })
      assert.is_nil(response)
      assert.equal("remote", err.kind)
      assert.truthy(tostring(err):find(case[2], 1, true), tostring(err))
      if case[3] then assert.same(case[3], err.value) end
      assert.equal(1, worker:request(1, { timeout = TIMEOUT }))
    end)
  end

  -- Computes until it is cancelled, then says so; answers other requests at once.
  local COMPUTES = [[{
    onMessage = function(self, m, channel) channel:sendMessage(m) end,
    onRequest = function(self, request, channel)
      local artel = require "artel"
      if request ~= "compute" then return request end
      channel:sendMessage "begun"
      while not artel.isCancelled() do end
      channel:sendMessage "cancelled"
    end }]]

  for _, encoding in ipairs(helper.ENCODINGS) do
    it("that has timed out is told to a handler that computes, over " .. encoding, function()
      local worker <close> = helper.worker(COMPUTES, { channelFactory = encoding })
      local response, err = worker:request("compute", { timeout = 0.01 })
      assert.is_nil(response)
      assert.equal("timeout", err.kind)
      assert.equal("begun", worker:receiveMessage(TIMEOUT))
      assert.equal("cancelled", worker:receiveMessage(TIMEOUT))
      assert.equal("next", worker:request("next", { timeout = TIMEOUT }))
    end)
  end

  for _, transport in ipairs(helper.TRANSPORTS) do
    it("whose master closes the channel is told to a handler that computes, over " .. transport,
      function()
        local folder <close> = helper.folder()
        local seen = folder.path .. "/seen"
        local worker <close> = helper.worker(([[{ onRequest = function(self, request, channel)
          channel:sendMessage "begun"
          while not require "artel".isCancelled() do end
          io.open(%q, "w"):close()
        end }]]):format(seen), { transport = transport })
        local asked = artel.async(function() return worker:request "compute" end)
        assert.equal("begun", worker:receiveMessage(TIMEOUT))
        assert.equal(0, worker:close(TIMEOUT))
        assert.equal("closed", select(2, asked:await(TIMEOUT)).kind)
        assert.truthy(uv.fs_stat(seen))
      end)
  end

  it("that is cancelled lets pass what came meanwhile, in order, but not the cancelled", function()
    local worker <close> = helper.worker(COMPUTES)
    local computing = artel.async(function() return worker:request "compute" end)
    assert.equal("begun", helper.await(function() return worker:receiveMessage(TIMEOUT) end))
    for n = 1, 3 do worker:sendMessage(n) end
    local waiting = artel.async(function() return worker:request "waits" end)
    local dropped = artel.async(function() return worker:request "dropped" end)
    dropped:cancel()
    computing:cancel()
    assert.equal("waits", waiting:await(TIMEOUT))
    assert.equal("cancelled", worker:receiveMessage(TIMEOUT))
    for n = 1, 3 do assert.equal(n, worker:receiveMessage(TIMEOUT)) end
    assert.equal("cancelled", select(2, computing:await()).kind)
    assert.equal("cancelled", select(2, dropped:await()).kind)
    assert.equal("last", worker:request("last", { timeout = TIMEOUT }))
  end)

  it("has no handler that takes in more and more while it looks whether it is cancelled", function()
    local pair <close> = helper.pair()
    local left, right = pair.left, pair.right
    helper.await(function()
      core.coroutines[coroutine.running()].isHandler = true -- what is sent there waits for nobody
      for _ = 1, 128 do left:sendMessage(("x"):rep(65536)) end
    end)
    local state = core.state(right)
    for _ = 1, 1000 do
      dispatch.lookAhead(right, state)
      core.flush(left)
    end
    local taken = state.asideBytes + core.unread(right)
    assert.is_true(taken >= 1 << 20 and taken < 2 << 20, taken .. " bytes were taken in")
  end)

  it("that cannot be encoded is told apart from a response that cannot", function()
    local worker <close> = helper.worker "{ onRequest = function(self) return self end }"
    local _, err = worker:request(print)
    assert.equal("encode: cannot send a function (at message)", tostring(err))
    _, err = worker:request "anything"
    assert.equal("encode: the response: cannot send a function (at message.onRequest)",
      tostring(err))
  end)

  it("that is too long is told apart from a response that is", function()
    local worker <close> = helper.worker(
      "{ onRequest = function(_, r) return #r == 3 and ('x'):rep(1000) or #r end }",
      { maxMessageSize = 500 })
    local WRONG = { [("x"):rep(600)] = "request", abc = "response" }
    for request, name in pairs(WRONG) do
      local response, err = worker:request(request, { timeout = TIMEOUT })
      assert.is_nil(response)
      assert.equal("oversize", err.kind)
      assert.equal(("the %s is longer than the 500 bytes that maxMessageSize allows")
        :format(name), err.message)
    end
    local sent, err = worker:sendMessage(("x"):rep(600))
    assert.is_nil(sent)
    assert.equal("the message is longer than the 500 bytes that maxMessageSize allows",
      err.message)
  end)

  it("is not cancelled where there is none", function()
    assert.is_false(artel.isCancelled())
    assert.is_false(helper.await(artel.isCancelled))
    local worker <close> = helper.worker [[{
      onMessage = function(self, m, channel) channel:sendMessage(require "artel".isCancelled()) end
    }]]
    worker:sendMessage(1)
    assert.is_false(worker:receiveMessage(TIMEOUT))
  end)

  it("that is sent before the worker is ready waits for it", function()
    local worker <close> = helper.worker([[{
      initialize = function() -- takes a while in which the host looks at its channel
        local left, right = require "artel".channelPair()
        right:receiveMessage(0.05)
        ready = true
      end,
      onRequest = function() return ready end }]])
    assert.is_true(worker:request(1, { timeout = TIMEOUT }))
  end)
end)
