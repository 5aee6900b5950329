-- SPDX-License-Identifier: Apache-2.0
-- Each system call that can fail does, once, in a master or in a host: strace(1) makes it. Those
-- that make a process another user's also do nothing at all, and answer that it is done. What must
-- hold each time: the program ends, its results are right or an error names what has failed,
-- the next try works, and neither a process nor a file is left.

local cases = require "spec.faults.system_calls"
local helper = require "spec.helper"
local program = require "spec.program"
local support = require "spec.shared.support"
local uv = require "luv"

local function listFiles(folder, below, into)
  into = into or {}
  for name, kind in uv.fs_scandir_next, assert(uv.fs_scandir(folder)) do
    local path = (below or "") .. name
    into[path] = true
    if kind == "directory" then listFiles(folder .. "/" .. name, path .. "/", into) end
  end
  return into
end

-- A folder of the spec's in which the script is, and nothing else.
local function makeFolder(name, script)
  local folder = support.path(name)
  assert(uv.fs_mkdir(folder, tonumber("700", 8)))
  assert(uv.fs_mkdir(folder .. "/tmp", tonumber("700", 8)))
  support.write(folder .. "/script.lua", cases.scripts[script])
  return folder
end

--- The traces of the last run, one for each process that strace was to trace.
local function readTraces()
  local texts = {}
  for name in pairs(listFiles(support.path "traces")) do
    texts[#texts + 1] = support.read(support.path("traces/" .. name))
  end
  return table.concat(texts)
end

--- Runs the script in its folder, and waits until all that it has started is gone. With a trace
--- of the master, or of each host, in which a call fails if `inject` says so.
---@param traced "master"|"host"|nil
local function run(folder, traced, inject)
  local command, environment = { "lua5.4", "script.lua" }, { TMPDIR = folder .. "/tmp" }
  program.run { "rm", "-rf", support.path "traces" }
  assert(uv.fs_mkdir(support.path "traces", tonumber("700", 8)))
  local strace = { "strace", "-f", "-s", "64", "-o", support.path "traces/$$" }
  if inject then table.move({ "-e", inject }, 1, 2, #strace + 1, strace) end
  if traced == "master" then
    -- Who is started is left alone when it has become another program.
    table.move({ "-b", "execve", table.unpack(command) }, 1, 4, #strace + 1, strace)
    command = strace
  elseif traced == "host" then
    local host = support.path "host"
    -- -D: the traced process stays who it is, the child of its master.
    support.write(host, ("#!/bin/sh\nexec %s -D '%s/bin/artel' \"$@\"\n")
      :format(table.concat(strace, " "), program.build))
    assert(uv.fs_chmod(host, tonumber("700", 8)))
    environment.ARTEL_HOST = host
  end
  local result = program.run(command, { folder = folder, environment = environment })
  helper.eventually(function() return #support.processes() == 0 end)
  result.output = result.output:gsub(folder:gsub("%p", "%%%0"), "")
  result.files = listFiles(folder)
  result.files["log"], result.files["script.lua"] = nil, nil
  return result
end

--- The calls of a trace from where the script begins: what was called, by how many of that name
--- in the process, and all of the line.
local function readTrace(traced)
  local calls, counts, begun = {}, {}, traced == "host"
  for pid, line in readTraces():gmatch "(%d+) +([^\n]*)" do
    local name = line:match "^([%w_]+)%("
    if name then
      counts[pid] = counts[pid] or {}
      counts[pid][name] = (counts[pid][name] or 0) + 1
      begun = begun or line:find("begins here", 1, true) ~= nil
      if begun then
        calls[#calls + 1] = { name = name, count = counts[pid][name], line = line:lower() }
      end
    end
  end
  return calls
end

local function findCall(calls, wanted)
  local nth = 0
  for _, call in ipairs(calls) do
    if call.line:find(wanted.call) then
      nth = nth + 1
      if nth == wanted.nth then return call end
    end
  end
end

local function steps(output)
  local list, byName = {}, {}
  for name, text in output:gmatch "([^\n:]+): ([^\n]*)" do
    list[#list + 1] = name
    byName[name] = text
  end
  return list, byName
end

--- What is wrong with the steps of a run, or nil. Those that follow a failed one may be missing.
local function judgeSteps(output, undisturbed, wanted, errno)
  local order, texts = steps(output)
  local _, usual = steps(undisturbed)
  for _, name in ipairs(order) do
    local change = wanted.changes[name]
    local first = name:match "^(.*) again$"
    if change then
      local expected = change:gsub("%%s", errno)
      if not texts[name]:find(expected) then return name .. ": " .. texts[name] end
    elseif texts[name] ~= usual[first or name] then
      return name .. ": " .. texts[name]
    end
  end
  for name in pairs(wanted.changes) do
    if not texts[name] then return name .. " is missing" end
  end
  if not next(wanted.changes) then
    for name in pairs(usual) do
      if not texts[name] then return name .. " is missing" end
    end
  end
end

--- What is wrong with a run in which a call has failed, and with the next one, or nil.
local function judge(group, wanted, call, errno, undisturbed, folder)
  local inject = ("inject=%s:%s:when=%s"):format(call.name,
    errno == cases.NOTHING_DONE and "retval=0" or "error=" .. errno,
    wanted.always and "1+" or call.count)
  local result = run(folder, group.traced, inject)
  local problem
  if not readTraces():find "INJECTED" then
    problem = "the call has not failed"
  elseif result.code ~= 0 or result.signal ~= 0 then
    problem = ("ended with code %d, signal %d"):format(result.code, result.signal)
  elseif not result.errors:find(wanted.says or "", 1, true) then
    problem = "standard error lacks: " .. wanted.says
  else
    problem = judgeSteps(result.output, undisturbed.output, wanted, errno)
  end
  for name in pairs(result.files) do
    if not undisturbed.files[name] and name ~= wanted.file then
      problem = problem or "a file is left: " .. name
    end
  end
  if problem then return problem, result end
  result = run(folder)
  if result.output ~= undisturbed.output then return "the next try", result end
end

--- Whether strace is there and may trace, also who has not started what it traces.
local function isPossible()
  local trace = support.path "trace"
  local ok = pcall(program.run, { "strace", "-D", "-f", "-b", "execve", "-o", trace, "-e",
    "inject=close:error=EINTR:when=1", "true" })
  helper.eventually(function() return #support.processes() == 0 end)
  return ok and (support.read(trace) or ""):find "INJECTED" ~= nil
end

-- The leak sanitizer does not work in a process that is traced.
describe("a program #unsanitized", function()
  before_each(support.setUp)
  after_each(support.tearDown)

  for _, group in ipairs(cases.groups) do
    it(("with %s says what has failed, or does without: each call of its %s that can")
      :format(group.script, group.traced), function()
      if not isPossible() then return pending "strace cannot trace here" end
      if group.forRoot and uv.getuid() ~= 0 then return pending "only root may change the user" end
      local undisturbed = run(makeFolder("undisturbed", group.script))
      assert.equal("", undisturbed.errors)
      run(makeFolder("traced", group.script), group.traced)
      local calls, problems = readTrace(group.traced), {}
      for number, wanted in ipairs(group) do
        local call = findCall(calls, wanted)
        if not call and not wanted.optional then
          problems[#problems + 1] = "nothing calls " .. wanted.call
        end
        for errno in (call and wanted.errors or ""):gmatch "%S+" do
          local folder = makeFolder(number .. errno, group.script)
          local problem, result = judge(group, wanted, call, errno, undisturbed, folder)
          if problem then
            problems[#problems + 1] = ("%s, %s: %s\n%s%s"):format(wanted.call, errno, problem,
              result.output, result.errors)
          end
        end
      end
      assert.equal("", table.concat(problems, "\n"))
    end)
  end
end)
