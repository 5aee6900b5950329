-- SPDX-License-Identifier: Apache-2.0
-- An evented worker, dedicated or shared, that sends back what comes.
local Echo = {}

function Echo:onMessage(message, channel) -- luacheck: no self
  channel:sendMessage(message)
end

return Echo
