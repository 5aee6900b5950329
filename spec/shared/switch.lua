-- SPDX-License-Identifier: Apache-2.0
-- What the specs of the kill switch share: a file for each of them, and a factory that heeds it.

local support = require "spec.shared.support"

local switch = {}

switch.ECHO = "{ onRequest = function(self, value) return value end }"

function switch.tcp(port) return "tcp://127.0.0.1:" .. port end

--- For before_each(): where the switch would lie, a factory that knows it, and an address.
---@return string path
---@return artel.WorkerFactory factory
---@return string address
function switch.setUp()
  support.setUp()
  local path = support.path "switch.json"
  return path, support.factory { killSwitchPath = path }, support.unixAddress()
end

--- For after_each().
function switch.tearDown() support.tearDown { ["switch.json.lock"] = true } end

return switch
