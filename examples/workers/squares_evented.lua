-- SPDX-License-Identifier: Apache-2.0
-- An evented implementation: artel calls a handler for everything that happens.
return {
  onMessage = function(_, n, channel)
    channel:sendMessage(n .. " squared is " .. n * n)
  end,
}
