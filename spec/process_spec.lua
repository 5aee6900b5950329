-- SPDX-License-Identifier: Apache-2.0
-- The process of a dedicated worker: what it inherits and whose rights it has.

local helper = require "spec.helper"
local hostPath = require "artel.host_path"
local program = require "spec.program"
local uv = require "luv"

local TIMEOUT = helper.TIMEOUT
local isRoot = uv.getuid() == 0
local function link(pid, name)
  return uv.fs_readlink(("/proc/%d/%s"):format(pid, name))
end

local function isReady(worker)
  return assert(worker:waitUntilReady(TIMEOUT))
end

describe("the process of a worker", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  it("has three standard descriptors and its channel, and nothing else of its master's", function()
    local folder <close> = helper.folder()
    local file <close> = assert(io.open(folder.path .. "/file", "w")) -- a descriptor to inherit
    local worker <close> = helper.worker "{ onMessage = function() end }"
    isReady(worker)
    local pid, names = worker:getProcessId(), {}
    for name in function(request) return (uv.fs_scandir_next(request)) end,
        uv.fs_scandir(("/proc/%d/fd"):format(pid)) do
      names[#names + 1] = name
    end
    table.sort(names)
    assert.same({ "0", "1", "2", "3" }, names)
    assert.equal("/dev/null", link(pid, "fd/0"))
    assert.matches("^socket:", link(pid, "fd/3"))
    assert.truthy(file)
  end)

  it("may be started by another program: its arguments stand before the host's own", function()
    for _, transport in ipairs(helper.TRANSPORTS) do
      local worker <close> = helper.worker(
        "{ onRequest = function(_, name) return os.getenv(name) end }", {
          hostPath = "/usr/bin/env", hostArguments = { "RUN_BY=env", assert(hostPath.find()) },
          transport = transport,
        })
      assert.equal("env", worker:request("RUN_BY", { timeout = TIMEOUT }))
      assert.equal(0, worker:close())
    end
  end)

  it("keeps the folder, leads a group of its own, and handles signals as by default", function()
    local result = helper.script([[
      local artel, uv = require "artel", require "luv"
      local signal = uv.new_signal()
      signal:start("sigusr1", function() end)
      local worker <close> = artel.createWorkerWithExpression "{ onMessage = function() end }"
      assert(worker:waitUntilReady())
      local pid = worker:getProcessId()
      local stat = io.open(("/proc/%d/stat"):format(pid)):read "a"
      local group = stat:match "^%d+ %(.-%) %a %d+ (%d+)"
      print(tonumber(group) == pid, uv.fs_readlink(("/proc/%d/cwd"):format(pid)) == uv.cwd())
      local text = io.open(("/proc/%d/status"):format(pid)):read "a"
      for name in ("SigBlk SigIgn"):gmatch "%w+" do
        print(tonumber(text:match(name .. ":%s*(%x+)"), 16) & 0x7FFFFFFF) -- 1 to 31
      end
      signal:close()
    ]])
    assert.equal("true\ttrue\n0\n0\n", result.output, result.errors)
  end)

  it("takes its search paths from the profile and heeds no variable of Lua's", function()
    local result = helper.script([[
      local artel = require "artel"
      marker = nil
      local factory = artel.WorkerFactory.new { packagePath = "/p/?.lua", packageCPath = "/c/?.so" }
      local worker <close> = factory:createWorkerWithExpression(
        "{ onRequest = function() return { marker or false, package.path, package.cpath } end }")
      print(table.unpack(worker:request(1)))
    ]], { environment = { LUA_INIT = "marker = 1" } })
    assert.equal("false\t/p/?.lua\t/c/?.so\n", result.output, result.errors)
  end)

  it("appends to its output path, and does not follow a link there", function()
    local folder <close> = helper.folder()
    local path = folder.path .. "/output"
    for n = 1, 2 do
      local worker <close> = helper.worker(helper.raw("print(" .. n .. ")"), { outputPath = path })
      worker:close(TIMEOUT)
    end
    assert.equal("1\n2\n", helper.read(path))
    local umask = tonumber(helper.read "/proc/self/status":match "\nUmask:%s*(%d+)", 8)
    assert.equal(tonumber("640", 8) & ~umask, uv.fs_stat(path).mode & 511)
    uv.fs_symlink(path, folder.path .. "/link")
    local worker <close> = helper.worker("{ run = print }",
      { outputPath = folder.path .. "/link" })
    local ready, err = worker:waitUntilReady(TIMEOUT)
    assert.is_nil(ready)
    assert.same({ "bootstrap", "output", "ELOOP" }, { err.kind, err.step, err.errno })
  end)

  it("may be told how much of the system it may use #unsanitized", function()
    local worker <close> = helper.worker(
      "{ onRequest = function(_, n) return #(('x'):rep(n)) end }",
      { resourceLimits = { memory = 200 << 20, openFiles = 20, cpu = 1000 } })
    assert.equal(1000, worker:request(1000, { timeout = TIMEOUT }))
    local response, err = worker:request(500 << 20, { timeout = TIMEOUT })
    assert.is_nil(response)
    assert.equal("remote", err.kind)
    assert.matches("not enough memory", tostring(err))
    local limits = helper.read(("/proc/%d/limits"):format(worker:getProcessId()))
    assert.matches("Max open files%s+20%s", limits)
    assert.matches("Max cpu time%s+1000%s", limits)
  end)
end)

describe("a worker with a preferred identity", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  -- Reads in stage 1, before any code of the profile could have changed anything.
  local READ_STATUS = [[
    local file = io.open "/proc/self/status"
    statusInStage1 = file:read "a"
    file:close() ]]
  local REPORT =
    "{ onRequest = function(_, name) return name == 'status' and statusInStage1 %s end }"

  local function worker(more, options)
    options = options or {}
    options.preferredIdentity, options.stage1Parts = "nobody", { READ_STATUS }
    return helper.worker(REPORT:format(more or ""), options)
  end

  it("is nobody before stage 1: real, effective and saved, with nobody's groups", function()
    if not isRoot then return pending "only root may become somebody else" end
    local started <close> = worker()
    local text = started:request("status", { timeout = TIMEOUT })
    assert.matches("\nUid:\t65534\t65534\t65534\t65534\n", text)
    assert.matches("\nGid:\t65534\t65534\t65534\t65534\n", text)
    assert.matches("\nGroups:\t65534 ?\n", text)
    for _, set in ipairs { "CapInh", "CapPrm", "CapEff", "CapAmb" } do
      assert.matches("\n" .. set .. ":\t0000000000000000\n", text)
    end
    assert.matches("\nNoNewPrivs:\t1\n", text)
  end)

  it("cannot become root again", function()
    if not isRoot then return pending "only root may become somebody else" end
    local started <close> = worker [[or (function()
      local uv = require "luv"
      pcall(uv.setuid, 0)
      pcall(uv.setgid, 0)
      return { uv.getuid(), uv.getgid(), (io.open("/etc/shadow")) ~= nil }
    end)()]]
    assert.same({ 65534, 65534, false }, started:request("try", { timeout = TIMEOUT }))
  end)

  it("has its limits set before", function()
    if not isRoot then return pending "only root may become somebody else" end
    local folder <close> = helper.folder()
    assert(uv.fs_chmod(folder.path, 511))
    local path = folder.path .. "/output"
    helper.write(folder.path .. "/script.lua", [[
      local artel = require "artel"
      local worker <close> = artel.WorkerFactory.new {
        preferredIdentity = "nobody", outputPath = arg[1], resourceLimits = { openFiles = 300 },
      }:createWorkerWithExpression "{ onMessage = function() end }"
      assert(worker:waitUntilReady())
      local limits = io.open(("/proc/%d/limits"):format(worker:getProcessId())):read "a"
      print(limits:match "Max open files%s+(%d+)") ]])
    -- Above the hard limit that is in force: only root may raise it, and not in every container.
    local command = "ulimit -n 200; (ulimit -n 300) 2>&1 || exit 77; exec lua5.4 script.lua "
    local result = program.run({ "sh", "-c", command .. path }, { folder = folder.path })
    if result.code == 77 then return pending "this root may not raise limits" end
    assert.equal("300\n", result.output, result.errors)
  end)

  it("opens its output as nobody", function()
    if not isRoot then return pending "only root may become somebody else" end
    local folder <close> = helper.folder()
    assert(uv.fs_chmod(folder.path, 511))
    local path = folder.path .. "/output"
    local started <close> = worker(nil, { outputPath = path })
    isReady(started)
    assert.equal(65534, uv.fs_stat(path).uid)
  end)

  it("goes on as it is, and says so, where it may not change", function()
    if not isRoot then return pending "needs a user without rights, which root can become" end
    local folder <close> = helper.folder()
    assert(uv.fs_chmod(folder.path, 511))
    local path = folder.path .. "/output"
    -- A worker that is nobody starts another that should become daemon.
    local outer <close> = helper.worker([[{ onRequest = function()
      local artel = require "artel"
      local inner = artel.WorkerFactory.new {
        preferredIdentity = "daemon",
      }:createWorkerWithExpression [=[{ onRequest = function()
        return io.open("/proc/self/status"):read "a":match "Uid:%s*(%d+)"
      end }]=]
      local uid, err = inner:request(1)
      inner:close()
      return uid or tostring(err)
    end }]], { preferredIdentity = "nobody", outputPath = path })
    assert.equal("65534", outer:request(1, { timeout = TIMEOUT }))
    assert.matches("cannot become the preferred user daemon", helper.read(path))
  end)
end)
