-- SPDX-License-Identifier: Apache-2.0
---@meta artel.core
-- luacheck: ignore 212 631
-- What the C module artel.core exports, for the language server; never loaded. It is for the
-- Lua modules of artel, not for users. A spec compares these names with the real module's.
-- Failures are nil and an error object; in `files` nil, a sentence and the name of the errno.

---@class artel.core
---@field null lightuserdata artel.null
---@field sockets artel.core.sockets
---@field claimSlots integer requests that may be in flight at one worker of a pool
---@field claimIdMax integer requests with a greater id have no claim word
---@field coroutines table<thread, table|false> artel's own coroutines, and whose each is; weak
local core = {}

-- ---- errors ----

--- Makes the table an error object and answers it.
---@param fields { kind: string, message: string, errno?: string }
---@return artel.Error
function core.newError(fields) end

---@return boolean
function core.isError(value) end

--- The text of a message and of the stack; for code that may not use debug.
---@param message any
---@param level? integer
---@return string
function core.traceback(message, level) end

--- What require answers, called on the main thread from whatever coroutine. Raises when there
--- are no descriptors for luv's loop.
---@param name string
---@return any
function core.requireOnMainThread(name) end

-- ---- values ----

--- Marks a table, or a new one, as a map.
---@param t? table
---@return table
function core.object(t) end

--- Marks a table, or a new one, as a list.
---@param t? table
---@return table
function core.array(t) end

---@param encoding "msgpack"|"json"
---@return string? bytes
---@return string? message
function core.encode(encoding, value) end

---@param encoding "msgpack"|"json"
---@param bytes string
---@return any value
---@return string? message
function core.decode(encoding, bytes) end

-- ---- channels: classes and life ----

--- A channel class: made at the first call.
---@param name string
---@return table methods
---@return table metatable
function core.class(name) end

--- The Lua functions that finish what methods of a channel begin in C, by their names there.
---@param functions table<string, function>
function core.setSlowPaths(functions) end

---@param options table encoding, codec, maxMessageSize, maxMessageItems, maxQueuedBytes
---@return artel.Channel?
---@return artel.Channel|artel.Error
function core.pair(options) end

--- Starts the host and sends it the plan.
---@param options table path, argv, plan, captureErrors, transport, ringSize, claims, and as for pair()
---@return artel.Worker?
---@return artel.Error?
function core.startWorker(options) end

--- Starts the host as a daemon.
---@param options table path, argv, plan
---@return artel.Channel? channel on which it reports, once it is detached
---@return artel.Error?
function core.startDaemon(options) end

--- The host's channel, once it knows the profile.
---@param options table as for pair()
function core.configure(channel, options) end

-- ---- handlers: the frames that stand one behind another ----

--- Takes the next frame if it is a message or a request and nothing was set aside before it.
---@param channel artel.core.Channel
---@param wait? boolean sends what is queued and waits for a frame, whatever else is to be done
---@return integer? kind nil when there is no such frame
---@return integer? id
---@return true|nil ok
---@return any value or an error
function core.takeWork(channel, wait) end

--- Gives a message and those behind it to onMessage, until none is here or somebody else may
--- want the next frame. Raises what the handler raises.
---@param channel artel.core.Channel
---@param implementation table
---@param peerName string?
---@param goesOn boolean|fun(): boolean false: not beyond this frame; true: with those that are
---here; a function: and waits for further ones while it answers true
---@param message any
---@return integer? kind of a frame that was taken and is none for onMessage; then as takeWork
---@return integer? id
---@return true|nil ok
---@return any value or an error
function core.handleMessages(channel, implementation, peerName, goesOn, message) end

--- The same for requests. Meanwhile running[id] is true and owner[1] is the id.
---@param channel artel.core.Channel
---@param implementation table
---@param peerName string?
---@param goesOn boolean|fun(): boolean
---@param owner table
---@param running table<integer, any>
---@param id integer
---@param request any
---@return integer|false|nil kind false: not all of the answers has left; response: an answer that
---is still to be queued
---@return integer? id
---@return any ok, or the response
---@return any value or an error, or the reason
function core.handleRequests(channel, implementation, peerName, goesOn, owner, running, id, request)
end

--- How many were given to handlers; the channel may be closed.
---@param channel artel.core.Channel
---@return integer messages
---@return integer requests
function core.handledCounts(channel) end

-- ---- channels: one step each, none waits ----

--- The oldest frame that is here: kind and id; nil when none is; false and "closed",
--- "protocol" (with what was wrong) or "oversize" at the end.
---@return integer|false|nil kind
---@return integer|string|nil id
---@return string? detail
function core.peek(channel) end

--- Takes the frame that peek showed.
---@return true|nil ok
---@return any value or an error object
function core.take(channel) end

--- Whether it is open and nothing is to be done before more comes: all that came was taken,
--- nothing is queued, and the end of the input has not come.
---@param channel artel.core.Channel
---@return boolean
function core.isAtRest(channel) end

