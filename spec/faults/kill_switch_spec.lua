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
      helper.runLoopUntil(function() return running == 0 end)
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
      assert(uv.fs_chmod(support.path "ask.lua", tonumber("644", 8)))
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
end)
