-- SPDX-License-Identifier: Apache-2.0
-- Knows how a plan looks as a file: readable Lua source that returns one table of data.

local core = require "artel.core"
local export = require "artel.export"

local bootstrapFile = {}

local FILE_MODE = 384 -- 0600: there may be an admin cookie in it
local LINE_LENGTH = 80

-- The order of the fields in the text; a reader goes through the worker's life.
local FIELDS = {
  "version", "encoding", "factory", "packagePath", "packageCPath", "identity", "limits",
  "outputPath", "stage1", "scripts", "stage2", "variable", "implementation", "stage3",
  "loopExpression", "socketContextExpression", "adminCookie", "killSwitchPath", "address",
  "maxMessageSize", "maxMessageItems", "maxQueuedBytes", "stopTimeout", "connectTimeout",
}

--- Tells a changed plan from an unchanged one (FNV-1a, 64 bits). It is no signature: what
--- makes a file trustworthy is who may write to it.
---@param plan table
---@return string
function bootstrapFile.hash(plan)
  local hash = 0xcbf29ce484222325
  local text = assert(export.value(plan, "plan", true))
  for index = 1, #text do
    hash = (hash ~ text:byte(index)) * 0x100000001b3
  end
  return ("%016x"):format(hash)
end

-- Brackets keep source of several lines readable, unless the lexer would change it.
local function inBrackets(text)
  if not text:find "\n" or text:find "[\0-\8\11-\31\127]" or not utf8.len(text) then return nil end
  local level = ""
  while true do
    local closing = "]" .. level .. "]"
    if (text .. closing):find(closing, 1, true) == #text + 1 then
      return ("[%s[\n%s%s"):format(level, text, closing)
    end
    level = level .. "="
  end
end

local function isListOfStrings(value)
  for _, item in ipairs(value) do
    if type(item) ~= "string" then return false end
  end
  return #value > 0 and next(value, #value) == nil
end

local function write(value, indent)
  if type(value) == "string" then return inBrackets(value) or export.quote(value) end
  if type(value) ~= "table" then return assert(export.value(value)) end
  local inner = indent .. "  "
  local items = {}
  if isListOfStrings(value) then
    for index, item in ipairs(value) do items[index] = write(item, inner) end
  else
    local line = assert(export.value(value, "plan", true))
    if #line <= LINE_LENGTH then return line end
    local names = {}
    for name in pairs(value) do names[#names + 1] = name end
    table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
    for index, name in ipairs(names) do
      if not export.isIdentifier(name) then return line end
      items[index] = ("%s = %s"):format(name, write(value[name], inner))
    end
  end
  return ("{\n%s%s,\n%s}"):format(inner, table.concat(items, ",\n" .. inner), indent)
end

local function describe(plan)
  local wanted = plan.implementation
  local what = wanted.module and "module " .. export.quote(wanted.module)
    or "expression " .. export.quote(wanted.expression)
  return plan.address and ("%s at %s"):format(what, export.quote(plan.address)) or what
end

--- The text of a bootstrap file.
---@param plan table
---@return string
function bootstrapFile.generate(plan)
  local lines = {
    "-- Bootstrap file of artel: brings a worker to life from the " .. describe(plan) .. ".",
    "-- Made from a profile, and made anew when the profile has changed: edit that instead.",
    "return {",
    ("  hash = %s,"):format(export.quote(bootstrapFile.hash(plan))),
  }
  for _, field in ipairs(FIELDS) do
    local value = plan[field]
    if value ~= nil then
      lines[#lines + 1] = ("  %s = %s,"):format(field, write(value, "  "))
    end
  end
  lines[#lines + 1] = "}\n"
  return table.concat(lines, "\n")
end

-- The folder for files that nobody chose a place for: made when the first one is, removed
-- with them when this Lua state ends. A forked copy of the process leaves it alone.
local private = { files = {} }

function private.clear()
  if private.folder and private.owner == core.system.processId() then
    for path in pairs(private.files) do core.files.remove(path) end
    core.files.remove(private.folder)
  end
  private.folder, private.files = nil, {}
end

setmetatable(private, { __gc = private.clear })

local function privatePath(plan)
  if private.owner ~= core.system.processId() then private.folder, private.files = nil, {} end
  if not private.folder or not core.files.stat(private.folder) then
    local folder, message, errno = core.files.temporaryDirectory()
    if not folder then return nil, message, errno end
    private.folder, private.owner = folder, core.system.processId()
  end
  local path = ("%s/%s.lua"):format(private.folder, bootstrapFile.hash(plan))
  private.files[path] = true
  return path
end

--- Makes sure that the file at path says what the plan does. A file that is there and is
--- not to be trusted (a link, another user's, writable by others) is an error, not replaced.
---@param plan table
---@param path? string without it, a file in a private temporary folder
---@return string? path from the root
---@return string? reason
---@return string? errno its name
function bootstrapFile.compile(plan, path)
  local message, errno
  if path then
    path, message, errno = core.files.absolutePath(path)
  else
    path, message, errno = privatePath(plan)
  end
  if not path then return nil, message, errno end
  local wanted = bootstrapFile.generate(plan)
  local found
  found, message, errno = core.files.readTrusted(path)
  if found == wanted then return path end
  if not found and errno ~= "ENOENT" then return nil, message, errno end
  local written
  written, message, errno = core.files.writeAtomically(path, wanted, FILE_MODE)
  if not written then return nil, message, errno end
  return path
end

return bootstrapFile
