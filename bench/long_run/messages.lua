-- SPDX-License-Identifier: Apache-2.0
-- The messages of bench/long_run: the same seed gives both sides the same ones, so that each
-- side knows every byte that must come. And the pauses that either side makes.
local artel = require "artel"
local core = require "artel.core"

local messages = {}

local RING = 256 * 1024 -- bytes: the default of setRingSize
local NEAR_RING = 64 -- as far around it are lengths drawn
local LARGEST = 1 << 20

--- Random integers that depend on nothing else in the process, unlike those of math.random.
local function generator(seed)
  local state = seed
  return function(bound) -- 0 to bound - 1
    state = state * 6364136223846793005 + 1442695040888963407
    return (state >> 33) % bound
  end
end

-- Bytes that do not repeat: a message with another's bytes is found out.
local function randomBlock(seed)
  local random, words = generator(seed), {}
  for i = 1, LARGEST // 4 do words[i] = ("<I4"):pack(random(1 << 31)) end
  return table.concat(words)
end

--- Mostly small ones; some longer than a ring, or of just its length.
local function drawLength(random)
  local chance = random(10000)
  if chance < 7000 then return random(100) end
  if chance < 9500 then return random(1000) end
  if chance < 9995 then return random(8000) end
  if chance < 9999 then return RING - NEAR_RING + random(2 * NEAR_RING) end
  return random(LARGEST)
end

--- Answers a function that gives one message after another: its number, and random bytes.
---@param seed integer
---@return fun(): string
function messages.of(seed)
  local block, random, number = randomBlock(seed), generator(seed), 0
  return function()
    number = number + 1
    local length = drawLength(random)
    local start = random(LARGEST - length) + 1
    return ("<I8"):pack(number) .. block:sub(start, start + length - 1)
  end
end

--- What is wrong with a message that should be another one.
---@param message any
---@param expected string
---@return string
function messages.explain(message, expected)
  if type(message) ~= "string" or #message < 8 then return "what came is no message of ours" end
  local came, due = ("<I8"):unpack(message), ("<I8"):unpack(expected)
  if came ~= due then return ("message %d came, where %d was due"):format(came, due) end
  return ("message %d came with wrong bytes: %d, where %d were due")
    :format(due, #message, #expected)
end

local nothing, comes = artel.channelPair() -- `comes` is kept, else `nothing` would end

--- Now and then busy for less or more than the other side would look before it sleeps, or
--- asleep for longer.
function messages.pauseNowAndThen()
  local chance = math.random(1000)
  if chance == 1 then
    nothing:receiveMessage(math.random() / 1000)
    assert(comes)
  elseif chance <= 10 then
    local ends = core.now() + math.random() / 10000
    while core.now() < ends do end -- luacheck: ignore 542
  end
end

return messages
