-- SPDX-License-Identifier: Apache-2.0
-- Replaces the code of a shared worker while clients keep calling it: disable, stop, replace,
-- enable. They see replies of the old code, then "disabled", then replies of the new code.

local artel = require "artel"
local uv = require "luv"

local CLIENTS = 4
local TIMEOUT = 30

local examples = arg[0]:match "^(.*)/" or "."
local folder = assert(uv.fs_mkdtemp((os.getenv "TMPDIR" or "/tmp") .. "/artel-XXXXXX"))
local module, address = folder .. "/versioned.lua", "unix://" .. folder .. "/versioned.sock"
local options = { adminCookie = "no secret at all: use your own",
  killSwitchPath = folder .. "/switch.json" }
local factory = artel.WorkerFactory.new(options)

--- Puts the code of a version in place, in one step: nobody loads half of it.
local function install(version)
  local file = assert(io.open(module .. ".new", "w"))
  assert(file:write(("return { onRequest = function() return %q end }\n"):format(version)))
  assert(file:close())
  assert(os.rename(module .. ".new", module))
end

local function deploy(version)
  assert(factory:disableSharedWorker(address)) -- from here on no client can start it again
  assert(factory:stopSharedWorker(address, TIMEOUT))
  return function()
    install(version)
    assert(factory:reEnableSharedWorker(address)) -- and the first who calls starts the new code
  end
end

local clients = {}

--- Waits until every client has seen the outcome.
local function awaitOutcome(outcome)
  for _, client in ipairs(clients) do
    local seen, err = client:receiveMessage(TIMEOUT)
    assert(seen == outcome, seen or err)
  end
  print(("%d clients see: %s"):format(#clients, outcome))
end

install "version 1"
for index = 1, CLIENTS do
  clients[index] = assert(artel.createWorker(examples .. "/workers/deploy_client.lua", options,
    address, module))
end
awaitOutcome "version 1"
local finish = deploy "version 2"
awaitOutcome "disabled"
finish()
awaitOutcome "version 2"

local outcomes = {}
for _, client in ipairs(clients) do
  client:sendMessage "enough"
  for outcome in pairs(assert(client:receiveMessage(TIMEOUT))) do outcomes[outcome] = true end
  client:close()
end
local names = {}
for outcome in pairs(outcomes) do names[#names + 1] = outcome end
table.sort(names)
print("all that any of them has ever seen: " .. table.concat(names, ", "))

assert(factory:stopSharedWorker(address, TIMEOUT))
for _, name in ipairs { "versioned.lua", "switch.json", "switch.json.lock" } do
  assert(os.remove(folder .. "/" .. name))
end
assert(uv.fs_rmdir(folder))
