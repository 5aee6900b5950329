-- SPDX-License-Identifier: Apache-2.0
-- A busted output handler: busted's own plain one, which also writes the totals to the file
-- named by ARTEL_REPORT. busted's exit status cannot tell them (it wraps at 256), and a run
-- that a spec ended by os.exit leaves no such file, but the name of that spec in another.

return function(options)
  local busted = require "busted"
  local handler = require "busted.outputHandlers.plainTerminal"(options)

  local path = assert(os.getenv("ARTEL_REPORT"))

  busted.subscribe({ "test", "start" }, function(element)
    local file = assert(io.open(path .. ".running", "w"))
    file:write(handler.getFullName(element), "\n")
    file:close()
    return nil, true
  end)

  busted.subscribe({ "exit" }, function()
    local file = assert(io.open(path, "w"))
    file:write(("%d %d %d\n"):format(handler.successesCount,
      handler.failuresCount + handler.errorsCount, handler.pendingsCount))
    file:close()
    return nil, true
  end)

  return handler
end
