-- SPDX-License-Identifier: Apache-2.0
-- Run by tools/checks/package where only an installed artel can be found. Argument: its tree.
local artel = require "artel"

for _, path in ipairs { package.searchpath("artel", package.path),
                        package.searchpath("artel.core", package.cpath) } do
  assert(path:sub(1, #arg[1]) == arg[1], path .. " is not what was installed")
end

local worker <close> = artel.createWorker("squares")
for n = 1, 10 do
  assert(worker:sendMessage(n))
  local answer = assert(worker:receiveMessage(10))
  assert(answer == n .. " squared is " .. n * n, answer)
end

local executable = io.open("/proc/" .. worker:getProcessId() .. "/cmdline"):read("a")
assert(executable:sub(1, #arg[1]) == arg[1], executable .. " is not what was installed")