---@param block? boolean
---@return "more"|"none"|"end"|"signal"
function core.fill(channel, block) end

--- Queues a frame; without a value a bare one.
---@param kind integer
---@param id integer
---@param value? any
---@return true|nil queued
---@return artel.Error? err
function core.queue(channel, kind, id, value) end

---@return boolean|nil flushed false: some is left
---@return artel.Error? err
function core.flush(channel) end

---@return integer bytes queued to be sent
function core.pending(channel) end

---@return integer bytes taken in and not yet delivered
function core.unread(channel) end

---@return boolean nothing more will be read
function core.inputEnded(channel) end

--- For a loop, before it sleeps on the descriptor; holds until the next arm. True when there
--- is something to do already.
---@param read boolean
---@param write boolean
---@return boolean busy
---@return integer? events of poll(2)
function core.arm(channel, read, write) end

--- Nothing more will be sent.
function core.shutdownWrite(channel) end

--- Drops what is queued; nothing more can be sent.
---@param channel artel.Channel
function core.endOutput(channel) end

--- What is queued and cannot leave at once is lost. Keeps the process.
function core.closeNow(channel) end

---@return boolean
function core.isOpen(channel) end

--- Raises, where error() with that level would, unless it is a channel.
---@param level integer
function core.checkSelf(channel, level) end

--- The same unless it is a channel that may be used.
---@param level integer
function core.checkOpen(channel, level) end

--- Why a value is no channel that may be used.
---@param value any
---@return string?
function core.channelFault(value) end

--- From now on it is closed for users, while it is being flushed.
function core.setClosing(channel) end

---@return integer descriptor also while it is being closed
function core.stream(channel) end

--- receiveMessage must not wait in C, where nobody looks after listeners and the other end of
--- a pair.
---@param waits boolean
function core.setWaitsInLua(channel, waits) end

---@return table? state what Lua keeps with the channel
function core.state(channel) end

---@param state table
function core.setState(channel, state) end

--- Messages wait in the state table: receiveMessage looks there first.
---@param queued boolean
function core.setQueuedInLua(channel, queued) end

---@return boolean
function core.isWorkerEnd(channel) end

---@param workerEnd boolean
function core.setWorkerEnd(channel, workerEnd) end

--- Nothing goes on with a shared worker's channel but that frames come, which go straight to
--- its handlers. Holds until Lua looks at what comes in.
---@param direct boolean
function core.setDirect(channel, direct) end

--- Whether handlers must wait for the peer to read what they have answered: at a worker's end,
--- while more than a megabyte has not left, or half of what may be queued.
---@return boolean
function core.isBackedUp(channel) end

---@return string
function core.transportName(channel) end

-- ---- the requests of a pool, and their claim words ----

--- Queues a request whose body is encoded already, and its claim.
---@param id integer
---@param bytes string
---@return true?
---@return artel.Error? err
function core.queueBody(channel, id, bytes) end

--- Takes the responses that have come next, as long as those who wait for them are jobs of a
--- pool, and calls their onAnswer.
---@param state artel.ChannelState
function core.takeAnswers(channel, state) end

--- True: the request surely never begins.
---@param id integer
---@return boolean
function core.claimRecall(channel, id) end

--- Its handler's artel.isCancelled() turns true.
---@param id integer
function core.claimCancel(channel, id) end

--- How far it has come, and since when it runs (seconds of core.now()).
---@param id integer
---@return "none"|"queued"|"begun"|"cancelled"|"done"|"recalled"
---@return number? since
function core.claimState(channel, id) end

--- 0 when it is not known.
---@param id integer
---@return number seconds
function core.claimRunTime(channel, id) end

--- False, in a pool's worker alone: the master has taken the request back.
---@param id integer
---@return boolean
function core.claimBegin(channel, id) end

--- In the worker, before the answer is queued.
---@param id integer
function core.claimFinish(channel, id) end

-- ---- functions and terminals ----

--- The names of a function's upvalues; nil for one written in C.
---@param fn function
---@return string[]?
function core.upvalueNames(fn) end

---@param descriptor integer
---@return boolean
function core.isTerminal(descriptor) end

-- ---- the process behind a worker ----

--- Readable when the worker has written to its captured standard error; nil without capture.
---@return integer? descriptor
function core.errorStream(worker) end

--- The end of what it has written there.
---@return string?
function core.capturedErrors(worker) end

---@return integer
function core.processId(worker) end

---@return "running"|"exited"|"signaled"|"unknown" state
---@return integer|string|nil detail exit code, or name of the signal
---@return integer? peakMemory bytes
function core.processState(worker) end

---@return integer? descriptor readable once the process has ended
function core.processStream(worker) end

--- Blocks.
---@param timeout? number
---@return boolean ended
function core.waitProcess(worker, timeout) end

--- Gives back what watching an ended process has taken.
function core.releaseProcess(worker) end

