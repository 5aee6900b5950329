-- SPDX-License-Identifier: Apache-2.0
-- The answers that a pool gets one behind another, which its channel takes in C.

local artel = require "artel"
local core = require "artel.core"
local dispatch = require "artel.dispatch"
local frame = require "artel.frame"
local helper = require "spec.helper"

describe("answers that stand one behind another", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  local told

  --- Lets the left end wait for the answer to `id` as a pool does.
  local function expect(left, id)
    local state = dispatch.stateOf(left)
    state.pendingCount = state.pendingCount + 1
    state.pending[id] = { onAnswer = function(job)
      told[#told + 1] = { id, job.value or job.err.kind, job.done, state.pendingCount }
    end }
  end

  local function answer(right, id, value) assert(core.queue(right, frame.RESPONSE, id, value)) end

  local function takeIn(both)
    assert(core.flush(both.right))
    core.fill(both.left)
    dispatch.pump(both.left, dispatch.stateOf(both.left))
  end

  before_each(function() told = {} end)

  for _, encoding in ipairs(helper.ENCODINGS) do
    it("are told in their order, beside those of others, over " .. encoding, function()
      local both <close> = helper.pair(encoding)
      local state = dispatch.stateOf(both.left)
      for _, id in ipairs { 1, 2, 4, 6 } do expect(both.left, id) end
      local other = {}
      state.pending[3], state.pendingCount = other, state.pendingCount + 1
      for id = 1, 4 do answer(both.right, id, id * 10) end
      answer(both.right, 5, "nobody waits for this one")
      both.right:sendMessage "a message in between"
      answer(both.right, 6, { "the last" })
      takeIn(both)
      assert.same({ { 1, 10, true, 4 }, { 2, 20, true, 3 }, { 4, 40, true, 1 },
        { 6, { "the last" }, true, 0 } }, told)
      assert.equal(30, other.value)
      assert.is_true(other.done)
      assert.equal(1, state.lostResponses)
      assert.is_nil(next(state.pending))
      assert.equal("a message in between", both.left:receiveMessage(0))
    end)
  end

  it("end as errors where they cannot be decoded", function()
    local both <close> = helper.pair { module = "spec.fixtures.picky_codec" }
    for id = 1, 3 do expect(both.left, id) end
    answer(both.right, 1, "good")
    answer(both.right, 2, "bad")
    answer(both.right, 3, "good")
    takeIn(both)
    assert.same({ { 1, "good", true, 2 }, { 2, "decode", true, 1 }, { 3, "good", true, 0 } }, told)
  end)

  it("are told to nobody when decoding one has closed the channel", function()
    local factory = require "spec.fixtures.picky_codec"
    local both <close> = helper.pair { module = "spec.fixtures.picky_codec" }
    for id = 1, 3 do
      expect(both.left, id)
      answer(both.right, id, "good")
    end
    local count = 0
    function factory.beforeDecode()
      count = count + 1
      if count == 2 then both.left:close() end
    end
    finally(function() factory.beforeDecode = nil end)
    takeIn(both)
    assert.same({ { 1, "good", true, 2 } }, told)
    assert.equal(0, dispatch.stateOf(both.left).pendingCount)
  end)

  it("are not looked at when the one before has closed the channel", function()
    local both <close> = helper.pair()
    local state = dispatch.stateOf(both.left)
    for id = 1, 3 do
      expect(both.left, id)
      answer(both.right, id, id)
    end
    local second = state.pending[2].onAnswer
    state.pending[2].onAnswer = function(job)
      second(job)
      both.left:close()
    end
    takeIn(both)
    artel.async(function() end):await() -- who waits for the third is told from the run queue
    assert.same({ { 1, 1, true, 2 }, { 2, 2, true, 1 } }, told)
    assert.equal(0, state.pendingCount)
  end)
end)
