-- SPDX-License-Identifier: Apache-2.0
-- What a function says that was called with a dot where a colon belongs, or the other way round.

local methods = {}

--- A function without self that refuses one.
---@param owner table what holds the function
---@param key string its name there
---@param name string of the owner, for the message
function methods.static(owner, key, name)
  local fn = owner[key]
  owner[key] = function(first, ...)
    if rawequal(first, owner) then
      error(("bad argument #1 to '%s' (%s itself; is it called with a dot?)"):format(key, name), 2)
    end
    return fn(first, ...) -- a tail call: for error() we are not there
  end
end

--- Makes every method of a class refuse a self that is no object of it.
---@param class table its functions; those named in `statics` have no self
---@param field string what every object has
---@param name string of the class, for the message
---@param statics table<string, true>
function methods.guard(class, field, name, statics)
  for key, method in pairs(class) do
    if statics[key] then
      methods.static(class, key, name)
    elseif type(method) == "function" then
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
