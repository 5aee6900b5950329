-- SPDX-License-Identifier: Apache-2.0
-- One daemon, two masters: they share a counter, ask how it is, and stop it.

local artel = require "artel"
local say = require "demo.say"
local uv = require "luv"

local COOKIE = "known to this demonstration alone"

local function greet(worker, name)
  assert(worker:sendMessage(name))
  return assert(worker:receiveMessage(10))
end

local function showCounters(status)
  local wanted = { sys_connections_open = true, sys_messages_received = true,
    sys_memory_usage = true }
  for _, counter in ipairs(status:getCounters()) do
    if wanted[counter:getName()] then
      say.line("  %-22s %9d%s", counter:getName(), counter:getValue(),
        counter:getUnit() and " " .. counter:getUnit() or "")
    end
  end
end

return function(folder)
  say.heading "A shared worker: a daemon that any number of programs use at once"
  local directory = assert(uv.fs_mkdtemp((os.getenv "TMPDIR" or "/tmp") .. "/artel-XXXXXX"))
  local address = "unix://" .. directory .. "/greeter.sock"
  local module = folder .. "/workers/greeter.lua"
  local factory = artel.WorkerFactory.new { adminCookie = COOKIE }

  say.line("The first master connects to %s.", address)
  say.line("Nobody listens there, so the worker is started:")
  local first <close> = assert(factory:connectToSharedWorker(address, module))
  say.line("  it is process %d, and will outlive its masters.", first:getProcessId())
  say.line("The first master says its name.  Answer: %s", greet(first, "Ada"))

  say.line("A second master connects. The worker is there already.")
  local second <close> = assert(factory:connectToSharedWorker(address, module))
  say.line("The second master says its name. Answer: %s", greet(second, "Grace"))

  local status = assert(factory:querySharedWorker(address))
  say.line("Asked how it is, with the admin cookie, it answers: %s", status:getTextStatus())
  showCounters(status)

  assert(factory:stopSharedWorker(address))
  say.line("Asked to stop, with the admin cookie, it has ended, and its socket is gone.")
  uv.fs_rmdir(directory)
end
