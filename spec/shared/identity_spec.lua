-- SPDX-License-Identifier: Apache-2.0
-- Shared workers and the users of the machine: who may connect, as whom a worker runs, and who
-- gets to know the admin cookie. Only root can become others, so the rest is for root.

local artel = require "artel"
local core = require "artel.core"
local program = require "spec.program"
local support = require "spec.shared.support"
local uv = require "luv"

local NOBODY = 65534
local TIMEOUT = support.TIMEOUT

local ECHO = [[{ onRequest = function(self, what)
  return what == "user" and require "luv".getuid() or what
end }]]

-- Becomes nobody and connects.
local CONNECT = [[
import os, socket, sys
os.setgroups([]), os.setgid(65534), os.setuid(65534)
s = socket.socket(socket.AF_UNIX)
try:
    s.connect(sys.argv[1])
    print("connected")
except OSError as e:
    print(type(e).__name__)
]]

-- Becomes nobody, binds a socket that everybody may use, and shows what the first client says.
local EAVESDROPPER = [[
import os, socket, sys
os.setgroups([]), os.setgid(65534), os.setuid(65534)
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
s.listen()
print("listening", flush=True)
c, _ = s.accept()
said = c.recv(65536)
print(said)
c.recv(1) # until who asks hangs up: our end must not be what ends its wait
]]

