-- SPDX-License-Identifier: Apache-2.0
local artel = require "artel"
local BootstrapProfile = require "artel.profile"
local core = require "artel.core"
local helper = require "spec.helper"

-- One good value for each plain parameter, and some that must be refused.
local VALUES = {
  hostPath = { good = "/opt/artel", bad = { "", 1, "a\0b" } },
  inheritPaths = { good = false, bad = { "no", 0 } },
  packagePath = { good = "/x/?.lua", bad = { 1, {} } },
  packageCPath = { good = "/x/?.so", bad = { 1, {} } },
  preferredIdentity = { good = "no-such-user", bad = { "", 0 } },
  variableName = { good = "impl_2", bad = { "", "2x", "a.b", "end", "goto", "_ENV", "é", 1 } },
  channelFactory = { good = "json", bad = { "xml", 1, {}, { module = "" }, { module = "m", x = 1 },
    { module = "m", options = print }, { module = "m", options = { core.null } } } },
  transport = { good = "shared-memory", bad = { "pigeon", true } },
  ringSize = { good = 65536, bad = { 0, 4095, 5000, 2 ^ 40, "65536" } },
  loopExpression = { good = "myLoop", bad = { "", "  ", 1 } },
  socketContextExpression = { good = "{ backlog = 5 }", bad = { "", {} } },
  adminCookie = { good = "a\0b", bad = { "", 1 } },
  outputPath = { good = "out.log", bad = { "", 1 } },
  killSwitchPath = { good = "switch.json", bad = { "", 1 } },
  maxMessageSize = { good = 4294967295, bad = { 0, -1, 1.5, 4294967296, "1" } },
  maxMessageItems = { good = 10, bad = { 0, 1.5 } },
  maxQueuedBytes = { good = 1 << 40, bad = { 0, 0 / 0 } },
  stopTimeout = { good = 0, bad = { -1, 0 / 0, "1" } },
  connectTimeout = { good = math.huge, bad = { -1, 0 / 0, "1" } },
  resourceLimits = { good = { memory = 1 << 30, cpu = 0.5, openFiles = 64 },
    bad = { 1, { memory = 0 }, { cpu = 0 }, { cpu = "1" }, { openFiles = 1.5 }, { disk = 1 } } },
}
local LISTS = {
  hostArguments = { singular = "HostArgument", good = { "-a", "" }, bad = { 1, "a\0b" } },
  stage1Parts = { singular = "Stage1Part", good = { "x = 1", "" }, bad = { 1, "\27Lua" } },
  stage2Parts = { singular = "Stage2Part", good = { "x = 1", "" }, bad = { 1, "\27Lua" } },
  stage3Parts = { singular = "Stage3Part", good = { "x = 1", "" }, bad = { 1, "\27Lua" } },
  scriptsToRequire = { singular = "ScriptToRequire", good = { "a.b", "./x.lua" }, bad = { 1, "" } },
}

local function capitalize(name) return name:sub(1, 1):upper() .. name:sub(2) end

local function raised(call, ...)
  local ok, message = pcall(call, ...)
  assert.is_false(ok, "should have raised")
  return message
end

