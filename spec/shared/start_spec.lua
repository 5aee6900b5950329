-- SPDX-License-Identifier: Apache-2.0
-- How shared workers come to life: who starts them, what they inherit, and what is told when
-- they cannot.

local artel = require "artel"
local core = require "artel.core"
local helper = require "spec.helper"
local hostPath = require "artel.host_path"
local support = require "spec.shared.support"
local uv = require "luv"

local COUNTER = [[(function()
  local count = 0
  return { onMessage = function(self, name, channel)
    count = count + 1
    channel:sendMessage(("Hello %s, you are number %d"):format(name, count))
  end }
end)()]]

describe("a shared worker's start", function()
  before_each(support.setUp)
  after_each(function() support.tearDown() end)

  it("happens when the first master connects, and once only", function()
    local factory, address = support.factory(), support.unixAddress()
    local first = assert(factory:connectToSharedWorkerWithExpression(address, COUNTER))
    local second = assert(factory:connectToSharedWorkerWithExpression(address, COUNTER))
    first:sendMessage "Ann"
    assert.equal("Hello Ann, you are number 1", first:receiveMessage(support.TIMEOUT))
    second:sendMessage "Bob"
    assert.equal("Hello Bob, you are number 2", second:receiveMessage(support.TIMEOUT))
    assert.equal(first:getProcessId(), second:getProcessId())
    assert.equal(first:getProcessId(), factory:getSharedWorkerProcessId(address))
    assert.equal(address, first:getSocketAddress())
    first:close()
    second:close()
    support.stop(factory, address)
    assert.is_nil((factory:getSharedWorkerProcessId(address)))
  end)

  it("is told apart from finding one there", function()
    local factory, address = support.factory(), support.unixAddress()
    assert.is_true(factory:startSharedWorkerWithExpression(address, COUNTER))
    assert.is_false(factory:startSharedWorkerWithExpression(address, COUNTER))
    support.stop(factory, address)
  end)

  it("does not happen without a module, nor when it is not wanted", function()
    local factory, address = support.factory(), support.unixAddress()
    local worker, err = factory:connectToSharedWorker(address)
    assert.is_nil(worker)
    assert.equal("connect", err.kind)
    assert.equal("ENOENT", err.errno)
    worker, err = factory:connectToSharedWorkerWithExpression(address, COUNTER, false)
    assert.is_nil(worker)
    assert.equal("ENOENT", err.errno)
  end)

  it("cannot happen on another machine, and says so", function()
    local factory = support.factory()
    for _, remote in ipairs { "tcp://192.0.2.1:4000", "tcp://example.com:4000" } do
      assert.error_matches(function() factory:startSharedWorker(remote, "counter") end,
        "on another machine")
    end
  end)

  it("raises at the caller for what is no address or no module", function()
    local factory = support.factory()
    local ok, message = pcall(function() factory:startSharedWorker("nowhere", "counter") end)
    assert.is_false(ok)
    assert.matches("start_spec.lua:%d+: the address \"nowhere\"", message)
    local address = support.unixAddress()
    helper.raisesHere("bad argument #2 to 'connectToSharedWorker' (the name or path of a module "
      .. "expected, got number)", function() factory:connectToSharedWorker(address, 7) end)
    helper.raisesHere("bad argument #2 to 'startSharedWorkerWithExpression' (the text of an "
      .. "expression expected, got an empty string)",
      function() factory:startSharedWorkerWithExpression(address, "") end)
    helper.raisesHere("bad argument #2 to 'startSharedWorker' (the name or path of a module "
      .. "expected, got nil)", function() artel.startSharedWorker(address) end)
    ok, message = pcall(function() factory:connectToSharedWorker("unix://" .. ("x"):rep(108)) end)
    assert.is_false(ok)
    assert.matches("107 bytes", message)
  end)

  local function failedStart(options, expression)
    local factory, address = support.factory(options), support.unixAddress()
    expression = expression or COUNTER
    local started, err = factory:startSharedWorkerWithExpression(address, expression)
    assert.is_nil(started)
    local worker, again = factory:connectToSharedWorkerWithExpression(address, expression)
    assert.is_nil(worker)
    assert.equal(err.kind, again.kind)
    assert.equal(err.step, again.step)
    return err
  end

  it("tells which step has failed", function()
    for step, options in pairs {
      stage1 = { stage1Parts = { "error 'no stage'" } },
      stage2 = { stage2Parts = { "nonsense(" } },
      stage3 = { stage3Parts = { "error {}" } },
      script = { scriptsToRequire = { "no.such.module" } },
      loop = { loopExpression = "42" },
      socket = { socketContextExpression = "{ backlog = 'many' }" },
    } do
      local err = failedStart(options)
      assert.equal("bootstrap", err.kind)
      assert.equal(step, err.step)
    end
    assert.matches("no option 'colour'; there are: backlog, group, ipv6Only, keepAlive, "
      .. "maxConnections, mode, noDelay, owner, reusePort",
      tostring(failedStart { socketContextExpression = "{ colour = 1 }" }))
    assert.matches("no user nobody%-like%-this",
      tostring(failedStart { socketContextExpression = "{ owner = 'nobody-like-this' }" }))
  end)

  it("tells what is wrong with the implementation", function()
    assert.matches("neither onMessage nor onRequest",
      tostring(failedStart(nil, "{ run = function() end }")))
    local err = failedStart(nil,
      "{ onMessage = print, initialize = function() error 'not today' end }")
    assert.equal("initialize", err.step)
    assert.matches("not today", err.message)
    assert.matches("stack traceback", err.traceback)
    err = failedStart(nil, "{ onMessage = print, initialize = function() os.exit(3) end }")
    assert.equal("bootstrap", err.kind)
    assert.matches("ended before it was ready", err.message)
  end)

  for _, signal in ipairs { "sigterm", "sigint" } do
    it("ends by " .. signal:upper() .. " while initialize waits", function()
      local factory, address = support.factory(), support.unixAddress()
      local task = artel.async(factory.startSharedWorkerWithExpression, factory, address, [[{
        initialize = function()
          local uv = require "luv"
          uv.new_timer():start(1000000, 0, print) -- something that will not come
          print(uv.os_getpid())
          io.stdout:flush()
          coroutine.yield()
        end,
        onRequest = print,
      }]])
      uv.kill(helper.eventually(function()
        return tonumber(support.log():match "^(%d+)[.0]*\n")
      end), signal)
      local started, err = task:await(support.TIMEOUT)
      assert.is_nil(started)
      assert.equal("initialize", err.step)
      assert.matches("initialize was ended by " .. signal:upper(), err.message)
    end)
  end

  it("cannot be stopped by stopCurrent, but by an error", function()
    local err = failedStart(nil, [[{
      initialize = function() require "artel".SharedWorker.stopCurrent() end,
      onRequest = print,
    }]])
    assert.equal("initialize", err.step)
    assert.matches("%(implementation%):2: .*does not listen yet", err.message)
  end)

  it("tells what stands in the way of listening", function()
    support.write(support.path "w.sock", "not a socket")
    local err = failedStart()
    assert.equal("listen", err.kind)
    assert.equal("ENOTSOCK", err.errno)
    assert.equal("not a socket", support.read(support.path "w.sock"))
    os.remove(support.path "w.sock")
  end)

  it("replaces the socket file of a worker that was killed", function()
    local factory, address, pid = support.start(COUNTER)
    uv.kill(pid, "sigkill")
    assert.is_true(support.awaitEnd(pid))
    assert.equal("socket", core.files.stat(support.path "w.sock").type)
    local worker = assert(factory:connectToSharedWorkerWithExpression(address, COUNTER))
    worker:sendMessage "Eve"
    assert.equal("Hello Eve, you are number 1", worker:receiveMessage(support.TIMEOUT))
    assert.not_equal(pid, worker:getProcessId())
    worker:close()
    support.stop(factory, address)
  end)

  it("makes missing folders for the user alone, and the socket too", function()
    local address = "unix://" .. support.path "a/b/w.sock"
    local factory = support.start(COUNTER, nil, address)
    assert.equal(tonumber("700", 8), core.files.stat(support.path "a").mode)
    assert.equal(tonumber("700", 8), core.files.stat(support.path "a/b").mode)
    assert.equal(tonumber("600", 8), core.files.stat(support.path "a/b/w.sock").mode)
    support.stop(factory, address)
    assert.is_nil((core.files.stat(support.path "a/b/w.sock")))
    assert.is_nil((core.files.stat(support.path "a/b/w.sock.lock")))
  end)

  it("gives the socket the mode that is asked for, whatever the umask", function()
    local factory, address = support.start(COUNTER,
      { socketContextExpression = "{ mode = '0666', backlog = 16 }" })
    assert.equal(tonumber("666", 8), core.files.stat(support.path "w.sock").mode)
    support.stop(factory, address)
  end)

  it("takes a relative path from where the master is", function()
    local here = assert(uv.cwd())
    assert(uv.chdir(support.path ""))
    finally(function() uv.chdir(here) end)
    local factory = support.factory()
    assert(factory:startSharedWorkerWithExpression("unix://w.sock", COUNTER))
    assert(uv.chdir(here))
    local worker = assert(factory:connectToSharedWorker(support.unixAddress()))
    worker:close()
    support.stop(factory, support.unixAddress())
  end)

  it("makes a daemon: of nobody, in a session of its own, with nothing of its starter", function()
    uv.os_setenv("LISTEN_FDS", "1")
    uv.os_setenv("NOTIFY_SOCKET", "/nowhere")
    finally(function()
      uv.os_unsetenv "LISTEN_FDS"
      uv.os_unsetenv "NOTIFY_SOCKET"
    end)
    local leaky = assert(io.open("/dev/zero"))
    local function umaskOf(process)
      return support.read(("/proc/%s/status"):format(process)):match "\nUmask:%s*(%d+)"
    end
    local factory, address, pid = support.start [[{ onRequest = function(self, name)
      return os.getenv(name) or "none"
    end }]]
    leaky:close()
    local status = support.read(("/proc/%d/stat"):format(pid))
    local parent, group, session, terminal = status:match "%) %a (%d+) (%d+) (%d+) (%-?%d+)"
    assert.not_equal(uv.os_getpid(), tonumber(parent))
    assert.equal(group, session)
    assert.not_equal(tostring(pid), session) -- so it can never get a terminal
    assert.equal("0", terminal)
    local folder = assert(uv.fs_scandir(("/proc/%d/fd"):format(pid)))
    for name in uv.fs_scandir_next, folder do
      local target = uv.fs_readlink(("/proc/%d/fd/%s"):format(pid, name)) or ""
      assert.is_nil(target:find "/dev/zero")
      if tonumber(name) <= 2 then
        assert.equal(name == "0" and "/dev/null" or support.path "log", target)
      end
    end
    assert.equal(uv.cwd(), uv.fs_readlink(("/proc/%d/cwd"):format(pid)))
    assert.equal(umaskOf "self", umaskOf(pid))
    local worker = assert(factory:connectToSharedWorker(address))
    assert.equal("none", worker:request "LISTEN_FDS")
    assert.equal("none", worker:request "NOTIFY_SOCKET")
    assert.equal(os.getenv "PATH", worker:request "PATH")
    worker:close()
    support.stop(factory, address)
  end)

  it("prints into /dev/null where no output path is named, and says so", function()
    local factory, address = support.factory(), support.unixAddress()
    factory:getBootstrapProfile():setOutputPath(nil)
    local dies = "{ onMessage = print, initialize = function() os.exit(3) end }"
    local started, err = factory:startSharedWorkerWithExpression(address, dies)
    assert.is_nil(started)
    assert.matches("lost without an output path", err.message)
    assert(factory:startSharedWorkerWithExpression(address, COUNTER))
    local pid = assert(factory:getSharedWorkerProcessId(address))
    for number = 1, 2 do
      assert.equal("/dev/null", uv.fs_readlink(("/proc/%d/fd/%d"):format(pid, number)))
    end
    support.stop(factory, address)
  end)

  it("may go through another program: its arguments stand before the host's own", function()
    local factory, address = support.start(
      "{ onRequest = function(_, name) return os.getenv(name) end }", {
        hostPath = "/usr/bin/env", hostArguments = { "RUN_BY=env", assert(hostPath.find()) },
      })
    local worker = assert(factory:connectToSharedWorker(address))
    assert.equal("env", worker:request("RUN_BY", { timeout = support.TIMEOUT }))
    worker:close()
    support.stop(factory, address)
  end)

  it("leaves the starter no child", function()
    local factory, address = support.start(COUNTER)
    local pid = uv.os_getpid()
    local children = support.read(("/proc/%d/task/%d/children"):format(pid, pid))
    assert.equal("", children)
    support.stop(factory, address)
  end)

  it("is read from a precompiled script when one is listed", function()
    local factory, address = support.factory(), support.unixAddress()
    local path = support.path "boot.lua"
    factory:getBootstrapProfile():addPrecompiledScriptWithExpression(COUNTER, path, address)
    assert.is_true(factory:startSharedWorkerWithExpression(address, COUNTER))
    assert.matches("you are number", support.read(path))
    local worker = assert(factory:connectToSharedWorker(address))
    worker:sendMessage "Ann"
    assert.matches("Hello Ann", worker:receiveMessage(support.TIMEOUT))
    worker:close()
    support.stop(factory, address)
  end)

  it("works over TCP, IPv4 and IPv6, and finds the process", function()
    for _, host in ipairs { "127.0.0.1", "::1" } do
      local address = support.tcpAddress(host)
      local factory, _, pid = support.start(COUNTER, nil, address)
      local worker = assert(factory:connectToSharedWorker(address))
      worker:sendMessage "Ann"
      assert.equal("Hello Ann, you are number 1", worker:receiveMessage(support.TIMEOUT))
      assert.equal(pid, worker:getProcessId())
      assert.is_false(factory:startSharedWorkerWithExpression(address, COUNTER))
      worker:close()
      support.stop(factory, address)
      assert.is_nil((factory:getSharedWorkerProcessId(address)))
    end
  end)

  it("stands on artel itself too", function()
    local address = support.unixAddress()
    local worker, err = artel.connectToSharedWorker(address)
    assert.is_nil(worker)
    assert.equal("ENOENT", err.errno)
    assert.error_matches(function() artel.stopSharedWorker(address) end,
      "needs an admin cookie in the profile %(setAdminCookie%)")
  end)
end)
