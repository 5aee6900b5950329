-- SPDX-License-Identifier: Apache-2.0
-- Knows an error that was raised for want of memory, wherever it has been caught and raised again
-- since. What has raised it can be tried again later; any other error of our own code is a bug.

local TEXT = "not enough memory" -- Lua's own

---@return boolean
return function(err)
  return type(err) == "string" and err:sub(-#TEXT) == TEXT
end
