-- SPDX-License-Identifier: Apache-2.0
-- Counts the words of many files on all processors; without a folder those of the copyright
-- notices of all packages:
--   lua5.4 examples/pool.lua [folder]

local artel = require "artel"

local folder = arg[0]:match "^(.*)/" or "."
local texts = dofile(folder .. "/texts.lua")

local paths = arg[1] and texts.paths(arg[1]) or texts.notices()
local pool <close> = assert(artel.createWorkerPool(folder .. "/workers/file_words.lua"))

local total, failed = 0, 0
for _, count, err, path in pool:imap(paths) do -- as they are done
  if count then
    total = total + count
  else
    failed = failed + 1
    io.stderr:write(("%s: %s\n"):format(path, err))
  end
end
print(("%d words in %d files"):format(total, #paths - failed))
