-- SPDX-License-Identifier: Apache-2.0
-- What the commands share: the options that all of them take, and the factory made of these.

local address = require "artel.address"
local BootstrapProfile = require "artel.profile"
local WorkerFactory = require "artel.factory"

local common = {}

local DEFAULT_TIMEOUT = 10
local COOKIE_VARIABLE = "ARTEL_ADMIN_COOKIE"

-- ---- what goes wrong ----

local Failure = {}
Failure.__index = Failure
Failure.__tostring = function(self) return self.message end

--- Ends the command with a sentence and the exit code for errors.
function common.fail(err) error(setmetatable({ message = tostring(err) }, Failure), 0) end

--- Ends it with the exit code for wrong usage.
function common.misuse(message)
  error(setmetatable({ message = message, isMisuse = true }, Failure), 0)
end

---@return boolean
function common.isFailure(value) return getmetatable(value) == Failure end

--- Passes on what a call has answered, unless it is nil and an error.
function common.check(value, err, ...)
  if value == nil then common.fail(err) end
  return value, err, ...
end

-- ---- options ----

--- Seconds from a text.
function common.readTime(text)
  local seconds = text:find "^[%d.]+$" and tonumber(text)
  if seconds then return seconds end
  return nil, ("%q are no seconds"):format(text)
end

local function readChannel(text)
  if text == "msgpack" or text == "json" then return text end
  return nil, ("%q is neither msgpack nor json"):format(text)
end

local PROFILE = { long = "profile", value = "FILE",
  help = "a Lua file that returns a profile, its options, or a factory" }
local CHANNEL = { long = "channel", value = "msgpack|json", read = readChannel,
  help = "the encoding that the worker speaks (msgpack)" }
local TIMEOUT = { long = "timeout", short = "t", value = "SECONDS", read = common.readTime,
  help = "how long it may take (10)" }

common.COOKIE_OPTIONS = {
  { long = "admin-cookie", short = "a", value = "COOKIE",
    help = "the worker's admin cookie; others can see it in the process list" },
  { long = "admin-cookie-file", value = "FILE",
    help = "a file that holds the cookie; without either option it comes from the environment "
      .. "variable " .. COOKIE_VARIABLE .. ", else from the profile" },
}
common.KILL_SWITCH = { long = "kill-switch", value = "FILE",
  help = "the file that says which shared workers may not start" }

--- The options of a command: its own ones before those that all have.
---@return artel.cli.Option[]
function common.options(...)
  local all = {}
  for _, list in ipairs { ... } do table.move(list, 1, #list, #all + 1, all) end
  return table.move({ PROFILE, CHANNEL, TIMEOUT }, 1, 3, #all + 1, all)
end

---@return number seconds
function common.timeout(given) return given.timeout or DEFAULT_TIMEOUT end

-- ---- the factory ----

local function readCookie(path)
  local file, message = io.open(path, "rb")
  if not file then common.fail(message) end
  local text
  text, message = file:read "a"
  file:close()
  if not text then common.fail(("%s: %s"):format(path, message)) end
  text = text:gsub("[\r\n]+$", "")
  if text == "" then common.fail(path .. " holds no admin cookie") end
  return text
end

--- The cookie from where the user has put it; nil leaves that of the profile.
local function findCookie(given)
  if given["admin-cookie"] == "" then common.misuse "--admin-cookie: it is empty" end
  if given["admin-cookie"] then return given["admin-cookie"] end
  if given["admin-cookie-file"] then return readCookie(given["admin-cookie-file"]) end
  local cookie = os.getenv(COOKIE_VARIABLE)
  return cookie ~= "" and cookie or nil
end

--- A factory from what a profile file has returned.
local function factoryOf(answer, path)
  local class = getmetatable(answer)
  class = type(class) == "table" and class.__index
  if class == WorkerFactory then return answer end
  if class ~= BootstrapProfile then
    local made, reason = BootstrapProfile.fromOptions(answer)
    if not made then common.fail(("%s: %s"):format(path, reason)) end
    answer = made
  end
  return WorkerFactory.new(answer)
end

--- What Lua says of a file that it cannot read, without the word that it stands at: where a
--- quote is missing, that is the admin cookie.
local function withoutWord(message)
  return message:match "^(.-:%d+: .-) near " or message
end

local function loadProfile(path)
  if not path then return WorkerFactory.new() end
  local chunk, message = loadfile(path, "t")
  if not chunk then common.fail(withoutWord(message)) end
  local called, answer = pcall(chunk, path)
  if not called then common.fail(answer) end
  return factoryOf(answer, path)
end

--- The factory that the options ask for.
---@param given table
---@return artel.WorkerFactory
function common.factory(given)
  local factory = loadProfile(given.profile)
  local profile = factory:getBootstrapProfile()
  if given.channel then profile:setChannelFactory(given.channel) end
  local cookie = findCookie(given)
  if cookie then profile:setAdminCookie(cookie) end
  profile:setConnectTimeout(common.timeout(given))
  return factory
end

--- Checks an address that the user has given.
---@return string
function common.address(text)
  local parsed, reason = address.parse(text)
  if not parsed then common.misuse(reason) end
  return address.normalize(text)
end

return common
