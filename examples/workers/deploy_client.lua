-- SPDX-License-Identifier: Apache-2.0
-- A client that never stops calling: a dedicated worker, which tells its master the first time
-- that it sees each outcome, and at the end how often it saw which.

local artel = require "artel"

local Client = {}
Client.__index = Client

function Client.new(options, address, module)
  return setmetatable({ factory = artel.WorkerFactory.new(options), address = address,
    module = module, seen = {} }, Client)
end

--- Asks the shared worker, which is started if nobody listens; the connection is kept.
---@return string outcome its answer, or the kind of the error
function Client:ask()
  for _ = 1, 2 do
    local err
    if not self.worker then
      self.worker, err = self.factory:connectToSharedWorker(self.address, self.module)
      if not self.worker then return err.kind == "disabled" and err.kind or tostring(err) end
    end
    local answer
    answer, err = self.worker:request "which version are you?"
    if answer then return answer end
    self.worker:close()
    self.worker = nil
    -- It stopped before it took the request: asking again is safe.
    if err.kind ~= "closed" then return tostring(err) end
  end
  return "closed twice"
end

function Client:run(channel)
  repeat
    local outcome = self:ask()
    self.seen[outcome] = (self.seen[outcome] or 0) + 1
    if self.seen[outcome] == 1 then channel:sendMessage(outcome) end
    local asked, err = channel:receiveMessage(0)
  until asked or err.kind ~= "timeout"
  if self.worker then self.worker:close() end
  channel:sendMessage(self.seen)
end

return Client
