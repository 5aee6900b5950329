-- SPDX-License-Identifier: Apache-2.0
-- Knows the parameters of a bootstrap profile: the plain setters and getters come from here.

local checks = require "artel.profile_checks"

--- One parameter. `name` is also the name of its option; "stopTimeout" has setStopTimeout
--- and getStopTimeout. With `singular` it is a list, and has a method that adds to it.
---@class artel.ProfileParameter
---@field name string
---@field singular? string
---@field check function
---@field default? any|fun(profile: artel.BootstrapProfile): any what the getter answers unset

---@type artel.ProfileParameter[]
return {
  { name = "hostPath", check = checks.path },
  { name = "hostArguments", singular = "hostArgument", check = checks.argument },

  { name = "inheritPaths", check = checks.boolean, default = true },
  { name = "packagePath", check = checks.text,
    default = function(profile) return profile:getInheritPaths() and package.path or nil end },
  { name = "packageCPath", check = checks.text,
    default = function(profile) return profile:getInheritPaths() and package.cpath or nil end },

  { name = "preferredIdentity", check = checks.user },
  { name = "stage1Parts", singular = "stage1Part", check = checks.source },
  { name = "scriptsToRequire", singular = "scriptToRequire", check = checks.module },
  { name = "stage2Parts", singular = "stage2Part", check = checks.source },
  { name = "variableName", check = checks.identifier, default = "workerImpl" },
  { name = "stage3Parts", singular = "stage3Part", check = checks.source },

  { name = "channelFactory", check = checks.channelFactory, default = "msgpack" },
  { name = "transport", check = checks.transport, default = "auto" },
  { name = "ringSize", check = checks.ringSize, default = 256 * 1024 },
  { name = "loopExpression", check = checks.expression, default = 'require("luv")' },
  { name = "socketContextExpression", check = checks.expression },

  { name = "adminCookie", check = checks.cookie },
  { name = "outputPath", check = checks.path },
  { name = "killSwitchPath", check = checks.path },

  -- Unset, these depend on the kind of worker: see artel.plan.
  { name = "maxMessageSize", check = checks.messageSize },
  { name = "maxMessageItems", check = checks.count },
  { name = "maxQueuedBytes", check = checks.size },
  { name = "stopTimeout", check = checks.time, default = 5 },
  { name = "connectTimeout", check = checks.time, default = 10 },
  { name = "resourceLimits", check = checks.resourceLimits },
}
