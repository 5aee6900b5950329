-- SPDX-License-Identifier: Apache-2.0
---@meta
-- luacheck: ignore 212 241 631
-- Never run: the types of the methods that profile.lua makes from tables. A spec compares
-- the names with the real class. Every setter answers the profile and raises for a value that
-- cannot be; nil brings the default back.

---@class artel.BootstrapProfile
---@field getHostPath fun(self): string?
---@field getInheritPaths fun(self): boolean
---@field getPackagePath fun(self): string?
---@field getPackageCPath fun(self): string?
---@field getPreferredIdentity fun(self): string?
---@field getVariableName fun(self): string
---@field getChannelFactory fun(self): "msgpack"|"json"|artel.CustomChannelFactory
---@field getTransport fun(self): "auto"|"socket"|"shared-memory"
---@field getRingSize fun(self): integer
---@field getLoopExpression fun(self): string
---@field getSocketContextExpression fun(self): string?
---@field getAdminCookie fun(self): string?
---@field getOutputPath fun(self): string?
---@field getKillSwitchPath fun(self): string?
---@field getMaxMessageSize fun(self): integer?
---@field getMaxMessageItems fun(self): integer?
---@field getMaxQueuedBytes fun(self): integer?
---@field getStopTimeout fun(self): number
---@field getConnectTimeout fun(self): number
---@field getResourceLimits fun(self): artel.ResourceLimits?
---@field getHostArguments fun(self): string[]
---@field getStage1Parts fun(self): string[]
---@field getScriptsToRequire fun(self): string[]
---@field getStage2Parts fun(self): string[]
---@field getStage3Parts fun(self): string[]
local BootstrapProfile = {}

--- What BootstrapProfile.new takes: the value of each setter by its name.
---@class artel.BootstrapProfileOptions
---@field hostPath? string
---@field inheritPaths? boolean
---@field packagePath? string
---@field packageCPath? string
---@field preferredIdentity? string
---@field variableName? string
---@field channelFactory? "msgpack"|"json"|artel.CustomChannelFactory
---@field transport? "auto"|"socket"|"shared-memory"
---@field ringSize? integer
---@field loopExpression? string
---@field socketContextExpression? string
---@field adminCookie? string
---@field outputPath? string
---@field killSwitchPath? string
---@field maxMessageSize? integer
---@field maxMessageItems? integer
---@field maxQueuedBytes? integer
---@field stopTimeout? number
---@field connectTimeout? number
---@field resourceLimits? artel.ResourceLimits
---@field hostArguments? string[]
---@field stage1Parts? string[]
---@field scriptsToRequire? string[]
---@field stage2Parts? string[]
---@field stage3Parts? string[]
---@field stage1Variables? table<string, any>
---@field stage2Variables? table<string, any>
---@field stage3Variables? table<string, any>
---@field constructorArguments? any[]
---@field precompiledScripts? artel.PrecompiledScript[]

--- A channel factory of one's own: a module that the host requires as well.
---@class artel.CustomChannelFactory
---@field module string
---@field options? any plain data

---@class artel.ResourceLimits
---@field memory? integer bytes of address space
---@field cpu? number seconds of processor time
---@field openFiles? integer

--- A bootstrap file: of a module or an expression; with an address, of a shared worker.
---@class artel.PrecompiledScript
---@field module? string
---@field expression? string
---@field path string
---@field address? string

--- The host executable. Default: found: `ARTEL_HOST`, beside the module, the install prefix, PATH.
---@param value string|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setHostPath(value) end

--- Hand `package.path` and `package.cpath` of this program down. Default: true.
---@param value boolean|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setInheritPaths(value) end

--- `package.path` of the worker. Default: this program's.
---@param value string|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setPackagePath(value) end

--- `package.cpath` of the worker. Default: this program's.
---@param value string|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setPackageCPath(value) end

--- The system user that the worker becomes if it may. Default: none.
---@param value string|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setPreferredIdentity(value) end

--- The global variable that holds the implementation. Default: workerImpl.
---@param value string|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setVariableName(value) end

--- The encoding of channels. Default: msgpack.
---@param value "msgpack"|"json"|artel.CustomChannelFactory|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setChannelFactory(value) end

--- What carries a dedicated worker's channel. Default: auto.
---@param value "auto"|"socket"|"shared-memory"|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setTransport(value) end

--- Bytes of each shared-memory ring, a power of two. Default: 262144.
---@param value integer|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setRingSize(value) end

--- The loop of an evented worker. Default: `require("luv")`.
---@param value string|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setLoopExpression(value) end

--- A table of socket options for a shared worker. Default: none.
---@param value string|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setSocketContextExpression(value) end

--- Who sends it may stop a shared worker and see its full status. Default: none.
---@param value string|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setAdminCookie(value) end

--- Where a worker's standard output and error are appended. Default: inherited;
--- `/dev/null` for shared workers that a client starts.
---@param value string|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setOutputPath(value) end

--- The file that forbids shared workers to start. Default: none.
---@param value string|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setKillSwitchPath(value) end

--- Bytes of one encoded message. Default: 1 GiB dedicated, 16 MiB shared.
---@param value integer|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setMaxMessageSize(value) end

--- Values and keys that one message may make. Default: none dedicated, 1,000,000 shared.
---@param value integer|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setMaxMessageItems(value) end

--- Bytes that wait to be sent on one channel. Default: 1 GiB dedicated, 64 MiB shared.
---@param value integer|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setMaxQueuedBytes(value) end

