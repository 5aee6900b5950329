-- SPDX-License-Identifier: Apache-2.0
-- The expressions of a profile that the host evaluates once the implementation exists.

local handlers = require "artel.handlers"

local expression = {}

--- Evaluates a Lua expression.
---@return boolean ok
---@return any value or, when not ok, a failure { message =, traceback = }
function expression.evaluate(text, name)
  local chunk, message = load("return " .. text, name, "t")
  if not chunk then return false, { message = message } end
  return xpcall(chunk, handlers.toFailure)
end

--- The loop that setLoop gets.
---@return table? loop what require "luv" answers
---@return table? failure
function expression.loop(text)
  local ok, loop = expression.evaluate(text or 'require("luv")', "=(loop expression)")
  if not ok then return nil, loop end
  if type(loop) ~= "table" or not loop.new_poll then
    return nil, { message = "the loop expression must answer what require \"luv\" returns" }
  end
  return loop
end

return expression
