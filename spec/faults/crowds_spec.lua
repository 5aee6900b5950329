-- SPDX-License-Identifier: Apache-2.0
-- Many at once: masters that start one worker at the same instant, hosts that want one
-- address, connections that rest, connections that flood.

local artel = require "artel"
local support = require "spec.shared.support"
local uv = require "luv"

local MASTERS, IDLE = 50, 500

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
local factory = artel.WorkerFactory.new { adminCookie = "a cookie", outputPath = %q }
local worker, err = factory:connectToSharedWorkerWithExpression(%q, %q)
if not worker then io.stderr:write(tostring(err), "\n") os.exit(1, true) end
worker:sendMessage "hello"
local number
number, err = worker:receiveMessage(60)
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

describe("with many at once, a shared worker", function()
  before_each(support.setUp)
  after_each(function() support.tearDown() end)

  it(("is started once by %d masters of one instant, and answers all"):format(MASTERS), function()
    local address = support.unixAddress()
    local script = MASTER:format(support.path "log", address, COUNTER)
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
    while finished < MASTERS do uv.run "once" end
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

  it(("holds %d connections that rest, and the busy one does not notice"):format(IDLE), function()
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
      { socketContextExpression = "{ maxConnections = 2 }", connectTimeout = 0.2 })
    local first = assert(factory:connectToSharedWorker(address))
    local second = assert(factory:connectToSharedWorker(address))
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

end)
