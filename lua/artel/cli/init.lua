-- SPDX-License-Identifier: Apache-2.0
-- The command line: `artel start`, `artel stop` and so on, run by the host's executable.

local common = require "artel.cli.common"
local options = require "artel.cli.options"
local printable = require "artel.printable"

local EXIT_FAILED, EXIT_USAGE = 1, 2

-- In the order of the help; each is loaded when it is wanted.
local COMMANDS = {
  { "start", "artel.cli.start", "start a shared worker" },
  { "stop", "artel.cli.stop", "stop a shared worker and wait until it has gone" },
  { "query", "artel.cli.query", "ask a shared worker how it is" },
  { "send", "artel.cli.send", "send a shared worker a message and show its reply" },
  { "disable", "artel.cli.disable", "forbid shared workers to start" },
  { "enable", "artel.cli.enable", "allow again what was forbidden" },
  { "check", "artel.cli.check", "check a shared worker for a monitoring system" },
  { "host", nil, "run a worker; for masters and service managers" },
}

local function help()
  local lines = { "usage: artel COMMAND [OPTION]... [ARGUMENT]...", "" }
  for _, command in ipairs(COMMANDS) do
    lines[#lines + 1] = ("  %-9s %s"):format(command[1], command[3])
  end
  lines[#lines + 1] = "\nartel COMMAND --help tells more, artel --version the version."
  lines[#lines + 1] = "Exit codes: 0; 1 an error; 2 wrong usage."
  return table.concat(lines, "\n") .. "\n"
end

local function complain(name, message)
  io.stderr:write(("artel%s: %s\n"):format(name and " " .. name or "", printable(message)))
end

---@return artel.cli.Command?
local function find(name)
  for _, command in ipairs(COMMANDS) do
    if command[1] == name and command[2] then return require(command[2]) end
  end
end

--- Runs a command to its exit code.
---@param command artel.cli.Command
local function run(command, arguments)
  local given, operands = options.parse(command, arguments)
  if not given then common.misuse(operands) end
  if given.help then
    io.stdout:write(options.help(command))
    return command.helpCode or 0
  end
  return command.run(given, operands)
end

--- What has been printed must have arrived: the disk may be full.
local function flush(command, code)
  local flushed, message = io.stdout:flush()
  if flushed then return code end
  complain(command and command.name, "cannot write: " .. message)
  return command and command.failureCode or EXIT_FAILED
end

local function report(command, err)
  local isMisuse = common.isFailure(err) and err.isMisuse
  local code = isMisuse and (command.usageCode or EXIT_USAGE)
    or command.failureCode or EXIT_FAILED
  if command.complain then command.complain(tostring(err)) end
  complain(command.name, tostring(err))
  if isMisuse then io.stderr:write(options.usage(command), "\n") end
  return code
end

--- Runs the command line.
---@param arguments string[]
---@return integer code exit code
return function(arguments)
  local name = arguments[1]
  if name == "--help" or name == "-h" then
    io.stdout:write(help())
    return flush(nil, 0)
  end
  local command = find(name)
  if not command then
    if name then complain(nil, ("there is no command %q"):format(name)) end
    io.stderr:write(help())
    return EXIT_USAGE
  end
  local called, result = pcall(run, command, table.move(arguments, 2, #arguments, 1, {}))
  if not called then result = report(command, result) end
  return flush(command, result)
end
