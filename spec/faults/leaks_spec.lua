-- SPDX-License-Identifier: Apache-2.0
-- Whatever has happened ten thousand times leaves no memory, descriptor or child behind. It is
-- measured after as many times again: only then have the heaps, with the garbage that the
-- collector and malloc allow themselves, been as large as they become.

local core = require "artel.core"
local helper = require "spec.helper"
local support = require "spec.shared.support"

-- Under something that watches memory, which grows by itself, only the rest can be compared.
local MESSAGES = helper.isWatched and 500 or 10000
local WORKERS = helper.isWatched and 40 or 1000
local CONNECTIONS = helper.isWatched and 50 or 1000
local GROWTH_MAX = 1 << 19 -- bytes; less than 53 for each message

-- For scripts: what they and the processes that they name hold.
local MEASURE = ([[
  local artel, uv = require "artel", require "luv"
  -- What artel uses of luv's loop is made when it is first needed, as by a slow request, and stays.
  require "artel.loop_luv"
  local function factory(encoding, transport)
    return artel.WorkerFactory.new { channelFactory = encoding, transport = transport }
  end
  local function countDescriptors(pid)
    -- luv's fs_scandir() would leave memory behind itself.
    local count, folder = 0, assert(uv.fs_opendir(("/proc/%%s/fd"):format(pid), nil, 64))
    local entries = uv.fs_readdir(folder)
    while entries do
      count = count + #entries
      entries = uv.fs_readdir(folder)
    end
    uv.fs_closedir(folder)
    return count
  end
  local function field(path, pattern)
    local file <close> = assert(io.open(path))
    return file:read "a":match(pattern)
  end
  local self = field("/proc/self/stat", "^%%d+")
  local function used(...)
    collectgarbage()
    collectgarbage()
    local _, children = field(("/proc/%%s/task/%%s/children"):format(self, self), ".*")
      :gsub("%%d+", "")
    local holds = { ["children"] = children }
    for _, pid in ipairs { self, ... } do
      holds["descriptors of " .. pid] = countDescriptors(pid)
      -- Not the pages of libraries: they come as they are used, and go as the system likes.
      for _, kind in ipairs { "Anon", "Shmem" } do
        local pattern = "Rss" .. kind .. ":%%s*(%%d+) kB"
        holds[kind .. " memory of " .. pid] =
          field(("/proc/%%s/status"):format(pid), pattern) * 1024
      end
    end
    return holds
  end
  local function compare(before, after)
    local grown = {}
    for what, number in pairs(before) do
      local more = after[what] - number
      if more > (what:find "memory" and %d or 0) then
        grown[#grown + 1] = ("%%d more %%s"):format(more, what)
      end
    end
    return table.concat(grown, ", ")
  end
  -- What another process holds may go away a little later than we hear of it.
  local function mustNotHaveGrown(before, ...)
    local deadline, grown = uv.hrtime() + 10e9, nil
    repeat
      grown = compare(before, used(...))
    until grown == "" or uv.hrtime() > deadline
    print(grown)
  end
]]):format(helper.isWatched and 1 << 40 or GROWTH_MAX)

-- What such a script is to speak, as arguments of its factory().
local function spoken(options)
  return options.channelFactory or "msgpack", options.transport or "auto"
end

local function leavesNothing(script, ...)
  local result = helper.script(MEASURE .. script, { arguments = { ... } })
  assert.equal("\n", result.output, result.errors)
  assert.equal(0, result.code, result.errors)
end

describe("nothing is left", function()
  for _, channel in ipairs(helper.CHANNELS) do
    it(("of %d messages and requests %s"):format(MESSAGES, channel.over), function()
      leavesNothing([[
        local worker <close> = factory(arg[2], arg[3]):createWorkerWithExpression [=[{
            onMessage = function(_, message, channel) channel:sendMessage(message) end,
            onRequest = function(_, request)
              if request == 0 then error "on purpose" end
              return request
            end,
          }]=]
        local function talk(rounds)
          for n = 1, rounds do
            -- Texts, tables, failures: of every length up to that of the longest.
            local message = n % 3 == 0 and { n = n, list = { n, n }, text = ("x"):rep(n % 999) }
              or ("x"):rep(n * 7919 % 65536)
            worker:sendMessage(message)
            worker:receiveMessage()
            if n % 10 == 0 then worker:request(n % 20) end
            if n % 100 == 0 then worker:sendMessage { print } end
          end
        end
        local rounds = tonumber(arg[1])
        talk(rounds)
        local before = used(worker:getProcessId())
        talk(rounds)
        mustNotHaveGrown(before, worker:getProcessId())
      ]], MESSAGES, spoken(channel.options))
    end)

    it(("of %d workers, one by one, %s"):format(WORKERS, channel.over), function()
      leavesNothing([[
        local workers = factory(arg[3], arg[4])
        local function live()
          local worker <close> = assert(workers:createWorker(arg[2]))
          worker:sendMessage(2)
          assert(worker:receiveMessage() == "2 squared is 4")
        end
        local lives = tonumber(arg[1])
        for _ = 1, lives do live() end
        local before = used()
        for _ = 1, lives do live() end
        mustNotHaveGrown(before)
      ]], WORKERS, helper.fixture "raw_squares", spoken(channel.options))
    end)
  end

  it(("of %d requests to a pool, and of pools"):format(MESSAGES), function()
    leavesNothing([[
      local function live(requests)
        local pool <close> = artel.createWorkerPoolWithExpression([=[{ onRequest = function(_, n)
          if n % 50 == 0 then error "on purpose" end
          return n
        end }]=], 2)
        local items = {}
        for n = 1, requests do items[n] = n end
        pool:map(items, { errors = "collect" })
      end
      local requests = tonumber(arg[1])
      for _ = 1, 5 do live(requests // 5) end
      local before = used()
      for _ = 1, 5 do live(requests // 5) end
      mustNotHaveGrown(before)
    ]], MESSAGES)
  end)
end)

describe("in a shared worker nothing is left", function()
  before_each(support.setUp)
  after_each(function() support.tearDown() end)

  it(("of %d connections"):format(CONNECTIONS), function()
    local factory, address, pid = support.start [[{
      onMessage = function(_, message, channel) channel:sendMessage(message) end,
      onRequest = function(_, request)
        if request == 0 then error "on purpose" end
        return request
      end,
      onQuery = function() return "fine" end,
    }]]
    leavesNothing([[
      local factory = artel.WorkerFactory.new()
      local function connect(times)
        for n = 1, times do
          local worker <close> = assert(factory:connectToSharedWorker(arg[1]))
          worker:sendMessage(n)
          assert(worker:receiveMessage() == n)
          worker:request(n % 3)
          if n % 7 == 0 then assert(worker:query()) end
          if n % 11 == 0 then worker:sendMessage(("x"):rep(100000)) end -- and does not wait
        end
      end
      local times = tonumber(arg[2])
      connect(times)
      local before = used(arg[3])
      connect(times)
      mustNotHaveGrown(before, arg[3])
    ]], address, CONNECTIONS, pid)
    assert.is_true(core.sockets.isServed(address, support.TIMEOUT))
    support.stop(factory, address)
  end)
end)
