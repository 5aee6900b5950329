-- SPDX-License-Identifier: Apache-2.0
local core = require "artel.core"

local function run(command)
  local child = assert(io.popen(command))
  local line = child:read "l"
  assert.is_true(child:close())
  return line
end

describe("the count of processors", function()
  it("is no more than the processors this process may run on", function()
    local count, how = core.system.processorCount()
    assert.equal("integer", math.type(count))
    assert.is_true(count >= 1 and count <= tonumber(run "nproc"))
    assert.is_true(#how > 0)
  end)

  it("follows the affinity of the process", function()
    local first = run("taskset -cp $$"):match ": (%d+)"
    local code = 'print((require("artel.core").system.processorCount()))'
    assert.equal("1", run(("LUA_CPATH='%s' taskset -c %s lua5.4 -e '%s'")
      :format(package.cpath, first, code)))
  end)
end)
