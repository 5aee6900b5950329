-- SPDX-License-Identifier: Apache-2.0
-- Reads the arguments of a command as people expect it from Unix, and writes its help.

local options = {}

--- One option of a command.
---@class artel.cli.Option
---@field long string without the dashes; also the key in what parse() answers
---@field short? string one letter
---@field value? string what stands behind it, for the help; none for a flag
---@field many? boolean may be repeated: the values are a list
---@field help string
---@field read? fun(text: string): any, string? the value, or nil and what is wrong with it

---@class artel.cli.Command
---@field name string
---@field operands string for the usage line
---@field least integer of operands
---@field most integer
---@field summary string one line
---@field text? string further lines of the help
---@field options artel.cli.Option[]
---@field run fun(given: table, operands: string[]): integer
---@field usageCode? integer exit code of wrong usage, 2 by default
---@field failureCode? integer exit code of an error, 1 by default
---@field helpCode? integer exit code of the help, 0 by default
---@field complain? fun(message: string) tells of an error also where else it must be told

local HELP = { long = "help", short = "h", help = "show this text" }

local function index(command)
  local found = { ["--help"] = HELP, ["-h"] = HELP }
  for _, option in ipairs(command.options) do
    found["--" .. option.long] = option
    if option.short then found["-" .. option.short] = option end
  end
  return found
end

--- Takes an argument that begins with a dash apart.
---@return string name with its dashes
---@return string? value that is glued to it
local function split(argument)
  if argument:sub(1, 2) == "--" then
    local name, value = argument:match "^([^=]*)=(.*)$"
    return name or argument, value
  end
  local value = argument:sub(3)
  return argument:sub(1, 2), value ~= "" and value or nil
end

--- Numbers are operands: `artel send ADDRESS -5`.
local function isOption(argument)
  return argument:find "^%-[^%d.]" ~= nil
end

local function keep(given, option, value)
  if option.read then
    local read, wrong = option.read(value)
    if read == nil then return ("--%s: %s"):format(option.long, wrong) end
    value = read
  end
  if option.many then
    given[option.long] = given[option.long] or {}
    table.insert(given[option.long], value)
  elseif given[option.long] ~= nil then
    return ("--%s is given more than once"):format(option.long)
  else
    given[option.long] = value
  end
end

local function countOperands(command, operands)
  if #operands < command.least then
    local names = {}
    for name in command.operands:gmatch "%S+" do names[#names + 1] = name end
    return ("an argument is missing: %s"):format(table.concat(names, " ", #operands + 1))
  elseif #operands > command.most then
    return ("an argument too many: %q"):format(operands[command.most + 1])
  end
end

--- Reads the arguments behind the command's name.
---@param command artel.cli.Command
---@param arguments string[]
---@return table? given values by the options' long names
---@return string[]|string operands or what is wrong
function options.parse(command, arguments)
  local known, given, operands = index(command), {}, {}
  local position = 1
  while position <= #arguments do
    local argument = arguments[position]
    position = position + 1
    if argument == "--" then
      table.move(arguments, position, #arguments, #operands + 1, operands)
      break
    elseif not isOption(argument) then
      operands[#operands + 1] = argument
    else
      local name, value = split(argument)
      local option = known[name]
      if not option then return nil, ("there is no option %s"):format(name) end
      if option == HELP then return { help = true }, {} end
      if not option.value and value then return nil, ("%s takes no value"):format(name) end
      if option.value and not value then
        value = arguments[position]
        position = position + 1
        if not value then return nil, ("%s needs a value: %s"):format(name, option.value) end
      end
      local wrong = keep(given, option, value or true)
      if wrong then return nil, wrong end
    end
  end
  local wrong = countOperands(command, operands)
  if wrong then return nil, wrong end
  return given, operands
end

---@param command artel.cli.Command
---@return string
function options.usage(command)
  return ("usage: artel %s [OPTION]... %s"):format(command.name, command.operands)
end

local COLUMN = 32
local WIDTH = 90

--- Breaks a text into lines, each behind so many blanks.
local function wrap(text, indent)
  local lines, line = {}, ""
  for word in text:gmatch "%S+" do
    if line ~= "" and indent + #line + 1 + #word > WIDTH then
      lines[#lines + 1] = line
      line = word
    else
      line = line == "" and word or line .. " " .. word
    end
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n" .. (" "):rep(indent))
end

--- The help of a command.
---@param command artel.cli.Command
---@return string
function options.help(command)
  local lines = { options.usage(command), "", command.summary .. "." }
  if command.text then lines[#lines + 1] = wrap(command.text, 0) end
  lines[#lines + 1] = ""
  for _, option in ipairs(table.move(command.options, 1, #command.options, 2, { HELP })) do
    local names = (option.short and "-" .. option.short .. ", " or "    ") .. "--" .. option.long
    if option.value then names = names .. " " .. option.value end
    lines[#lines + 1] = ("  %-" .. COLUMN - 4 .. "s  %s"):format(names, wrap(option.help, COLUMN))
  end
  return table.concat(lines, "\n") .. "\n"
end

return options
