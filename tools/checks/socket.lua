-- SPDX-License-Identifier: Apache-2.0
-- Run at the start of every lua5.4: whose profile names no transport has a socket. So what
-- the specs say of shared memory, the default, is seen to hold over sockets too.
local NAME = "artel.profile_parameters"

package.preload[NAME] = function()
  local chunk = assert(loadfile(assert(package.searchpath(NAME, package.path))))
  local parameters = chunk(NAME)
  for _, parameter in ipairs(parameters) do
    if parameter.name == "transport" then parameter.default = "socket" end
  end
  return parameters
end
