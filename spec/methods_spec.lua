-- SPDX-License-Identifier: Apache-2.0
-- Dots and colons: whoever mixes them up is told so, where it was done.

local artel = require "artel"
local helper = require "spec.helper"

local raisesHere = helper.raisesHere

describe("a method called with a dot", function()
  for class, object in pairs {
    ["artel.BootstrapProfile"] = artel.BootstrapProfile.new(),
    ["artel.Range"] = artel.Range.new(1, 2),
    ["artel.Task"] = artel.async(function() end),
    ["artel.WorkerCounter"] = artel.WorkerCounter.new "any",
    ["artel.WorkerFactory"] = artel.WorkerFactory.new(),
    ["artel.WorkerStatus"] = artel.WorkerStatus.new(),
  } do
    it("says so: " .. class, function()
      for name, method in pairs(getmetatable(object).__index) do
        local isStatic = name == "new" or name == "async" or name:find "^from"
          or name == "exportValue" or name:find "^get.*Counters?$" and class ~= "artel.WorkerStatus"
        if type(method) == "function" and not isStatic then
          raisesHere(("bad self of '%s' (%s expected, got number; is it called with a colon?)")
            :format(name, class), function() local _ = method(1) end)
        end
      end
    end)
  end
end)

describe("a shared worker's method called with a dot", function()
  it("says so, and not that the argument is missing which it has taken for self", function()
    for _, name in ipairs { "getSocketAddress", "getProcessId", "query", "stop",
      "receiveMessageDirectly", "getUnreceivedMessageCount", "peekUnreceivedMessages",
      "removeUnreceivedMessage", "unreceiveMessage" } do
      local method = artel.SharedWorker[name]
      raisesHere("bad self (artel channel expected, got nil; is it called with a colon?)",
        function() local _ = method() end)
      raisesHere("bad self (artel channel expected, got number; is it called with a colon?)",
        function() local _ = method(1) end)
    end
  end)
end)

describe("a function called with a colon", function()
  it("says so: of a class", function()
    for name, class in pairs { BootstrapProfile = artel.BootstrapProfile, Range = artel.Range,
      WorkerCounter = artel.WorkerCounter, WorkerFactory = artel.WorkerFactory,
      WorkerStatus = artel.WorkerStatus } do
      raisesHere(("bad argument #1 to 'new' (artel.%s itself; is it called with a dot?)")
        :format(name), function() local _ = class:new {} end)
    end
    raisesHere("bad argument #1 to 'fromString' (artel.Range itself",
      function() local _ = artel.Range:fromString "1:2" end)
  end)

  it("says so: of artel", function()
    for _, name in ipairs { "channelPair", "createWorker", "createWorkerWithExpression",
      "createWorkerPool", "createWorkerPoolWithExpression", "map", "imap",
      "connectToSharedWorker", "startSharedWorker", "stopSharedWorker", "querySharedWorker",
      "disableSharedWorker" } do
      raisesHere(("bad argument #1 to '%s' (artel itself; is it called with a dot?)"):format(name),
        function() local _ = artel[name](artel, print, {}) end)
    end
    raisesHere("function expected, got table; is it called with a dot?",
      function() local _ = artel:async(print) end)
    raisesHere("expected, got a table without entry 1; is it called with a dot?",
      function() local _ = artel:select({}) end)
    raisesHere("a list of channels expected, got an empty table",
      function() local _ = artel.select({}) end)
  end)
end)
