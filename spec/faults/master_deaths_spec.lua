-- SPDX-License-Identifier: Apache-2.0
-- A worker never outlives its master, however that goes away.

local helper = require "spec.helper"
local uv = require "luv"

local TIMEOUT = helper.TIMEOUT
local isRoot = uv.getuid() == 0

local function isReady(worker)
  return assert(worker:waitUntilReady(TIMEOUT))
end

describe("a worker whose master goes away", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  local BUSY = helper.raw "channel:sendMessage(0) while true do end"
  local IDLE = helper.raw "channel:sendMessage(0) channel:receiveMessage()"

  -- The worker has the script's output, so the script's run ends when both have ended.
  local KILLED = [[
    local artel, uv = require "artel", require "luv"
    local worker = artel.WorkerFactory.new {
      channelFactory = arg[2], transport = arg[3], preferredIdentity = arg[4],
    }:createWorkerWithExpression(arg[1])
    assert(worker:receiveMessage())
    print(worker:getProcessId())
    io.stdout:flush()
    uv.kill(uv.os_getpid(), "sigkill") ]]

  -- Nor does one that goes on outlive the spec which finds that out.
  local function assertEnds(result)
    local pid = math.tointeger(assert(result.output:match "^%d+", result.errors))
    local ended, err = pcall(helper.eventually, function() return not helper.isAlive(pid) end)
    if not ended then uv.kill(pid, "sigkill") end
    assert(ended, err)
    assert.equal(9, result.signal)
  end

  for what, expression in pairs { busy = BUSY, idle = IDLE } do
    for _, channel in ipairs(helper.CHANNELS) do
      for _, identity in ipairs { false, "nobody" } do
        local user = identity or "as its master"
        it(("by SIGKILL ends too: %s, %s, %s"):format(what, user, channel.over), function()
          if identity and not isRoot then return pending "only root may become somebody else" end
          local encoding = channel.options.channelFactory or "msgpack"
          local transport = channel.options.transport or "auto"
          local result = helper.script(KILLED,
            { arguments = { expression, encoding, transport, identity or nil } })
          assertEnds(result)
        end)
      end
    end
  end

  it("by SIGKILL ends too though it ignores the signals that it can", function()
    local result = helper.script(KILLED, { arguments = { helper.raw [[
      for _, name in ipairs { "sigterm", "sigint", "sighup", "sigpipe" } do
        require "luv".new_signal():start(name, function() end)
      end
      channel:sendMessage(0)
      while true do end]], "msgpack" } })
    assertEnds(result)
  end)

  it("finishes what it was sent before it is told #valgrind", function()
    local folder <close> = helper.folder()
    local path = folder.path .. "/output"
    local result = helper.script([[
      local artel = require "artel"
      local worker = artel.WorkerFactory.new { outputPath = arg[1], stopTimeout = 100 }
        :createWorkerWithExpression(
          "{ onMessage = function(_, m) print(m) end, onDisconnect = function() print 'over' end }")
      for n = 1, 1000 do worker:sendMessage(n) end
      -- and Lua ends, which waits for it
    ]], { arguments = { path } })
    assert.equal(0, result.code, result.errors)
    local lines = {}
    for line in io.lines(path) do lines[#lines + 1] = line end
    assert.equal(1001, #lines)
    assert.equal("1000", lines[1000])
    assert.equal("over", lines[1001])
  end)

  it("is collected when it is dropped, without a wait, and leaves no zombie", function()
    local pid
    do
      local worker = helper.worker "{ onMessage = function() end }"
      isReady(worker)
      pid = worker:getProcessId()
    end
    collectgarbage()
    collectgarbage()
    helper.eventually(function() return not helper.isAlive(pid) end)
    local other <close> = helper.worker "{ onMessage = function() end }"
    assert.same({ other:getProcessId() }, helper.children())
  end)

  -- What a copy of the master does with what it has inherited, and what is printed there.
  local IN_A_COPY = {
    { "drops all", [[
      worker, shared, pool = nil, nil, nil
      collectgarbage()
      collectgarbage()]], "" },
    { "closes all", [[
      print(worker:close(), shared:close(), pool:close(), worker:isRunning())]],
      "nil\ttrue\ttrue\tfalse\n" },
    { "uses all", [[
      local calls = {
        function() worker:sendMessage "from the copy" end,
        function() worker:receiveMessage(0) end,
        function() worker:request(1, { timeout = 0.01 }) end,
        function() worker:kill() end,
        function() worker:flush(0) end,
        function() shared:request(1, { timeout = 0.01 }) end,
        function() shared:query(0) end,
        function() shared:stop() end,
        function() artel.select({ worker }, 0) end,
        function() pool:request(1, { timeout = 0.01 }) end,
        function() pool:receiveMessage(0) end,
      }
      for n, call in ipairs(calls) do
        local ok, err = pcall(call)
        if ok or not tostring(err):find("made before fork: it is the parent's", 1, true) then
          print(n, ok, err)
        end
      end]], "" },
  }
  for transport in ("socket shared-memory"):gmatch "%S+" do
    for _, case in ipairs(IN_A_COPY) do
      local what, does, printed = table.unpack(case)
      it(("is not touched by a copy of its master that fork has made and that %s, over %s")
        :format(what, transport), function()
        local folder <close> = helper.folder()
        local built = os.execute(
          ("LD_PRELOAD= cc -shared -fPIC -I/usr/include/lua5.4 -o '%s/forker.so' '%s' 2>&1")
          :format(folder.path, helper.fixture("forker"):gsub("%.lua$", ".c")))
        if not built then return pending "needs a C compiler and Lua's headers" end
        local result = helper.script(([[
          package.cpath = arg[1] .. "/?.so;" .. package.cpath
          local artel, forker = require "artel", require "forker"
          local factory = artel.WorkerFactory.new {
            transport = "%s", adminCookie = "a cookie",
          }
          local ECHO = "{ onRequest = function(_, value) return value end }"
          local address = "unix://" .. arg[1] .. "/shared.sock"
          local worker = factory:createWorkerWithExpression(ECHO)
          local shared = assert(factory:connectToSharedWorkerWithExpression(address, ECHO))
          local pool = factory:createWorkerPoolWithExpression(ECHO, 2)
          assert(worker:request(1) == 1 and shared:request(1) == 1 and pool:request(1) == 1)
          io.stdout:setvbuf "no"
          local child = forker.fork()
          if child == 0 then
            %s
            os.exit(0, true)
          end
          assert(forker.wait(child) == 0)
          print(worker:request(2), shared:request(2), pool:request(2), worker:isRunning())
          print(worker:close(), pool:close(), factory:stopSharedWorker(address))
        ]]):format(transport, does), { arguments = { folder.path } })
        assert.equal(printed .. "2\t2\t2\ttrue\n0\ttrue\ttrue\n", result.output, result.errors)
      end)
    end
  end
end)
