-- SPDX-License-Identifier: Apache-2.0
-- The implementation behind artel.map: one function, called for each request.

--- Answers the implementation for the code of a function and its context.
---@param code string
---@param context any
return function(code, context)
  local fn = assert(load(code, "=map", "b"))
  return { onRequest = function(_, item) return fn(item, context) end }
end
