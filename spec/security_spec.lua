-- SPDX-License-Identifier: Apache-2.0
-- What docs/security.md promises and no other spec shows.

local helper = require "spec.helper"
local program = require "spec.program"
local support = require "spec.shared.support"
local printable = require "artel.printable"
local uv = require "luv"

local TIMEOUT = helper.TIMEOUT
local VARIABLE = "ARTEL_ADMIN_COOKIE"
local ENVIRONMENT = '(io.open("/proc/self/environ"):read "a"):find "a secret of ours" ~= nil'

--- Runs `fn` while the cookie stands in the environment.
local function withCookie(fn)
  uv.os_setenv(VARIABLE, "a secret of ours")
  local ok, err = pcall(fn)
  uv.os_unsetenv(VARIABLE)
  assert(ok, err)
end

describe("a master", function()
  it("hands nothing of artel's to other programs that it starts", function()
    local folder <close> = helper.folder()
    local result = helper.script([[
      local function inherited()
        local list <close> = io.popen "LD_PRELOAD= ls /proc/self/fd"
        return list:read "a"
      end
      local before = inherited()
      local artel = require "artel"
      local ECHO = "{ onRequest = function(_, value) return value end }"
      for transport in ("socket shared-memory"):gmatch "%S+" do
        local factory = artel.WorkerFactory.new { transport = transport, adminCookie = "a cookie" }
        local address = "unix://" .. arg[1] .. "/w.sock"
        local worker <close> = factory:createWorkerWithExpression(ECHO)
        local pool <close> = factory:createWorkerPoolWithExpression(ECHO, 1,
          { captureOutput = true })
        local shared <close> = assert(factory:connectToSharedWorkerWithExpression(address, ECHO))
        artel.async(function()
          print(worker:request(1), shared:request(2), pool:request(3), before == inherited())
        end):await()
        assert(factory:stopSharedWorker(address))
      end ]], { arguments = { folder.path } })
    assert.equal(("1\t2\t3\ttrue\n"):rep(2), result.output, result.errors)
  end)
end)

describe("a worker", function()
  before_each(support.setUp)
  after_each(function() support.tearDown() end)

  it("does not inherit the admin cookie of the command line", function()
    withCookie(function()
      local worker <close> = helper.worker(helper.raw("channel:sendMessage(" .. ENVIRONMENT .. ")"))
      assert.is_false(worker:receiveMessage(TIMEOUT))
      local factory, address = support.start("{ onRequest = function() return " .. ENVIRONMENT
        .. " end }")
      local shared <close> = assert(factory:connectToSharedWorker(address))
      assert.is_false(shared:request(true, { timeout = TIMEOUT }))
      support.stop(factory, address)
    end)
  end)

  it("that becomes another user has a session of its own, without our terminal", function()
    local own = helper.raw [[
      local text = io.open("/proc/self/stat"):read "a"
      local pid = tonumber(text:match "^%d+")
      local session, terminal = text:match "%) %a %d+ %d+ (%d+) (%-?%d+)"
      channel:sendMessage { pid == tonumber(session), tonumber(terminal) }]]
    local user = uv.os_get_passwd().username
    local worker <close> = helper.worker(own, { preferredIdentity = user })
    assert.same({ true, 0 }, worker:receiveMessage(TIMEOUT))
    local other <close> = helper.worker(own)
    assert.is_false(other:receiveMessage(TIMEOUT)[1])
  end)

  it("logs what peers have a part in without forged lines and control characters", function()
    local factory, address = support.start [[{
      onMessage = function(self, message) error("no such name: " .. message, 0) end,
    }]]
    local worker <close> = assert(factory:connectToSharedWorker(address))
    worker:sendMessage "x\nartel worker: all is well\27[2J\r\u{9b}31m"
    worker:receiveMessage(TIMEOUT)
    support.stop(factory, address)
    local log = support.log()
    assert.matches("no such name: x\n\tartel worker: all is well\\x1b%[2J\\x0d\\xc2\\x9b31m", log)
    for line in log:gmatch "[^\n]+" do
      assert.is_true(line:find "^\t" ~= nil or line:find("artel worker: " .. address, 1, true) == 1
        or line:find "^artel worker: pid:%d+ uid:%d+: " ~= nil, line)
    end
  end)

  it("shows the cookie of a client that speaks otherwise neither to it nor in the log", function()
    for mine, other in pairs { msgpack = "json", json = "msgpack" } do
      local address = support.unixAddress(mine)
      local factory = support.start("{ onMessage = print }", { channelFactory = mine }, address)
      local client = support.factory { channelFactory = other, adminCookie = "a secret" }
      local _, err = client:querySharedWorker(address, TIMEOUT)
      assert.matches("speaks " .. mine, err.message)
      assert.is_nil(err.message:find "secret", err.message)
      _, err = client:stopSharedWorker(address, 0.1)
      assert.is_nil(tostring(err):find "secret", tostring(err))
      support.stop(factory, address)
    end
    assert.matches("ATL1 and not JSON", support.log())
    assert.is_nil(support.log():find "secret", support.log())
  end)

  it("shows nothing of a cookie in a frame that is quoted or counted wrongly", function()
    local json = {
      '{"_stop_":"a secret\n"}', '{"_stop_":a secret}', '{"_stop_":"a "secret"}',
      '{"_query_":"a "}secret"}', '{"_query_":"a secret",}', '{"_status_":"a secret"}',
      "ATL1\0\0\0\9\5\0\0\0\0\xa8a secret",
    }
    local msgpack = { -- a length without the type, a status, a client that does not greet
      "ATL1\0\0\0\1\5\0\0\0\0\xa8a secret....", "ATL1\0\0\0\9\6\0\0\0\0\xa8a secret",
      "\0\0\0\9\5\0\0\0\0\xa8a secret",
    }
    for encoding, texts in pairs { json = json, msgpack = msgpack } do
      local address = support.unixAddress(encoding)
      local factory = support.start("{ onMessage = print }", { channelFactory = encoding }, address)
      for _, text in ipairs(texts) do
        local client = support.bareClient(address)
        client:send(text .. "\n")
        local answer = client:awaitEnd()
        client:close()
        assert.matches("protocol", answer)
        assert.is_nil(answer:find "secre", answer)
      end
      support.stop(factory, address)
    end
    assert.matches("expected", support.log())
    assert.is_nil(support.log():find "secre", support.log())
  end)

  it("does not reach the terminal of who asks how it is", function()
    local factory, address = support.start [[{
      onMessage = print,
      onQuery = function()
        return { textStatus = "fine\27]0;x\7\nname: 1",
          counters = { { name = "a\27[1m", value = 1 } } }
      end,
    }]]
    local result = program.run { "artel", "query", address }
    assert.equal("fine\\x1b]0;x\\x07\n\tname: 1\na\\x1b[1m: 1\n", result.output)
    support.stop(factory, address)
  end)
end)

describe("printable text", function()
  it("is what it was where nothing is wrong with it", function()
    for _, text in ipairs { "", "plain", "größer\tals", "{ \"a\": 1 }", "日本\n\tzwei" } do
      assert.equal(text, printable(text))
    end
  end)

  it("escapes bytes that are no text", function()
    assert.equal("a\\xffb\\xc3", printable "a\xffb\xc3")
    assert.equal("\\x00\\x7f", printable "\0\127")
    assert.equal("one\n\ttwo\n\tthree\n\t", printable "one\ntwo\n\tthree\n")
  end)
end)
