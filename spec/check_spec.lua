-- SPDX-License-Identifier: Apache-2.0
local artel = require "artel"
local plugin = require "artel.cli.plugin"
local program = require "spec.program"
local support = require "spec.shared.support"
local uv = require "luv"

-- Counters a to d and one without a value; what it says is what it was told last.
local WORKER = [[(function()
  local text = "all is well"
  local counters = {
    { name = "five", value = 5 }, { name = "half", value = 0.5, unit = "s", min = 0, max = 10 },
    { name = "jobs", value = 120, unit = "c" }, { name = "minus", value = -3, unit = "widgets" },
    { name = "none" }, { name = "it's =|full", value = 1e-7, unit = "%" },
  }
  return {
    onRequest = function(self, value) text = value end,
    onQuery = function() return { textStatus = text, counters = counters } end,
  }
end)()]]

describe("artel check", function()
  local factory, address

  before_each(function()
    support.setUp()
    factory, address = support.start(WORKER, { adminCookie = "a cookie" })
  end)
  after_each(function()
    support.stop(factory, address)
    support.tearDown()
  end)

  local function run(...)
    return program.run({ "artel", "check", ... }, { environment = { ARTEL_ADMIN_COOKIE = false } })
  end

  --- Checks the exit code and the whole line.
  local function checks(code, line, ...)
    local result = run(...)
    assert.equal(line .. "\n", result.output, result.errors)
    assert.equal(code, result.code)
    return result.errors
  end

  it("is OK when the worker answers, and shows all that it tells", function()
    assert.equal("", checks(0, "SHARED-WORKER OK - all is well | five=5 half=0.5s;;;0;10 jobs=120c "
      .. "minus=-3 none=U 'it''s __full'=0.0000001%", address))
  end)

  it("looks at the counters that it is asked for, in their order", function()
    checks(0, "SHARED-WORKER OK - all is well | jobs=120c five=5", "-m", "jobs", "-m", "five",
      address)
    checks(0, "SHARED-WORKER OK - all is well | jobs=120c;200;300 half=0.5s;~:1;@2:3;0;10",
      "--counter=jobs", "--counter=half", "--warning=200", "--warning", "~:1", "--critical=300",
      "--critical=@2:3", address)
  end)

  describe("compares with ranges that include both ends", function()
    -- of the counter "five": range, whether it is within
    for range, isWithin in pairs {
      ["0:10"] = true, ["5"] = true, ["5:5"] = true, ["5:"] = true, ["~:5"] = true, ["~:"] = true,
      ["4"] = false, ["6:"] = false, ["5:0"] = false, ["~:4.9"] = false, ["-5:4"] = false,
      ["@5:6"] = false, ["@5"] = false, ["@6:9"] = true, ["@~:4"] = true, ["@5:0"] = true,
    } do
      it(range, function()
        local warned = run("-m", "five", "-w", range, address)
        assert.equal(isWithin and 0 or 1, warned.code, warned.output)
        local critical = run("-m", "five", "-w", range, "-c", range, address)
        assert.equal(isWithin and 0 or 2, critical.code, critical.output)
        if not isWithin then
          local shown = tostring(artel.Range.fromString(range))
          assert.equal(("SHARED-WORKER CRITICAL - five is 5 (critical: not in %s), all is well | "
            .. "five=5;%s;%s\n"):format(shown, shown, shown), critical.output)
        end
      end)
    end
  end)

  it("tells what is wrong with each counter, and lets the worst decide", function()
    local unknown, warning, critical = { "-m", "absent" }, { "-m", "five" }, { "-m", "jobs" }
    local function state(...)
      local arguments = {}
      for _, wanted in ipairs { ... } do table.move(wanted, 1, 2, #arguments + 1, arguments) end
      for _, wanted in ipairs { ... } do
        arguments[#arguments + 1] = "-w"
        arguments[#arguments + 1] = wanted == warning and "4" or "1000"
        arguments[#arguments + 1] = "-c"
        arguments[#arguments + 1] = wanted == critical and "4" or "1000"
      end
      arguments[#arguments + 1] = address
      return run(table.unpack(arguments)).code
    end
    assert.equal(3, state(unknown))
    assert.equal(1, state(warning))
    assert.equal(2, state(critical))
    assert.equal(1, state(unknown, warning))
    assert.equal(1, state(warning, unknown))
    assert.equal(2, state(critical, unknown))
    assert.equal(2, state(unknown, warning, critical))
    checks(2, "SHARED-WORKER CRITICAL - five is 5 (warning: not in 4), jobs is 120 c (critical: "
      .. "not in 4), absent is missing, all is well | five=5;4;9 jobs=120c;1;4", "-m", "five",
      "-m", "jobs", "-m", "absent", "-w4", "-w1", "-w1", "-c9", "-c4", "-c1", address)
  end)

  it("is UNKNOWN for a counter that is missing or has no value", function()
    checks(3, "SHARED-WORKER UNKNOWN - absent is missing, all is well", "-m", "absent", address)
    checks(3, "SHARED-WORKER UNKNOWN - none is not known, all is well | none=U;1", "-m", "none",
      "-w", "1", address)
    -- without the cookie the worker does not tell its system counters
    checks(3, "SHARED-WORKER UNKNOWN - sys_errors is missing, all is well", "-m", "sys_errors",
      address)
    checks(0, "SHARED-WORKER OK - all is well | sys_errors=0c;;0;0", "-m", "sys_errors", "-c", "0",
      "-a", "a cookie", address)
  end)

  it("keeps what the worker says to one line without perfdata", function()
    local worker <close> = assert(factory:connectToSharedWorker(address))
    worker:request "50 % | done=1\nsecond line"
    checks(0, "SHARED-WORKER OK - 50 % / done=1 second line | five=5", "-m", "five", address)
    worker:request " "
    checks(0, "SHARED-WORKER OK - the worker answers | five=5", "-m", "five", address)
  end)

  it("is CRITICAL when nobody answers", function()
    local nobody = support.unixAddress "nobody.sock"
    checks(2, ("SHARED-WORKER CRITICAL - connect: cannot connect to %s: No such file or directory")
      :format(support.path "nobody.sock"), nobody)
    local wrong = run("--channel", "json", address)
    assert.equal(2, wrong.code)
    assert.matches("^SHARED%-WORKER CRITICAL %- protocol", wrong.output)
    local silent = uv.new_pipe() -- listens, but greets nobody
    assert(silent:bind(support.path "silent.sock"))
    assert(silent:listen(1, function() end))
    silent:unref() -- program.run() waits for whatever else is on the loop
    local late = run("-t", "0.05", support.unixAddress "silent.sock")
    silent:close()
    assert.equal(2, late.code)
    assert.matches("^SHARED%-WORKER CRITICAL %- timeout", late.output)
  end)

  it("is UNKNOWN for wrong usage, on both outputs", function()
    for _, wrong in ipairs {
      { "argument is missing: ADDRESS" }, { "no option %-%-fast", "--fast", address },
      { 'bad range "x:y"', "-m", "five", "-w", "x:y", address },
      { 'bad range ""', "-m", "five", "-c", "", address },
      { "%-%-warning is given 1 times, but %-%-counter 2 times", "-m", "five", "-m", "jobs",
        "-w", "1", address },
      { "%-%-critical is given 2 times, but %-%-counter 1 times", "-m", "five", "-c", "1",
        "-c", "2", address },
      { "%-%-warning is given 1 times, but %-%-counter 0 times", "-w", "1", address },
      { "begins with neither", "localhost" }, { "no seconds", "-t", "x", address },
    } do
      local result = run(table.unpack(wrong, 2))
      assert.equal(3, result.code)
      assert.matches("^SHARED%-WORKER UNKNOWN %- .*" .. wrong[1] .. "[^\n]*\n$", result.output)
      assert.matches("^artel check: .*" .. wrong[1] .. ".*\nusage: artel check", result.errors)
    end
    local profile = run("--profile", support.path "none.lua", address)
    assert.equal(3, profile.code)
    assert.matches("^SHARED%-WORKER UNKNOWN %- .*none.lua", profile.output)
    local full = program.run { "sh", "-c", 'artel check "$0" >/dev/full', address }
    assert.equal(3, full.code)
  end)

  it("is installed as check_shared_worker, which a link may lead to", function()
    local expected = "SHARED-WORKER OK - all is well | five=5\n"
    local result = program.run { "check_shared_worker", "-m", "five", address }
    assert.equal(expected, result.output, result.errors)
    local link = support.path "check"
    assert.equal(0, program.run({ "ln", "-s",
      program.build .. "/bin/check_shared_worker", link }).code)
    result = program.run({ link, "-m", "five", address },
      { environment = { PATH = "/usr/bin:/bin" } })
    assert.equal(expected, result.output, result.errors)
    result = program.run { "check_shared_worker", "-m", "absent", address }
    assert.equal(3, result.code)
  end)

  it("is UNKNOWN where there is no artel", function()
    local lonely = support.path "lonely"
    assert.equal(0, program.run({ "cp", program.build .. "/bin/check_shared_worker", lonely }).code)
    local result = program.run({ lonely, address }, { environment = { PATH = "/usr/bin:/bin" } })
    assert.equal(3, result.code)
    assert.matches("^SHARED%-WORKER UNKNOWN %- there is no artel", result.output)
  end)
end)

describe("numbers for monitoring systems", function()
  it("have neither exponent nor lost digits", function()
    for number, text in pairs {
      [5] = "5", [-3.0] = "-3", [0.5] = "0.5", [0.1] = "0.1", [1e-7] = "0.0000001",
      [1e15] = "1000000000000000", [math.maxinteger] = "9223372036854775807", [-0.25] = "-0.25",
    } do
      assert.equal(text, plugin.number(number))
    end
    assert.equal(("1" .. ("0"):rep(20)), plugin.number(1e20))
    assert.equal("0.1234567890123456", plugin.number(0.1234567890123456))
    assert.equal("0", plugin.number(1e-300))
  end)
end)
