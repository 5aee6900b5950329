-- SPDX-License-Identifier: Apache-2.0
-- Knows which limit a start that has failed ran into, and where that can be changed.

local LIMITS = {
  EMFILE = "the limit of descriptors of this process, ulimit -n",
  ENFILE = "the system's limit of descriptors, fs.file-max",
  EAGAIN = "the limit of this user's processes, ulimit -u, or of the cgroup's, pids.max",
}

--- The same error object, whose message names the limit if it was one.
---@param err artel.Error
---@return artel.Error
return function(err)
  local limit = LIMITS[err.errno]
  if limit then err.message = ("%s (%s)"):format(err.message, limit) end
  return err
end
