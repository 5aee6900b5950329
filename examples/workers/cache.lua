-- SPDX-License-Identifier: Apache-2.0
-- A shared worker that keeps values by their keys, for all processes of this machine. When it
-- is full, the key that was set first makes room.
--   { get = key }                 the value, or null
--   { set = key, value = value }  keeps it

local artel = require "artel"

local Cache = {}
Cache.__index = Cache

local CAPACITY = 10000

function Cache.new()
  return setmetatable({ values = {}, keys = {}, next = 1, hits = 0, misses = 0 }, Cache)
end

function Cache:get(key)
  local value = self.values[key]
  if value == nil then
    self.misses = self.misses + 1
    return artel.null
  end
  self.hits = self.hits + 1
  return value
end

function Cache:set(key, value)
  if self.values[key] == nil then
    local oldest = self.keys[self.next] -- a ring: what is at the next place is the oldest
    if oldest ~= nil then self.values[oldest] = nil end
    self.keys[self.next] = key
    self.next = self.next % CAPACITY + 1
  end
  self.values[key] = value
  return true
end

function Cache:onRequest(request)
  if request.get ~= nil then return self:get(request.get) end
  if request.set == nil or request.value == nil then return nil, "neither get nor set" end
  return self:set(request.set, request.value)
end

function Cache:onQuery()
  return {
    textStatus = ("%d found, %d not found"):format(self.hits, self.misses),
    counters = {
      { name = "hits", value = self.hits, unit = "c" },
      { name = "misses", value = self.misses, unit = "c" },
    },
  }
end

return Cache
