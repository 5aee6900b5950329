-- SPDX-License-Identifier: Apache-2.0
-- A worker that was taken over and talks to its master: whatever it sends, the master gets an
-- error it can handle, in time, and goes on.

local artel = require "artel"
local core = require "artel.core"
local export = require "artel.export"
local frame = require "artel.frame"
local helper = require "spec.helper"

local TIMEOUT = helper.TIMEOUT
local promptly = helper.promptly
local PROFILE = 10 -- a frame that no Lua code sends

--- A frame in msgpack, with a body as it is or a value to encode.
local function bytes(kind, id, value, body)
  body = body or assert(core.encode("msgpack", value))
  return string.pack(">I4BI4", #body, kind, id) .. body
end

-- They write to the socket themselves.
local SOCKET = { stopTimeout = 0, transport = "socket" }

--- A worker that sends these bytes in place of its ready report, and ends.
local function liar(sent)
  local part = ([[
    assert(require "luv".fs_write(3, %s))
    os.exit(0)]]):format(export.quote(sent))
  return helper.worker("{ run = print }",
    { stage1Parts = { part }, stopTimeout = 0, transport = "socket" })
end

--- A worker that comes up and then sends these bytes.
local function talker(sent)
  return helper.worker(helper.raw(([[
    channel:receiveMessage()
    assert(require "luv".fs_write(3, %s))
    channel:receiveMessage()]]):format(export.quote(sent))), SOCKET)
end

--- The same, but for ever, however little of it is read.
local function flooder(sent)
  return helper.worker(helper.raw(([[
    local bytes = (%s):rep(1000)
    local uv = require "luv"
    while true do assert(uv.fs_write(3, bytes)) end]]):format(export.quote(sent))), SOCKET)
end

describe("the master of a hostile worker", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  it("understands a failed report whatever is in it", function()
    local deep = {}
    for _ = 1, 100 do deep = { deep } end
    for _, report in ipairs { artel.null, 7, "text", true, {}, deep, { "a", "b" },
      { step = {}, part = "x", message = {}, traceback = 1, errno = { 1 } },
      { step = "stage1", part = 1.5, message = "m" }, { step = "disabled" },
      { step = "listen", message = false }, { message = ("x"):rep(1 << 20) } } do
      local worker <close> = liar(bytes(frame.FAILED, 0, report))
      local ready, err = worker:waitUntilReady(TIMEOUT)
      assert.is_nil(ready)
      assert.is_true(core.isError(err))
      assert.equal("string", type(err.message))
      assert.is_true(err.traceback == nil and err.errno == nil)
      assert.is_true(err.kind == "bootstrap" or err.kind == err.step, err.kind)
      assert.matches("^%l+: .", tostring(err))
    end
  end)

  it("takes no report of many items", function()
    local worker <close> = liar(bytes(frame.FAILED, 0, nil,
      "\xdc" .. string.pack(">I2", 1000) .. ("\x90"):rep(1000)))
    local _, err = worker:waitUntilReady(TIMEOUT)
    assert.matches("more values than the limit allows", err.message)
  end)

  it("takes frames for broken rules that a worker must not send, or not then", function()
    local none = ""
    for _, sent in ipairs { bytes(frame.READY, 0, nil, "\xc0"), bytes(frame.FAILED, 0, {}),
      bytes(PROFILE, 0, {}), bytes(frame.STATUS, 0, {}), bytes(frame.STOP, 0, "x"),
      bytes(frame.QUERY, 0, "x"), bytes(11, 0, 1), bytes(255, 0, 1),
      bytes(frame.CANCEL, 1, nil, none) } do
      local worker <close> = talker(sent)
      assert.is_true(worker:waitUntilReady(TIMEOUT))
      worker:sendMessage "now"
      local message, err = worker:receiveMessage(TIMEOUT)
      assert.is_nil(message)
      assert.equal("protocol", err.kind)
    end
    for _, kind in ipairs { frame.MESSAGE, frame.RESPONSE, PROFILE, frame.STATUS } do
      local worker <close> = liar(bytes(kind, 0, {}))
      local _, err = worker:waitUntilReady(TIMEOUT)
      assert.equal("protocol", err.kind)
    end
  end)

  it("drops answers that nobody waits for, and refuses requests", function()
    local worker <close> = talker(bytes(frame.RESPONSE, 1, "never asked")
      .. bytes(frame.RESPONSE, 0, "no id") .. bytes(frame.ERROR, 99, { kind = "remote" })
      .. bytes(frame.CANCEL, 7, artel.null) .. bytes(frame.REQUEST, 5, "please")
      .. bytes(frame.MESSAGE, 0, "done"))
    worker:sendMessage "now"
    assert.equal("done", worker:receiveMessage(TIMEOUT))
  end)

  it("hears of no time-out, failed start or refused connection from a peer", function()
    for _, kind in ipairs { "timeout", "bootstrap", "connect", "disabled", "x\27[2J", 7, {} } do
      local pair <close> = helper.pair()
      local waited
      local task = artel.async(function()
        local _, err = pair.left:request "?"
        waited = err
      end)
      core.queue(pair.right, frame.ERROR, 1, { kind = kind, message = { "no text" } })
      core.flush(pair.right)
      task:await(TIMEOUT)
      assert.equal("remote", waited.kind)
      assert.equal("the peer gave no reason", waited.message)
    end
  end)

  it("looks at the time while a worker sends what nobody wants", function()
    if helper.isWatched then return end -- each round takes it too long
    for _, junk in ipairs { bytes(frame.RESPONSE, 9, 0), bytes(frame.CANCEL, 9, artel.null) } do
      local worker <close> = flooder(junk)
      assert.is_true(worker:waitUntilReady(TIMEOUT))
      local function timesOut()
        local _, err = worker:request("?", { timeout = 0.01 })
        assert.equal("timeout", err.kind)
        _, err = worker:receiveMessage(0.01)
        assert.equal("timeout", err.kind)
        _, err = worker:receiveMessage(0)
        assert.equal("timeout", err.kind)
        _, err = artel.select({ worker }, 0.01)
        assert.equal("timeout", err.kind)
      end
      timesOut()
      helper.await(timesOut)
      worker:kill "SIGKILL"
    end
  end)

  it("keeps to its own limit on the items of a message", function()
    local worker <close> = helper.worker(helper.raw [[
      local list = {}
      for i = 1, 100 do list[i << 20] = i end
      channel:sendMessage(list)
      channel:sendMessage "done"]], { maxMessageItems = 100 })
    local _, err = worker:receiveMessage(TIMEOUT)
    assert.equal("oversize", err.kind)
    assert.equal("done", worker:receiveMessage(TIMEOUT))
  end)

  it("keeps no more messages than it has room for while it waits for an answer", function()
    if helper.isWatched then return end -- a quarter of a GiB is too much for it
    local worker <close> = helper.worker(helper.raw [[
      local block = ("x"):rep(32 << 20)
      channel:receiveRequest()
      while channel:sendMessage(block) do end]], { stopTimeout = 0 })
    local _, err = worker:request("?", { timeout = TIMEOUT })
    assert.equal("oversize", err.kind)
    assert.matches("bytes of messages came that nobody received", err.message)
    worker:kill "SIGKILL"
  end)

  it("keeps no more of them while it waits to send", function()
    if helper.isWatched then return end
    for _, transport in ipairs(helper.TRANSPORTS) do
      -- It reads only once it is told that nobody reads what it sends.
      local worker <close> = helper.worker(helper.raw [[
        local block = ("x"):rep(32 << 20)
        for _ = 1, 20 do
          if not channel:sendMessage(block) then break end
        end
        channel:receiveMessage()
        while channel:receiveMessage() do end]], { stopTimeout = 0, transport = transport })
      -- The limit is on what is behind the oldest frame, which is the report until it is taken.
      assert.is_true(worker:waitUntilReady(TIMEOUT))
      for _, message in ipairs { ("x"):rep(4 << 20), { ("x"):rep(4 << 20) } } do
        assert.is_true(worker:sendMessage(message))
        assert.is_true(core.unread(worker) < 330 << 20)
      end
      local count, last = 0, nil
      repeat
        local message, err = worker:receiveMessage(TIMEOUT)
        if message then count = count + 1 else last = err end
      until last
      assert.equal("oversize", last.kind)
      assert.matches("256 MiB of messages came that nobody received", last.message)
      assert.is_true(count == 8 or count == 9) -- the last one is here or not
    end
  end)

  -- What a worker has to say to write into the memory that it shares with its master:
  -- both rings' control words, 64 KiB behind the beginning of the file.
  local SCRIBBLE = [[
    local at
    for line in io.lines "/proc/self/maps" do
      local start, offset = line:match "^(%x+)%-%x+ %S+ (%x+) .*memfd:artel%-worker"
      if start and tonumber(offset, 16) == 65536 then at = tonumber(start, 16) end
    end
    channel:receiveMessage()
    local memory <close> = assert(io.open("/proc/self/mem", "r+b"))
    local function scribble(offset, bytes)
      assert(memory:seek("set", at + offset))
      assert(memory:write(bytes))
      memory:flush()
      require "luv".fs_write(3, "\0") -- the doorbell
    end
  ]]
  local SHARED = { transport = "shared-memory", stopTimeout = 0 }

  it("takes a position in their memory that cannot be for broken rules", function()
    for _, head in ipairs { 0x7fffffff, 0 } do
      local worker <close> = helper.worker(helper.raw(SCRIBBLE .. ([[
        scribble(4 * 128, string.pack("I4", %d)) -- the second ring's head
        channel:receiveMessage()]]):format(head)), SHARED)
      assert.is_true(worker:waitUntilReady(TIMEOUT))
      worker:sendMessage "now"
      local message, err = promptly(worker.receiveMessage, worker)
      assert.is_nil(message)
      assert.equal("protocol", err.kind)
      assert.matches("damaged the memory", err.message)
    end
  end)

  it("ends its wait whatever is scribbled into their memory", function()
    local neighbour <close> = helper.worker(
      helper.raw "for message in channel:messages() do channel:sendMessage(message) end", SHARED)
    for seed = 1, helper.isWatched and 10 or 50 do
      local worker <close> = helper.worker(helper.raw(SCRIBBLE .. ([[
        math.randomseed(%d)
        for _ = 1, 20 do
          local control = math.random() < 0.5 -- or bytes
          scribble(control and math.random(0, 255) * 4 or math.random(4096, 200000),
            string.pack("I4", math.random(0, math.random(2) == 1 and 3 or 0xffffffff)))
        end
        os.exit(5)]]):format(seed)), SHARED)
      worker:sendMessage "now"
      local ended = promptly(function()
        while true do
          local message, err = worker:receiveMessage()
          if message == nil then return err end
        end
      end)
      assert.truthy(ended.kind == "closed" or ended.kind == "protocol"
        or ended.kind == "oversize", seed .. ": " .. tostring(ended))
      worker:sendMessage "into the ruins"
      neighbour:sendMessage(seed)
      assert.equal(seed, neighbour:receiveMessage(TIMEOUT))
    end
  end)
end)
