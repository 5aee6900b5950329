-- SPDX-License-Identifier: Apache-2.0
-- Sends three messages to a shared worker, asks it over HTTP how many came, and stops it:
--   lua5.4 examples/http_status.lua

local artel = require "artel"
local uv = require "luv"

local folder = arg[0]:match "^(.*)/" or "."
local directory = assert(uv.fs_mkdtemp((os.getenv "TMPDIR" or "/tmp") .. "/artel-XXXXXX"))
local address = "unix://" .. directory .. "/status.sock"
local factory = artel.WorkerFactory.new { adminCookie = "no secret at all: use your own" }

local function get(port)
  local client, answer = uv.new_tcp(), {}
  client:connect("127.0.0.1", port, function(err)
    assert(not err, err)
    client:write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    client:read_start(function(_, data)
      if data then answer[#answer + 1] = data else client:close() end
    end)
  end)
  uv.run()
  return table.concat(answer)
end

local worker = assert(factory:connectToSharedWorker(address,
  folder .. "/workers/http_status.lua"))
for _ = 1, 3 do worker:sendMessage("hello") end
print(get(assert(worker:request("port"))))
worker:close()
print("stopped: " .. tostring(assert(factory:stopSharedWorker(address))))
uv.fs_rmdir(directory)
