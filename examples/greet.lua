-- SPDX-License-Identifier: Apache-2.0
-- A counter that every program on this machine shares. Run it several times:
--   lua5.4 examples/greet.lua [name]
--   lua5.4 examples/greet.lua --query
--   lua5.4 examples/greet.lua --stop

local artel = require "artel"

local folder = arg[0]:match "^(.*)/" or "."
local address = "unix://" .. (os.getenv "GREETER_SOCKET" or "/tmp/artel-greeter.sock")
local factory = artel.WorkerFactory.new { adminCookie = "no secret at all: use your own" }

if arg[1] == "--stop" then
  print(assert(factory:stopSharedWorker(address)) and "stopped")
elseif arg[1] == "--query" then
  print(assert(factory:querySharedWorker(address)))
else
  -- Connects; if nobody listens there, starts the worker first.
  local worker <close> = assert(factory:connectToSharedWorker(address,
    folder .. "/workers/greeter.lua"))
  worker:sendMessage(arg[1] or "world")
  print(assert(worker:receiveMessage(10)))
end
