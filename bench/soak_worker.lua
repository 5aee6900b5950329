-- SPDX-License-Identifier: Apache-2.0
-- What works in bench/soak, in the pool and as the shared worker.
local artel = require "artel"

-- Seconds of computing.
local function compute(seconds)
  local deadline = os.clock() + seconds
  while os.clock() < deadline and not artel.isCancelled() do end -- luacheck: ignore 542
end

return {
  onRequest = function(_, request)
    if request.what == "compute" then compute(request.seconds) end
    if request.what == "fail" then return nil, request.number end
    if request.what == "exit" then os.exit(3) end
    return { number = request.number, payload = request.payload }
  end,
  -- Floods who asks for it and then does not read.
  onMessage = function(_, count, channel)
    local block = ("x"):rep(1000)
    for _ = 1, count do
      if not channel:sendMessage(block) then return end
    end
  end,
}
