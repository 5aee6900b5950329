-- SPDX-License-Identifier: Apache-2.0
-- Runs other programs as a user would: in a folder of their own, with a time limit, finding
-- the artel under test and nothing else of this process.

local artel = require "artel"
local uv = require "luv"

local program = {}

local TIMEOUT = 240 -- seconds; far more than any of them needs, also under a sanitizer

local function folderOf(path) return path:match "^(.*)/[^/]*$" or "." end

-- The root of the checkout; specs are run from there.
program.top = uv.cwd()

-- The folder of the build under test, in which lib/artel/core.so was found.
local core = assert(uv.fs_realpath(assert(package.searchpath("artel.core", package.cpath))))
program.build = folderOf(folderOf(folderOf(core)))

--- The environment of such a program, as uv.spawn takes it; false in `more`: not set.
---@param more table<string, string|false>?
---@return string[]
function program.environment(more)
  local variables = uv.os_environ()
  variables.LUA_INIT, variables.LUA_INIT_5_4 = nil, nil
  variables.LUA_PATH_5_4, variables.LUA_CPATH_5_4 = nil, nil
  variables.LUA_PATH = ("%s/lua/?.lua;%s/lua/?/init.lua;./?.lua;;"):format(program.top, program.top)
  variables.LUA_CPATH = program.build .. "/lib/?.so;;"
  variables.ARTEL_HOST = nil
  variables.PATH = ("%s/bin:%s"):format(program.build, variables.PATH)
  variables.LC_ALL = "C.UTF-8"
  for name, value in pairs(more or {}) do variables[name] = value or nil end
  local list = {}
  for name, value in pairs(variables) do list[#list + 1] = name .. "=" .. value end
  return list
end

-- Reads to the end; answers a function that tells whether it has been met.
local function collect(pipe, parts, onFirst)
  local ended = false
  pipe:read_start(function(err, data)
    if data and onFirst and #parts == 0 then onFirst() end
    parts[#parts + 1] = data
    ended = err ~= nil or data == nil
  end)
  return function() return ended end
end

--- A new empty folder; remove it with program.removeFolder.
function program.makeFolder()
  return assert(uv.fs_mkdtemp((os.getenv "TMPDIR" or "/tmp") .. "/artel-spec-XXXXXX"))
end

function program.removeFolder(folder)
  assert(folder:find "/artel%-spec%-", folder)
  for name, kind in function(request) return uv.fs_scandir_next(request) end,
      assert(uv.fs_scandir(folder)) do
    local path = folder .. "/" .. name
    if kind == "socket" then -- a shared worker that a failed program has left behind
      local processId = artel.getSharedWorkerProcessId("unix://" .. path)
      if processId then uv.kill(processId, "sigkill") end
    end
    if kind == "directory" then program.removeFolder(path) else assert(uv.fs_unlink(path)) end
  end
  assert(uv.fs_rmdir(folder))
end

---@class spec.ProgramResult
---@field code integer exit code
---@field signal integer 0 when it was not killed
---@field output string
---@field errors string what it wrote to standard error

--- Runs a command to its end.
---@param command string[] program and arguments
---@param options? { folder: string?, environment: table<string, string|false>?,
--- onOutput: function? } false in the environment: not set; onOutput(pid) is called when the
--- first output has come
---@return spec.ProgramResult
function program.run(command, options)
  options = options or {}
  local output, errors, result = {}, {}, nil
  local outputPipe, errorPipe = uv.new_pipe(), uv.new_pipe()
  local process, pid = uv.spawn(command[1], {
    args = { table.unpack(command, 2) }, cwd = options.folder,
    env = program.environment(options.environment), stdio = { nil, outputPipe, errorPipe },
    detached = true, -- leads a group, so that the time limit ends all of it
  }, function(code, signal) result = { code = code, signal = signal } end)
  assert(process, ("cannot start %s: %s"):format(command[1], pid))
  local onOutput = options.onOutput and function() options.onOutput(pid) end
  local outputEnded = collect(outputPipe, output, onOutput)
  local errorsEnded = collect(errorPipe, errors)
  local timer, late = uv.new_timer(), false
  timer:start(TIMEOUT * 1000, 0, function()
    errors[#errors + 1] = ("\nended after %d s: too slow\n"):format(TIMEOUT)
    late = true
    uv.kill(-pid, "sigkill")
  end)
  while not (result and (late or outputEnded() and errorsEnded())) do uv.run("once") end
  for _, handle in ipairs { outputPipe, errorPipe, timer, process } do handle:close() end
  while uv.loop_alive() do uv.run("nowait") end
  result.output, result.errors = table.concat(output), table.concat(errors)
  return result
end

--- Whether text is what was expected, where `...` stands for any text within a line, and a
--- line that is only `...` for one or more lines.
function program.matches(text, expected)
  local pattern = "\n" .. expected:gsub("%s+$", "") .. "\n"
  pattern = pattern:gsub("[%^%$%(%)%%%.%[%]%*%+%-%?]", "%%%0")
  pattern = pattern:gsub("\n%%%.%%%.%%%.%f[\n]", "\n.-"):gsub("%%%.%%%.%%%.", "[^\n]-")
  return ("\n" .. text:gsub("%s+$", "") .. "\n"):find("^" .. pattern .. "$") ~= nil
end

return program
