-- SPDX-License-Identifier: Apache-2.0
-- Which of these numbers are prime? On all processors, in five lines:
--   lua5.4 examples/map.lua

local artel = require "artel"
local function isPrime(n)
  for divisor = 2, math.floor(n ^ 0.5) do if n % divisor == 0 then return false end end
  return n > 1
end
local numbers = { 1000000007, 1000000008, 1000000009, 1000000010, 998244353 }
for i, prime in ipairs(assert(artel.map(isPrime, numbers))) do print(numbers[i], prime) end
