-- SPDX-License-Identifier: Apache-2.0
-- The short form of bench/long_run; how a long one ended is in docs/reliability.md.

local helper = require "spec.helper"
local program = require "spec.program"

local function run(name, ...)
  local variables = { ARTEL_HOST = program.build .. "/bin/artel" }
  return program.run({ ("%s/bench/%s/run"):format(program.top, name), ... },
    { environment = variables })
end

describe("bench/long_run", function()
  local COUNT = helper.isWatched and 500 or 5000

  it("gets every message there and back, in order and unaltered", function()
    local result = run("long_run", tostring(COUNT), "7")
    assert.equal(0, result.code, result.output .. result.errors)
    assert.equal("", result.errors)
    assert.matches(("messages   %d there, %d back, "):format(COUNT, COUNT), result.output, 1, true)
    assert.matches("nothing is lost, doubled, out of order or altered\n$", result.output)
  end)

  it("says how it is called", function()
    local result = run("long_run", "many")
    assert.equal(2, result.code)
    assert.equal("usage: bench/long_run/run COUNT [SEED]\n", result.errors)
  end)
end)
