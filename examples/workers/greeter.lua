-- SPDX-License-Identifier: Apache-2.0
-- A shared worker with state: it counts whom it has greeted.

local Greeter = {}
Greeter.__index = Greeter

function Greeter.new() return setmetatable({ count = 0 }, Greeter) end

local SUFFIXES = { "st", "nd", "rd" }

local function ordinal(n)
  local isTeen = n // 10 % 10 == 1
  return n .. (not isTeen and SUFFIXES[n % 10] or "th")
end

function Greeter:onMessage(name, channel)
  self.count = self.count + 1
  channel:sendMessage(("Hello %s ! You're my %s client."):format(name, ordinal(self.count)))
end

--- How it is: a text, for whoever asks.
function Greeter:onQuery() return ("%d clients greeted"):format(self.count) end

return Greeter
