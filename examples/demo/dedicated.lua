-- SPDX-License-Identifier: Apache-2.0
-- One worker process at work: it counts the words of the licences that Debian brings.

local artel = require "artel"
local say = require "demo.say"
local texts = require "texts"

local MOST = 10

local function start(path)
  say.line("The master (this program) is process %d.", require "luv".os_getpid())
  local seconds, worker = say.timed(function()
    local worker = assert(artel.createWorker(path))
    assert(worker:waitUntilReady(10))
    return worker
  end)
  say.line("It started a worker, process %d, which was ready after %.1f ms.",
    worker:getProcessId(), seconds * 1000)
  return worker
end

--- All texts are sent before the first reply is read: a channel keeps what is not read yet.
local function count(worker, list)
  say.line("The master sends it %d texts from %s; the worker", #list, texts.FOLDER)
  say.line("counts the words of each and tells how many there were:")
  for _, entry in ipairs(list) do assert(worker:sendMessage(entry.text)) end
  for _, entry in ipairs(list) do
    local total = assert(worker:receiveMessage(10))
    say.line("  %-12s %7d bytes %7d words", entry.name, #entry.text, total)
  end
end

local function showMost(worker)
  say.line("Asked for the words that were used most (of four letters or more), it answers:")
  local words = assert(worker:request({ most = MOST }, { timeout = 10 }))
  for rank, entry in ipairs(words) do
    say.line("  %2d. %-12s %5d times", rank, entry.word, entry.count)
  end
end

local function finish(worker)
  local code, signal = worker:close()
  say.line("The master closes the channel, so the worker ends: %s.",
    code and "exit code " .. code or "killed by " .. signal)
end

return function(folder)
  say.heading "A dedicated worker: one more process, for this program alone"
  local worker <close> = start(folder .. "/workers/word_counter.lua")
  count(worker, texts.list())
  showMost(worker)
  finish(worker)
end
