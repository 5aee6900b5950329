-- SPDX-License-Identifier: Apache-2.0
-- map and imap: results in order, each once, whatever the workers do.

local artel = require "artel"
local helper = require "spec.helper"

local TIMEOUT = helper.TIMEOUT

local function pool(expression, count, options)
  return artel.WorkerFactory.new { outputPath = "/dev/null" }
    :createWorkerPoolWithExpression(expression, count, options)
end

local ECHO = "{ onRequest = function(_, r) if r == 'bad' then error 'bad' end return r end }"

-- Takes from nothing to half a millisecond, another time for each number.
local UNEVEN = [[{ onRequest = function(_, n)
  local x = 0
  for i = 1, n * 7919 % 101 * 200 do x = x + i end
  return n
end }]]

describe("map over a pool", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  it("gives the results in order with any timing of the workers", function()
    local workers <close> = pool(UNEVEN, 3)
    local items, count = {}, helper.isWatched and 500 or 2000
    for n = 1, count do items[n] = n end
    local results = workers:map(items)
    assert.equal(count, results.n)
    for n = 1, count do assert.equal(n, results[n]) end
  end)

  it("takes an iterator, and only a window of it ahead", function()
    local workers <close> = pool(ECHO, 2)
    local taken = 0
    local function endless()
      taken = taken + 1
      return taken
    end
    local seen = 0
    for _, response in workers:imap(endless) do
      assert.is_true(response <= taken)
      seen = seen + 1
      if seen == 1000 then break end
    end
    assert.is_true(taken < 1000 + 1000)
    assert.same({ "ab", "cd", n = 2 }, workers:map(("ab cd"):gmatch "%a+"))
    assert.same({ n = 0 }, workers:map {})
  end)

  it("takes no more ahead of what cannot be sent", function()
    local working <close> = artel.WorkerFactory.new { outputPath = "/dev/null",
      maxMessageSize = 1000 }:createWorkerPoolWithExpression(ECHO, 1)
    local suspended <close> = pool("error 'cannot start'", 1, { restartLimit = { count = 0 } })
    helper.eventually(function()
      return suspended:request(1) == nil and suspended:engine().staff.suspended
    end)
    for kind, case in pairs { encode = { working, print }, oversize = { working, ("x"):rep(2000) },
      bootstrap = { suspended, 1 } } do
      local workers, item = table.unpack(case)
      local taken, seen
      local function nextItem()
        taken = taken + 1
        if taken <= 1000 then return item end
      end
      local function check()
        assert.is_true(taken <= seen + 128, ("%d items were taken before %d had ended")
          :format(taken, seen))
      end
      taken, seen = 0, 0
      for _, _, err in workers:imap(nextItem) do
        seen = seen + 1
        assert.equal(kind, err.kind)
        check()
      end
      assert.equal(1000, seen)
      taken, seen = 0, 0
      local _, errors = workers:map(nextItem, { errors = "collect", onProgress = function(done)
        seen = done
        check()
      end })
      assert.same({ 1000, 1000 }, { seen, #errors })
    end
  end)

  it("takes fewer ahead where they are large, and sends a worker fewer still", function()
    local workers <close> = pool("{ onRequest = function(_, r) return #r end }", 2)
    local slots = workers:engine().slots
    local size, count = 600 << 10, 120
    local taken, seen, most = 0, 0, 0
    local function large()
      if taken == count then return nil end
      taken = taken + 1
      return ("x"):rep(size)
    end
    for _, response in workers:imap(large) do
      assert.equal(size, response)
      seen = seen + 1
      most = math.max(most, taken - seen)
      for _, slot in ipairs(slots) do assert.is_true(slot.inFlight <= 2) end
    end
    assert.equal(count, seen)
    assert.is_true(most * size <= 10 << 20)
  end)

  it("ends at the first error with its index, or collects them all #valgrind", function()
    local workers <close> = pool(ECHO, 2)
    local results, err = workers:map { 1, 2, "bad", 4 }
    assert.is_nil(results)
    assert.same({ "remote", 3 }, { err.kind, err.index })
    local errors
    results, errors = workers:map({ 1, "bad", print, 4 }, { errors = "collect" })
    assert.same({ 1, [4] = 4, n = 4 }, results)
    assert.same({ "remote", "encode" }, { errors[2].kind, errors[3].kind })
    assert.equal("still there", workers:request "still there")
  end)

  it("yields each index once in imap, with its item", function()
    local workers <close> = pool(UNEVEN, 2)
    local items, seen = {}, {}
    for n = 1, 500 do items[n] = n end
    for index, response, err, item in workers:imap(items) do
      assert.is_nil(err)
      assert.is_nil(seen[index])
      seen[index] = true
      assert.same({ index, index }, { response, item })
    end
    assert.equal(500, #seen)
  end)

  it("tells of its progress up to the end", function()
    local workers <close> = pool(ECHO, 2)
    local last, total = 0, nil
    workers:map({ 1, 2, 3, 4, 5 }, { onProgress = function(done, all)
      assert.is_true(done > last)
      last, total = done, all
    end })
    assert.same({ 5, 5 }, { last, total })
  end)

  it("works in artel.async while others use the pool", function()
    local workers <close> = pool(ECHO, 2)
    helper.await(function()
      local items = {}
      for n = 1, 500 do items[n] = n end
      local map = artel.async(function() return workers:map(items) end)
      for n = 1, 20 do assert.equal(n, workers:request(n)) end
      assert.equal(500, map:await(TIMEOUT).n)
    end)
  end)

  it("gives each index to one of several coroutines that share an imap", function()
    local workers <close> = pool(UNEVEN, 2)
    local items, seen, count = {}, {}, 0
    for n = 1, 300 do items[n] = n end
    local nextAnswer, _, _, closing = workers:imap(items)
    local _ <close> = closing
    local tasks = {}
    for n = 1, 3 do
      tasks[n] = artel.async(function()
        for index in nextAnswer do
          assert.is_nil(seen[index])
          seen[index], count = true, count + 1
        end
      end)
    end
    for n = 1, 3 do tasks[n]:await(TIMEOUT) end
    assert.equal(300, count)
  end)

  --- How many functions are called while so many maps end that coroutines wait for.
  local function callsFor(count)
    local workers <close> = pool(ECHO, 1)
    assert.is_true(workers:waitUntilReady(TIMEOUT))
    helper.freeze(workers[1])
    local tasks = {}
    for n = 1, count do tasks[n] = artel.async(function() return workers:map { n, n, n } end) end
    workers[1]:kill "CONT"
    local calls = 0
    debug.sethook(function() calls = calls + 1 end, "c") -- here, where the loop runs
    for n = 1, count do assert.equal(3, tasks[n]:await(TIMEOUT).n) end
    debug.sethook()
    return calls
  end

  it("is as much work, however many other maps are at work", function()
    local few, many = callsFor(50), callsFor(200)
    assert.is_true(many < 6 * few, ("%d calls for 50, %d for 200"):format(few, many))
  end)

  it("keeps nothing waiting behind a slow request while a worker is idle", function()
    local workers <close> = pool([[{ onRequest = function(_, r)
      if r == "slow" then
        local artel = require "artel"
        while not artel.isCancelled() do end
      end
      return r
    end }]], 2, { cancelGrace = TIMEOUT })
    helper.await(function()
      for n = 1, 100 do workers:request(n) end -- so that many are sent ahead
      local slow = artel.async(function() return workers:request "slow" end)
      local items = {}
      for n = 1, 300 do items[n] = n end
      assert.equal(300, workers:map(items).n) -- all but one go through the other worker
      assert.is_false(slow:isDone())
      slow:cancel()
      slow:await(TIMEOUT)
    end)
  end)

  it("with 64 workers starts, works and stops", function()
    local workers <close> = pool(ECHO, 64)
    local items = {}
    for n = 1, 1000 do items[n] = n end
    assert.equal(1000, workers:map(items).n)
  end)
end)

describe("artel.map", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  it("calls a function for each item, in order, with its context", function()
    assert.same({ 1, 4, 9, n = 3 }, artel.map(function(n) return n * n end, { 1, 2, 3 }))
    assert.same({ 11, 12, n = 2 }, artel.map(function(n, context) return n + context.by end,
      { 1, 2 }, { context = { by = 10 }, workers = 2 }))
    local FACTOR <const> = 3
    assert.same({ 3, n = 1 }, artel.map(function(n) return n * FACTOR end, { 1 }))
  end)

  it("refuses a function that needs more than its arguments, and says what to do", function()
    local floor = math.floor
    helper.raisesHere("upvalue `floor`: require it inside; make a number or string <const>; "
      .. "hand any other value over as options.context: it is the function's second argument",
      function() artel.map(function(n) return floor(n) end, { 1 }) end)
    helper.raisesHere(" map: constructor arguments: cannot export a function",
      function() artel.map("x", { 1 }, { arguments = { print } }) end)
    assert.error_matches(function() artel.map(print, { 1 }) end, "written in C")
    assert.error_matches(function() artel.map(1, { 1 }) end, "function or a module expected")
    helper.raisesHere("bad argument #1 to 'imap' (a function or a module expected, got number)",
      function() artel.imap(1, { 1 }) end)
  end)

  it("refuses a list with a hole, which would be taken for its end", function()
    helper.raisesHere("bad argument #2 to 'map' (the list has a hole at index 2; artel.null may "
      .. "fill it)", function() artel.map(function(n) return n end, { 1, nil, 3 }) end)
  end)

  it("refuses what pairs and ipairs answer, which need their table at each call", function()
    local workers <close> = pool(ECHO, 1)
    for name, make in pairs { pairs = pairs, ipairs = ipairs } do
      local text = ("(a list or an iterator expected, got what %s answers: give the list itself)")
        :format(name)
      helper.raisesHere("bad argument #1 to 'map' " .. text, function()
        workers:map(make { 1 })
      end)
      helper.raisesHere("bad argument #2 to 'imap' " .. text, function()
        artel.imap("some.module", make { 1 })
      end)
    end
  end)

  it("refuses a table that is no list, which would be taken for an empty one", function()
    local function echo(n) return n end
    for _, items in ipairs { { a = 1 }, { [2] = 1 }, { n = 1, m = 2 } } do
      helper.raisesHere("bad argument #2 to 'map' (the table has no entry 1: it is no list)",
        function() artel.map(echo, items) end)
    end
    assert.same({ n = 0 }, artel.map(echo, {}))
    assert.same({ n = 0 }, artel.map(echo, assert(artel.map(echo, {}))))
  end)

  it("tells what the function raised", function()
    local results, err = artel.map(function(n) return n.x.y end, { 1 })
    assert.is_nil(results)
    assert.same({ "remote", 1 }, { err.kind, err.index })
  end)

  it("has a twin that iterates, and ends its pool when the loop is left", function()
    local seen = 0
    for _, response, err in artel.imap(function(n) return n end, { 1, 2, 3, 4 }) do
      assert.is_nil(err)
      assert.is_number(response)
      seen = seen + 1
      if seen == 2 then break end
    end
    assert.equal(2, seen)
  end)
end)
