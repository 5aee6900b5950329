-- SPDX-License-Identifier: Apache-2.0
local helper = require "spec.helper"
local program = require "spec.program"

-- Runs a command in the checkout and compares what it prints; `...` stands for any text.
local function prints(command, expected, environment)
  local result = program.run(command, { environment = environment })
  local shown = result.output .. result.errors
  assert(program.matches(result.output, expected), shown)
  assert.equal("", result.errors, shown)
  assert.equal(0, result.code, shown)
end

local SQUARES = [[
1 squared is 1
2 squared is 4
3 squared is 9
4 squared is 16
5 squared is 25
6 squared is 36
7 squared is 49
8 squared is 64
9 squared is 81
10 squared is 100
]]

local DEMO = [[
== A dedicated worker: one more process, for this program alone

  The master (this program) is process ...
  It started a worker, process ..., which was ready after ... ms.
  The master sends it ... texts from /usr/share/common-licenses; the worker
  counts the words of each and tells how many there were:
...
  Asked for the words that were used most (of four letters or more), it answers:
     1. ... times
...
    10. ... times
  The master closes the channel, so the worker ends: exit code 0.

== A worker pool: the same work on every processor

  This program may use ... processor... The words of ... files (the copyright notices
  in /usr/share/doc) are counted by one worker, then by a pool:
     1 worker: ... words, ... s
    ... worker... words, ... s
  The pool needed ... % of the time that one worker needs.

== A shared worker: a daemon that any number of programs use at once

  The first master connects to unix://.../greeter.sock.
  Nobody listens there, so the worker is started:
    it is process ..., and will outlive its masters.
  The first master says its name.  Answer: Hello Ada ! You're my 1st client.
  A second master connects. The worker is there already.
  The second master says its name. Answer: Hello Grace ! You're my 2nd client.
  Asked how it is, with the admin cookie, it answers: 2 clients greeted
    sys_memory_usage       ... B
    sys_connections_open           3
    sys_messages_received          2 c
  Asked to stop, with the admin cookie, it has ended, and its socket is gone.
]]

describe("examples/squares.lua", function()
  for _, kind in ipairs { "raw", "evented" } do
    for _, encoding in ipairs { "msgpack", "json" } do
      it(("squares ten numbers with a %s worker over %s"):format(kind, encoding), function()
        prints({ "lua5.4", "examples/squares.lua", kind, encoding }, SQUARES)
      end)
    end
  end

  it("works from another folder", function()
    local folder <close> = setmetatable({ path = program.makeFolder() },
      { __close = function(self) program.removeFolder(self.path) end })
    local result = program.run({ "lua5.4", program.top .. "/examples/squares.lua" },
      { folder = folder.path })
    assert.equal(SQUARES, result.output, result.errors)
  end)
end)

describe("examples/greet.lua", function()
  it("greets, tells how many it has greeted, and stops", function()
    local folder <close> = setmetatable({ path = program.makeFolder() },
      { __close = function(self) program.removeFolder(self.path) end })
    local environment = { GREETER_SOCKET = folder.path .. "/greeter.sock" }
    local greet = { "lua5.4", "examples/greet.lua" }
    prints(greet, "Hello world ! You're my 1st client.\n", environment)
    prints({ greet[1], greet[2], "moon" }, "Hello moon ! You're my 2nd client.\n", environment)
    prints({ greet[1], greet[2], "--query" }, "2 clients greeted\n", environment)
    prints({ greet[1], greet[2], "--stop" }, "stopped\n", environment)
  end)
end)

describe("examples/http_status.lua", function()
  it("serves HTTP beside its socket, and releases it in onStop", function()
    local result = program.run { "lua5.4", "examples/http_status.lua" }
    assert.equal("", result.errors)
    assert.matches("^HTTP/1.1 200 OK\r\n.*\r\n\r\n3 messages\n\nstopped: true\n$", result.output)
  end)
end)

describe("examples/pool.lua", function()
  it("counts the words of all files of a folder", function()
    local folder <close> = helper.folder()
    local expected = 0
    for n = 1, 300 do
      helper.write(("%s/%d.txt"):format(folder.path, n), ("word, "):rep(n))
      expected = expected + n
    end
    prints({ "lua5.4", "examples/pool.lua", folder.path },
      ("%d words in 300 files\n"):format(expected))
  end)

  it("counts those that every Debian brings", function()
    local result = program.run { "lua5.4", "examples/pool.lua" }
    assert.equal("", result.errors)
    local words, files = result.output:match "^(%d+) words in (%d+) files\n$"
    assert.is_true(math.tointeger(words) > math.tointeger(files), result.output)
  end)
end)

describe("examples/map.lua", function()
  it("tells prime numbers, in the order of the list", function()
    prints({ "lua5.4", "examples/map.lua" }, [[
1000000007	true
1000000008	false
1000000009	true
1000000010	false
998244353	true
]])
  end)
end)

describe("examples/ticking.lua", function()
  it("has a timer that ticks while the pool works", function()
    local result = program.run { "lua5.4", "examples/ticking.lua" }
    assert.equal("", result.errors)
    local files, ticks, late = result.output:match
      "^(%d+) files counted; meanwhile the timer ticked (%d+) times, at most ([%d.]+) ms late\n$"
    assert(files, result.output)
    assert.equal(0, math.tointeger(files) % 20)
    assert.is_true(math.tointeger(ticks) > 0, result.output)
    assert.is_number(tonumber(late))
  end)
end)

describe("examples/cache.lua", function()
  it("computes each number once, though two pools ask for it", function()
    prints({ "lua5.4", "examples/cache.lua" }, [[
first pool: 40 numbers, 0 of them known already
second pool: 40 numbers, 40 of them known already
1000000000001 = 73 * 137 * 99990001
the cache: 40 found, 40 not found
stopped: true
]])
  end)
end)

describe("examples/deploy.lua", function()
  it("replaces a shared worker's code: its clients see replies, or that it is disabled", function()
    prints({ "lua5.4", "examples/deploy.lua" }, [[
4 clients see: version 1
4 clients see: disabled
4 clients see: version 2
all that any of them has ever seen: disabled, version 1, version 2
]])
  end)
end)

-- These stand in the README. They use the build that tools/build makes, without a sanitizer.
local NORMAL = { LD_PRELOAD = false, LUA_PATH = false, LUA_CPATH = false }

describe("the commands of the README", function()
  it("show artel at work: tools/demo", function()
    prints({ "tools/demo" }, "...\n" .. DEMO, NORMAL)
  end)

  it("let lua5.4 find artel in the build tree: . tools/env", function()
    prints({ "sh", "-c", ". tools/env && lua5.4 examples/squares.lua" }, SQUARES, NORMAL)
  end)
end)