describe("artel.BootstrapProfile", function()
  local profile
  before_each(function() profile = BootstrapProfile.new() end)

  for name, values in pairs(VALUES) do
    local setter, getter = "set" .. capitalize(name), "get" .. capitalize(name)

    it("keeps " .. name .. " and answers itself", function()
      assert.equal(profile, profile[setter](profile, values.good))
      assert.same(values.good, profile[getter](profile))
    end)

    it("takes " .. name .. " as an option", function()
      profile = BootstrapProfile.new { [name] = values.good }
      assert.same(values.good, profile[getter](profile))
    end)

    it("goes back to the default of " .. name .. " with nil", function()
      local default = profile[getter](profile)
      profile[setter](profile, values.good)
      profile[setter](profile, nil)
      assert.same(default, profile[getter](profile))
    end)

    it("refuses other values of " .. name .. " where they were given", function()
      for _, bad in ipairs(values.bad) do
        local message = raised(function() profile[setter](profile, bad) end)
        assert.matches("^spec/profile_spec.lua:%d+: " .. setter .. ": expected ", message)
        message = raised(function() BootstrapProfile.new { [name] = bad } end)
        assert.matches("^spec/profile_spec.lua:%d+: BootstrapProfile.new: option " .. name
          .. ": expected ", message)
      end
    end)
  end

  for name, values in pairs(LISTS) do
    local setter, getter = "set" .. capitalize(name), "get" .. capitalize(name)
    local adder = "add" .. values.singular

    it("keeps the list " .. name .. ", and answers copies of it", function()
      assert.same({}, profile[getter](profile))
      local list = { table.unpack(values.good) }
      assert.equal(profile, profile[setter](profile, list))
      assert.equal(profile, profile[adder](profile, values.good[1]))
      list[1] = "changed"
      profile[getter](profile)[1] = "changed"
      assert.same({ values.good[1], values.good[2], values.good[1] }, profile[getter](profile))
      profile = BootstrapProfile.new { [name] = values.good }
      assert.same(values.good, profile[getter](profile))
      assert.same({}, profile[setter](profile, nil)[getter](profile))
    end)

    it("refuses other items of " .. name, function()
      for _, bad in ipairs(values.bad) do
        assert.matches("^spec/profile_spec.lua:%d+: " .. adder .. ": expected ",
          raised(function() profile[adder](profile, bad) end))
        assert.matches("at %[2%]",
          raised(function() profile[setter](profile, { values.good[1], bad }) end))
      end
      assert.matches("got a table with the key x",
        raised(function() profile[setter](profile, { x = values.good[1] }) end))
      assert.matches("expected a list",
        raised(function() profile[setter](profile, values.good[1]) end))
      assert.matches("got nil", raised(function() profile[adder](profile) end))
    end)
  end

  it("refuses methods that are called with a dot, as a factory does", function()
    local function refuses(object, class, name, ...)
      local arguments = table.pack(...)
      helper.raisesHere(("bad self of '%s' (%s expected, got %s; is it called with a colon?)")
        :format(name, class, type((...))), function()
          object[name](table.unpack(arguments, 1, arguments.n))
        end)
    end
    local factory = artel.WorkerFactory.new()
    for _, name in ipairs { "createWorker", "createWorkerPool", "connectToSharedWorker",
      "stopSharedWorker", "disableSharedWorker", "getBootstrapProfile" } do
      refuses(factory, "artel.WorkerFactory", name, "module")
    end
    for _, name in ipairs { "setStopTimeout", "getStopTimeout", "addStage1Part",
      "generateScript" } do
      refuses(profile, "artel.BootstrapProfile", name, nil)
    end
  end)

  it("has the defaults that are documented", function()
    assert.equal(package.path, profile:getPackagePath())
    assert.equal(package.cpath, profile:getPackageCPath())
    assert.equal("workerImpl", profile:getVariableName())
    assert.equal("msgpack", profile:getChannelFactory())
    assert.equal("auto", profile:getTransport())
    assert.equal(262144, profile:getRingSize())
    assert.equal('require("luv")', profile:getLoopExpression())
    assert.is_false(profile:hasLoopExpression())
    assert.equal(5, profile:getStopTimeout())
    assert.equal(10, profile:getConnectTimeout())
    assert.is_nil(profile:getAdminCookie())
  end)

  it("hands no search paths down unless it inherits them or they are set", function()
    profile:setInheritPaths(false):setPackagePath "/x/?.lua"
    assert.equal("/x/?.lua", profile:getPackagePath())
    assert.is_nil(profile:getPackageCPath())
  end)

  it("refuses names of options that do not exist", function()
    assert.matches("^spec/profile_spec.lua:%d+: .*there is no option adminCooky",
      raised(function() BootstrapProfile.new { adminCooky = "x" } end))
    assert.matches("there are: adminCookie, .*variableName$",
      raised(function() BootstrapProfile.new { adminCooky = "x" } end))
    assert.matches("no option 1", raised(function() BootstrapProfile.new { "x" } end))
    assert.matches("expected a table", raised(function() BootstrapProfile.new "x" end))
  end)

  it("refuses fields, which would be silently ignored", function()
    assert.matches("spec/profile_spec.lua:%d+: .*adminCookie",
      raised(function() profile.adminCookie = "x" end))
  end)

  it("never quotes a secret in a message", function()
    assert.is_nil(raised(function() profile:setVariableName "my secret" end):find "secret")
    assert.matches("got number$", raised(function() profile:setAdminCookie(123456) end))
    assert.matches("got number$", raised(BootstrapProfile.new, { adminCookie = 123456 }))
  end)

  it("turns global variables into parts of their stage", function()
    for stage = 1, 3 do
      local prefix = ("addStage%dGlobalVariableWith"):format(stage)
      assert.equal(profile, profile[prefix .. "Value"](profile, "a", { 1, "x" }))
      assert.equal(profile, profile[prefix .. "Expression"](profile, "b", "os.time()"))
      assert.same({ 'a = { 1, "x" }', "b = os.time()" },
        profile[("getStage%dParts"):format(stage)](profile))
    end
    assert.matches("^spec/profile_spec.lua:%d+: addStage1GlobalVariableWithValue: expected the n",
      raised(function() profile:addStage1GlobalVariableWithValue("a.b", 1) end))
    assert.matches("cannot export a function",
      raised(function() profile:addStage1GlobalVariableWithValue("a", print) end))
    assert.matches("text of a Lua expression",
      raised(function() profile:addStage1GlobalVariableWithExpression("a", "") end))
  end)

  it("sets variables given by name before the parts of their stage", function()
    profile = BootstrapProfile.new {
      stage1Parts = { "use(a)" }, stage1Variables = { b = 2, a = 1 },
    }
    assert.same({ "a = 1", "b = 2", "use(a)" }, profile:getStage1Parts())
    assert.matches("option stage2Variables: expected",
      raised(function() BootstrapProfile.new { stage2Variables = { ["a b"] = 1 } } end))
    assert.matches("option stage2Variables: expected",
      raised(function() BootstrapProfile.new { stage2Variables = { 1 } } end))
  end)

  it("keeps constructor arguments as they were when they were given", function()
    local value = { 1 }
    assert.equal(profile, profile:setConstructorArguments { value, "x" })
    value[1] = "changed"
    profile:addConstructorArgumentWithValue(nil)
    profile:addConstructorArgumentWithExpression "os.time()"
    assert.same({ "{ 1 }", '"x"', "nil", "os.time()" }, profile:getConstructorArguments())
    profile:setConstructorArguments(table.pack(nil, 1, nil))
    assert.same({ "nil", "1", "nil" }, profile:getConstructorArguments())
    assert.same({ "7" }, BootstrapProfile.new { constructorArguments = { 7 } }
      :getConstructorArguments())
    assert.matches("setConstructorArguments: cannot export a function %(at argument 2.f%)",
      raised(function() profile:setConstructorArguments { 1, { f = print } } end))
    assert.matches("^spec/profile_spec.lua:%d+: addConstructorArgumentWithValue: cannot export",
      raised(function() profile:addConstructorArgumentWithValue(print) end))
  end)

  it("lists precompiled scripts by what they hold and for which address", function()
    local here = core.files.currentDirectory()
    assert.equal(profile, profile:addPrecompiledScript("squares", "/x/a.lua"))
    profile:addPrecompiledScript("squares", "/x/b.lua", "unix://run/x.sock")
    profile:addPrecompiledScriptWithExpression("{ run = f }", "/x/c.lua")
    profile:addPrecompiledScript("./m.lua", "/x/d.lua")
    assert.equal("/x/a.lua", profile:getPrecompiledScript "squares")
    assert.equal("/x/b.lua",
      profile:getPrecompiledScript("squares", "unix://" .. here .. "/run/x.sock"))
    assert.equal("/x/c.lua", profile:getPrecompiledScriptWithExpression "{ run = f }")
    assert.equal("/x/d.lua", profile:getPrecompiledScript(here .. "/m.lua"))
    assert.is_nil(profile:getPrecompiledScript "other")
    assert.is_nil(profile:getPrecompiledScriptWithExpression "squares")
    profile:addPrecompiledScript("squares", "/x/e.lua")
    assert.equal("/x/e.lua", profile:getPrecompiledScript "squares")
    assert.equal(4, #profile:getPrecompiledScripts())
    local copy = BootstrapProfile.new { precompiledScripts = profile:getPrecompiledScripts() }
    assert.same(profile:getPrecompiledScripts(), copy:getPrecompiledScripts())
    assert.same({}, copy:setPrecompiledScripts(nil):getPrecompiledScripts())
  end)

  it("refuses precompiled scripts that say too little or too much, and keeps the former", function()
    profile:addPrecompiledScript("squares", "/x/a.lua")
    for _, bad in ipairs {
      {}, { path = "/x" }, { module = "m" }, { module = "m", expression = "e", path = "/x" },
      { module = "m", path = "/x", adress = "unix:///x" }, "m",
      { module = "m", path = "/x", address = "x" },
    } do
      assert.matches("^spec/profile_spec.lua:%d+: setPrecompiledScripts: .*%(at %[1%]%)",
        raised(function() profile:setPrecompiledScripts { bad } end))
    end
    assert.equal(1, #profile:getPrecompiledScripts())
    assert.matches("neither unix:// nor tcp://",
      raised(function() profile:addPrecompiledScript("m", "/x", "http://x") end))
    assert.matches("^spec/profile_spec.lua:%d+: getPrecompiledScript: expected the name",
      raised(function() profile:getPrecompiledScript(1) end))
  end)

  it("shows the expression that creates the implementation", function()
    local made = {}
    package.loaded["spec.callable"] = function(...) return { made = table.pack(...) } end
    package.loaded["spec.withNew"] = { new = function(...) return { made = table.pack(...) } end }
    package.loaded["spec.called"] = setmetatable({}, { __call = function(_, ...)
      return { made = table.pack(...) }
    end, __index = { new = error } })
    package.loaded["spec.plain"] = made
    profile:setConstructorArguments { 1, "two" }
    profile:addConstructorArgumentWithExpression "3 -- a comment"
    profile:addConstructorArgumentWithValue(nil)
    local function create(module)
      return assert(load("return " .. profile:generateExpression(module)))()
    end
    for _, name in ipairs { "spec.callable", "spec.withNew", "spec.called" } do
      assert.same({ 1, "two", 3, nil, n = 4 }, create(name).made)
    end
    assert.equal(made, create "spec.plain")
    assert.matches('require%("spec.plain"%)', profile:generateExpression "spec.plain")
    assert.matches(('dofile("%s/m.lua")'):format(core.files.currentDirectory()):gsub("%p", "%%%0"),
      profile:generateExpression "m.lua")
    for _, name in ipairs { "callable", "withNew", "called", "plain" } do
      package.loaded["spec." .. name] = nil
    end
  end)

  it("exports values, and raises where that is impossible", function()
    assert.equal('{ 1, a = "b" }', BootstrapProfile.exportValue { 1, a = "b" })
    assert.matches("^spec/profile_spec.lua:%d+: exportValue: cannot export a function",
      raised(function() BootstrapProfile.exportValue(print) end))
  end)

  it("has exactly the methods that profile_meta.lua declares", function()
    local declared = {}
    for line in io.lines "lua/artel/profile_meta.lua" do
      local name = line:match "^function BootstrapProfile:(%w+)"
        or line:match "^%-%-%-@field (get%w+) fun"
      if name then declared[name] = true end
    end
    for line in io.lines "lua/artel/profile.lua" do
      local name = line:match "^function BootstrapProfile[.:](%w+)"
      if name then declared[name] = true end
    end
    local real = {}
    for name, value in pairs(BootstrapProfile) do
      if type(value) == "function" then real[name] = true end
    end
    assert.same(declared, real)
  end)
end)
