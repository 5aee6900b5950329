-- SPDX-License-Identifier: Apache-2.0
-- `artel host --bootstrap FILE` as a service manager runs it: readiness, inherited sockets,
-- exit codes. A small harness in Python stands for the manager.

local core = require "artel.core"
local helper = require "spec.helper"
local hostPath = require "artel.host_path"
local program = require "spec.program"
local support = require "spec.shared.support"
local uv = require "luv"

local TIMEOUT = support.TIMEOUT

local ECHO = [[{
  onRequest = function(self, name)
    if name then return os.getenv(name) or "none" end
    return "hello"
  end,
}]]

-- HOST FILE WHAT...: binds what it is asked to, and becomes the host with these sockets as
-- descriptors 3, 4, ... WHAT is unix:PATH, tcp:HOST:PORT, pipe, or pid:NUMBER for a LISTEN_PID.
local MANAGER = [[
import os, socket, sys
host, file, *wanted = sys.argv[1:]
pid = str(os.getpid())
sockets = []
for what in wanted:
    kind, _, rest = what.partition(":")
    if kind == "unix":
        s = socket.socket(socket.AF_UNIX)
        s.bind(rest)
        if os.fork() == 0: # a manager is not who serves: the kernel notes who called listen
            s.listen()
            os._exit(0)
        os.wait()
    elif kind == "tcp":
        name, _, port = rest.rpartition(":")
        s = socket.socket(socket.AF_INET6 if ":" in name else socket.AF_INET)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((name, int(port)))
        s.listen()
    elif kind == "pid":
        pid = rest
        continue
    else:
        s = open("/dev/null")
    sockets.append(s)
kept = [os.dup2(s.fileno(), 100 + i) for i, s in enumerate(sockets)]
for i, fd in enumerate(kept):
    os.dup2(fd, 3 + i, inheritable=True)
os.closerange(3 + len(kept), 1000)
if sockets:
    os.environ["LISTEN_FDS"] = str(len(sockets))
    os.environ["LISTEN_PID"] = pid
os.execv(host, [host, "host", "--bootstrap", file])
]]

--- Receives what a service says to its manager.
local function listenForNotices()
  local path = support.path "notify"
  local script = [[
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", flush=True)
while True:
    print(s.recv(4096).decode(), flush=True)
]]
  local output = uv.new_pipe()
  local notices, text = {}, ""
  local process
  process = assert(uv.spawn("python3", {
    args = { "-c", script, path }, stdio = { nil, output }, env = support.environment(),
  }, function() process:close() end))
  output:read_start(function(_, chunk)
    if not chunk then return output:close() end
    text = text .. chunk
    for line in text:gmatch "[^\n]+" do notices[line] = true end
  end)
  local function await(line)
    helper.runLoopUntil(function() return notices[line] end)
  end
  await "bound"
  return path, await, function()
    process:kill "sigterm"
    helper.runLoopUntil(function() return not process:is_active() and output:is_closing() end)
    os.remove(path)
  end
end

