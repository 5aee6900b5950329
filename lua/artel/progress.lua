-- SPDX-License-Identifier: Apache-2.0
-- A line on a terminal that tells how far a long map has come.

local core = require "artel.core"

---@class artel.Progress
local Progress = {}
Progress.__index = Progress

-- Seconds between two lines: what a person can read.
local INTERVAL = 0.1

-- Seconds; the least that our clock can tell, which a short map may not take.
local RESOLUTION = 0.001

---@param total? integer nil when nobody knows
function Progress.new(total)
  return setmetatable({ total = total, began = core.now(), shownAt = 0,
    isSilent = not core.isTerminal(2) }, Progress)
end

local function describeTime(seconds)
  if seconds < 60 then return ("%.0f s"):format(seconds) end
  return ("%d:%02d min"):format(seconds // 60, math.floor(seconds % 60))
end

--- The line for a number of items done after a number of seconds.
---@param done integer
---@param seconds number
---@return string
function Progress:line(done, seconds)
  local rate = done / math.max(seconds, RESOLUTION)
  if not self.total then return ("%d done, %.0f/s"):format(done, rate) end
  local left = rate > 0 and describeTime((self.total - done) / rate) .. " left" or "..."
  return ("%d of %d (%d %%), %.0f/s, %s"):format(done, self.total,
    self.total > 0 and 100 * done // self.total or 100, rate, left)
end

local function write(self, done)
  self.shown = done
  io.stderr:write("\r\27[K", self:line(done, core.now() - self.began))
end

---@param done integer
function Progress:show(done)
  if self.isSilent or core.now() - self.shownAt < INTERVAL then return end
  self.shownAt = core.now()
  write(self, done)
end

---@param done integer
function Progress:finish(done)
  if self.isSilent or self.isFinished then return end
  self.isFinished = true
  if self.shown ~= done then write(self, done) end
  io.stderr:write("\n")
end

return Progress
