-- SPDX-License-Identifier: Apache-2.0
-- Hosts that do what they must not: none of them makes a master hang.

local artel = require "artel"
local helper = require "spec.helper"
local uv = require "luv"

local TIMEOUT = helper.TIMEOUT

describe("a master survives a host that", function()
  helper.leaveNothing { before_each = before_each, after_each = after_each }

  --- A worker whose host is a shell script that writes to the channel.
  local function impostor(folder, script, transport)
    local path = folder.path .. "/host"
    helper.write(path, "#!/bin/sh\n" .. script .. "\n")
    assert(uv.fs_chmod(path, 448))
    -- A shell can write to the socket, but not into the memory.
    local options =
      { hostPath = path, outputPath = "/dev/null", transport = transport or "socket" }
    return assert(artel.WorkerFactory.new(options)
      :createWorkerWithExpression "{ onMessage = print }")
  end

  -- What it writes; the kind of error, and what that says.
  local READY = [[\0\0\0\001\007\0\0\0\0\300]]
  local CASES = {
    { "speaks no artel", "hello", "protocol", 'got "hello' },
    { "greets in another version", "ATL2", "protocol", 'got "ATL2' },
    { "sends a kind of frame that is not its to send", "ATL1" .. READY
      .. [[\0\0\0\001\012\0\0\0\0\300]], "protocol", "expected a msgpack frame" },
    { "announces 4 GiB", "ATL1" .. READY .. [[\377\377\377\377\0\0\0\0\0]], "oversize",
      "longer than the limit" },
  }
  for _, case in ipairs(CASES) do
    local what, bytes, kind, text = table.unpack(case)
    it(what, function()
      local folder <close> = helper.folder()
      local worker = impostor(folder, ("printf '%s' >&3; exec sleep 1000"):format(bytes))
      local message, err = helper.promptly(worker.receiveMessage, worker)
      assert.is_nil(message)
      assert.equal(kind, err.kind)
      assert.truthy(tostring(err):find(text, 1, true), tostring(err))
      assert.same({ nil, "SIGTERM" }, { worker:close(0) })
    end)
  end

  it("knows nothing of shared memory", function()
    local folder <close> = helper.folder()
    local worker = impostor(folder, "printf 'ATL1' >&3; exec sleep 1000", "auto")
    local ready, err = helper.promptly(worker.waitUntilReady, worker)
    assert.is_nil(ready)
    assert.equal("protocol", err.kind)
    assert.matches("is it this version's host", tostring(err))
    assert.same({ nil, "SIGTERM" }, { worker:close(0) })
  end)

  it("sends half a header and stops, or ends", function()
    local folder <close> = helper.folder()
    local worker = impostor(folder, ("printf 'ATL1%s\\0\\0' >&3; exec sleep 1000"):format(READY))
    assert.is_true(worker:waitUntilReady(TIMEOUT))
    local message, err = worker:receiveMessage(0.01)
    assert.is_nil(message)
    assert.equal("timeout", err.kind)
    assert.same({ nil, "SIGTERM" }, { worker:close(0) })
    worker = impostor(folder, ("printf 'ATL1%s\\0\\0' >&3; exit 5"):format(READY))
    message, err = helper.promptly(worker.receiveMessage, worker)
    assert.is_nil(message)
    assert.same({ "closed", 5 }, { err.kind, err.exitCode })
    worker:close()
  end)

  it("sends one byte at a time", function()
    local folder <close> = helper.folder()
    local script = {}
    for byte in ("ATL1\0\0\0\1\7\0\0\0\0\xc0\0\0\0\3\0\0\0\0\0\xa2ok"):gmatch "." do
      script[#script + 1] = ("printf '\\%03o' >&3"):format(byte:byte())
    end
    local worker <close> = impostor(folder, table.concat(script, "\n"))
    assert.equal("ok", worker:receiveMessage(TIMEOUT))
  end)
end)
