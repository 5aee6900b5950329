-- SPDX-License-Identifier: Apache-2.0
-- The same work for one worker and for as many as there are processors.

local artel = require "artel"
local say = require "demo.say"
local texts = require "texts"

--- Counts the words of all files with so many workers, and answers how long that took.
local function count(module, paths, workers)
  local pool <close> = assert(artel.createWorkerPool(module, workers))
  assert(pool:waitUntilReady(30))
  local seconds, counts = say.timed(function() return assert(pool:map(paths)) end)
  local total = 0
  for _, words in ipairs(counts) do total = total + words end
  say.line("  %2d %-8s %9d words, %6.2f s", workers, workers == 1 and "worker:" or "workers:",
    total, seconds)
  return seconds
end

--- Reads all files once, so that a slow disk does not count for whoever comes first.
local function readAll(paths)
  for _, path in ipairs(paths) do
    local file <close> = assert(io.open(path))
    file:read "a"
  end
end

return function(folder)
  say.heading "A worker pool: the same work on every processor"
  local module = folder .. "/workers/file_words.lua"
  local paths = texts.notices()
  local processors = artel.WorkerPool.getProcessorCount()
  say.line("This program may use %d processor%s. The words of %d files (the copyright notices",
    processors, processors == 1 and "" or "s", #paths)
  say.line("in %s) are counted by one worker, then by a pool:", texts.NOTICES)
  readAll(paths)
  local alone = count(module, paths, 1)
  local together = count(module, paths, processors)
  say.line("The pool needed %.0f %% of the time that one worker needs.", 100 * together / alone)
end
