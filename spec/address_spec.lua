-- SPDX-License-Identifier: Apache-2.0
local address = require "artel.address"
local core = require "artel.core"

describe("artel.address", function()
  it("tells unix sockets from tcp", function()
    assert.is_true(address.isUnix "unix:///run/x.sock")
    assert.is_false(address.isUnix "tcp://127.0.0.1:4000")
  end)

  it("knows which hosts are this machine, however they are written", function()
    for _, text in ipairs { "unix:///x", "tcp://localhost:1", "tcp://127.9.9.9:1", "tcp://[::1]:1",
      "tcp://[0:0::1]:1", "tcp://0.0.0.0:1", "tcp://[::]:1" } do
      assert.is_true(address.isLocal(text), text)
    end
    for _, text in ipairs { "tcp://192.0.2.7:1", "tcp://[2001:db8::1]:1", "tcp://example.org:1" } do
      assert.is_false(address.isLocal(text), text)
    end
  end)

  it("calls everything exposed that another machine may reach", function()
    for _, text in ipairs { "tcp://0.0.0.0:1", "tcp://[::]:1", "tcp://192.0.2.7:1",
      "tcp://example.org:1" } do
      assert.is_true(address.isNetworkExposed(text), text)
    end
    for _, text in ipairs { "unix:///x", "tcp://localhost:1", "tcp://127.0.0.1:1",
      "tcp://[::1]:1" } do
      assert.is_false(address.isNetworkExposed(text), text)
    end
  end)

  it("answers the socket file of a unix address alone", function()
    assert.equal("/run/x.sock", address.getSocketFile "unix:///run/x.sock")
    assert.is_nil(address.getSocketFile "tcp://127.0.0.1:4000")
  end)

  it("makes relative paths absolute", function()
    local here = core.files.currentDirectory()
    assert.equal(here .. "/run/x.sock", address.getSocketFile "unix://run/x.sock")
    assert.equal("unix://" .. here .. "/x.sock", address.normalize "unix://./x.sock")
    assert.equal("tcp://[::1]:4000", address.normalize "tcp://[::1]:4000")
  end)

  it("strips the scheme and nothing else", function()
    assert.equal("/run/x.sock", address.stripScheme "unix:///run/x.sock")
    assert.equal("[::1]:4000", address.stripScheme "tcp://[::1]:4000")
  end)

  it("raises at the caller for what is no address, saying why", function()
    local function raised(...)
      local ok, message = pcall(...)
      assert.is_false(ok)
      return message
    end
    assert.matches("^spec/address_spec.lua:%d+: the address \"http://x\" begins with neither",
      raised(function() local _ = address.isLocal "http://x" end))
    assert.matches("has no port", raised(address.isUnix, "tcp://localhost"))
    assert.matches("got nil", raised(address.stripScheme))
    assert.matches("more than 107 bytes",
      raised(address.getSocketFile, "unix:///" .. ("x"):rep(107)))
    assert.equal(107, #address.getSocketFile("unix:///" .. ("x"):rep(106)))
  end)

  it("counts the bytes of a relative path once it is absolute", function()
    local name = ("x"):rep(107 - #core.files.currentDirectory())
    assert.has_error(function() address.getSocketFile("unix://" .. name) end)
    assert.equal(107, #address.getSocketFile("unix://" .. name:sub(2)))
  end)
end)
