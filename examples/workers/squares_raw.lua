-- SPDX-License-Identifier: Apache-2.0
-- A raw implementation: `run` has the channel to itself and returns when its master closes it.
return {
  run = function(_, channel)
    for n in channel:messages() do
      channel:sendMessage(n .. " squared is " .. n * n)
    end
  end,
}
