-- SPDX-License-Identifier: Apache-2.0
-- The command line of bench/run: which workloads, how many rounds, where results go.
local bars = require "bench.harness.bars"
local cjson = require "cjson"
local curves = require "bench.harness.curves"
local json = require "bench.harness.json"
local machine = require "bench.harness.machine"
local markdown = require "bench.harness.markdown"
local runner = require "bench.harness.runner"
local workloads = require "bench.harness.workloads"

local USAGE = [[
usage: bench/run [options] [WORKLOAD...]
  --list           the workloads
  --rounds N       rounds of each workload (default 5)
  --scale F        do F times as many operations (default 1)
  --quick          a look, no measurement: 2 rounds, a tenth of the operations, results
                   beside the build
  --out DIR        where results go (default bench/results)
  --no-sweeps      leave out the workloads that are curves
  --report         measure nothing: write the report from the results that are there
  --build DIR      folder for builds (default bench/build)
  --artel DIR      an artel build tree to measure as it is (default: one is built)]]

local function fail(message)
  io.stderr:write("bench/run: ", message, "\n")
  os.exit(2)
end

local function parse(arguments)
  local options = { rounds = 5, scale = 1, out = "bench/results", sweeps = true, names = {} }
  local i = 1
  local function value()
    i = i + 1
    return arguments[i] or fail(arguments[i - 1] .. " needs a value")
  end
  local take = {
    ["--rounds"] = function() options.rounds = math.tointeger(tonumber(value())) end,
    ["--scale"] = function() options.scale = tonumber(value()) end,
    ["--out"] = function() options.out = value() end,
    ["--build"] = value, -- bench/run has taken these two
    ["--artel"] = value,
    ["--no-sweeps"] = function() options.sweeps = false end,
    ["--report"] = function() options.report = true end,
    ["--list"] = function() options.list = true end,
    ["--help"] = function()
      print(USAGE)
      os.exit(0)
    end,
    ["--quick"] = function()
      options.rounds, options.scale = 2, 0.1
      options.out = os.getenv("BENCH_BUILD") .. "/results"
    end,
  }
  while arguments[i] do
    local name = arguments[i]
    if take[name] then
      take[name]()
    elseif workloads[name] then
      options.names[#options.names + 1] = name
    else
      fail("no workload or option " .. name .. "\n" .. USAGE)
    end
    i = i + 1
  end
  if not options.rounds or not options.scale then fail("that is not a number") end
  return options
end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

local function read(path)
  local file = io.open(path)
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

local function chosen(options)
  local list = {}
  for _, workload in ipairs(workloads) do
    local named = #options.names == 0 and (options.sweeps or not workload.axis)
    for _, name in ipairs(options.names) do named = named or name == workload.name end
    if named then list[#list + 1] = workload end
  end
  return list
end

local function show(workload, rows)
  return workload.axis and markdown.matrix(workload, rows) or markdown.table(workload, rows)
end

local function measure(workload, options, facts)
  local say = function(line) io.stderr:write(line, "\n") end
  say(workload.title)
  local rows = runner.summarize(runner.runWorkload(workload, {
    rounds = options.rounds, scale = options.scale,
    bin = os.getenv("BENCH_BIN"), tmp = os.getenv("BENCH_TMP"), say = say,
  }), workload.reference)
  print(("\n## %s\n\n%s\n"):format(workload.title, show(workload, rows)))
  local base = options.out .. "/" .. workload.name
  write(base .. ".json", json.encode {
    workload = workload.name, figure = workload.figure, better = workload.better,
    reference = workload.reference, rounds = options.rounds,
    machine = facts.machine, versions = facts.versions, contenders = rows,
  })
  local picture = workload.axis and curves.draw(workload, rows) or bars.draw(workload, rows)
  if picture then write(base .. ".svg", picture) end
end

--- One page of all results that are there, also those of earlier runs.
local function report(options)
  local parts = { "# Results\n\nWritten by `bench/run`; each table with the machine and the "
    .. "versions that it was measured with.\nRatios are medians over the rounds of the ratio "
    .. "within one round; in brackets lowest … highest.\n" }
  for _, workload in ipairs(workloads) do
    local text = read(options.out .. "/" .. workload.name .. ".json")
    if text then
      local result = cjson.decode(text)
      parts[#parts + 1] = ("## %s\n\nMeasured: %s.\n\n![%s](%s.svg)\n\n%s\n\n- %s\n- %s\n"):format(
        workload.title, workload.measures, workload.title,
        workload.name, show(workload, result.contenders),
        markdown.facts(result.machine), markdown.facts(result.versions))
    end
  end
  write(options.out .. "/README.md", table.concat(parts, "\n"))
end

local options = parse(arg)
if options.list then
  for _, workload in ipairs(workloads) do print(workload.name, workload.title) end
  os.exit(0)
end
assert(os.execute("mkdir -p '" .. options.out .. "'"))
if not options.report then
  local facts = { machine = machine.describe(), versions = machine.versions() }
  print(markdown.facts(facts.machine), "\n" .. markdown.facts(facts.versions))
  for _, workload in ipairs(chosen(options)) do measure(workload, options, facts) end
end
report(options)
