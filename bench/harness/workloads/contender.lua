-- SPDX-License-Identifier: Apache-2.0
-- How a workload names its contenders: who it is, what it runs, what it needs.
--
-- In a command {bin} is the folder of the reference programs, {n} how often, {x} the point
-- of a sweep, {tmp} a scratch folder. A command prints its figure as `ns_per_op 27012`.
local contender = {}

local function make(kind, name, command, extra)
  local entry = { kind = kind, name = name, command = command }
  for key, value in pairs(extra or {}) do entry[key] = value end
  return entry
end

---@class bench.Extra
---@field n integer|fun(x: number): integer|nil how often, where it differs from the others
---@field target table|nil { atMost = | atLeast =, absolute = true? }
---@field needs string|nil a program that may be absent
---@field upTo number|nil the last point of a sweep that makes sense for it

---@param name string
---@param command string
---@param extra bench.Extra|nil
function contender.reference(name, command, extra)
  return make("reference", name, "{bin}/" .. command, extra)
end

---@param name string
---@param command string a program of bench/artel and its arguments
---@param extra bench.Extra|nil
function contender.artel(name, command, extra)
  return make("artel", name, "lua5.4 bench/artel/" .. command, extra)
end

---@param name string
---@param command string a program of bench/peers and its arguments
---@param extra bench.Extra|nil
function contender.node(name, command, extra)
  local entry = make("peer", name, "node bench/peers/" .. command, extra)
  entry.needs = entry.needs or "node"
  return entry
end

---@param name string
---@param command string
---@param extra bench.Extra|nil
function contender.python(name, command, extra)
  local entry = make("peer", name, "python3 bench/peers/" .. command, extra)
  entry.needs = "python3"
  return entry
end

---@param name string
---@param command string
---@param extra bench.Extra|nil
function contender.luv(name, command, extra)
  local entry = make("peer", name, "UV_THREADPOOL_SIZE=2 lua5.4 bench/peers/" .. command, extra)
  entry.needs = "luv"
  return entry
end

return contender
