-- SPDX-License-Identifier: Apache-2.0
-- A raw worker that computes for as many seconds as it is asked to.
return {
  run = function(_, channel)
    while true do
      local seconds, reply = channel:receiveRequest()
      if seconds == nil then return end
      local ends = os.clock() + seconds
      while os.clock() < ends do end -- luacheck: ignore 542
      reply(true)
    end
  end,
}
