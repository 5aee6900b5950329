-- SPDX-License-Identifier: Apache-2.0
---@meta
-- luacheck: ignore 631
-- Never run: the types that users meet and that no function's own comment can declare. A spec
-- compares their names with the real ones.

-- ---- errors ----

---@alias artel.ErrorKind
---| "bootstrap" # the worker did not come up
---| "cancelled" # the task was cancelled, the map had ended, or the pool was closed
---| "closed" # the other side has gone, or this end was closed meanwhile
---| "connect" # no connection could be made
---| "decode" # one frame could not be understood; the channel lives on
---| "disabled" # the kill switch forbids the start, or cannot be read or changed
---| "encode" # the value, or the response to a request, cannot be sent
---| "listen" # the worker cannot listen at that address
---| "overloaded" # the queue is full; nothing was taken
---| "oversize" # longer than setMaxMessageSize allows
---| "protocol" # what came is no frame; the channel has ended
---| "remote" # a handler raised or gave a reason, or nobody there answers requests
---| "spawn" # the process could not be started
---| "timeout" # not within the time given

--- What comes behind nil. tostring() gives the kind and the message.
---@class artel.Error
---@field kind artel.ErrorKind what to decide by
---@field message string the sentence
---@field errno? string the system's name for it, such as "ENOENT"
---@field exitCode? integer how a worker's process ended by itself
---@field signal? string what ended it, such as "SIGKILL"
---@field peakMemory? integer most bytes resident of that process
---@field traceback? string of what raised in a worker
---@field value? any what a handler raised, or gave as its reason
---@field step? string what failed in a start, such as "stage1"
---@field part? integer and which part of it
---@field phase? "queued"|"running" of a request
---@field attempts? integer how many times a pool's request may have begun
---@field index? integer which item of a map
---@field worker? artel.Worker who died in a pool
---@field lastOutput? string the end of what it wrote to its standard error
---@field outOfMemory? boolean whether the kernel has killed some process for want of memory
---@field path? string what a peer that is not artel may tell besides
---@operator concat(any): string

-- ---- pools and maps ----

--- Of map and imap of a pool.
---@class artel.MapOptions
---@field errors? "collect" map goes on behind an error, and answers the errors too
---@field onProgress? fun(done: integer, total?: integer)
---@field progress? boolean a line on a terminal
---@field timeout? number seconds that each request may run

--- Of createWorkerPool.
---@class artel.PoolOptions
---@field workers? integer by default as many as processors
---@field maxQueue? integer requests that may wait; 65,536 by default
---@field maxQueueBytes? integer bytes of them; 256 MiB by default
---@field queueTimeout? number seconds that a request may wait for a worker
---@field requestTimeout? number seconds that a request may run
---@field cancelGrace? number seconds that a handler has once its request was given up, 1 by default
---@field retries? integer how often what may have begun is tried again when its worker died
---@field maxRequestsPerWorker? integer who has served so many is replaced
---@field restartLimit? artel.RestartLimit
---@field captureOutput? boolean keep the end of each worker's standard error for err.lastOutput
---@field arguments? any[] of the constructor, behind the profile's
---@field onWorkerExit? fun(index: integer, err: artel.Error) told of each death

--- More deaths at birth within so many seconds suspend a pool.
---@class artel.RestartLimit
---@field count? integer 5 by default
---@field within? number 10 by default

--- Of artel.map and artel.imap.
---@class artel.MapWithPoolOptions: artel.MapOptions, artel.PoolOptions
---@field context? any the function's second argument, sent once to each worker

--- What map answers.
---@class artel.MapResults
---@field [integer] any the response to each item
---@field n integer how many items there were

-- ---- implementations ----

--- What runs in a worker. It has one of run, onMessage and onRequest; a shared worker
--- does not look for run.
---@class artel.Implementation
---@field run? fun(self, channel: artel.Channel) everything is yours; return when the channel has ended
---@field setLoop? fun(self, loop: table) before initialize; what require "luv" returns
---@field initialize? fun(self) before onConnect
---@field onConnect? fun(self, channel: artel.Channel, peerName?: string) a master is there
---@field onMessage? fun(self, message: any, channel: artel.Channel, peerName?: string) a message came
---@field onRequest? fun(self, request: any, channel: artel.Channel, peerName?: string): any, any the response, or nil and a reason
---@field onDisconnect? fun(self, channel: artel.Channel, err: artel.Error) that master has gone
---@field onQuery? fun(self, privileged: boolean): string|artel.WorkerStatus|table|nil shared: how it is
---@field onStop? fun(self) shared: it listens no more; take off the loop what is yours
---@field terminate? fun(self) last of all

