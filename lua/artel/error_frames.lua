-- SPDX-License-Identifier: Apache-2.0
-- Errors as they travel: how a failure becomes an error frame that can be sent in any case, and
-- what a peer's error frame or failed start is to us.

local core = require "artel.core"
local frame = require "artel.frame"

local errorFrames = {}

-- ---- ours ----

-- So much of a text always travels.
local TEXT_LEN_MAX = 1000

--- What is in a table: that tells more than where in the memory it lies.
local function contentOf(value)
  local ok, text = pcall(core.encode, "json", value)
  return ok and text and #text <= TEXT_LEN_MAX and text or "an error that is a table"
end

local function hasText(value)
  local metatable = getmetatable(value)
  return metatable ~= nil and (type(metatable) ~= "table" or metatable.__tostring ~= nil)
end

--- The text of whatever was raised, also of a value whose __tostring raises.
function errorFrames.textOf(err)
  if err == nil then return "an error that is nil" end
  if type(err) == "table" and not hasText(err) then return contentOf(err) end
  local ok, text = pcall(tostring, err)
  return ok and text or "an error without a text"
end

--- A text that every encoding can carry, and that fits under any sensible limit.
local function plainText(text)
  if type(text) ~= "string" then return nil end
  if #text > TEXT_LEN_MAX then text = text:sub(1, TEXT_LEN_MAX) .. "..." end
  return (text:gsub("[^\t\n\r -~]", function(byte) return ("\\x%02x"):format(byte:byte()) end))
end

--- Queues an error frame for a request, in whatever form can be sent: who asked must not
--- wait for ever.
---@return true|nil queued
---@return artel.Error? err
function errorFrames.refuse(channel, id, fields)
  local queued, err = core.queue(channel, frame.ERROR, id, fields)
  if not queued and fields.value ~= nil then -- a value that cannot travel: its text can
    fields.value = nil
    queued, err = core.queue(channel, frame.ERROR, id, fields)
  end
  if not queued and err.kind ~= "overloaded" then
    queued, err = core.queue(channel, frame.ERROR, id,
      { kind = plainText(fields.kind), message = plainText(fields.message) })
  end
  return queued, err
end

--- What to tell a peer whose channel has ended for another reason than that it has gone: it sent
--- what cannot be taken in. Nil when there is no such reason.
---@return { kind: string, message: string }?
function errorFrames.fault(channel)
  local ended = core.isOpen(channel) and core.state(channel) and core.state(channel).ended
  if not ended or ended.kind ~= "oversize" and ended.kind ~= "protocol" then return nil end
  return { kind = ended.kind, message = ended.message }
end

--- Answers a request whose value could not be decoded.
function errorFrames.refuseUndecoded(channel, id, err)
  errorFrames.refuse(channel, id, { kind = err.kind, message = err.message })
  core.flush(channel)
end

--- Tells the master that the start has failed, and the log. A pool tells it to whoever asks it
--- for anything; each of its workers saying the same, again and again, would tell less.
---@param report { step: string, part: integer?, message: string, traceback: string? }
function errorFrames.reportFailedStart(channel, plan, report)
  if not plan.claims or plan.outputPath then
    io.stderr:write(("artel worker: %s: %s\n"):format(report.step,
      report.traceback or report.message))
  end
  core.queue(channel, frame.FAILED, 0, report)
  pcall(channel.flush, channel, plan.stopTimeout)
end

-- ---- a peer's ----

local function text(value) return type(value) == "string" and value or nil end

-- What a peer can know of. A time-out, a failed start or a refused connection are ours to tell.
local PEER_KINDS = {
  remote = true, closed = true, protocol = true, oversize = true, encode = true, decode = true,
  cancelled = true, overloaded = true,
}

--- An error frame as an error object. What the peer wrote is data: only known fields count.
---@return artel.Error
function errorFrames.toError(map)
  if type(map) ~= "table" then map = {} end
  local value = map.value
  if value == core.null then value = nil end
  return core.newError {
    kind = PEER_KINDS[map.kind] and map.kind or "remote",
    message = text(map.message) or "the peer gave no reason",
    traceback = text(map.traceback),
    path = text(map.path),
    value = value,
  }
end

local STEP_NAMES = {
  identity = "taking the identity", limits = "setting the limits", script = "a script to require",
  stage1 = "a stage 1 part", stage2 = "a stage 2 part", stage3 = "a stage 3 part",
  construct = "creating the implementation", loop = "the loop expression",
  socket = "the socket context expression", initialize = "initialize()",
  listen = "listening", profile = "reading the profile",
  output = "opening the output path",
}

--- The report of a failed start as an error object.
---@param ok true|nil whether the report could be decoded
---@return artel.Error
function errorFrames.toStartError(ok, report)
  if type(report) ~= "table" then report = {} end -- as in toError()
  local step, part = text(report.step), math.tointeger(report.part)
  local message = text(report.message) or "it gave no reason"
  local what = STEP_NAMES[step] or "starting"
  if part then what = ("%s (number %d)"):format(what, part) end
  return core.newError {
    kind = ok and (step == "disabled" or step == "listen") and step or "bootstrap",
    message = step == "disabled" and message or ("%s failed: %s"):format(what, message),
    traceback = text(report.traceback), errno = text(report.errno),
    step = step, part = part,
  }
end

return errorFrames