describe("a shared worker under a service manager", function()
  local address, file, processes

  --- Starts the host from the bootstrap file; answers what is known of it.
  local function serve(wanted, notifyPath)
    local host = assert(hostPath.find())
    local arguments = { "-c", MANAGER, host, file, table.unpack(wanted or {}) }
    local environment = support.environment { NOTIFY_SOCKET = notifyPath or "" }
    local errors = uv.new_pipe()
    local service = { text = "" }
    service.process, service.pid = assert(uv.spawn("python3",
      { args = arguments, env = environment, stdio = { nil, nil, errors } },
      function(code, signal)
        service.code, service.signal = code, signal
        service.process:close()
      end))
    errors:read_start(function(_, chunk)
      if chunk then
        service.text = service.text .. chunk
      else
        errors:close()
        service.ended = true
      end
    end)
    function service.awaitEnd()
      helper.runLoopUntil(function() return service.code and service.ended end)
      return service.code
    end
    processes[#processes + 1] = service
    return service
  end

  local function compile(options, forAddress)
    address = forAddress or support.unixAddress()
    local factory = support.factory(options)
    local profile = factory:getBootstrapProfile()
    file = support.path "worker.lua"
    profile:addPrecompiledScriptWithExpression(ECHO, file, address)
    assert.equal(file, profile:compileScriptWithExpression(ECHO, address))
    return factory
  end

  before_each(function()
    support.setUp()
    processes = {}
  end)
  after_each(function()
    for _, service in ipairs(processes) do
      if not service.code then
        service.process:kill "sigkill"
        service.awaitEnd()
      end
    end
    support.tearDown()
  end)

  it("says when it is ready and when it stops", function()
    local path, await, stop = listenForNotices()
    finally(stop)
    local factory = compile()
    local service = serve({}, path)
    await "READY=1"
    local worker = assert(factory:connectToSharedWorker(address))
    assert.equal("hello", worker:request(false))
    assert.equal("none", worker:request "NOTIFY_SOCKET")
    assert.equal(service.pid, worker:getProcessId())
    worker:close()
    service.process:kill "sigterm"
    await "STOPPING=1"
    assert.equal(0, service.awaitEnd())
  end)

  it("ends with code 1 when it has not stopped in time", function()
    local path, await, stop = listenForNotices()
    finally(stop)
    local holdsLoop = "require 'luv'.new_timer():start(900000000, 0, print)"
    compile { stopTimeout = 0.05, stage2Parts = { holdsLoop } }
    local service = serve({}, path)
    await "READY=1"
    service.process:kill "sigterm"
    assert.equal(1, service.awaitEnd())
    assert.matches("not stopped within 0.05 s; what still holds the loop: [^\n]*uv_timer_t",
      service.text .. support.log())
  end)

  it("ends with code 1 when it computes on after SIGTERM", function()
    local spins = "require 'luv'.new_timer():start(0, 0, function()"
      .. " print 'spinning' io.stdout:flush() while true do end end)"
    compile { stopTimeout = 0.05, stage2Parts = { spins } }
    local service = serve()
    helper.eventually(function() return support.log():find "spinning" end)
    service.process:kill "sigterm"
    assert.equal(1, service.awaitEnd())
    assert.equal(0, service.signal)
    assert.matches("not stopped within 0.05 s; its code computes or waits", support.log())
    assert(compile():startSharedWorkerWithExpression(address, ECHO)) -- and cleans up
    support.stop(support.factory(), address)
  end)

  it("ends with code 255 when a callback of its own raises", function()
    compile { stage2Parts = { "require 'luv'.new_timer():start(0, 0, function() error 'oh' end)" } }
    assert.equal(255, serve().awaitEnd())
    assert.matches("oh", support.log())
  end)

  it("serves the sockets that it inherits, and leaves their files", function()
    local path, await, stop = listenForNotices()
    finally(stop)
    local factory = compile()
    local service = serve({ "unix:" .. support.path "w.sock" }, path)
    await "READY=1"
    local worker = assert(factory:connectToSharedWorker(address))
    assert.equal("none", worker:request "LISTEN_FDS")
    assert.equal("none", worker:request "LISTEN_PID")
    assert.equal(service.pid, worker:getProcessId()) -- it called listen itself
    assert.is_false(factory:startSharedWorkerWithExpression(address, ECHO))
    worker:close()
    assert.is_true(factory:stopSharedWorker(address, TIMEOUT))
    assert.equal(0, service.awaitEnd())
    assert.equal("socket", core.files.stat(support.path "w.sock").type)
    os.remove(support.path "w.sock")
  end)

  it("serves all of several sockets for one address", function()
    local path, await, stop = listenForNotices()
    finally(stop)
    local port = support.tcpAddress():match "%d+$"
    local factory = compile(nil, "tcp://localhost:" .. port)
    local service = serve({ "tcp:127.0.0.1:" .. port, "tcp:::1:" .. port }, path)
    await "READY=1"
    for _, host in ipairs { "127.0.0.1", "[::1]" } do
      local worker = assert(factory:connectToSharedWorker(("tcp://%s:%s"):format(host, port)))
      assert.equal("hello", worker:request(false))
      worker:close()
    end
    service.process:kill "sigterm"
    assert.equal(0, service.awaitEnd())
  end)

  it("refuses a socket that is not for its address, and what is no socket", function()
    compile()
    local service = serve { "unix:" .. support.path "other.sock" }
    assert.equal(1, service.awaitEnd())
    assert.matches("descriptor 3 is not for unix://", service.text)
    os.remove(support.path "other.sock")
    service = serve { "pipe" }
    assert.equal(1, service.awaitEnd())
    assert.matches("descriptor 3 is no listening socket", service.text)
  end)

  it("believes LISTEN_FDS only when it is meant for this process", function()
    local path, await, stop = listenForNotices()
    finally(stop)
    local factory = compile()
    local service = serve({ "pid:1", "unix:" .. support.path "other.sock" }, path)
    await "READY=1"
    local worker = assert(factory:connectToSharedWorker(address))
    worker:close()
    service.process:kill "sigterm"
    assert.equal(0, service.awaitEnd())
    os.remove(support.path "other.sock")
  end)

  it("tells on standard error why it does not come up", function()
    compile { stage1Parts = { "error 'not like this'" } }
    local service = serve()
    assert.equal(1, service.awaitEnd())
    assert.matches("stage1: .*not like this", service.text .. support.log())
    support.write(file, "return {")
    service = serve()
    assert.equal(1, service.awaitEnd())
    assert.matches("cannot be used", service.text)
  end)

  it("leaves what it prints to its manager where no output path is named", function()
    local profile = compile { stage1Parts = { "error 'not like this'" } }:getBootstrapProfile()
    profile:setOutputPath(nil)
    profile:compileScriptWithExpression(ECHO, address)
    local service = serve()
    assert.equal(1, service.awaitEnd())
    assert.matches("stage1: .*not like this", service.text)
  end)

  it("reads its file as data alone, and takes no wrong type for what is missing", function()
    compile()
    for text, fault in pairs {
      ["return { address = ('x'):rep(3) }"] = "attempt to index a string value",
      ["return { address = os.getenv 'HOME' }"] = "attempt to index a nil value",
      ["return { identity = 5, address = 'unix:///x' }"] = "its identity is a number",
      ["return { limits = 'none' }"] = "its limits is a string",
      ["return 7"] = "it answers no table",
    } do
      support.write(file, text)
      local service = serve()
      assert.equal(1, service.awaitEnd())
      assert.matches("profile: the bootstrap file .* cannot be used: .*" .. fault, service.text)
    end
  end)

  it("does not quote its file, for a cookie may stand where a quote is missing", function()
    compile()
    for text, fault in pairs {
      ['return {\n  adminCookie = "a secret near you\n}'] = ":2: unfinished string\n",
      ["return { adminCookie = 'a 'secret' }"] = ":1: '}' expected\n",
    } do
      support.write(file, text)
      local service = serve()
      assert.equal(1, service.awaitEnd())
      assert.matches("cannot be used: .*" .. fault, service.text)
    end
  end)

  it("does not run beside another worker", function()
    local factory = compile()
    assert(factory:startSharedWorkerWithExpression(address, ECHO))
    local service = serve()
    assert.equal(1, service.awaitEnd())
    assert.matches("a worker answers at .* already", service.text)
    support.stop(factory, address)
  end)

  describe("as examples/systemd describes it,", function()
    --- The settings of an example unit.
    local function unit(name)
      local settings = {}
      for line in io.lines(program.top .. "/examples/systemd/" .. name) do
        local key, value = line:match "^(%w+)=(.*)$"
        if key then settings[key] = value end
      end
      return settings
    end

    it("comes up at the socket of its socket unit", function()
      local service, socket = unit "artel-clock.service", unit "artel-clock.socket"
      assert.equal("notify", service.Type)
      assert.equal("78", service.RestartPreventExitStatus)
      assert.equal(service.User, socket.SocketUser)
      assert.equal("host --bootstrap", service.ExecStart:match "^/%S*/artel (.*) /%S*/clock.boot$")
      local path, await, stop = listenForNotices()
      finally(stop)
      -- The worker's own user makes the lock file beside the socket, which /run itself refuses.
      local folder, name = socket.ListenStream:match "^/run/([^/]+)/([^/]+)$"
      assert.same({ folder, "yes" },
        { service.RuntimeDirectory, service.RuntimeDirectoryPreserve })
      local factory = compile(nil, support.unixAddress(name))
      assert.is_true(tonumber(service.TimeoutStopSec)
        > factory:getBootstrapProfile():getStopTimeout())
      local started = serve({ "unix:" .. support.path(name) }, path)
      await "READY=1"
      local worker = assert(factory:connectToSharedWorker(address))
      assert.equal("hello", worker:request(false))
      worker:close()
      started.process:kill "sigterm"
      await "STOPPING=1"
      assert.equal(0, started.awaitEnd())
      os.remove(support.path(name))
    end)

    it("has units that systemd understands", function()
      if not os.execute "command -v systemd-analyze >/dev/null" then
        pending "systemd is not installed"
        return
      end
      local paths = {}
      for index, name in ipairs { "artel-clock.service", "artel-clock.socket" } do
        paths[index] = support.path(name)
        local text = support.read(program.top .. "/examples/systemd/" .. name)
        local quoted = ('"%s"'):format(assert(hostPath.find())) -- there may be blanks in it
        support.write(paths[index], (text:gsub("/usr/local/bin/artel", quoted)))
        assert(uv.fs_chmod(paths[index], tonumber("644", 8))) -- whatever the umask
      end
      local result = program.run({ "systemd-analyze", "verify", table.unpack(paths) },
        { environment = { LD_PRELOAD = false } })
      for _, unitPath in ipairs(paths) do os.remove(unitPath) end
      assert.equal("", result.output .. result.errors)
      assert.equal(0, result.code)
    end)
  end)

  it("is only for shared workers", function()
    compile()
    local profile = support.factory():getBootstrapProfile()
    support.write(file, profile:generateScriptWithExpression(ECHO))
    uv.fs_chmod(file, tonumber("600", 8))
    local service = serve()
    assert.equal(2, service.awaitEnd())
    assert.matches("names no address", service.text)
  end)
end)
