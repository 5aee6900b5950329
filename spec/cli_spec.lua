-- SPDX-License-Identifier: Apache-2.0
local core = require "artel.core"
local helper = require "spec.helper"
local program = require "spec.program"
local support = require "spec.shared.support"

local WORKER = [[
local received = {}
return {
  onMessage = function(_, message, channel)
    if message == "die" then os.exit(3) end
    received[#received + 1] = message
    if message ~= "quiet" then channel:sendMessage { message, #received } end
  end,
  onRequest = function(_, request)
    if request == "fail" then return nil, "would not" end
    if request == "nothing" then return nil end
    if request == "bytes" then return "\xff" end
    return request
  end,
  onQuery = function(_, privileged)
    return { textStatus = ("%d messages"):format(#received), counters = {
      { name = "messages", value = #received, unit = "c" },
      { name = "load", value = privileged and 0.00000025 or 0.5 },
      { name = "none" },
    } }
  end,
}
]]

describe("the command line", function()
  local address, module

  before_each(function()
    support.setUp()
    address, module = support.unixAddress(), support.path "worker.lua"
    support.write(module, WORKER)
  end)
  after_each(function() support.tearDown { ["switch.json.lock"] = true } end)

  --- Runs artel with the arguments and checks how it ends.
  local function artel(code, output, ...)
    local result = program.run({ "artel", ... }, { folder = support.path "",
      environment = { ARTEL_ADMIN_COOKIE = "a cookie" } })
    local shown = ("%s\n%s"):format(result.output, result.errors)
    assert.equal(0, result.signal, shown)
    assert(result.code == code, ("exit code %d\n%s"):format(result.code, shown))
    if output then assert(program.matches(result.output, output), shown) end
    if code == 0 then
      assert.equal("", result.errors)
    else
      assert(result.errors ~= "", "an error says nothing on standard error")
      if not output then assert.equal("", result.output) end
    end
    return result.errors
  end

  local function start() artel(0, "started, process ...", "start", address, module) end
  local function stop() artel(0, "stopped", "stop", address) end

  describe("helps", function()
    it("whoever asks, on standard output", function()
      local all = { "start", "stop", "query", "send", "disable", "enable", "check", "host" }
      for _, option in ipairs { "--help", "-h" } do
        local result = program.run { "artel", option }
        assert.equal(0, result.code)
        assert.equal("", result.errors)
        for _, name in ipairs(all) do
          assert.matches("\n  " .. name .. " ", result.output)
          local own = program.run { "artel", name, option }
          assert.equal(name == "check" and 3 or 0, own.code) -- as the guidelines of plugins say
          assert.equal("", own.errors)
          assert.matches("^usage: artel " .. name, own.output)
          for line in own.output:gmatch "[^\n]+" do assert(#line <= 90, line) end
        end
      end
    end)

    it("names what writes a bootstrap file", function()
      assert.matches("FILE describes, which compileScript%(%)\n +has written",
        program.run({ "artel", "host", "--help" }).output)
    end)

    it("tells its version, that of the rockspec, and Lua's", function()
      local version = helper.read(program.top .. "/rockspec/artel-scm-1.rockspec")
        :match '\nversion = "([^"]+)"'
      for _, arguments in ipairs { { "--version" }, { "host", "--version" } } do
        local result = program.run { "artel", table.unpack(arguments) }
        assert.same({ 0, "" }, { result.code, result.errors })
        assert(program.matches(result.output, ("artel %s, Lua 5.4..."):format(version)),
          result.output)
      end
    end)

    it("names the options that every command has", function()
      for _, name in ipairs { "start", "stop", "query", "send", "disable", "enable", "check" } do
        local text = program.run({ "artel", name, "--help" }).output
        for _, option in ipairs { "-t, --timeout", "--profile FILE", "--channel msgpack|json" } do
          assert(text:find(option, 1, true), ("%s: no %s"):format(name, option))
        end
      end
    end)
  end)

  describe("refuses wrong usage with code 2 and says what is wrong", function()
    local WRONG = {
      { "usage: artel COMMAND" },
      { 'no command "begin"', "begin" },
      { "no option %-%-really", "stop", "--really", "unix:///x" },
      { "no option %-x", "stop", "-x", "unix:///x" },
      { "needs a value: SECONDS", "stop", "unix:///x", "-t" },
      { '"soon" are no seconds', "stop", "-tsoon", "unix:///x" },
      { '"" are no seconds', "query", "--timeout=", "unix:///x" },
      { '"xml" is neither', "query", "--channel", "xml", "unix:///x" },
      { "given more than once", "query", "-t", "1", "-t", "2", "unix:///x" },
      { "takes no value", "send", "--request=yes", "unix:///x", "1" },
      { "argument is missing: ADDRESS", "query" },
      { 'argument too many: "y"', "query", "unix:///x", "y" },
      { "argument is missing: MODULE\n", "start", "unix:///x" },
      { "argument is missing: ADDRESS MODULE\n", "start" },
      { "begins with neither", "start", "/run/x", "worker" },
      { "begins with neither", "send", "x", "1" },
      { "is no JSON: no value", "send", "unix:///x", "nul" },
      { "exclude each other", "send", "--request", "--no-reply", "unix:///x", "1" },
      { "empty", "query", "-a", "", "unix:///x" },
      { "%-%-kill%-switch FILE is missing", "disable", "unix:///x" },
      { "nothing is named", "disable", "--kill-switch", "s" },
      { "no option %-%-all", "disable", "--kill-switch", "s", "--all" },
      { "exclude each other", "enable", "--kill-switch", "s", "--all", "--global" },
      { "exclude each other", "enable", "--kill-switch", "s", "--all", "unix:///x" },
      { "begins with neither", "enable", "--kill-switch", "s", "x" },
      { "unknown argument", "host", "--fast" },
    }
    for _, wrong in ipairs(WRONG) do
      local words = table.concat(wrong, " ", 2)
      it("artel " .. words, function()
        local errors = artel(2, nil, table.unpack(wrong, 2))
        assert.matches(wrong[1], errors)
        assert.matches("usage: artel", errors)
        assert.is_nil(core.files.stat(support.path "s"))
      end)
    end
  end)

  it("starts a worker, asks it, and stops it", function()
    start()
    artel(0, "already running, process ...", "start", address, module)
    artel(0, "0 messages\nmessages: 0 c\nload: 0.00000025\nnone: unknown\n"
      .. "sys_wall_execution_time: ... s\n...", "query", address)
    stop()
    artel(0, "not running", "stop", address)
  end)

  it("passes options on to a worker that it starts", function()
    artel(0, nil, "start", "--output", support.path "log", "--channel=json", address, module)
    artel(0, '["hi",1]', "send", "--channel", "json", address, '"hi"')
    artel(0, "stopped", "stop", "--channel", "json", address)
    assert.matches("stopping because of", support.log())
  end)

  it("finds a module by LUA_PATH, as Lua does", function()
    local result = program.run({ "artel", "start", address, "worker" },
      { environment = { LUA_PATH = support.path "?.lua", ARTEL_ADMIN_COOKIE = "a cookie" } })
    assert.equal(0, result.code, result.errors)
    stop()
  end)

  describe("sends", function()
    it("messages and requests, and prints replies as JSON", function()
      start()
      artel(0, '["hi",1]', "send", address, '"hi"')
      artel(0, '[[[],{}],2]', "send", address, " [[], {}] ")
      artel(0, "[-5,3]", "send", address, "-5")
      artel(0, "[9007199254740993,4]", "send", address, "9007199254740993")
      artel(0, "1.5", "send", "--request", address, "1.5")
      artel(0, "null", "send", address, "--request", '"nothing"')
      artel(0, "", "send", "--no-reply", address, '"quiet"')
      artel(0, '["hi",6]', "send", "--", address, '"hi"')
      stop()
    end)

    it("nothing more than an error when there is no reply to show", function()
      start()
      assert.matches("remote: would not",
        artel(1, nil, "send", "--request", address, '"fail"'))
      assert.matches("timeout", artel(1, nil, "send", "-t", "0", address, '"quiet"'))
      assert.matches("cannot be shown as JSON",
        artel(1, nil, "send", "--request", address, '"bytes"'))
      assert.matches("closed", artel(1, nil, "send", address, '"die"'))
      os.remove(support.path "w.sock") -- it died without a chance to clean up
      os.remove(support.path "w.sock.lock")
    end)
  end)

  it("answers 1 for what does not work", function()
    assert.matches("connect: cannot connect", artel(1, nil, "query", address))
    assert.matches("connect: cannot connect", artel(1, nil, "send", address, "1"))
    assert.matches("bootstrap: .*nowhere.lua",
      artel(1, nil, "start", address, support.path "nowhere.lua"))
    assert.matches("^artel start: tcp://192.0.2.1:5 is on another machine",
      artel(1, nil, "start", "tcp://192.0.2.1:5", module))
    assert.matches("no user", artel(1, nil, "start", "--identity", "no such", address, module))
    local full = program.run { "sh", "-c", "artel --help >/dev/full" }
    assert.equal(1, full.code)
    assert.matches("cannot write: No space left", full.errors)
  end)

  it("tells when a worker is not ready in time", function()
    local fifo = support.path "go"
    assert.equal(0, program.run({ "mkfifo", fifo }).code)
    support.write(module, ([[
      io.open(%q):close()
      return { onRequest = function() end }
    ]]):format(fifo))
    assert.matches("not ready within 0 s", artel(1, nil, "start", "-t", "0", address, module))
    io.open(fifo, "w"):close()
    artel(0, "already running, process ...", "start", address, module)
    stop()
  end)

  describe("takes the admin cookie", function()
    local function query(environment, ...)
      local result = program.run({ "artel", "query", address, ... },
        { environment = environment or { ARTEL_ADMIN_COOKIE = false } })
      assert.equal(0, result.code, result.errors)
      return result.output:find "sys_requests" ~= nil
    end

    it("from options, a file, the environment or the profile, in this order", function()
      start()
      support.write(support.path "cookie", "a cookie\n")
      support.write(support.path "profile.lua", 'return { adminCookie = "a cookie" }')
      support.write(support.path "other", "other")
      local cookie, other = support.path "cookie", support.path "other"
      assert.is_false(query())
      assert.is_true(query(nil, "-a", "a cookie"))
      assert.is_true(query(nil, "--admin-cookie-file", cookie))
      assert.is_true(query { ARTEL_ADMIN_COOKIE = "a cookie" })
      assert.is_true(query(nil, "--profile", support.path "profile.lua"))
      assert.is_true(query({ ARTEL_ADMIN_COOKIE = "other" }, "--admin-cookie-file", other,
        "-aa cookie"))
      assert.is_true(query({ ARTEL_ADMIN_COOKIE = "other" }, "--admin-cookie-file", cookie))
      assert.is_false(query({ ARTEL_ADMIN_COOKIE = "other" }, "--profile",
        support.path "profile.lua"))
      stop()
    end)

    it("as needed for a stop, and a wrong one does nothing", function()
      start()
      local result = program.run({ "artel", "stop", address },
        { environment = { ARTEL_ADMIN_COOKIE = false } })
      assert.equal(2, result.code)
      assert.matches("needs its admin cookie: --admin-cookie-file FILE, or the environment "
        .. "variable ARTEL_ADMIN_COOKIE", result.errors, 1, true)
      local told
      local seconds = 1
      repeat -- on a busy machine it takes more to connect
        told = artel(1, nil, "stop", "-a", "wrong", "-t", tostring(seconds), address)
        seconds = 2 * seconds
      until told:find "cookie is wrong" or seconds > helper.TIMEOUT
      assert.matches("the admin cookie is wrong", told)
      support.write(support.path "empty", "\n")
      assert.matches("holds no admin cookie",
        artel(1, nil, "stop", "--admin-cookie-file", support.path "empty", address))
      assert.matches("No such file",
        artel(1, nil, "stop", "--admin-cookie-file", support.path "none", address))
      stop()
    end)
  end)

  describe("reads a profile", function()
    local function profile(text) support.write(support.path "profile.lua", text) end

    it("that is a profile, a table of options, or a factory", function()
      local kinds = {
        'return { channelFactory = "json", outputPath = "log" }',
        'return require "artel".BootstrapProfile.new { channelFactory = "json" }',
        'return require "artel".WorkerFactory.new { channelFactory = "json" }, "unix://x"',
      }
      for _, text in ipairs(kinds) do
        profile(text)
        artel(0, "started, process ...", "start", "--profile", "profile.lua", address, module)
        artel(0, '["hi",1]', "send", "--profile=profile.lua", address, '"hi"')
        artel(0, "stopped", "stop", "--profile", "profile.lua", address)
      end
    end)

    it("and says what is wrong with it", function()
      for text, expected in pairs {
        ["return {"] = "profile.lua:1: .*expected",
        ["error 'not today'"] = "profile.lua:1: not today",
        ["return 5"] = "profile.lua: expected a table of options",
        ["return { color = 1 }"] = "profile.lua: there is no option color",
      } do
        profile(text)
        assert.matches(expected, artel(1, nil, "query", "--profile", "profile.lua", address))
      end
      assert.matches("none.lua", artel(1, nil, "query", "--profile", "none.lua", address))
    end)

    it("and does not quote it, for a cookie may stand where a quote is missing", function()
      for text, expected in pairs {
        ['return {\n  adminCookie = "a secret near you\n}'] = "profile.lua:2: unfinished string\n",
        ["return { adminCookie = 'a 'secret' }"] = "profile.lua:1: '}' expected\n",
        ["return { adminCookie = 123456 }"] = "option adminCookie: .*, got number\n",
      } do
        profile(text)
        local said = artel(1, nil, "query", "--profile", "profile.lua", address)
        assert.matches(expected, said .. "\n")
      end
    end)
  end)

  describe("switches", function()
    local function content()
      return core.decode("json", support.read(support.path "switch.json"))
    end

    it("addresses off and on, with a file or a profile that names it", function()
      artel(0, "", "disable", "--kill-switch", "switch.json", address, "tcp://127.0.0.1:4000")
      assert.same({ address, "tcp://127.0.0.1:4000" }, content().addresses)
      assert.matches("^artel start: disabled: the kill switch .* forbids the shared worker",
        artel(1, nil, "start", "--kill-switch", "switch.json", address, module))
      support.write(support.path "profile.lua", 'return { killSwitchPath = "switch.json" }')
      artel(0, "", "enable", "--profile", "profile.lua", address)
      assert.same({ "tcp://127.0.0.1:4000" }, content().addresses)
      artel(0, "started, process ...", "start", "--profile", "profile.lua", address, module)
      stop()
    end)

    it("all of them", function()
      artel(0, "", "disable", "--kill-switch", "switch.json", "--global")
      artel(0, "", "disable", "--kill-switch", "switch.json", address)
      assert.is_true(content().global)
      artel(0, "", "enable", "--kill-switch", "switch.json", "--global")
      assert.is_false(content().global)
      assert.same({ address }, content().addresses)
      artel(0, "", "enable", "--kill-switch", "switch.json", "--all")
      assert.same({}, content().addresses)
    end)

    it("nothing when the file is not as it should be, or the lock is held", function()
      support.write(support.path "switch.json", "{")
      assert.matches("switch.json cannot be read",
        artel(1, nil, "enable", "--kill-switch", "switch.json", "--all"))
      assert.equal("{", support.read(support.path "switch.json"))
      local held = assert(core.sockets.lockFile(support.path "switch.json.lock", true, 0,
        core.files.effectiveUser(), -1, tonumber("600", 8)))
      assert.matches("is held by another process",
        artel(1, nil, "enable", "--kill-switch", "switch.json", "--all", "-t", "0"))
      core.sockets.removeLock(held)
    end)
  end)
end)
