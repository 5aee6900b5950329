-- SPDX-License-Identifier: Apache-2.0
-- The worker of bench/long_run: compares each message that comes, and sends one of its own.
local messages = require "messages"

return function(seed)
  math.randomseed(seed)
  local due, answer = messages.of(seed), messages.of(~seed)
  local function run(_, channel)
    for message in channel:messages() do
      local expected = due()
      if message ~= expected then error(messages.explain(message, expected), 0) end
      messages.pauseNowAndThen()
      if not channel:sendMessage(answer()) then return end
    end
  end
  return { run = run }
end
