-- SPDX-License-Identifier: Apache-2.0
-- Knows how text that strangers may have a part in is shown to people: it forges no line of a
-- log, and controls no terminal.

local function escape(bytes)
  return (bytes:gsub(".", function(byte) return ("\\x%02x"):format(byte:byte()) end))
end

--- The text with its control characters escaped, but for line ends and tabs; each line behind
--- the first begins with a tab, so that none looks like the beginning of an entry.
---@param text string
---@return string
local function printable(text)
  local shown = text:gsub("[^\n\t\32-\126\128-\255]", escape)
  if utf8.len(shown) then
    shown = shown:gsub("\xc2[\x80-\x9f]", escape) -- control characters too
  else
    shown = shown:gsub("[\128-\255]", escape)
  end
  return (shown:gsub("\n\t?", "\n\t"))
end

return printable
