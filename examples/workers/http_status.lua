-- SPDX-License-Identifier: Apache-2.0
-- A shared worker that has more on its loop than its socket: it counts messages, and tells
-- their number over HTTP. What it has put on the loop it must take off in onStop, or the
-- loop, and with it the worker, would not end.

local Counter = {}
Counter.__index = Counter

function Counter.new() return setmetatable({ count = 0 }, Counter) end

function Counter:setLoop(loop) self.loop = loop end

function Counter:initialize()
  local server = self.loop.new_tcp()
  assert(server:bind("127.0.0.1", 0))
  assert(server:listen(16, function(err)
    if not err then self:answer(server) end
  end))
  self.server = server
end

--- Answers whatever comes with the count.
function Counter:answer(server)
  local client = self.loop.new_tcp()
  server:accept(client)
  client:read_start(function(_, data)
    if not data then return client:close() end
    client:read_stop()
    local body = ("%d messages\n"):format(self.count)
    client:write(("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
      .. "Connection: close\r\n\r\n%s"):format(#body, body), function() client:close() end)
  end)
end

function Counter:onMessage() self.count = self.count + 1 end

--- The port, for those who want to ask over HTTP.
function Counter:onRequest() return self.server:getsockname().port end

function Counter:onStop() self.server:close() end

return Counter
