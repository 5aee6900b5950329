-- SPDX-License-Identifier: Apache-2.0
-- Many at once: masters that start one worker at the same instant, hosts that want one
-- address, connections that rest, connections that flood.

local artel = require "artel"
local helper = require "spec.helper"
local support = require "spec.shared.support"
local uv = require "luv"

local MASTERS, IDLE, FLOOD = 50, 500, 3000

-- How many descriptors a process may have here; math.huge when there is no limit.
local descriptorLimit = tonumber(support.read "/proc/self/limits":match "Max open files +(%d+)")
  or math.huge

--- A spec with so many connections at once that a low limit leaves it no descriptors.
local function itWithMany(title, body)
  it(title, function()
    if descriptorLimit < 2 * IDLE then return pending("needs ulimit -n " .. 2 * IDLE) end
    body()
  end)
end

local COUNTER = [[(function()
  local count = 0
  return {
    onMessage = function(self, name, channel)
      count = count + 1
      channel:sendMessage(count)
    end,
    onRequest = function(self, value) return value end,
  }
end)()]]

-- Waits for the end of its standard input, which all masters share: then all go at once.
local MASTER = [[
local artel = require "artel"
io.stdin:read "a"
local TIMEOUT = %d
local factory = artel.WorkerFactory.new { adminCookie = "a cookie", outputPath = %q,
  connectTimeout = TIMEOUT }
local worker, err = factory:connectToSharedWorkerWithExpression(%q, %q)
if not worker then io.stderr:write(tostring(err), "\n") os.exit(1, true) end
worker:sendMessage "hello"
local number
number, err = worker:receiveMessage(TIMEOUT)
io.stdout:write(tostring(number or err), " ", tostring(worker:getProcessId()), "\n")
worker:close()
]]

--- Starts a lua5.4 with a script; its output comes to `done(text, code)`.
local function startMaster(script, input, done)
  local output, errors = uv.new_pipe(), uv.new_pipe()
  local text, code, open = "", nil, 3
  local function finished()
    open = open - 1
    if open == 0 then done(text, code) end
  end
  local environment = support.environment {
    LUA_PATH = package.path, LUA_CPATH = package.cpath,
    LD_PRELOAD = os.getenv "LD_PRELOAD", -- theirs is our code too
  }
  local process
  process = uv.spawn("lua5.4", { args = { "-e", script }, stdio = { input, output, errors },
    env = environment }, function(exitCode)
    code = exitCode
    process:close()
    finished()
  end)
  for _, pipe in ipairs { output, errors } do
    pipe:read_start(function(_, chunk)
      if chunk then
        text = text .. chunk
      else
        pipe:close()
        finished()
      end
    end)
  end
end

--- Keeps `width` connections at a time going to the address, of which each does one thing
--- and begins anew when it has ended, until stop() is called.
---@return { ended: integer, greets: boolean, stop: fun() }
local function flood(address, width)
  local path = address:match "^unix://(.*)"
  local flooder = { ended = 0, greets = false }
  local open, begun, stopped = {}, 0, false
  local OPENINGS = { "", "AT", "GET / HTTP/1.1\r\n\r\n", "ATL1" }
  local function begin()
    local pipe = uv.new_pipe()
    open[pipe] = true
    begun = begun + 1
    local opening = OPENINGS[flooder.greets and 4 or begun % 4 + 1]
    local function finish()
      if pipe:is_closing() then return end
      pipe:close()
      open[pipe], flooder.ended = nil, flooder.ended + 1
      if not stopped then begin() end
    end
    pipe:connect(path, function(err)
      if err then return finish() end
      pipe:write(opening, function() end)
      pipe:read_start(finish) -- an answer, or the end
    end)
  end
  function flooder.stop()
    stopped = true
    for pipe in pairs(open) do pipe:close() end
    uv.run "nowait"
  end
  for _ = 1, width do begin() end
  return flooder
end

