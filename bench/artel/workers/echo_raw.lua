-- SPDX-License-Identifier: Apache-2.0
-- A raw worker that sends back what comes.
local Echo = {}

function Echo:run(channel) -- luacheck: no self
  for message in channel:messages() do channel:sendMessage(message) end
end

return Echo
