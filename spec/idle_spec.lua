-- SPDX-License-Identifier: Apache-2.0
-- That bench/idle measures what it says. The times are not looked at here: machines differ.

local program = require "spec.program"

local function idle(...)
  local variables = { ARTEL_HOST = program.build .. "/bin/artel" }
  return program.run({ program.top .. "/bench/idle/run", ... }, { environment = variables })
end

describe("bench/idle", function()
  it("tells what a waiting master and its worker burn, of either kind, and a pool's", function()
    local result = idle "0.1"
    assert.equal("", result.errors)
    local lines = {}
    for what in result.output:gmatch "(%S[^\n]-) +%-?[%d.]+ ms in +[%d.]+ s +%-?[%d.]+ %%" do
      lines[#lines + 1] = what
    end
    assert.same({
      "pool: master, 5 ms a request", "pool: the same over a socket", "pool: lost to looking",
      "raw: master, nothing comes", "raw: worker, nothing comes",
      "raw: master, 5 ms a request", "raw: the same over a socket", "raw: lost to looking",
      "evented: master, nothing comes", "evented: worker, nothing comes",
      "evented: master, 5 ms a request", "evented: the same over a socket",
      "evented: lost to looking",
    }, lines)
  end)

  it("says how it is called", function()
    local result = idle "for a while"
    assert.equal(2, result.code)
    assert.equal("usage: bench/idle/run [SECONDS]\n", result.errors)
  end)
end)
