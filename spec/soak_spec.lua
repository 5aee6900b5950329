-- SPDX-License-Identifier: Apache-2.0
-- The short form of bench/soak; how long ones ended is in docs/reliability.md.

local program = require "spec.program"

describe("bench/soak", function()
  local function soak(...)
    local variables = { ARTEL_HOST = program.build .. "/bin/artel" }
    return program.run({ program.top .. "/bench/soak", ... }, { environment = variables })
  end

  it("balances its account of every request, and leaves nothing behind", function()
    local result = soak("3", "7")
    assert.equal(0, result.code, result.output .. result.errors)
    local sent = assert(result.output:match "requests sent +(%d+)")
    local answered = assert(result.output:match "answered +(%d+)")
    local failed = 0
    for count in result.output:match("failed\n(.-)meanwhile"):gmatch " (%d+)  " do
      failed = failed + count
    end
    assert.equal(tonumber(sent), answered + failed)
    assert.is_true(tonumber(answered) > 0)
    assert.matches("the account balances, and nothing is left\n$", result.output)
  end)

  it("says how it is called", function()
    local result = soak "for a while"
    assert.equal(2, result.code)
    assert.equal("usage: bench/soak SECONDS [SEED]\n", result.errors)
  end)
end)