--- The process has ended, so an empty read is the end of the channel.
function core.noteExit(worker) end

---@param signal string|integer
---@param wholeGroup? boolean
---@return true|nil sent
---@return artel.Error? err
function core.kill(worker, signal, wholeGroup) end

---@param signal string|integer a name with or without SIG, or a number
---@return integer? number nil when there is no such signal
function core.signalNumber(signal) end

--- lua_close waits this long for workers that were dropped.
---@param seconds number
function core.allowStopTimeout(seconds) end

--- Collects dropped workers that have ended.
function core.reap() end

-- ---- waiting ----

---@return "block"|"suspend"|"forbidden"|"unyieldable"
function core.waitMode() end

---@return number seconds of a monotonic clock
function core.now() end

---@param read boolean
---@param write boolean
---@param timeout? number
---@return boolean ready false at the time-out
function core.waitChannel(channel, read, write, timeout) end

---@param channels artel.Channel[]
---@param timeout? number
---@return boolean ready false at the time-out
function core.waitMany(channels, timeout) end

---@param descriptors integer[]
---@param events integer[] of poll(2)
---@param timeout? number
---@return integer[] ready positions in the list
function core.pollStreams(descriptors, events, timeout) end

-- ---- addresses, files, system ----

---@param text string
---@return { isUnix: boolean, path?: string, host?: string, port?: integer, isLocal: boolean, isNetworkExposed: boolean }?
---@return string? fault a phrase that fits behind the address
function core.parseAddress(text) end

---@class artel.core.files
---@field codePath string? the file that holds this code
---@field codeIsProgram boolean whether that is a program
---@field installPrefix string where this build would be installed
core.files = {}

---@param path string
---@return string? absolute
function core.files.absolutePath(path) end

---@return string?
function core.files.currentDirectory() end

---@param path string
---@return { type: string, mode: integer, uid: integer, gid: integer, links: integer, device: integer, inode: integer, size: integer }?
function core.files.stat(path) end

---@param path string
---@return boolean
function core.files.isExecutable(path) end

--- The text of a file that nobody but its owner, who is we or root, can have written.
---@param path string
---@param maxLength? integer
---@return string? text
function core.files.readTrusted(path, maxLength) end

--- The same of a regular file that others may own and write to.
---@param path string
---@param maxLength? integer
---@return string? text
function core.files.readRegular(path, maxLength) end

---@param path string
---@param text string
---@param mode? integer
---@param keep? boolean owner and mode of the file that is replaced
---@return true?
function core.files.writeAtomically(path, text, mode, keep) end

---@param path string
---@return true?
function core.files.makePrivateDirectory(path) end

---@return string?
function core.files.temporaryDirectory() end

---@param path string
---@return true?
function core.files.remove(path) end

---@return integer
function core.files.effectiveUser() end

---@param name string
---@return boolean
function core.files.userExists(name) end

---@return string? path ARTEL_HOST, if it may be believed
function core.files.hostOverride() end

--- Many descriptors behind one, for luv's loop.
---@class artel.core.watchSet
core.watchSet = {}

---@return userdata set raises when there is no descriptor left
function core.watchSet.open() end

---@return integer descriptor readable while one in the set is ready
function core.watchSet.number(set) end

---@param descriptor integer
---@param id integer what take() tells
---@param read boolean
---@param write boolean
---@param isNew boolean it is not in the set yet
function core.watchSet.put(set, descriptor, id, read, write, isNew) end

--- To be called before the descriptor is closed.
---@param descriptor integer
function core.watchSet.remove(set, descriptor) end

--- Finds out which are ready, and forgets those that next() has not told.
function core.watchSet.take(set) end

---@return integer? id of another one that is ready
function core.watchSet.next(set) end

--- Serves those that are channels on which nothing goes on but that frames come; the others are
--- left to next(). Raises what a handler raises.
---@param owners table<integer, any> the channels, by id
---@param implementation table
---@param owner table whose coroutine this is
---@return artel.core.Channel? channel with which more is to be done; nil: it went through all
---@return integer|false|nil kind as handleMessages and handleRequests; nil: the channel is used
---again after a rest, or a handler that has waited is at its end
---@return integer? id
---@return any ok
---@return any value
function core.watchSet.serve(set, owners, implementation, owner) end

--- Tells once whose handler has not come back to serve(): it waits, or has raised.
---@param owners table<integer, any>
---@return artel.core.Channel?
function core.watchSet.serving(set, owners) end

---@return boolean there are some that serve() has not come to
function core.watchSet.hasReady(set) end

---@class artel.core.system
core.system = {}

---@return integer
function core.system.processId() end

---@return number seconds since the module was first loaded in this process
function core.system.wallTime() end

---@return number seconds
function core.system.processorTime() end

---@return integer bytes
function core.system.residentMemory() end

---@return integer? bytes
function core.system.memoryLimit() end

---@return integer count
---@return string how what decided
function core.system.processorCount() end

return core
