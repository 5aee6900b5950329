-- SPDX-License-Identifier: Apache-2.0
-- What must be true of a status, whatever a worker has sent: it is refused with a reason, or
-- it is the same after another journey, and shown in one line that it cannot break.

local core = require "artel.core"
local plugin = require "artel.cli.plugin"
local WorkerStatus = require "artel.status"

local GETTERS = { "getName", "getValue", "getUnit", "getMin", "getMax" }

local function checkSame(status, again)
  assert(status:getTextStatus() == again:getTextStatus(), "another text")
  local counters, others = status:getCounters(), again:getCounters()
  assert(#counters == #others, "another number of counters")
  for index, counter in ipairs(counters) do
    for _, getter in ipairs(GETTERS) do
      assert(counter[getter](counter) == others[index][getter](others[index]), getter)
    end
  end
end

local function checkJourney(status, encoding)
  local bytes = core.encode(encoding, status:toTable())
  if bytes then -- JSON carries no text that is not UTF-8
    checkSame(status, assert(WorkerStatus.fromTable(core.decode(encoding, bytes))))
  end
end

local function checkLine(status)
  local perfdata = {}
  for index, counter in ipairs(status:getCounters()) do
    perfdata[index] = plugin.perfdata(counter)
    local label, value = perfdata[index]:match "^(.*)=([^;=]*)[;%d.-]*$"
    assert(label and label ~= "", "no label")
    assert(value == "U" or value:find "^%-?%d+%.?%d*%a*%%?$", "no value")
  end
  local line = plugin.line("OK", tostring(status), perfdata)
  assert(line:find "^[^%c]*\n$", "more than one line")
  local _, bars = line:gsub("|", "")
  assert(bars == (#perfdata > 0 and 1 or 0), "perfdata where none is")
end

return function(value)
  local status, message = WorkerStatus.fromTable(value)
  if not status then
    assert(type(message) == "string")
    return
  end
  checkJourney(status, "msgpack")
  checkJourney(status, "json")
  checkLine(status)
end
