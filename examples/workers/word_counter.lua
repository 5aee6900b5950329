-- SPDX-License-Identifier: Apache-2.0
-- Counts words. A message is a text; a request asks for the most used words so far.

local WordCounter = {}
WordCounter.__index = WordCounter

-- Words this short say little about a text.
local SHORT = 3

function WordCounter.new()
  return setmetatable({ counts = {} }, WordCounter)
end

--- Counts the words of a text and tells the master how many there are.
function WordCounter:onMessage(text, channel)
  local total = 0
  for word in text:lower():gmatch "%a+" do
    total = total + 1
    if #word > SHORT then self.counts[word] = (self.counts[word] or 0) + 1 end
  end
  channel:sendMessage(total)
end

--- Answers the `request.most` most used words, each with its count.
function WordCounter:onRequest(request)
  local words = {}
  for word, count in pairs(self.counts) do words[#words + 1] = { word = word, count = count } end
  table.sort(words, function(a, b)
    if a.count ~= b.count then return a.count > b.count end
    return a.word < b.word
  end)
  return table.move(words, 1, math.min(request.most, #words), 1, {})
end

return WordCounter
