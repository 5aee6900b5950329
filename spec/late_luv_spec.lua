-- SPDX-License-Identifier: Apache-2.0
-- A worker runs without luv until its implementation loads it, which may be late and from any
-- coroutine.
local artel = require "artel"
local helper = require "spec.helper"

local TIMEOUT = helper.TIMEOUT

local function start(expression)
  return assert(artel.WorkerFactory.new { outputPath = "/dev/null" }
    :createWorkerWithExpression(expression))
end

-- Sends all requests at once; answers the responses, or the texts of the errors.
local function requestAll(worker, values)
  local responses, tasks = {}, {}
  for i, value in ipairs(values) do
    tasks[i] = artel.async(function()
      local response, err = worker:request(value, { timeout = TIMEOUT })
      responses[i] = response or tostring(err)
    end)
  end
  for _, task in ipairs(tasks) do task:await() end
  return responses
end

describe("luv that a worker loads late", function()
  it("calls back on the main thread when a handler was the first to load it", function()
    -- luv calls back on the thread that loaded it: were that the handler's coroutine, which
    -- is suspended by then, the worker would crash.
    local worker <close> = start [[{
      onRequest = function(self, milliseconds)
        local loop = require "luv"
        local me, timer = coroutine.running(), loop.new_timer()
        timer:start(milliseconds, 0, function()
          self.callbackIsOnMain = select(2, coroutine.running())
          timer:close()
          coroutine.resume(me)
        end)
        coroutine.yield()
        return self.callbackIsOnMain
      end }]]
    assert.same({ true, true, true }, requestAll(worker, { 30, 10, 20 }))
  end)

  it("takes over what others wait for already", function()
    local worker <close> = start [[{
      onRequest = function(self, what)
        if what == "load" then require "luv" return "loaded" end
        local near, far = require "artel".channelPair()
        if what == "time" then return select(2, near:receiveMessage(0.1)).kind end
        self.far = far -- to be written to by a later request
        return near:receiveMessage()
      end,
      onMessage = function(self, message) self.far:sendMessage(message) end }]]
    local response = artel.async(function() return worker:request("message") end)
    assert.same({ "timeout", "loaded" }, requestAll(worker, { "time", "load" }))
    worker:sendMessage("good news")
    assert.equal("good news", response:await(TIMEOUT))
  end)

  it("calls back on the main thread of a master that needs it first in a coroutine", function()
    local command = ([[lua5.4 -e 'package.path, package.cpath = %q, %q
      coroutine.wrap(function() require "artel".async(function() end) end)()
      collectgarbage()
      local loop = require "luv"
      local timer = loop.new_timer()
      timer:start(1, 0, function() print(select(2, coroutine.running())) timer:close() end)
      loop.run()']]):format(package.path, package.cpath)
    local pipe = assert(io.popen(command))
    assert.equal("true\n", pipe:read "a")
    pipe:close()
  end)
end)
