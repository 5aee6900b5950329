-- SPDX-License-Identifier: Apache-2.0
-- What must be true of a bootstrap file: any text is refused with a reason or is a table of
-- data, and what was written from a plan is that plan.

local bootstrapFile = require "artel.bootstrap_file"
local export = require "artel.export"

-- These are read before Lua code has a look, so their types are checked.
local TYPES = { address = "string", identity = "string", outputPath = "string", limits = "table" }

local function checkText(load, text)
  local methods = getmetatable("").__index
  local plan, message = load(text)
  assert(getmetatable("").__index == methods and methods, "strings have lost their methods")
  if not plan then
    assert(message:find "^the bootstrap file fuzz cannot be used: ")
    return
  end
  assert(type(plan) == "table")
  for field, type_ in pairs(TYPES) do
    assert(plan[field] == nil or type(plan[field]) == type_, field)
  end
end

local function checkPlan(load, plan)
  if type(plan) ~= "table" then return end
  local source = plan.implementation
  if type(source) ~= "table" or type(source.module or source.expression) ~= "string" then
    plan.implementation = { module = "m" }
  end
  if type(plan.address) ~= "string" then plan.address = nil end
  if not export.value(plan, "plan", true) then return end -- holds what no profile would
  local read, message = load(bootstrapFile.generate(plan))
  for field, type_ in pairs(TYPES) do
    local value = plan[field]
    if value ~= nil and type(value) ~= type_ then
      assert(read == nil and message:find "its %w+ is a ")
      return
    end
  end
  assert(read, message)
  assert(read.hash == bootstrapFile.hash(plan))
  read.hash = nil
  local wanted = {} -- of the fields that there are
  for field in pairs(read) do wanted[field] = plan[field] end
  assert(export.value(wanted) == export.value(read), "another plan than was written")
end

return function(load, input, isPlan)
  if isPlan then checkPlan(load, input) else checkText(load, input) end
end
