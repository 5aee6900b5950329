-- SPDX-License-Identifier: Apache-2.0
-- What the scenarios of allocation_test.c share: doing something while memory is short, and what
-- may have gone wrong then.

local test = ...
local collectgarbage, ipairs, pcall, type = collectgarbage, ipairs, pcall, type

local support = {}

-- Seconds for what comes at once, on a busy machine too.
support.TIMEOUT = 60

--- Calls the deed while allocations fail. Finalisers wait until there is memory again: Lua
--- itself forgets one whose call it has no memory for.
---@return boolean failed whether one has
---@return boolean ok
---@return any err
function support.without(deed, ...)
  collectgarbage "stop"
  test.arm()
  local ok, err = pcall(deed, ...)
  local failed = test.disarm()
  collectgarbage "restart"
  return failed, ok, err
end

local function isLack(err)
  local text = tostring(err)
  return type(err) == "table" and err.errno == "ENOMEM" or text:find "not enough memory"
    or text:find "Cannot allocate memory"
end

--- The only thing that may have gone wrong.
function support.checkLack(err)
  if not isLack(err) then
    error("another error than that memory was short: " .. tostring(err), 2)
  end
end

--- The same of a list of errors, and false: one end may tell of it, and the other one that its
--- peer has gone.
function support.checkLacks(errors)
  local lacks, others = 0, nil
  for _, err in ipairs(errors) do
    if err and isLack(err) then
      lacks = lacks + 1
    elseif err and err.kind ~= "timeout" then
      others = err
      if err.kind ~= "closed" then support.checkLack(err) end
    end
  end
  if others and lacks == 0 then support.checkLack(others) end
end

--- A list of `count` places: to write into it takes no memory.
function support.places(count)
  local list = {}
  for i = 1, count do list[i] = false end
  return list
end

function support.isSame(left, right)
  if type(left) ~= "table" or type(right) ~= "table" then return left == right end
  for key, value in pairs(left) do
    if not support.isSame(value, right[key]) then return false end
  end
  for key in pairs(right) do
    if left[key] == nil then return false end
  end
  return true
end

--- Calls the method and notes what it answers: a value, or an error.
function support.note(run, i, method, ...)
  local ok, value, err = pcall(method, ...)
  run.values[i], run.problems[i] = ok and value, ok and err or not ok and value
end

--- Waits until no child is left.
function support.awaitChildren(core)
  local deadline = core.now() + support.TIMEOUT
  while test.hasChildren() do
    assert(core.now() < deadline, "a child is left")
    core.reap()
    core.pollStreams({}, {}, 0.001)
  end
end
return support
