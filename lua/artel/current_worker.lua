-- SPDX-License-Identifier: Apache-2.0
-- What code inside a worker may ask about the worker it is in: artel.WorkerRunner, and how a
-- shared worker stops itself.

---@class artel.WorkerRunner
local WorkerRunner = {}

local current -- nil in a process that is no worker

--- Called by the host when it knows what it runs.
---@class artel.CurrentWorker
---@field plan table
---@field loop table?
---@field socketContext table?
---@field stopCurrent fun()?
---@field isStopping (fun(): boolean)?

---@param worker artel.CurrentWorker
local function set(worker) current = worker end

local function plan()
  return current and current.plan or {}
end

--- The luv module that the worker runs, or nil when it does not use luv (yet).
---@return table?
function WorkerRunner.getLoop()
  return current and current.loop or package.loaded.luv
end

---@return string?
function WorkerRunner.getAdminCookie() return plan().adminCookie end

---@return string?
function WorkerRunner.getKillSwitchPath() return plan().killSwitchPath end

--- Nil in a process that is no worker.
---@return "msgpack"|"json"|artel.CustomChannelFactory|nil
function WorkerRunner.getChannelFactory() return plan().factory or plan().encoding end

--- The table of socket options of a shared worker.
---@return table?
function WorkerRunner.getSocketContext() return current and current.socketContext end

--- Listens no more; the worker ends when its loop has nothing left.
local function stopCurrent()
  if not (current and current.stopCurrent) then
    error("SharedWorker.stopCurrent: this process is no shared worker", 2)
  end
  current.stopCurrent()
end

--- Whether this process is the worker at the address and is about to end.
---@return boolean
local function isStoppingAt(address)
  return current ~= nil and plan().address == address and current.isStopping ~= nil
    and current.isStopping()
end

return {
  isStoppingAt = isStoppingAt, set = set, stopCurrent = stopCurrent, WorkerRunner = WorkerRunner,
}
