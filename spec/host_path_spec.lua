-- SPDX-License-Identifier: Apache-2.0
local core = require "artel.core"
local hostPath = require "artel.host_path"

-- ARTEL_HOST and PATH belong to a process, so each question is asked in a process of its own.
local function ask(environment)
  local code = 'print(require("artel.host_path").find())'
  local command = ("%s LUA_PATH='%s' LUA_CPATH='%s' /usr/bin/env lua5.4 -e '%s' 2>&1")
    :format(environment, package.path, package.cpath, code)
  local child = assert(io.popen(command))
  local answer = child:read "a"
  child:close()
  return answer
end

describe("artel.host_path", function()
  it("takes the profile's own path as it is, made absolute", function()
    assert.equal("/nowhere/artel", hostPath.find "/nowhere/artel")
    assert.equal(core.files.currentDirectory() .. "/bin/x", hostPath.find "./bin/x")
  end)

  it("believes ARTEL_HOST before anything else", function()
    assert.equal("/bin/sh\n", ask "ARTEL_HOST=/bin/sh")
  end)

  it("does not go on looking when ARTEL_HOST is wrong", function()
    assert.matches("^nil\tthe environment variable ARTEL_HOST names /etc/passwd, which is not",
      ask "ARTEL_HOST=/etc/passwd")
  end)

  it("finds bin/artel above the module, nearest first", function()
    local root = assert(core.files.temporaryDirectory())
    local module = root .. "/lib/lua/5.4/artel"
    os.execute(("cd '%s' && mkdir -p '%s' bin lib/bin && cp '%s' '%s' && cp /bin/true bin/artel")
      :format(root, module, core.files.codePath, module .. "/core.so"))
    local environment = ("LUA_CPATH_5_4='%s/lib/lua/5.4/?.so'"):format(root)
    assert.equal(root .. "/bin/artel\n", ask(environment))
    os.execute(("cp /bin/true '%s/lib/bin/artel'"):format(root))
    assert.equal(root .. "/lib/bin/artel\n", ask(environment))
    os.execute(("rm -r '%s'"):format(root))
  end)

  it("says where it looked and what to do when there is none", function()
    local root = assert(core.files.temporaryDirectory())
    os.execute(("cd '%s' && mkdir artel && cp '%s' artel/core.so")
      :format(root, core.files.codePath))
    local answer = ask(("PATH=/usr/bin:/nowhere LUA_CPATH_5_4='%s/?.so'"):format(root))
    os.execute(("rm -r '%s'"):format(root))
    if answer:sub(1, 4) == "nil\t" then -- else a host is installed on this machine
      assert.matches("\n  " .. root:gsub("%p", "%%%0") .. "/bin/artel\n", answer)
      assert.matches("\n  /nowhere/artel\n", answer)
      assert.matches("ARTEL_HOST or with profile:setHostPath%(path%)", answer)
    end
  end)
end)