-- ---- shared workers and the kill switch ----

--- shared_factory.lua and kill_switch_methods.lua add these to the class.
---@class artel.WorkerFactory
---@field connectToSharedWorker fun(self, address: string, module?: string, autoStart?: boolean): artel.SharedWorker?, artel.Error? with a module one is started where nobody listens
---@field connectToSharedWorkerWithExpression fun(self, address: string, expression?: string, autoStart?: boolean): artel.SharedWorker?, artel.Error? with an expression one is started where nobody listens
---@field startSharedWorker fun(self, address: string, module: string): boolean?, artel.Error? true when it listens, false when one answers there already
---@field startSharedWorkerWithExpression fun(self, address: string, expression: string): boolean?, artel.Error? true when it listens, false when one answers there already
---@field getSharedWorkerProcessId fun(self, address: string): integer?, artel.Error? of the process that listens there, on this machine
---@field stopSharedWorker fun(self, address: string, timeout?: number): boolean?, artel.Error? true when its process has gone, false when nobody listens there
---@field querySharedWorker fun(self, address: string, timeout?: number): artel.WorkerStatus?, artel.Error? how it is; 5 s by default
---@field disableSharedWorker fun(self, addresses: string|string[]|(fun(...): string?), ...): true?, artel.Error? forbids them to start; those that run go on
---@field reEnableSharedWorker fun(self, addresses: string|string[]|(fun(...): string?), ...): true?, artel.Error? allows again what disableSharedWorker has forbidden
---@field disableSharedWorkersGlobally fun(self): true?, artel.Error? forbids every shared worker to start
---@field reEnableSharedWorkersGlobally fun(self): true?, artel.Error? takes that back; single addresses stay forbidden
---@field reEnableAllSharedWorkers fun(self): true?, artel.Error? forbids nothing any more
---@field getDisabledSharedWorkers fun(self): string[]?, artel.Error? those that are forbidden one by one
---@field isSharedWorkerDisabled fun(self, address: string): boolean, artel.Error? by itself or since all are; true, err when the switch cannot be read
---@field areSharedWorkersDisabledGlobally fun(self): boolean, artel.Error? true, err when the switch cannot be read

--- The same again: init.lua adds them with a default factory.
---@class artel
---@field connectToSharedWorker fun(address: string, module?: string, autoStart?: boolean): artel.SharedWorker?, artel.Error? with a module one is started where nobody listens
---@field connectToSharedWorkerWithExpression fun(address: string, expression?: string, autoStart?: boolean): artel.SharedWorker?, artel.Error? with an expression one is started where nobody listens
---@field startSharedWorker fun(address: string, module: string): boolean?, artel.Error? true when it listens, false when one answers there already
---@field startSharedWorkerWithExpression fun(address: string, expression: string): boolean?, artel.Error? true when it listens, false when one answers there already
---@field getSharedWorkerProcessId fun(address: string): integer?, artel.Error? of the process that listens there, on this machine
---@field stopSharedWorker fun(address: string, timeout?: number): boolean?, artel.Error? true when its process has gone, false when nobody listens there
---@field querySharedWorker fun(address: string, timeout?: number): artel.WorkerStatus?, artel.Error? how it is; 5 s by default
---@field disableSharedWorker fun(addresses: string|string[]|(fun(...): string?), ...): true?, artel.Error? forbids them to start; those that run go on
---@field reEnableSharedWorker fun(addresses: string|string[]|(fun(...): string?), ...): true?, artel.Error? allows again what disableSharedWorker has forbidden
---@field disableSharedWorkersGlobally fun(): true?, artel.Error? forbids every shared worker to start
---@field reEnableSharedWorkersGlobally fun(): true?, artel.Error? takes that back; single addresses stay forbidden
---@field reEnableAllSharedWorkers fun(): true?, artel.Error? forbids nothing any more
---@field getDisabledSharedWorkers fun(): string[]?, artel.Error? those that are forbidden one by one
---@field isSharedWorkerDisabled fun(address: string): boolean, artel.Error? by itself or since all are; true, err when the switch cannot be read
---@field areSharedWorkersDisabledGlobally fun(): boolean, artel.Error? true, err when the switch cannot be read
