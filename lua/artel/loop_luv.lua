-- SPDX-License-Identifier: Apache-2.0
-- The scheduler's view of luv's loop: descriptors, timers and "soon".

local core = require "artel.core"
local scheduler = require "artel.scheduler"
local uv = core.requireOnMainThread "luv"

---@class artel.LuvLoop
---@field serveFirst fun(set: userdata, owners: table<integer, any>)? gets all that are ready, and
--- leaves those that are to have their callbacks called
---@field hasTurned boolean whether the program has let it run, as far as we have seen
local loop = { uv = uv, hasTurned = false }

--- What escapes a luv callback ends the program, and luv shows nothing but strings: so every
--- error becomes its text and a traceback.
local function toText(err) return core.traceback(err, 2) end

local function guarded(fn)
  return function()
    loop.hasTurned = true
    local ok, text = xpcall(fn, toText)
    if not ok then error(text, 0) end
  end
end

-- All descriptors are watched through one set, behind one handle. It lives as long as Lua does;
-- a program that closes every handle of the loop's gets another one.
local set, handle = core.watchSet.open(), nil
local watches = setmetatable({}, { __mode = "v" }) -- by id
local owners = setmetatable({}, { __mode = "v" }) -- whose they are, by id
local lastId, busy = 0, 0 -- how many watches keep the loop alive

local takeReady, nextReady = core.watchSet.take, core.watchSet.next

local function serveAll()
  takeReady(set)
  if loop.serveFirst then loop.serveFirst(set, owners) end
  for id in nextReady, set do
    local watch = watches[id] -- one before it may have closed it
    if watch then watch:onReady() end
  end
end

-- In one run() for all, since it costs as much as many a callback. Who is woken goes on at its end.
local serveReady = guarded(function() scheduler.run(serveAll) end)

local function keepAlive()
  if not handle or handle:is_closing() then return end
  if busy > 0 then uv.ref(handle) else uv.unref(handle) end
end

local isMaking = false -- the handle; a finaliser that runs meanwhile needs no other one

local function ensureHandle()
  if isMaking or handle and not handle:is_closing() then return end
  isMaking = true
  local ok, fresh, err = pcall(uv.new_poll, core.watchSet.number(set))
  isMaking = false
  if not ok or not fresh then error(err or fresh, 0) end
  handle = fresh
  handle:start("r", serveReady)
  keepAlive()
end

---@class artel.LuvWatch
---@field private id integer
---@field private events "r"|"w"|"rw"|nil what the set watches for; nil: it is not in there
---@field private idle boolean it does not keep the loop alive
local Watch = {}
Watch.__index = Watch

--- Calls `callback(owner)` when `descriptor` is ready, while set() asks for it. The owner is
--- held weakly.
---@return artel.LuvWatch
function loop.watch(descriptor, owner, callback)
  ensureHandle()
  lastId = lastId + 1
  local id = lastId -- a finaliser that runs over the table may make another watch
  local self = setmetatable({
    id = id, descriptor = descriptor, callback = callback, events = nil, idle = true,
  }, Watch)
  watches[id], owners[id] = self, owner
  return self
end

function Watch:change(events)
  if self.events == events then return end
  if events then
    core.watchSet.put(set, self.descriptor, self.id, events ~= "w", events ~= "r",
      self.events == nil)
  else
    core.watchSet.remove(set, self.descriptor)
  end
  self.events = events
end

function Watch:onReady()
  local owner = owners[self.id]
  if self.idle and not self.background then
    -- Nobody wanted it any more, but taking it out and putting it in again costs two system
    -- calls that a wait which comes right back would pay each time. Now it is not coming back.
    self:change(nil)
  elseif owner ~= nil then
    self.callback(owner)
  end
end

--- Says what to wait for. With neither the loop does not stay alive for this descriptor.
function Watch:set(read, write)
  local events = read and (write and "rw" or "r") or (write and "w" or nil)
  if events then self:change(events) end
  local idle = events == nil
  if self.idle ~= idle then
    self.idle = idle
    busy = busy + (idle and -1 or 1)
    keepAlive()
  end
end

--- Waits for reading without keeping the loop alive.
function Watch:setBackground()
  self.background = true
  self:change "r"
end

function Watch:close()
  self:set(false, false)
  self:change(nil) -- before its descriptor is closed
  watches[self.id] = nil
end

Watch.__gc = Watch.close

-- luv crashes when Lua ends while a handle is still closing, as when a callback ends the program
-- in order. So timers are never closed: one that has stopped rests here until it is used again.
local resting = {}

local function stopTimer(timer)
  timer.use, timer.callback = nil, nil
  if timer.handle:is_closing() then return end -- by a program that closes all handles
  timer.handle:stop()
  resting[#resting + 1] = timer
end

-- Makes the loop come round: it is called before the loop would sleep, which it does not while
-- the handle is active. A timer would not do: what it starts that is due at once is called right
-- behind it, before the loop looks at anything else, and so on.
local idle, rounds = nil, 0 -- so many calls are still wanted
local soon, served = {}, {} -- callbacks; and those of the call that is under way

local onIdle = guarded(function()
  rounds = rounds - 1
  if #soon == 0 then
    if rounds <= 0 then idle:stop() end
    return
  end
  rounds = math.max(rounds, 1) -- uv.run "once" would sleep, though it has had its event
  uv.unref(idle)
  soon, served = served, soon
  for i = 1, #served do
    local callback = served[i]
    served[i] = nil
    callback()
  end
end)

local function comeRound()
  if not idle or idle:is_closing() then
    idle = uv.new_idle()
    uv.unref(idle)
  end
  idle:start(onIdle)
end

local function newTimer()
  local timer = { handle = uv.new_timer() }
  timer.fire = guarded(function()
    local callback = timer.callback
    stopTimer(timer)
    comeRound() -- uv.run "once" sleeps after the timers that were due before it
    rounds = 2 -- now, and in the round after that
    callback()
  end)
  return timer
end

local function takeTimer()
  local timer
  repeat timer = table.remove(resting) until not timer or not timer.handle:is_closing()
  return timer or newTimer()
end

-- What is further away does not come, and might be too much for an integer: math.huge is.
local SECONDS_MAX = 1e10

--- Seconds as luv's timers count.
---@return integer
function loop.toMilliseconds(seconds)
  return math.ceil(math.max(0, math.min(seconds, SECONDS_MAX)) * 1000)
end

--- Calls `callback()` once, `seconds` from now.
---@param background? boolean nothing waits for it: it does not keep the loop alive
---@return { stop: fun() }
function loop.after(seconds, callback, background)
  local timer, use = takeTimer(), {}
  timer.use, timer.callback = use, callback
  uv.update_time() -- the loop's clock stands still while Lua runs
  timer.handle:start(loop.toMilliseconds(seconds), 0, timer.fire)
  if background then uv.unref(timer.handle) else uv.ref(timer.handle) end
  function use.stop()
    if timer.use == use then stopTimer(timer) end -- else it is somebody else's by now
  end
  return use
end

--- Calls `callback()` in the next round of the loop.
function loop.soon(callback)
  comeRound()
  soon[#soon + 1] = callback
  uv.ref(idle)
end

return loop
