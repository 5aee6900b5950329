-- SPDX-License-Identifier: Apache-2.0
-- The implementation that package_script.lua starts.
return {
  onMessage = function(_, n, channel)
    channel:sendMessage(n .. " squared is " .. n * n)
  end,
}
