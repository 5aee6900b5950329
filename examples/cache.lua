-- SPDX-License-Identifier: Apache-2.0
-- A pool whose workers share a cache. Two pools are asked the same, one after the other: the
-- workers of the second one find in the cache what those of the first one have computed.
--   lua5.4 examples/cache.lua

local artel = require "artel"
local uv = require "luv"

local folder = arg[0]:match "^(.*)/" or "."
local directory = assert(uv.fs_mkdtemp((os.getenv "TMPDIR" or "/tmp") .. "/artel-XXXXXX"))
local address = "unix://" .. directory .. "/cache.sock"
local module = folder .. "/workers/cache.lua"
local factory = artel.WorkerFactory.new { adminCookie = "no secret at all: use your own" }
assert(factory:startSharedWorker(address, module)) -- with our cookie, so that we may stop it

local numbers = {}
for i = 1, 40 do numbers[i] = 1000000000000 + i end

local function ask(name)
  local pool <close> = assert(factory:createWorkerPool(folder .. "/workers/cached_factors.lua",
    { arguments = { address, module } }))
  local known = 0
  local answers = assert(pool:map(numbers))
  for _, answer in ipairs(answers) do
    if answer.wasKnown then known = known + 1 end
  end
  print(("%s pool: %d numbers, %d of them known already"):format(name, #answers, known))
  return answers
end

ask "first"
local answers = ask "second"
print(("%d = %s"):format(numbers[1], table.concat(answers[1].factors, " * ")))
print("the cache: " .. assert(factory:querySharedWorker(address)):getTextStatus())
print("stopped: " .. tostring(assert(factory:stopSharedWorker(address))))
uv.fs_rmdir(directory)
