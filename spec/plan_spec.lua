-- SPDX-License-Identifier: Apache-2.0
local BootstrapProfile = require "artel.profile"
local core = require "artel.core"
local plan = require "artel.plan"

local function reasonFor(...)
  local built, reason = plan.build(...)
  assert.is_nil(built)
  return reason
end

describe("artel.plan", function()
  local here, profile
  before_each(function()
    here = core.files.currentDirectory()
    profile = BootstrapProfile.new()
  end)

  it("says everything a dedicated worker's host must know, and nothing more", function()
    profile:setInheritPaths(false)
    assert.same({
      version = 1, encoding = "msgpack", maxMessageSize = 1 << 30, maxQueuedBytes = 1 << 30,
      stopTimeout = 5, connectTimeout = 10, stage1 = {}, stage2 = {}, stage3 = {}, scripts = {},
      variable = "workerImpl", implementation = { module = "squares", arguments = {} },
    }, plan.build(profile, { module = "squares" }))
  end)

  it("carries every parameter", function()
    profile = BootstrapProfile.new {
      packagePath = "/p/?.lua;/p/?/init.lua", packageCPath = "/p/?.so",
      preferredIdentity = "root", stage1Parts = { "one()" }, scriptsToRequire = { "a.b", "/s.lua" },
      stage2Parts = { "two()" }, variableName = "impl", constructorArguments = { 1, "x" },
      stage3Parts = { "three()" }, channelFactory = "json", loopExpression = "loop",
      socketContextExpression = "{ backlog = 1 }", adminCookie = "secret", outputPath = "/o.log",
      killSwitchPath = "/k.json", maxMessageSize = 1, maxMessageItems = 2, maxQueuedBytes = 3,
      stopTimeout = 4, connectTimeout = 0.5, resourceLimits = { openFiles = 9 },
    }
    assert.same({
      version = 1, encoding = "json", packagePath = "/p/?.lua;/p/?/init.lua",
      packageCPath = "/p/?.so", identity = "root", limits = { openFiles = 9 },
      outputPath = "/o.log", stage1 = { "one()" }, scripts = { "a.b", "/s.lua" },
      stage2 = { "two()" }, variable = "impl",
      implementation = { module = "squares", arguments = { "1", '"x"', "nil", "{ 2 }" } },
      stage3 = { "three()" }, loopExpression = "loop",
      socketContextExpression = "{ backlog = 1 }", adminCookie = "secret",
      killSwitchPath = "/k.json", maxMessageSize = 1, maxMessageItems = 2, maxQueuedBytes = 3,
      stopTimeout = 4, connectTimeout = 0.5,
    }, plan.build(profile, { module = "squares" }, table.pack(nil, { 2 })))
  end)

  it("leaves the profile as it was", function()
    profile:setConstructorArguments { 1 }
    plan.build(profile, { module = "squares" }, { 2 })
    assert.same({ "1" }, profile:getConstructorArguments())
  end)

  it("gives shared workers tighter limits", function()
    local built = plan.build(profile, { module = "m" }, nil, "unix://run/x.sock")
    assert.equal("unix://" .. here .. "/run/x.sock", built.address)
    assert.equal(16 << 20, built.maxMessageSize)
    assert.equal(1000000, built.maxMessageItems)
    assert.equal(64 << 20, built.maxQueuedBytes)
  end)

  it("makes paths absolute, and lets names of modules be", function()
    profile:setScriptsToRequire { "a", "a.b", "x/y", "./y.lua", "z.lua", "/abs/z.lua" }
    profile:setOutputPath "out.log"
    profile:setKillSwitchPath "./switch.json"
    profile:setPackagePath "./?.lua;lib/?.lua;/abs/?.lua"
    local built = plan.build(profile, { module = "worker.lua" })
    assert.same({ "a", "a.b", here .. "/x/y", here .. "/y.lua", here .. "/z.lua", "/abs/z.lua" },
      built.scripts)
    assert.equal(here .. "/worker.lua", built.implementation.module)
    assert.equal(here .. "/out.log", built.outputPath)
    assert.equal(here .. "/switch.json", built.killSwitchPath)
    assert.equal(here .. "/?.lua;" .. here .. "/lib/?.lua;/abs/?.lua", built.packagePath)
  end)

  it("hands a custom channel factory down by name", function()
    profile:setChannelFactory { module = "codec", options = { level = 3 } }
    local built = plan.build(profile, { module = "m" })
    assert.same({ module = "codec", options = { level = 3 } }, built.factory)
    assert.equal("msgpack", built.encoding)
  end)

  it("takes an expression as it is, without constructor arguments", function()
    profile:setConstructorArguments { 1 }
    assert.same({ expression = "{ run = f }" },
      plan.build(profile, { expression = "{ run = f }" }).implementation)
    assert.matches("takes no constructor arguments",
      reasonFor(profile, { expression = "{}" }, { 1 }))
  end)

  it("says why there can be no such worker", function()
    assert.matches("constructor arguments: cannot export a function %(at argument 1%)",
      reasonFor(profile, { module = "m" }, { print }))
    assert.matches("tcp://192.0.2.1:80 is on another machine",
      reasonFor(profile, { module = "m" }, nil, "tcp://192.0.2.1:80"))
    assert.matches("has no port", reasonFor(profile, { module = "m" }, nil, "tcp://localhost"))
    profile:setPreferredIdentity "no-such-user-here"
    assert.matches('no user "no%-such%-user%-here"', reasonFor(profile, { module = "m" }))
  end)
end)
