-- SPDX-License-Identifier: Apache-2.0
-- One cause, many who are told of it: each gets an error object of its own.

local core = require "artel.core"

--- A copy of an error with some fields set.
---@param err artel.Error
---@param fields table
---@return artel.Error
return function(err, fields)
  local copy = {}
  for name, value in pairs(err) do copy[name] = value end
  for name, value in pairs(fields) do copy[name] = value end
  return core.newError(copy)
end
