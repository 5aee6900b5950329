-- SPDX-License-Identifier: Apache-2.0
-- What a method says that was called with a dot where a colon belongs.

local methods = {}

--- Makes every method of a class refuse a self that is no object of it.
---@param class table its functions; those named in `statics` have no self
---@param field string what every object has
---@param name string of the class, for the message
---@param statics table<string, true>
function methods.guard(class, field, name, statics)
  for key, method in pairs(class) do
    if type(method) == "function" and not statics[key] then
      class[key] = function(self, ...)
        if type(self) ~= "table" or self[field] == nil then
          error(("bad self of '%s' (%s expected, got %s; is it called with a colon?)")
            :format(key, name, type(self)), 2)
        end
        return method(self, ...) -- a tail call: for error() we are not there
      end
    end
  end
end

return methods
