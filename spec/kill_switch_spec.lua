-- SPDX-License-Identifier: Apache-2.0
local artel = require "artel"
local core = require "artel.core"
local helper = require "spec.helper"
local killSwitch = require "artel.kill_switch"
local program = require "spec.program"
local support = require "spec.shared.support"
local switch = require "spec.shared.switch"
local uv = require "luv"

local ECHO, tcp = switch.ECHO, switch.tcp

describe("the kill switch", function()
  local path, factory, address

  before_each(function() path, factory, address = switch.setUp() end)
  after_each(switch.tearDown)

  local function content() return core.decode("json", support.read(path)) end

  describe("when it is asked and changed", function()
    it("forbids nothing while there is no file", function()
      assert.same({}, factory:getDisabledSharedWorkers())
      assert.is_false(factory:isSharedWorkerDisabled(address))
      assert.is_false(factory:areSharedWorkersDisabledGlobally())
      assert.is_nil(support.read(path))
    end)

    it("knows the addresses that are disabled, each once, in their order", function()
      assert.is_true(factory:disableSharedWorker(address))
      assert.is_true(factory:disableSharedWorker { tcp(4001), address, tcp(4000) })
      assert.same({ address, tcp(4001), tcp(4000) }, factory:getDisabledSharedWorkers())
      assert.is_true(factory:isSharedWorkerDisabled(tcp(4001)))
      assert.is_false(factory:isSharedWorkerDisabled(tcp(4002)))
      assert.is_false(factory:areSharedWorkersDisabledGlobally())
      assert.is_true(factory:reEnableSharedWorker { tcp(4000), address, tcp(4002) })
      assert.same({ tcp(4001) }, factory:getDisabledSharedWorkers())
    end)

    it("writes JSON that other programs know", function()
      assert.is_true(factory:disableSharedWorker(tcp(4000)))
      assert.equal('{"addresses": ["tcp://127.0.0.1:4000"], "global": false}\n', support.read(path))
      assert.is_true(factory:disableSharedWorkersGlobally())
      assert.is_true(factory:reEnableSharedWorker(tcp(4000)))
      assert.equal('{"addresses": [], "global": true}\n', support.read(path))
      support.write(path, '{"global":false,"addresses":{}}') -- what some make of no addresses
      assert.same({}, factory:getDisabledSharedWorkers())
    end)

    it("forbids every address at once, and takes that back alone or with all others", function()
      assert.is_true(factory:disableSharedWorker(address))
      assert.is_true(factory:disableSharedWorkersGlobally())
      assert.is_true(factory:areSharedWorkersDisabledGlobally())
      assert.is_true(factory:isSharedWorkerDisabled(tcp(4000)))
      assert.is_true(factory:reEnableSharedWorkersGlobally())
      assert.is_false(factory:areSharedWorkersDisabledGlobally())
      assert.is_true(factory:isSharedWorkerDisabled(address))
      assert.is_true(factory:disableSharedWorkersGlobally())
      assert.is_true(factory:reEnableAllSharedWorkers())
      assert.is_false(factory:areSharedWorkersDisabledGlobally())
      assert.same({}, factory:getDisabledSharedWorkers())
    end)

    it("keeps what others have written beside it, exactly", function()
      local theirs = '"by": "Ada", "list": [], "map": {}, "number": 9007199254740993, "x": [1.5]'
      support.write(path, ('{"addresses": [], %s, "global": false}'):format(theirs))
      assert.is_true(factory:disableSharedWorkersGlobally())
      assert.is_true(factory:disableSharedWorker(tcp(4000)))
      assert.is_true(factory:reEnableAllSharedWorkers())
      local kept = content()
      assert.equal(9007199254740993, kept.number)
      for field in theirs:gmatch '"%a+": [^,]+' do
        assert(support.read(path):find(field, 1, true), field)
      end
    end)

    it("keeps owner and mode, and leaves its lock and nothing else", function()
      support.write(path, '{"addresses": [], "global": false}')
      assert(uv.fs_chmod(path, tonumber("640", 8)))
      local owner = core.files.effectiveUser()
      if owner == 0 then
        owner = 65534
        assert(uv.fs_chown(path, owner, owner))
      end
      assert.is_true(factory:disableSharedWorkersGlobally())
      for _, name in ipairs { path, path .. ".lock" } do
        local facts = assert(core.files.stat(name))
        assert.equal(owner, facts.uid)
        assert.equal("640", ("%o"):format(facts.mode))
        assert.equal(1, facts.links)
      end
      local names = {}
      local folder = assert(uv.fs_scandir(support.path ""))
      for name in uv.fs_scandir_next, folder do names[#names + 1] = name end
      table.sort(names)
      assert.same({ "switch.json", "switch.json.lock" }, names)
    end)

    it("is readable by its owner alone when it is new", function()
      assert.is_true(factory:disableSharedWorkersGlobally())
      assert.equal("600", ("%o"):format(core.files.stat(path).mode))
      assert.equal("600", ("%o"):format(core.files.stat(path .. ".lock").mode))
    end)

    it("is not written when nothing changes", function()
      assert.is_true(factory:reEnableAllSharedWorkers())
      assert.is_nil(support.read(path))
      assert.is_true(factory:disableSharedWorker(address))
      local before = core.files.stat(path).inode
      assert.is_true(factory:disableSharedWorker(address))
      assert.equal(before, core.files.stat(path).inode)
    end)

    it("reads an iterator to its end before it takes the lock", function()
      local ports = coroutine.wrap(function()
        for port = 4000, 4002 do
          coroutine.yield(tcp(port))
          assert.is_true(factory:disableSharedWorker(tcp(port + 100)))
        end
      end)
      assert.is_true(factory:disableSharedWorker(ports))
      assert.same({ tcp(4100), tcp(4101), tcp(4102), tcp(4000), tcp(4001), tcp(4002) },
        factory:getDisabledSharedWorkers())
      assert.is_true(factory:reEnableSharedWorker(
        ("tcp://127.0.0.1:4000 tcp://127.0.0.1:4100"):gmatch "%S+"))
      assert.same({ tcp(4101), tcp(4102), tcp(4001), tcp(4002) },
        factory:getDisabledSharedWorkers())
      assert.has_error(function()
        factory:disableSharedWorker(function() error("no more", 0) end)
      end, "no more")
      assert.is_true(factory:reEnableAllSharedWorkers()) -- the lock is free
    end)

    it("takes a relative address, and a relative path, from the current folder", function()
      assert.is_true(factory:disableSharedWorker "unix://w.sock")
      assert.same({ "unix://" .. uv.cwd() .. "/w.sock" }, factory:getDisabledSharedWorkers())
      assert.is_true(factory:isSharedWorkerDisabled "unix://./w.sock")
    end)

    it("raises for misuse, where it was called", function()
      for _, name in ipairs { "disableSharedWorker", "reEnableSharedWorker" } do
        helper.raisesHere("bad argument #1 to '" .. name, function() factory[name](factory) end)
        helper.raisesHere("bad argument #1 to '" .. name, function() factory[name](factory, 5) end)
        helper.raisesHere("an address is a string", function() factory[name](factory, { 1 }) end)
        helper.raisesHere("begins with neither", function() factory[name](factory, "/x.sock") end)
        helper.raisesHere('no key "one"', function() factory[name](factory, { one = address }) end)
        helper.raisesHere("got number", function()
          factory[name](factory, function() return 5 end)
        end)
      end
      helper.raisesHere("begins with neither", function() factory:isSharedWorkerDisabled "x" end)
      assert.is_nil(core.files.stat(path .. ".lock"))
    end)

    it("raises when the profile names none, for every function", function()
      local without = support.factory()
      for _, name in ipairs { "disableSharedWorker", "reEnableSharedWorker",
        "disableSharedWorkersGlobally", "reEnableSharedWorkersGlobally",
        "reEnableAllSharedWorkers", "getDisabledSharedWorkers", "isSharedWorkerDisabled",
        "areSharedWorkersDisabledGlobally" } do
        helper.raisesHere("names no kill switch", function() without[name](without, address) end)
        assert.error_matches(function() artel[name](address) end, "names no kill switch")
      end
    end)
  end)

  describe("for a worker", function()
    it("forbids the start, however it is asked for, and says so", function()
      assert.is_true(factory:disableSharedWorker(address))
      for _, method in ipairs { "connectToSharedWorkerWithExpression",
        "startSharedWorkerWithExpression" } do
        local done, err = factory[method](factory, address, ECHO)
        assert.is_nil(done)
        assert.equal("disabled", err.kind)
        assert.equal(("disabled: the kill switch %s forbids the shared worker at %s to start")
          :format(path, address), tostring(err))
      end
      assert.is_true(factory:disableSharedWorkersGlobally())
      local done, err = factory:startSharedWorkerWithExpression(address, ECHO)
      assert.is_nil(done)
      assert.matches("forbids every shared worker to start", err.message)
      assert.is_true(factory:reEnableAllSharedWorkers())
      assert.is_true(factory:startSharedWorkerWithExpression(address, ECHO))
      support.stop(factory, address)
    end)

    it("concerns that address alone", function()
      assert.is_true(factory:disableSharedWorker(support.unixAddress "other.sock"))
      assert.is_true(factory:startSharedWorkerWithExpression(address, ECHO))
      support.stop(factory, address)
    end)

    it("leaves one that runs alone, and whoever connects to it", function()
      assert.is_true(factory:startSharedWorkerWithExpression(address, ECHO))
      assert.is_true(factory:disableSharedWorkersGlobally())
      local worker = assert(factory:connectToSharedWorkerWithExpression(address, ECHO))
      assert.equal(7, worker:request(7))
      worker:close()
      local started, err = factory:startSharedWorkerWithExpression(address, ECHO)
      assert.is_nil(started)
      assert.equal("disabled", err.kind)
      support.stop(factory, address)
    end)

    it("ends a start by a service manager with code 78", function()
      local profile = factory:getBootstrapProfile()
      local file = support.path "worker.boot"
      profile:addPrecompiledScriptWithExpression(ECHO, file, address)
      assert(profile:compileScriptWithExpression(ECHO, address))
      assert.is_true(factory:disableSharedWorker(address))
      local result = program.run { "artel", "host", "--bootstrap", file }
      assert.equal(78, result.code)
      assert.matches("disabled: the kill switch .*switch.json forbids the shared worker",
        result.errors)
      support.write(path, "{")
      result = program.run { "artel", "host", "--bootstrap", file }
      assert.equal(78, result.code)
      assert.matches("cannot be read", result.errors)
    end)

    it("lets a change wait until a worker that starts listens: it never comes up later", function()
      local told, go = support.path "told", support.path "go"
      assert.equal(0, program.run({ "mkfifo", told, go }).code)
      local slow = ([[{
        initialize = function()
          io.open(%q, "w"):close() -- opened when the spec reads
          io.open(%q):close() -- and when it writes
        end,
        onRequest = function() end,
      }]]):format(told, go)
      local task = artel.async(factory.startSharedWorkerWithExpression, factory, address, slow)
      io.open(told):close()
      local change = killSwitch.changes.disable { address }
      local done, err = killSwitch.change(path, change, 0, "block")
      assert.is_nil(done)
      assert.equal("timeout", err.kind)
      io.open(go, "w"):close()
      assert.is_true(factory:disableSharedWorker(address))
      assert.is_true(core.sockets.isServed(address, support.TIMEOUT))
      assert.is_true(task:await(support.TIMEOUT))
      support.stop(factory, address)
    end)

    it("cannot be changed by the start that it allows", function()
      local selfish = [[{
        initialize = function() require "artel".disableSharedWorkersGlobally() end,
        onRequest = function() end,
      }]]
      local started, err = factory:startSharedWorkerWithExpression(address, selfish)
      assert.is_nil(started)
      assert.equal("bootstrap", err.kind)
      assert.matches("a worker that still starts holds the kill switch itself", err.message)
    end)

    it("can be changed by the worker itself, which knows the path", function()
      local mourner = ([[{
        onRequest = function() return require "artel".isSharedWorkerDisabled(%q) end,
        onStop = function() assert(require "artel".disableSharedWorker(%q)) end,
      }]]):format(address, address)
      local worker = assert(factory:connectToSharedWorkerWithExpression(address, mourner))
      assert.is_false(worker:request(1))
      worker:close()
      support.stop(factory, address)
      assert.same({ address }, factory:getDisabledSharedWorkers())
    end)
  end)
end)
