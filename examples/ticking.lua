-- SPDX-License-Identifier: Apache-2.0
-- A program with a luv loop of its own: its timer ticks on while a pool counts words.
--   lua5.4 examples/ticking.lua [rounds]

local artel = require "artel"
local uv = require "luv"

local INTERVAL = 5 -- milliseconds between two ticks

local folder = arg[0]:match "^(.*)/" or "."
local texts = dofile(folder .. "/texts.lua")
local rounds = tonumber(arg[1] or 20) -- how often each file is counted

local ticks, largest, last = 0, 0, uv.hrtime()
local timer = uv.new_timer()
timer:start(INTERVAL, INTERVAL, function()
  local now = uv.hrtime() -- nanoseconds
  largest = math.max(largest, (now - last) / 1e6 - INTERVAL)
  ticks, last = ticks + 1, now
end)

artel.async(function()
  local paths = {}
  for _ = 1, rounds do
    for _, path in ipairs(texts.paths()) do paths[#paths + 1] = path end
  end
  local pool <close> = assert(artel.createWorkerPool(folder .. "/workers/file_words.lua"))
  local ticksBefore = ticks
  local counts = assert(pool:map(paths))
  timer:close()
  print(("%d files counted; meanwhile the timer ticked %d times, at most %.1f ms late")
    :format(#counts, ticks - ticksBefore, largest))
end)
uv.run()
