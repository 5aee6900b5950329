-- SPDX-License-Identifier: Apache-2.0
-- Clients that are not ours: nothing but python3's socket and json modules, and a pipe into
-- socat. They speak JSON Lines.

local helper = require "spec.helper"
local support = require "spec.shared.support"
local uv = require "luv"

local WORKER = [[(function()
  local count = 0
  return {
    onMessage = function(self, message, channel)
      count = count + 1
      if type(message) == "table" and message.long then
        return channel:sendMessage { text = ("x"):rep(message.long) }
      end
      channel:sendMessage { hello = message, number = count }
    end,
    onRequest = function(self, request)
      if request == "fail" then error "as asked" end
      return { echo = request }
    end,
    onQuery = function(self, privileged) return privileged and "in detail" or "fine" end,
  }
end)()]]

local PYTHON = [[
import json, socket, sys

def connect():
    address = sys.argv[1]
    if address.startswith("unix://"):
        s = socket.socket(socket.AF_UNIX)
        s.connect(address[7:])
    else:
        host, port = address[6:].rsplit(":", 1)
        s = socket.create_connection((host, int(port)))
    return s, s.makefile("rw", encoding="utf-8", newline="\n")

def send(f, value):
    f.write(json.dumps(value) + "\n")
    f.flush()

def receive(f):
    return json.loads(f.readline())

def expect(what, wanted, got):
    if wanted != got:
        sys.exit("%s: wanted %r, got %r" % (what, wanted, got))

s, f = connect()
send(f, "world")
expect("message", {"hello": "world", "number": 1}, receive(f))
send(f, {"_request_": 7, "body": [1, 2.5, None, "\u20ac", {}]})
expect("request", {"_response_": 7, "body": {"echo": [1, 2.5, None, "\u20ac", {}]}}, receive(f))
send(f, {"_request_": 8, "body": "fail"})
answer = receive(f)
expect("error id", 8, answer["_error_"])
expect("error kind", "remote", answer["kind"])
assert "as asked" in answer["message"]

# The admin objects of an older library: null for no cookie, extra keys.
send(f, {"_query_": None, "more": 1})
expect("status", {"_status_": {"textStatus": "fine", "counters": []}}, receive(f))
send(f, {"_query_": "wrong"})
expect("status", {"_status_": {"textStatus": "fine", "counters": []}}, receive(f))
send(f, {"_query_": "a cookie"})
status = receive(f)["_status_"]
expect("text", "in detail", status["textStatus"])
expect("keys", ["max", "min", "name", "unit", "value"], sorted(status["counters"][0]))
assert all(c["name"].startswith("sys_") for c in status["counters"])

# White space, several texts in one line, one text over several lines, a bare number at last.
s.sendall(b' \r\n\n "a" {"b"\n: [1,\n2]}[]true\n')
for wanted in ["a", {"b": [1, 2]}, [], True]:
    expect("lenient", wanted, receive(f)["hello"])

# A client that has said all it wants to say still gets its answers.
s.sendall(b'{"long": 3000000} 42')
s.shutdown(socket.SHUT_WR)
expect("long", 3000000, len(receive(f)["text"]))
expect("bare", 42, receive(f)["hello"])
expect("end", "", f.readline())
s.close()

s, f = connect()
send(f, {"_stop_": "wrong"})
send(f, {"_query_": False})
expect("alive", "fine", receive(f)["_status_"]["textStatus"])
send(f, {"_stop_": "a cookie", "_query_": "a cookie"})
expect("stopped", "", f.readline())
print("done")
]]

--- Runs a program with something on its standard input; answers its output and exit code.
local function run(path, arguments, input)
  local stdin, stdout, stderr = uv.new_pipe(), uv.new_pipe(), uv.new_pipe()
  local text, code, open = "", nil, 3
  local process = assert(uv.spawn(path, {
    args = arguments, stdio = { stdin, stdout, stderr }, env = support.environment(),
  }, function(exitCode)
    code, open = exitCode, open - 1
  end))
  for _, pipe in ipairs { stdout, stderr } do
    pipe:read_start(function(_, chunk)
      if chunk then
        text = text .. chunk
      else
        pipe:close()
        open = open - 1
      end
    end)
  end
  stdin:write(input or "")
  stdin:shutdown(function() stdin:close() end)
  helper.runLoopUntil(function() return open == 0 end)
  process:close()
  uv.run "nowait"
  return text, code
end

describe("a shared worker and a client in another language", function()
  before_each(support.setUp)
  after_each(function() support.tearDown() end)

  for _, kind in ipairs { "unix", "tcp" } do
    it("understand each other over " .. kind, function()
      local address = kind == "unix" and support.unixAddress() or support.tcpAddress()
      local _, _, pid = support.start(WORKER, { channelFactory = "json" }, address)
      local text, code = run("python3", { "-c", PYTHON, address })
      if text ~= "done\n" then uv.kill(pid, "sigterm") end
      assert.equal("done\n", text)
      assert.equal(0, code)
      assert.is_true(support.awaitEnd(pid))
    end)
  end

  -- Its own end had once cut off what a coroutine was still sending, told as sent or not.
  it("also when a coroutine answers a client that has said all it wants to say", function()
    local factory, address = support.start([[{ onMessage = function(_, _, channel)
      require "artel".async(function()
        for _, len in ipairs { 60000, 8000000 } do channel:sendMessage(("x"):rep(len)) end
      end)
    end }]], { channelFactory = "json" })
    local client = support.bareClient(address)
    client:send "1\n"
    client.shutdown()
    local lengths = {}
    for text in client:awaitEnd():gmatch "[^\n]+" do lengths[#lengths + 1] = #text end
    assert.same({ 60002, 8000002 }, lengths)
    client.close()
    support.stop(factory, address)
  end)

  it("also when the client is a pipe into socat", function()
    if not os.execute "command -v socat >/dev/null" then
      pending "socat is not installed"
      return
    end
    local factory, address = support.start(WORKER, { channelFactory = "json" })
    local text = run("socat", { "-t60", "-", "UNIX-CONNECT:" .. address:match "^unix://(.*)" },
      '"one"\n{"_request_":1,"body":2}\n"last"')
    assert.equal('{"hello":"one","number":1}\n{"_response_":1,"body":{"echo":2}}\n'
      .. '{"hello":"last","number":2}\n', (text:gsub('"number":(%d),"hello":"(%w+)"',
        '"hello":"%2","number":%1')))
    support.stop(factory, address)
  end)
end)
