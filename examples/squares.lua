-- SPDX-License-Identifier: Apache-2.0
-- Ten numbers, sent one by one to a dedicated worker that squares them:
--   lua5.4 examples/squares.lua [raw|evented] [msgpack|json]

local artel = require "artel"

local kind, encoding = arg[1] or "evented", arg[2] or "msgpack"
local folder = arg[0]:match "^(.*)/" or "."

local factory = artel.WorkerFactory.new { channelFactory = encoding }
local worker <close> = assert(factory:createWorker(folder .. "/workers/squares_" .. kind .. ".lua"))

for n = 1, 10 do
  worker:sendMessage(n)
  print(assert(worker:receiveMessage()))
end
