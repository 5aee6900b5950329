-- SPDX-License-Identifier: Apache-2.0
local BootstrapProfile = require "artel.profile"
local bootstrapFile = require "artel.bootstrap_file"
local core = require "artel.core"
local plan = require "artel.plan"
local uv = require "luv"

local files = core.files

-- As the host reads it: text only, and nothing within reach.
local function evaluate(text)
  return assert(load(text, "=bootstrap", "t", {}))()
end

local function withoutHash(built)
  built.hash = nil
  return built
end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "a"
  file:close()
  return text
end

describe("a bootstrap file", function()
  local folder, path, profile
  before_each(function()
    folder = assert(files.temporaryDirectory())
    path = folder .. "/worker.lua"
    profile = BootstrapProfile.new { inheritPaths = false }
  end)
  after_each(function()
    os.remove(path)
    assert.is_true(files.remove(folder), "something temporary was left")
  end)

  it("returns exactly the plan", function()
    profile = BootstrapProfile.new {
      preferredIdentity = "root", adminCookie = "a\0\255b", channelFactory = { module = "c",
        options = { deep = { 1, { x = 0.1 } }, ["not a name"] = ("y"):rep(100) } },
      stage1Parts = { "one()", "a = [[x]]\nb = [==[y]==]\n", "\nc\r\nd", "e\n]]", "f\n]", "g\n]=" },
      stage2Parts = { ("long "):rep(40), "x = 1 -- \27\n" }, stopTimeout = math.huge,
      resourceLimits = { cpu = 0.1 }, constructorArguments = { { "nested", { a = 1 } }, "zwei\n" },
    }
    for _, source in ipairs { { module = "squares" }, { expression = "f()\n -- ]]" } } do
      local built = plan.build(profile, source)
      assert.same(built, withoutHash(evaluate(bootstrapFile.generate(built))))
    end
  end)

  it("reads well", function()
    profile:setStage1Parts { "short = 1", "if x then\n  y()\nend\n" }
    profile:addConstructorArgumentWithValue { width = 3 }
    local text = profile:generateScript("squares", "unix:///run/x.sock")
    assert.matches('^%-%- Bootstrap file of artel: brings a worker to life from the module '
      .. '"squares" at "unix:///run/x.sock"%.\n', text)
    assert.matches('\n  hash = "%x+",\n  version = 1,\n', text)
    assert.matches('\n  stage1 = {\n    "short = 1",\n    %[%[\nif x then\n  y%(%)\nend\n%]%],\n',
      text)
    assert.matches('\n  implementation = { arguments = { "{ width = 3 }" }, module = "squares" },',
      text)
    assert.matches("\n  adminCookie = ", profile:setAdminCookie("x"):generateScript "squares")
    assert.matches('expression "f%(%)"', profile:generateScriptWithExpression "f()")
  end)

  it("keeps a wild module name within its comment", function()
    local text = profile:generateScript "a\nos.exit()"
    assert.equal("a\nos.exit()", evaluate(text).implementation.module)
  end)

  it("has a hash that changes with the plan and with nothing else", function()
    local first = bootstrapFile.hash(plan.build(profile, { module = "m" }))
    assert.equal(first, bootstrapFile.hash(plan.build(profile, { module = "m" })))
    assert.are_not.equal(first, bootstrapFile.hash(plan.build(profile, { module = "n" })))
    profile:addStage1Part "x = 1"
    assert.are_not.equal(first, bootstrapFile.hash(plan.build(profile, { module = "m" })))
  end)

  it("is written where the profile lists it, for its owner alone", function()
    profile:addPrecompiledScript("squares", path)
    assert.equal(path, profile:compileScript "squares")
    local facts = files.stat(path)
    assert.equal(384, facts.mode)
    assert.equal(profile:generateScript "squares", read(path))
  end)

  it("is left alone while it says what the profile does, else made anew", function()
    profile:addPrecompiledScript("squares", path)
    profile:compileScript "squares"
    local inode = files.stat(path).inode
    profile:compileScript "squares"
    assert.equal(inode, files.stat(path).inode)
    profile:setStopTimeout(1)
    profile:compileScript "squares"
    assert.are_not.equal(inode, files.stat(path).inode)
    assert.equal(1, evaluate(read(path)).stopTimeout)
    write(path, "return {") -- as if somebody had stopped in the middle
    profile:compileScript "squares"
    assert.equal(profile:generateScript "squares", read(path))
  end)

  it("differs from one address to another", function()
    local shared = folder .. "/shared.lua"
    profile:addPrecompiledScript("squares", path)
    profile:addPrecompiledScript("squares", shared, "unix:///run/x.sock")
    assert.equal(shared, profile:compileScript("squares", "unix:///run/x.sock"))
    assert.is_nil(files.stat(path))
    assert.equal("unix:///run/x.sock", evaluate(read(shared)).address)
    os.remove(shared)
  end)

  it("is not written over what is not to be trusted", function()
    profile:addPrecompiledScriptWithExpression("f()", path)
    write(path, "return {}")
    assert(uv.fs_chmod(path, tonumber("666", 8)))
    local compiled, err = profile:compileScriptWithExpression "f()"
    assert.is_nil(compiled)
    assert.equal("bootstrap", err.kind)
    assert.matches("others may write to it", tostring(err))
    assert.equal("return {}", read(path))
    os.remove(path)
    assert(uv.fs_symlink("/etc/passwd", path))
    compiled, err = profile:compileScriptWithExpression "f()"
    assert.is_nil(compiled)
    assert.matches("symbolic link", tostring(err))
  end)

  it("answers what is wrong with the place", function()
    profile:addPrecompiledScript("squares", folder .. "/none/x.lua")
    local compiled, err = profile:compileScript "squares"
    assert.is_nil(compiled)
    assert.equal("ENOENT", err.errno)
  end)

  it("goes to a private folder when it is not listed", function()
    local compiled = assert(profile:compileScript "squares")
    assert.equal(compiled, profile:compileScript "squares")
    assert.equal(448, files.stat(compiled:match "^(.*)/").mode)
    assert.equal("squares", evaluate(read(compiled)).implementation.module)
    assert.are_not.equal(compiled, profile:compileScript "cubes")
  end)

  it("goes with its private folder when the program ends", function()
    local script = path
    write(script, [[
      local path = require("artel.profile").new():compileScript "squares"
      io.write(path)
    ]])
    local child = assert(io.popen(("LUA_PATH='%s' LUA_CPATH='%s' lua5.4 '%s'")
      :format(package.path, package.cpath, script)))
    local compiled = child:read "a"
    assert.is_true(child:close())
    assert.matches("^/.*%.lua$", compiled)
    assert.is_nil(files.stat(compiled:match "^(.*)/"))
  end)

  it("is refused with misuse at the caller", function()
    local ok, message = pcall(function()
      local _ = profile:setPreferredIdentity("no-such-user-here"):generateScript "m"
    end)
    assert.is_false(ok)
    assert.matches("^spec/bootstrap_file_spec.lua:%d+: generateScript: there is no user", message)
    ok, message = pcall(function() local _ = profile:compileScript(1) end)
    assert.is_false(ok)
    assert.matches("^spec/bootstrap_file_spec.lua:%d+: compileScript: expected the name", message)
  end)
end)
