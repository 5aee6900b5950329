-- SPDX-License-Identifier: Apache-2.0
-- `artel send`: sends a shared worker one message or request and shows what it answers.

local common = require "artel.cli.common"
local core = require "artel.core"

local OWN_OPTIONS = {
  { long = "request", help = "send a request and print its response" },
  { long = "no-reply", help = "wait for no reply" },
}

local function exchange(worker, value, given, timeLeft)
  if given.request then return worker:request(value, { timeout = timeLeft() }) end
  local sent, err = worker:sendMessage(value)
  if not sent then return nil, err end
  if given["no-reply"] then return worker:flush(timeLeft()) end
  return worker:receiveMessage(timeLeft())
end

local function run(given, operands)
  if given.request and given["no-reply"] then
    common.misuse "--request and --no-reply exclude each other"
  end
  local forAddress = common.address(operands[1])
  local value, message = core.decode("json", operands[2])
  if value == nil then
    common.misuse(("%q is no JSON: %s; a text is written in quotes: '\"hello\"'")
      :format(operands[2], message))
  end
  local factory = common.factory(given)
  local deadline = core.now() + common.timeout(given)
  local worker <close> = common.check(factory:connectToSharedWorker(forAddress))
  local reply = common.check(exchange(worker, value, given,
    function() return math.max(0, deadline - core.now()) end))
  if given["no-reply"] then return 0 end
  local text
  text, message = core.encode("json", reply)
  if not text then common.fail("the reply cannot be shown as JSON: " .. message) end
  io.stdout:write(text, "\n")
  return 0
end

---@type artel.cli.Command
return {
  name = "send", operands = "ADDRESS JSON", least = 2, most = 2, run = run,
  summary = "Sends a shared worker a message and prints one reply as JSON",
  options = common.options(OWN_OPTIONS),
}