describe("with many at once, a shared worker", function()
  support.outliveBrokenPipes { setup = setup, teardown = teardown }
  before_each(support.setUp)
  after_each(function() support.tearDown() end)

  it(("is started once by %d masters of one instant, and answers all"):format(MASTERS), function()
    local address = support.unixAddress()
    local script = MASTER:format(support.TIMEOUT, support.path "log", address, COUNTER)
    local gate = assert(uv.socketpair())
    local pipe = uv.new_pipe()
    pipe:open(gate[1])
    local results, finished = {}, 0
    for _ = 1, MASTERS do
      startMaster(script, gate[1], function(text, code)
        finished = finished + 1
        results[#results + 1] = { text = text, code = code }
      end)
    end
    local opener = uv.new_pipe()
    opener:open(gate[2])
    opener:close()
    helper.runLoopUntil(function() return finished == MASTERS end)
    pipe:close()
    uv.run "nowait"
    local seen, pids = {}, {}
    for _, result in ipairs(results) do
      local number, pid = result.text:match "^(%d+) (%d+)\n$"
      assert(number, result.text)
      assert.equal(0, result.code)
      seen[tonumber(number)] = true
      pids[pid] = true
    end
    assert.equal(MASTERS, #seen)
    assert.is_nil(next(pids, next(pids)))
    support.stop(support.factory(), address)
  end)

  it("is one, though two hosts want the address", function()
    local factory, address = support.factory(), support.unixAddress()
    local first = artel.async(factory.startSharedWorkerWithExpression, factory, address, COUNTER)
    local second = artel.async(factory.startSharedWorkerWithExpression, factory, address, COUNTER)
    local a, b = first:await(support.TIMEOUT), second:await(support.TIMEOUT)
    assert.is_true(a ~= b and type(a) == "boolean" and type(b) == "boolean")
    support.stop(factory, address)
  end)

  itWithMany(("holds %d connections that rest, and the busy one does not notice")
    :format(IDLE), function()
    local factory, address, pid = support.start(COUNTER)
    local busy = assert(factory:connectToSharedWorker(address))
    local function residentBytes()
      return tonumber(support.read(("/proc/%d/statm"):format(pid)):match "^%d+ (%d+)") * 4096
    end
    assert.equal(1, busy:request(1))
    local before = residentBytes()
    local idle = {}
    for n = 1, IDLE do
      idle[n] = assert(factory:connectToSharedWorker(address))
      assert.equal(n, idle[n]:request(n))
    end
    for n = 1, 1000 do assert.equal(n, busy:request(n)) end
    local each = (residentBytes() - before) / IDLE
    assert.is_true(each < 12 * 1024, ("%.0f bytes for each connection"):format(each))
    for n = 1, IDLE do assert.equal(n, idle[n]:request(n)) end
    for n = 1, IDLE do idle[n]:close() end
    busy:close()
    support.stop(factory, address)
  end)

  it("accepts no more than maxConnections, and the next when one has gone", function()
    local factory, address = support.start(COUNTER,
      { socketContextExpression = "{ maxConnections = 2 }" })
    local first = assert(factory:connectToSharedWorker(address))
    local second = assert(factory:connectToSharedWorker(address))
    factory:getBootstrapProfile():setConnectTimeout(0.2)
    local third, err = factory:connectToSharedWorker(address)
    assert.is_nil(third)
    assert.equal("timeout", err.kind)
    first:close()
    factory:getBootstrapProfile():setConnectTimeout(support.TIMEOUT)
    third = assert(factory:connectToSharedWorker(address))
    assert.equal("still here", third:request "still here")
    assert.equal("me too", second:request "me too")
    second:close()
    third:close()
    support.stop(factory, address)
  end)

  itWithMany(("serves in a flood of %d connections that mostly never greet")
    :format(FLOOD), function()
    local most = 200
    local factory, address, pid = support.start([[{
      onRequest = function(self, timeout)
        require "artel.server_core".GREETING_TIMEOUT = timeout -- from the next one on
        return "done"
      end,
    }]], { socketContextExpression = ("{ maxConnections = %d }"):format(most) })
    local function countDescriptors()
      local count = 0
      local folder = assert(uv.fs_scandir(("/proc/%d/fd"):format(pid)))
      while uv.fs_scandir_next(folder) do count = count + 1 end
      return count
    end
    local before = countDescriptors() -- who asked for its pid may be among them
    local early = assert(factory:connectToSharedWorker(address))
    assert.equal("done", early:request(0.1))
    local flooder = flood(address, most + 100)
    local answers, late
    local served = artel.async(function()
      answers = 0
      while flooder.ended < FLOOD do
        assert.equal("done", early:request(0.1))
        answers = answers + 1
      end
      -- One that comes now has more time to greet than a busy machine may take. Of those that
      -- never greet too few are left to fill the worker.
      flooder.greets = true
      assert.equal("done", early:request(support.TIMEOUT))
      late = assert(factory:connectToSharedWorker(address))
      assert.equal("done", late:request(support.TIMEOUT))
    end)
    served:await(support.TIMEOUT)
    assert.is_true(answers > 0)
    assert.is_true(countDescriptors() <= before + most)
    flooder.stop()
    helper.eventually(function() return countDescriptors() <= before + 2 end)
    late:close()
    early:close()
    helper.eventually(function() return countDescriptors() <= before end)
    support.stop(factory, address)
    assert.matches("cut off: it did not greet in time", support.log())
  end)
end)
