-- SPDX-License-Identifier: Apache-2.0
-- What is made at first need, sockets, waiting, files and locks.

local test, support, _, scenario = ...
local TIMEOUT, checkLack, checkLacks = support.TIMEOUT, support.checkLack, support.checkLacks
local note, places, without = support.note, support.places, support.without

-- ---- what is loaded ----

scenario { name = "loading artel.core", anew = 1, run = function()
  local failed, ok, err = without(test.openCore)
  if not ok then checkLack(err) end
  local core = test.openCore()
  assert(core.pair {} and core.sockets.connect)
  return failed
end }

scenario { name = "loading artel", anew = 1, dense = 1, stride = 211, run = function()
  local failed, ok, err = without(require, "artel")
  if not ok then checkLack(err) end
  local left, right = require "artel".channelPair()
  assert(left:sendMessage "loaded")
  assert(right:receiveMessage(TIMEOUT) == "loaded")
  return failed
end }

-- ---- descriptors ----

local function listenAndConnect(run)
  local sockets = run.core.sockets
  note(run, 1, sockets.listen, run.address, { backlog = 5 })
  if not run.values[1] then return end
  note(run, 2, sockets.connect, run.address, 1)
  note(run, 3, sockets.accept, run.values[1])
  if not run.values[2] or not run.values[3] then return end
  note(run, 4, sockets.openClient, run.values[2], run.options)
  note(run, 5, sockets.openServer, run.values[3], run.options)
  local client, server = run.values[4], run.values[5]
  if not client or not server then return end
  note(run, 6, client.sendMessage, client, "hello")
  note(run, 7, server.receiveMessage, server, 0)
end

for _, encoding in ipairs { "msgpack", "json" } do
  -- Anew: each class of userdata is made at first need.
  scenario { name = "sockets, " .. encoding, anew = 1, run = function()
    require "artel.channel"
    local core = require "artel.core"
    local folder = assert(core.files.temporaryDirectory())
    local run = { core = core, address = ("unix://%s/socket"):format(folder), values = places(8),
      problems = places(8), options = { encoding = encoding } }
    local failed, ok, err = without(listenAndConnect, run)
    if not ok then checkLack(err) end
    checkLacks(run.problems)
    if not failed then assert(run.values[7] == "hello") end
    core.files.remove(folder .. "/socket")
    for i = 1, 7 do run.values[i], run.problems[i] = nil, nil end
    collectgarbage()
    collectgarbage()
    -- Once more, now that there is memory: what was made is whole.
    listenAndConnect(run)
    assert(run.values[7] == "hello", tostring(run.problems[7]))
    assert(getmetatable(run.values[2]).__close)
    core.sockets.closeListener(run.values[1])
    core.files.remove(folder .. "/socket")
    core.files.remove(folder)
    return failed
  end }
end

local function watch(run)
  local core = run.core
  note(run, 1, core.watchSet.open)
  if not run.values[1] then return end
  note(run, 2, core.watchSet.put, run.values[1], core.stream(run.left), 1, true, false, true)
  note(run, 3, run.right.sendMessage, run.right, "here")
  note(run, 4, core.waitMany, run.both, 0)
  note(run, 5, core.pollStreams, { core.stream(run.left) }, { 1 }, 0)
  note(run, 6, run.select, run.both, 0)
end

scenario { name = "waiting", anew = 1, run = function()
  local artel, core = require "artel", require "artel.core"
  local run = { core = core, select = artel.select, values = places(7), problems = places(7) }
  run.left, run.right = assert(artel.channelPair())
  run.both = { run.left, run.right }
  local failed, ok, err = without(watch, run)
  if not ok then checkLack(err) end
  checkLacks(run.problems)
  if run.values[3] then
    assert(artel.select(run.both, TIMEOUT)[1] == run.left)
    local message
    message, err = run.left:receiveMessage(0)
    if message ~= "here" then checkLack(err) end
  end
  return failed
end }

-- ---- files and locks ----

local function useFiles(run)
  local files, sockets = run.core.files, run.core.sockets
  note(run, 1, files.absolutePath, "lua")
  note(run, 2, files.temporaryDirectory)
  note(run, 3, files.writeAtomically, run.path, "content", 384)
  note(run, 4, files.readRegular, run.path)
  note(run, 5, sockets.lockFile, run.path .. ".lock", true, 1, -1, -1, 384)
  note(run, 6, sockets.lockAddress, ("unix://%s.socket"):format(run.path), 1)
  note(run, 7, run.core.system.processorCount)
  note(run, 8, sockets.candidates, "tcp://localhost:1")
  note(run, 9, sockets.isServed, "tcp://127.0.0.1:1", 1)
end

scenario { name = "files and locks", anew = 1, run = function()
  local core = require "artel.core"
  local folder = assert(core.files.temporaryDirectory())
  local run = { core = core, path = folder .. "/file", values = places(9), problems = places(9) }
  local failed, ok, err = without(useFiles, run)
  if not ok then checkLack(err) end
  for i, problem in ipairs(run.problems) do
    -- The processors come with how they are found, and a file is there only if it was written.
    local isNone = i == 7 or i == 4 and not run.values[3]
    if problem and not isNone then checkLack(problem) end
  end
  local content = core.files.readRegular(run.path)
  if run.values[3] then assert(content == "content") else assert(content == nil) end
  if run.values[2] then core.files.remove(run.values[2]) end
  for i = 1, 9 do run.values[i] = false end
  collectgarbage()
  collectgarbage()
  for _, name in ipairs { "", ".lock", ".socket.lock" } do core.files.remove(run.path .. name) end
  local removed, reason = core.files.remove(folder)
  assert(removed, reason)
  return failed
end }