describe("a shared worker among several users", function()
  local folder -- open to all, and as in /tmp nobody removes what is another's

  before_each(function()
    support.setUp()
    if core.files.effectiveUser() ~= 0 then return end
    assert(uv.fs_chmod(support.path "", tonumber("711", 8)))
    folder = support.path "open"
    assert(uv.fs_mkdir(folder, 0))
    assert(uv.fs_chmod(folder, tonumber("1777", 8)))
  end)
  after_each(function() support.tearDown() end)

  local function itAsRoot(title, body)
    it(title, function()
      if core.files.effectiveUser() == 0 then return body() end
      pending "only root can become others"
    end)
  end

  --- Nothing is left in the folder.
  local function assertEmpty()
    assert.is_nil(uv.fs_scandir_next(assert(uv.fs_scandir(folder))))
  end

  local function ownerOf(path) return assert(core.files.stat(path)).uid end

  itAsRoot("is out of reach for others, unless its socket has another mode", function()
    for mode, expected in pairs { [""] = "PermissionError\n", ["mode = '0666'"] = "connected\n" } do
      local address = "unix://" .. folder .. "/w.sock"
      local factory = support.start(ECHO, { socketContextExpression = ("{ %s }"):format(mode) },
        address)
      local result = program.run { "python3", "-c", CONNECT, folder .. "/w.sock" }
      assert.equal(expected, result.output, result.errors)
      support.stop(factory, address)
    end
  end)

  for kind, where in pairs {
    ["a folder that all share"] = "/w.sock", ["a folder that is made for it"] = "/new/w.sock",
  } do
    itAsRoot("runs as the preferred identity, whose files it leaves nothing of: " .. kind,
      function()
        local path = folder .. where
        local address = "unix://" .. path
        local options = { preferredIdentity = "nobody", outputPath = "/dev/null" }
        local factory, _, pid = support.start(ECHO, options, address)
        local worker = assert(factory:connectToSharedWorker(address))
        assert.equal(NOBODY, worker:request "user")
        worker:close()
        for _, name in ipairs { path, path .. ".lock" } do assert.equal(NOBODY, ownerOf(name)) end
        -- Also those of one that was killed do not stand in the way of the next.
        uv.kill(pid, "sigkill")
        assert.is_true(support.awaitEnd(pid))
        assert.is_true(factory:startSharedWorkerWithExpression(address, ECHO))
        support.stop(factory, address) -- with the cookie, for who listens is trusted
        assert.is_nil((core.files.stat(path)))
        assert.is_nil((core.files.stat(path .. ".lock")))
        if where == "/w.sock" then assertEmpty() end
      end)
  end

  itAsRoot("runs as the preferred identity behind a port", function()
    local address = support.tcpAddress()
    local lock = ("/run/artel-%d/tcp-%s.lock"):format(NOBODY, address:match "//(.*)")
    local factory = support.start(ECHO, { preferredIdentity = "nobody", outputPath = "/dev/null" },
      address)
    local worker = assert(factory:connectToSharedWorker(address))
    assert.equal(NOBODY, worker:request "user")
    worker:close()
    assert.equal(NOBODY, ownerOf(lock))
    support.stop(factory, address)
    assert.is_nil((core.files.stat(lock)))
  end)

  itAsRoot("does not come up where its user may not be", function()
    assert(uv.fs_chmod(folder, tonumber("755", 8)))
    local address = "unix://" .. folder .. "/w.sock"
    local factory = support.factory { preferredIdentity = "nobody", outputPath = "/dev/null" }
    local started, err = factory:startSharedWorkerWithExpression(address, ECHO)
    assert.is_nil(started)
    assert.equal("listen", err.kind)
    assert.equal("EACCES", err.errno)
    -- What it leaves is no obstacle for one that may.
    factory = support.start(ECHO, nil, address)
    support.stop(factory, address)
    assertEmpty()
  end)

  itAsRoot("gets the admin cookie only if its user is trusted", function()
    for identity, isTrusted in pairs { nobody = true, [false] = false } do
      for _, act in ipairs { "stopSharedWorker", "querySharedWorker" } do
        local path = folder .. "/fake.sock"
        local factory = support.factory {
          channelFactory = "json", preferredIdentity = identity or nil,
        }
        local err
        local result = program.run({ "python3", "-c", EAVESDROPPER, path }, {
          onOutput = function()
            artel.async(function() err = select(2, factory[act](factory, "unix://" .. path, 0)) end)
          end,
        })
        if isTrusted then
          assert.matches('^listening\nb\'{"_%l+_":"a cookie"}', result.output)
          assert.equal("timeout", err.kind)
        else
          assert.equal("listening\nb''\n", result.output) -- it hung up without a word
          assert.equal("connect", err.kind)
          assert.equal("EPERM", err.errno)
          assert.matches("runs as user 65534, which is not trusted", err.message)
        end
        os.remove(path)
      end
    end
  end)

  it("serves clients whose process it cannot see, as from outside of a container", function()
    local address = support.unixAddress()
    local start = ([[
      local artel = require "artel"
      local factory = artel.WorkerFactory.new { adminCookie = "a cookie", outputPath = %q }
      assert(factory:startSharedWorkerWithExpression(%q, %q))
      print "ready"
      io.stdout:flush()
      io.open(%q):close() -- with it every process in its namespace ends
    ]]):format(support.path "log", address,
      "{ onRequest = function(_, _, _, peerName) return peerName end }", support.path "end")
    assert.equal(0, program.run({ "mkfifo", support.path "end" }).code)
    local factory, name, processId, status, stopped = support.factory(), nil, nil, nil, nil
    local result = program.run({ "unshare", "--pid", "--fork", "lua5.4", "-e", start }, {
      onOutput = function()
        artel.async(function()
          local worker = assert(factory:connectToSharedWorker(address))
          name, processId = worker:request(1), worker:getProcessId()
          worker:close()
          status = factory:querySharedWorker(address)
          stopped = factory:stopSharedWorker(address, TIMEOUT)
          support.write(support.path "end", "")
        end)
      end,
    })
    if result.code ~= 0 and result.output == "" then
      pending("no namespaces here: " .. result.errors)
      return
    end
    assert.equal(("pid:0 uid:%d"):format(uv.getuid()), name)
    assert.is_true(processId > 1) -- seen from here
    assert.is_true(#status:getCounters() > 0)
    assert.is_true(stopped)
  end)
end)
