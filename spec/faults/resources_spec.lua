-- SPDX-License-Identifier: Apache-2.0
-- When descriptors, memory or the disk run out, whoever is short of them says so, and the
-- others go on.

local core = require "artel.core"
local helper = require "spec.helper"
local program = require "spec.program"
local support = require "spec.shared.support"

local TIMEOUT = helper.TIMEOUT
local ECHO = "{ onRequest = function(_, request) return request end }"

-- Runs a script after a command of the shell's that sets a limit.
local function limited(command, script)
  local folder <close> = helper.folder()
  helper.write(folder.path .. "/script.lua", script)
  return program.run({ "sh", "-c", command .. "; exec lua5.4 script.lua" },
    { folder = folder.path })
end

describe("a master", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  -- A worker that starts needs more descriptors than one that runs holds, so that one more
  -- or less may be left over when there are too few: two limits, and two workers that go.
  for _, limit in ipairs { 16, 17 } do
    it(("with %d descriptors gets an error, and goes on when there are some again")
      :format(limit), function()
      local result = limited("ulimit -n " .. limit, [=[
        local artel = require "artel"
        local ECHO = [[{
          run = function(_, channel) channel:sendMessage(channel:receiveMessage()) end
        }]]
        local workers, err = {}, nil
        repeat
          workers[#workers + 1], err = artel.createWorkerWithExpression(ECHO)
        until err
        print(#workers > 1, err.kind, err.errno, err.message:match "%((.*)%)$")
        for _ = 1, 2 do table.remove(workers):close() end
        local worker = assert(artel.createWorkerWithExpression(ECHO))
        worker:sendMessage "again"
        print(worker:receiveMessage())
        worker:close()
        for _, other in ipairs(workers) do other:close() end
      ]=])
      assert.equal("true\tspawn\tEMFILE\tthe limit of descriptors of this process, ulimit -n\n"
        .. "again\n", result.output, result.errors)
    end)
  end

  -- What a script does with all of the few descriptors that it may have.
  local TAKE_ALL = [[
    local artel = require "artel"
    local ECHO = "{ onRequest = function(_, request) return request end }"
    local files = {}
    local function takeAll()
      repeat
        local file = io.open "/dev/null"
        files[#files + 1] = file
      until not file
    end
    local function giveBack() table.remove(files):close() end
  ]]

  it("without descriptors for luv's loop says so, however few are lacking, and has it later",
    function()
    local result = limited("ulimit -n 40", TAKE_ALL .. [[
      local worker <close> = assert(artel.createWorkerWithExpression(ECHO))
      local function request()
        return artel.async(function() return worker:request(7) end):await()
      end
      takeAll()
      local refusals, worked, answer = 0, pcall(request)
      while not worked do
        assert(answer:find "Too many open files", answer)
        refusals = refusals + 1
        collectgarbage() -- luv crashes over a loop that it could not make
        giveBack()
        worked, answer = pcall(request)
      end
      print(refusals > 3, answer)
    ]])
    assert.same({ "true\t7\n", 0 }, { result.output, result.code }, result.errors)
  end)

  it("without any is told of the death of a pool's worker, and has another one later", function()
    local result = limited("ulimit -n 40", TAKE_ALL .. [[
      local pool <close> = artel.createWorkerPoolWithExpression(ECHO, 1, { retries = 0 })
      assert(pool:request(1))
      local worker = pool[1]
      takeAll()
      worker:kill "KILL"
      local message, err = pool:receiveMessage()
      print(message, err.kind, err.signal, err.outOfMemory)
      while #files > 0 do giveBack() end
      repeat local answer, failure = pool:request(2) until answer or failure.kind ~= "bootstrap"
      print(pool:request(3))
    ]])
    assert.equal("nil\tclosed\tSIGKILL\tnil\n3\n", result.output, result.errors)
  end)
end)

helper.overEach(function(over, start)
  describe("a worker " .. over, function()
    helper.leaveNothing { before_each = before_each, after_each = after_each }

    it("survives a full device as its output", function()
      local says = "print(m) io.stdout:flush() channel:sendMessage(m)"
      for _, implementation in ipairs {
        helper.raw(("for m in channel:messages() do %s end"):format(says)),
        ("{ onMessage = function(self, m, channel) %s end }"):format(says),
      } do
        local worker <close> = start(implementation, { outputPath = "/dev/full" })
        for n = 1, 3 do
          worker:sendMessage(n)
          assert.equal(n, worker:receiveMessage(TIMEOUT))
        end
      end
    end)
  end)
end)

-- Without room for what its master sends; the specs' own runs under a sanitizer need terabytes.
describe("a worker without memory", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  local LIMITED = { resourceLimits = { memory = 64 << 20 } }
  local IMPLEMENTATIONS = {
    raw = helper.raw "for m in channel:messages() do channel:sendMessage(#m) end",
    evented = "{ onMessage = function(_, m, channel) channel:sendMessage(#m) end }",
  }

  helper.overEach(function(over, start)
    for kind, implementation in pairs(IMPLEMENTATIONS) do
      it(("for a message says so and ends: %s, %s #unsanitized"):format(kind, over), function()
        local worker <close> = start(implementation, LIMITED)
        worker:sendMessage "short"
        assert.equal(5, worker:receiveMessage(TIMEOUT))
        worker:sendMessage(("0123456789abcdef"):rep(100 << 16))
        local message, err = helper.promptly(worker.receiveMessage, worker)
        assert.is_nil(message)
        assert.same({ "oversize", 1 }, { err.kind, err.exitCode })
        assert.matches("no memory for what the peer sends", tostring(err))
      end)
    end

    it("for a response says so and goes on, " .. over .. " #unsanitized", function()
      local worker <close> = start([[{ onRequest = function(_, n)
        return ("0123456789abcdef"):rep(n)
      end }]], LIMITED)
      local response, err = worker:request(30 << 16, { timeout = TIMEOUT })
      assert.is_nil(response)
      assert.matches("memory", tostring(err))
      assert.equal(16, #worker:request(1, { timeout = TIMEOUT }))
    end)
  end)

  for _, encoding in ipairs(helper.ENCODINGS) do
    it("for the values of a message says so and ends: " .. encoding .. " #unsanitized", function()
      local worker <close> = helper.worker(IMPLEMENTATIONS.raw,
        { channelFactory = encoding, resourceLimits = LIMITED.resourceLimits })
      local many, empty, one = {}, {}, { 1 } -- few here; the worker gets so many tables
      for n = 1, 900000 do many[n] = n % 2 == 0 and empty or one end
      worker:sendMessage(many)
      local message, err = helper.promptly(worker.receiveMessage, worker)
      assert.is_nil(message)
      assert.same({ "remote", 1 }, { err.kind, err.exitCode })
      assert.matches("not enough memory", tostring(err))
    end)
  end
end)

describe("a shared worker", function()
  before_each(support.setUp)
  after_each(function() support.tearDown() end)

  it("says which step of its start wanted a descriptor that was not to be had", function()
    local steps = {}
    for _, count in ipairs { 5, 13, 30 } do
      local factory = support.factory { resourceLimits = { openFiles = count } }
      local address = support.unixAddress("w" .. count .. ".sock")
      local started, err = factory:startSharedWorkerWithExpression(address, ECHO)
      if started then
        steps.ready = true
        support.stop(factory, address)
      else
        steps[err.kind] = true
        assert.matches("oo many open files", tostring(err))
      end
    end
    assert.same({ bootstrap = true, listen = true, ready = true }, steps)
  end)

  it("pauses when it runs out of descriptors, without spinning, and goes on", function()
    local factory, address, pid = support.start(ECHO, { resourceLimits = { openFiles = 40 } })
    local worker = assert(factory:connectToSharedWorker(address))
    local clients = {}
    for n = 1, 60 do
      clients[n] = assert(core.sockets.connect(address, support.TIMEOUT))
    end
    local function processorTicks()
      local fields = support.read(("/proc/%d/stat"):format(pid)):match "%) (.*)"
      local user, system = fields:match(("%S+ "):rep(11) .. "(%d+) (%d+)")
      return tonumber(user) + tonumber(system)
    end
    for n = 1, 100 do assert.equal(n, worker:request(n)) end
    local before = processorTicks()
    core.pollStreams({}, {}, 0.5) -- time in which a spinning worker would burn half a second
    assert.is_true(processorTicks() - before < 10)
    assert.matches("accepting pauses", support.log())
    for _, client in ipairs(clients) do core.sockets.close(client) end
    local fresh = assert(factory:connectToSharedWorker(address))
    assert.equal("again", fresh:request "again")
    fresh:close()
    worker:close()
    support.stop(factory, address)
  end)

  it("ends a connection that the kernel refuses to watch, and serves the others", function()
    local factory, address = support.start(ECHO, { stage1Parts = { [[
      local watchSet = require("artel.core").watchSet
      local put, count = watchSet.put, 0
      function watchSet.put(...)
        local isNew = select(6, ...)
        count = count + (isNew and 1 or 0)
        if isNew and count == 2 then error("no watch is left", 0) end -- the first is to listen
        return put(...)
      end ]] } })
    local worker, err = factory:connectToSharedWorker(address)
    assert.is_nil(worker)
    assert.equal("connect", err.kind)
    assert.matches("cannot be served: no watch is left", support.log())
    worker = assert(factory:connectToSharedWorker(address))
    assert.equal("served", worker:request "served")
    worker:close()
    support.stop(factory, address)
  end)
end)
