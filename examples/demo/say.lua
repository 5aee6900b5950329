-- SPDX-License-Identifier: Apache-2.0
-- How the demonstration speaks: a heading for each part, a line for each step.

local uv = require "luv"

local say = {}

function say.heading(text) print("\n== " .. text .. "\n") end

function say.line(format, ...) print("  " .. format:format(...)) end

--- Calls fn and answers how long it took, in seconds, and what it answered.
function say.timed(fn, ...)
  local start = uv.hrtime() -- nanoseconds
  local answer = fn(...)
  return (uv.hrtime() - start) / 1e9, answer
end

return say
