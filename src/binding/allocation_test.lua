-- SPDX-License-Identifier: Apache-2.0
-- The scenarios of allocation_test.c. `run()` of each does its deed between arm() and disarm(),
-- then looks, with memory there again, at what has become of everything it has used, and
-- answers whether an allocation had failed. It is called for the first allocation, the second
-- and so on until none has failed: in one Lua state, or where it says `anew` in a new one each
-- time. Where there are too many, it is called for each up to the `dense`th, and for each
-- `stride`th from there on.

local test = ...
package.path, package.cpath = "lua/?.lua;lua/?/init.lua", ""

local FOLDER = "src/binding/allocation/"
local scenarios = {}

local function scenario(fields) scenarios[#scenarios + 1] = fields end

local support = assert(loadfile(FOLDER .. "support.lua"))(test)
local exchange = assert(loadfile(FOLDER .. "exchange.lua"))(support)
for _, name in ipairs { "messages", "parts", "processes", "pools" } do
  assert(loadfile(FOLDER .. name .. ".lua"))(test, support, exchange, scenario)
end

return scenarios
