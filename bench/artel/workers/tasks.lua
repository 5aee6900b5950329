-- SPDX-License-Identifier: Apache-2.0
-- The requests of the pool's benchmarks: trivial ones, and ones that burn a processor.
local Tasks = {}

-- The loop of values.burn, so that a worker needs no other module.
local function burn(rounds)
  local state = 1
  for _ = 1, rounds do state = (state * 1103515245 + 12345) & 0x7fffffff end
  return state
end

function Tasks:onRequest(request) -- luacheck: no self
  if type(request) == "table" then return burn(request.rounds) end
  return request * request
end

return Tasks