--- Seconds that a worker has to stop. Default: 5.
---@param value number|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setStopTimeout(value) end

--- Seconds that connecting may take. Default: 10.
---@param value number|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setConnectTimeout(value) end

--- What the worker's process may use. Default: none.
---@param value artel.ResourceLimits|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setResourceLimits(value) end

--- Arguments of the host executable, ahead of our own: for a host path that is another program's,
--- such as nice, which runs artel.
---@param list string[]|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setHostArguments(list) end

---@param item string
---@return artel.BootstrapProfile self
function BootstrapProfile:addHostArgument(item) end

--- Lua source run before any script; each part is a chunk of its own.
---@param list string[]|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setStage1Parts(list) end

---@param item string
---@return artel.BootstrapProfile self
function BootstrapProfile:addStage1Part(item) end

--- Module names, or paths of Lua files, required after stage 1.
---@param list string[]|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setScriptsToRequire(list) end

---@param item string
---@return artel.BootstrapProfile self
function BootstrapProfile:addScriptToRequire(item) end

--- Lua source run after the scripts, before the implementation.
---@param list string[]|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setStage2Parts(list) end

---@param item string
---@return artel.BootstrapProfile self
function BootstrapProfile:addStage2Part(item) end

--- Lua source run when the implementation exists.
---@param list string[]|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setStage3Parts(list) end

---@param item string
---@return artel.BootstrapProfile self
function BootstrapProfile:addStage3Part(item) end

--- Adds a part to stage 1 that sets a global variable to what the worker computes.
---@param name string
---@param expression string
---@return artel.BootstrapProfile self
function BootstrapProfile:addStage1GlobalVariableWithExpression(name, expression) end

--- Adds a part to stage 1 that sets a global variable to a copy of the value.
---@param name string
---@param value any
---@return artel.BootstrapProfile self
function BootstrapProfile:addStage1GlobalVariableWithValue(name, value) end

--- Adds a part to stage 2 that sets a global variable to what the worker computes.
---@param name string
---@param expression string
---@return artel.BootstrapProfile self
function BootstrapProfile:addStage2GlobalVariableWithExpression(name, expression) end

--- Adds a part to stage 2 that sets a global variable to a copy of the value.
---@param name string
---@param value any
---@return artel.BootstrapProfile self
function BootstrapProfile:addStage2GlobalVariableWithValue(name, value) end

--- Adds a part to stage 3 that sets a global variable to what the worker computes.
---@param name string
---@param expression string
---@return artel.BootstrapProfile self
function BootstrapProfile:addStage3GlobalVariableWithExpression(name, expression) end

--- Adds a part to stage 3 that sets a global variable to a copy of the value.
---@param name string
---@param value any
---@return artel.BootstrapProfile self
function BootstrapProfile:addStage3GlobalVariableWithValue(name, value) end

--- Arguments of the implementation's constructor, as they are now.
---@param values any[]|nil a list; as `table.pack` makes it (with `n`) it may hold nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setConstructorArguments(values) end

---@param value any
---@return artel.BootstrapProfile self
function BootstrapProfile:addConstructorArgumentWithValue(value) end

--- An argument that the worker computes.
---@param expression string
---@return artel.BootstrapProfile self
function BootstrapProfile:addConstructorArgumentWithExpression(expression) end

--- Bootstrap files that workers come up from, each written when it is missing or no longer
--- what the profile says.
---@param scripts artel.PrecompiledScript[]|nil
---@return artel.BootstrapProfile self
function BootstrapProfile:setPrecompiledScripts(scripts) end

---@return artel.PrecompiledScript[]
function BootstrapProfile:getPrecompiledScripts() end

--- The Lua expression with which the host creates the implementation.
---@param module string
---@return string
function BootstrapProfile:generateExpression(module) end

--- Workers of a module come up from the bootstrap file at path.
---@param module string
---@param path string
---@param address? string of a shared worker; none for dedicated ones
---@return artel.BootstrapProfile self
function BootstrapProfile:addPrecompiledScript(module, path, address) end

--- The path of its bootstrap file, nil when none is listed.
---@param module string
---@param address? string
---@return string?
function BootstrapProfile:getPrecompiledScript(module, address) end

--- The text of its bootstrap file: what the host will do.
---@param module string
---@param address? string
---@return string
function BootstrapProfile:generateScript(module, address) end

--- Writes its bootstrap file: where the list says, else into a private temporary folder that
--- goes when this program ends.
---@param module string
---@param address? string
---@return string? path
---@return artel.Error? err
function BootstrapProfile:compileScript(module, address) end

--- Workers of an implementation that is the value of an expression come up from the bootstrap file at path.
---@param expression string
---@param path string
---@param address? string of a shared worker; none for dedicated ones
---@return artel.BootstrapProfile self
function BootstrapProfile:addPrecompiledScriptWithExpression(expression, path, address) end

--- The path of its bootstrap file, nil when none is listed.
---@param expression string
---@param address? string
---@return string?
function BootstrapProfile:getPrecompiledScriptWithExpression(expression, address) end

--- The text of its bootstrap file: what the host will do.
---@param expression string
---@param address? string
---@return string
function BootstrapProfile:generateScriptWithExpression(expression, address) end

--- Writes its bootstrap file: where the list says, else into a private temporary folder that
--- goes when this program ends.
---@param expression string
---@param address? string
---@return string? path
---@return artel.Error? err
function BootstrapProfile:compileScriptWithExpression(expression, address) end
