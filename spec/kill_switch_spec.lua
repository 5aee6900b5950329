-- SPDX-License-Identifier: Apache-2.0
local artel = require "artel"
local core = require "artel.core"
local helper = require "spec.helper"
local killSwitch = require "artel.kill_switch"
local program = require "spec.program"
local support = require "spec.shared.support"
local uv = require "luv"

local ECHO = "{ onRequest = function(self, value) return value end }"

local LOCK_STAYS = { ["switch.json.lock"] = true }

describe("the kill switch", function()
  local path, factory, address

  before_each(function()
    support.setUp()
    path, address = support.path "switch.json", support.unixAddress()
    factory = support.factory { killSwitchPath = path }
  end)
  after_each(function() support.tearDown(LOCK_STAYS) end)

  local function content() return core.decode("json", support.read(path)) end

  local function tcp(port) return "tcp://127.0.0.1:" .. port end

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
        helper.raisesHere("got a number", function()
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

  describe("while others change it", function()
    local WRITER = [[
      local artel = require "artel"
      local factory = artel.WorkerFactory.new { killSwitchPath = arg[1] }
      local number = tonumber(arg[2])
      local function address(index) return ("tcp://127.0.0.1:%d"):format(number * 100 + index) end
      for index = 1, 25 do assert(factory:disableSharedWorker(address(index))) end
      for index = 1, 25, 2 do assert(factory:reEnableSharedWorker(address(index))) end
      for index = 26, 37 do assert(factory:disableSharedWorker(address(index))) end
      print(#factory:getDisabledSharedWorkers())
    ]]
    local PROCESSES = 20

    it("loses no change of 20 processes that make 50 each at once", function()
      support.write(support.path "writer.lua", WRITER)
      local running, failed = PROCESSES, {}
      for number = 1, PROCESSES do
        local process
        process = assert(uv.spawn("lua5.4", {
          args = { support.path "writer.lua", path, tostring(number + 100) },
          env = program.environment(),
          stdio = { nil, nil, 2 },
        }, function(code)
          running = running - 1
          if code ~= 0 then failed[#failed + 1] = number end
          process:close()
        end))
      end
      while running > 0 do uv.run "once" end
      uv.run "nowait"
      assert.same({}, failed)
      local found, expected = {}, 0
      for _, item in ipairs(factory:getDisabledSharedWorkers()) do found[item] = true end
      for number = 101, 100 + PROCESSES do
        for index = 1, 37 do
          local isDisabled = index > 25 or index % 2 == 0
          assert.equal(isDisabled or nil, found[tcp(number * 100 + index)])
          expected = expected + (isDisabled and 1 or 0)
        end
      end
      assert.equal(expected, #factory:getDisabledSharedWorkers())
    end)

    --- Holds the lock as another process does.
    local function hold()
      local held = assert(core.sockets.lockFile(path .. ".lock", true, 0,
        core.files.effectiveUser(), -1, tonumber("600", 8)))
      return setmetatable({}, { __close = function() core.sockets.removeLock(held) end })
    end

    it("waits its turn, and not for ever", function()
      local _ <close> = hold()
      local done, err = killSwitch.change(path, killSwitch.changes.setGlobal(true), 0, "block")
      assert.is_nil(done)
      assert.equal("timeout", err.kind)
      assert.matches("switch.json.lock is held by another process", err.message)
      assert.is_false(factory:areSharedWorkersDisabledGlobally()) -- asking needs no lock
    end)

    it("suspends in artel.async, and refuses to wait in a callback of luv", function()
      local task
      do
        local _ <close> = hold()
        task = artel.async(function() return factory:disableSharedWorkersGlobally() end)
        assert.is_false(task:isDone())
      end
      assert.is_true(task:await(support.TIMEOUT))
      assert.is_true(factory:areSharedWorkersDisabledGlobally())
      local timer, message = uv.new_timer(), nil
      timer:start(0, 0, function()
        message = select(2, pcall(factory.reEnableAllSharedWorkers, factory))
        timer:close()
      end)
      uv.run()
      assert.matches("would block the loop: use artel.async", message)
    end)
  end)

  describe("that is not as it should be", function()
    local function forbidsAll(expected)
      for _, method in ipairs { "isSharedWorkerDisabled", "areSharedWorkersDisabledGlobally" } do
        local disabled, err = factory[method](factory, address)
        assert.is_true(disabled)
        assert.equal("disabled", err.kind)
        assert.matches(expected, err.message)
      end
      for _, method in ipairs { "disableSharedWorker", "reEnableSharedWorker",
        "disableSharedWorkersGlobally", "reEnableSharedWorkersGlobally",
        "reEnableAllSharedWorkers", "getDisabledSharedWorkers" } do
        local done, err = factory[method](factory, address)
        assert.is_nil(done)
        assert.equal("disabled", err.kind)
        assert.matches(expected, err.message)
      end
      local worker, err = factory:connectToSharedWorkerWithExpression(address, ECHO)
      assert.is_nil(worker)
      assert.equal("disabled", err.kind)
      assert.matches(expected, err.message)
    end

    local CORRUPT = {
      [""] = "cut short", ["{"] = "no key", ["[]"] = "neither true nor false",
      ["[1]"] = "no object", ["null"] = "no object", ["true"] = "no object",
      ["{}"] = "neither true nor false", ['{"global":false}'] = "no list of strings",
      ['{"addresses":[]}'] = "neither true nor false",
      ['{"global":0,"addresses":[]}'] = "neither true nor false",
      ['{"global":false,"addresses":"x"}'] = "no list of strings",
      ['{"global":false,"addresses":[1]}'] = "no list of strings",
      ['{"global":false,"addresses":{"x":"y"}}'] = "no list of strings",
      ['{"global":false,"addresses":[]} x'] = "bytes behind the value",
      ['{"global":false,"addresses":["\xff"]}'] = "cannot be read",
    }
    for text, expected in pairs(CORRUPT) do
      it(("forbids every start and is an error: %s"):format(text == "" and "empty" or text),
        function()
          support.write(path, text)
          forbidsAll(expected)
          assert.equal(text, support.read(path))
        end)
    end

    it("is a folder, or a link", function()
      assert(uv.fs_mkdir(path, tonumber("700", 8)))
      forbidsAll "no regular file"
      assert(uv.fs_rmdir(path))
      support.write(support.path "other.json", '{"global":false,"addresses":[]}')
      assert(uv.fs_symlink("other.json", path))
      forbidsAll "no regular file"
    end)

    it("may not be read", function()
      support.write(path, '{"global":false,"addresses":[]}')
      assert(uv.fs_chmod(path, 0))
      if core.files.effectiveUser() ~= 0 then return forbidsAll "Permission denied" end
      -- Root may read everything, so let another ask.
      assert(uv.fs_chmod(support.path "", tonumber("711", 8)))
      support.write(support.path "ask.lua", [[
        local factory = require "artel".WorkerFactory.new { killSwitchPath = arg[1] }
        print(factory:areSharedWorkersDisabledGlobally())
      ]])
      local result = program.run { "setpriv", "--reuid=65534", "--clear-groups", "lua5.4",
        support.path "ask.lua", path }
      if result.errors:find "module 'artel'" then
        pending "another user cannot read the sources of artel"
        return
      end
      assert.matches("^true\tdisabled: the kill switch .* cannot be read: .*Permission denied\n$",
        result.output, result.errors)
    end)

    it("lies in a folder that does not exist", function()
      path = support.path "none/switch.json"
      factory = support.factory { killSwitchPath = path }
      forbidsAll "No such file or directory"
    end)

    it("has a lock that is not to be trusted", function()
      assert(uv.fs_symlink("elsewhere", path .. ".lock"))
      local done, err = factory:disableSharedWorkersGlobally()
      assert.is_nil(done)
      assert.matches("switch.json.lock is a symbolic link", err.message)
      local started
      started, err = factory:startSharedWorkerWithExpression(address, ECHO)
      assert.is_nil(started)
      assert.equal("disabled", err.kind)
    end)
  end)

  describe("on a full disk", function()
    local CHANGE = [[
      local factory = require "artel".WorkerFactory.new { killSwitchPath = arg[1] }
      local done, err = factory:disableSharedWorkersGlobally()
      print(done, err and err.kind, err and err.errno)
    ]]

    --- The file is as it was, and nothing lies beside it.
    local function isUntouched(text)
      assert.equal(text, support.read(path))
      local folder = assert(uv.fs_scandir(path:match "^(.*)/"))
      for name in uv.fs_scandir_next, folder do
        assert.is_nil(name:match "^switch%.json%.[^l]", name)
      end
    end

    it("stays as it is when nothing more can be written", function()
      local text = '{"addresses": [], "global": false}\n'
      support.write(path, text)
      support.write(support.path "change.lua", CHANGE)
      local result = program.run { "sh", "-c",
        'trap "" XFSZ; ulimit -f 0; exec lua5.4 "$0" "$1" | cat', support.path "change.lua", path }
      assert.equal("nil\tdisabled\tEFBIG\n", result.output, result.errors)
      isUntouched(text)
    end)

    it("stays as it is when the file system is full", function()
      local disk = support.path "disk"
      assert(uv.fs_mkdir(disk, tonumber("700", 8)))
      local mounted = program.run { "mount", "-t", "tmpfs", "-o", "size=8k", "none", disk }
      if mounted.code ~= 0 then
        pending "no file system can be mounted here"
        return
      end
      finally(function() assert.equal(0, program.run({ "umount", disk }).code) end)
      local text = '{"addresses": [], "global": false}\n'
      path = disk .. "/switch.json"
      support.write(path, text)
      local file = assert(io.open(disk .. "/filler", "w"))
      file:setvbuf "no"
      while file:write(("x"):rep(4096)) do end -- luacheck: ignore 542 (until it is full)
      file:close()
      factory = support.factory { killSwitchPath = path }
      local done, err = factory:disableSharedWorkersGlobally()
      assert.is_nil(done)
      assert.equal("ENOSPC", err.errno)
      isUntouched(text)
      os.remove(disk .. "/filler")
      assert.is_true(factory:disableSharedWorkersGlobally())
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
