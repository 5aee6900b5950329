-- SPDX-License-Identifier: Apache-2.0
-- A worker for pools: splits numbers into their prime factors, and looks into a cache first.
-- Constructor arguments: the address of the cache, and its module, in case nobody has
-- started it yet.

local artel = require "artel"

local Factors = {}
Factors.__index = Factors

function Factors.new(address, module)
  return setmetatable({ cache = assert(artel.connectToSharedWorker(address, module)) }, Factors)
end

local function factorsOf(n)
  local factors, divisor = {}, 2
  while divisor * divisor <= n do
    while n % divisor == 0 do
      factors[#factors + 1] = divisor
      n = n // divisor
    end
    divisor = divisor + 1
  end
  if n > 1 then factors[#factors + 1] = n end
  return factors
end

--- Asking the cache takes a while, in which the worker serves other requests.
function Factors:onRequest(n)
  local known = assert(self.cache:request { get = n })
  if known ~= artel.null then return { factors = known, wasKnown = true } end
  local factors = factorsOf(n)
  assert(self.cache:request { set = n, value = factors })
  return { factors = factors, wasKnown = false }
end

return Factors
