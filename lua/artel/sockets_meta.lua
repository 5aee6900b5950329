-- SPDX-License-Identifier: Apache-2.0
---@meta artel.core.sockets
-- luacheck: ignore 212 631
-- What artel.core.sockets exports: what shared workers and their masters stand on. See
-- core_meta.lua. Failures are nil and an error object; times are seconds.

---@class artel.core.Descriptor closed when it is collected
---@class artel.core.Candidate one of the places that an address stands for
---@class artel.core.Listener
---@class artel.core.AddressLock

---@class artel.core.sockets
local sockets = {}

-- ---- descriptors and connecting ----

---@param descriptor artel.core.Descriptor
---@return integer
function sockets.number(descriptor) end

---@param descriptor artel.core.Descriptor
function sockets.close(descriptor) end

--- The number is the caller's from then on.
---@param descriptor artel.core.Descriptor
---@return integer
function sockets.release(descriptor) end

--- What to try in turn; nil when a name server must be asked for the host first: then
--- `number` is each of its answers.
---@param address string
---@param number? string
---@return artel.core.Candidate[]?
function sockets.candidates(address, number) end

---@param candidate artel.core.Candidate
---@return string
function sockets.nameOf(candidate) end

--- Blocks.
---@param address string
---@param timeout? number
---@return artel.core.Descriptor?
---@return artel.Error? err
function sockets.connect(address, timeout) end

---@param candidate artel.core.Candidate
---@return artel.core.Descriptor|false|nil descriptor false: the worker is too busy now
---@return boolean|artel.Error connected
function sockets.connectBegin(candidate) end

---@param descriptor artel.core.Descriptor
---@return artel.core.Descriptor? watch readable once the connection is decided
---@return artel.Error? err
function sockets.connectWatch(descriptor) end

--- Once the descriptor is writable.
---@param descriptor artel.core.Descriptor
---@return true?
---@return artel.Error? err
function sockets.connectFinish(descriptor) end

---@param descriptor artel.core.Descriptor
---@return string
function sockets.peerName(descriptor) end

--- Who listens there. Blocks.
---@param address string
---@param timeout number
---@return integer? pid
---@return artel.Error? err
function sockets.listeningProcess(address, timeout) end

--- Whether somebody listens there. Blocks.
---@param address string
---@param timeout number
---@return boolean?
---@return artel.Error? err
function sockets.isServed(address, timeout) end

---@param pid integer
---@return artel.core.Descriptor? descriptor readable once the process has ended
---@return artel.Error? err
function sockets.watchProcess(pid) end

-- ---- channels over sockets ----

---@param descriptor artel.core.Descriptor is the channel's from then on
---@param options table as for core.pair()
---@return artel.Channel?
---@return artel.Error? err
function sockets.openClient(descriptor, options) end

---@param descriptor artel.core.Descriptor is the channel's from then on
---@param options table as for core.pair()
---@return artel.Channel?
---@return artel.Error? err
function sockets.openServer(descriptor, options) end

--- Of a unix socket; else nil.
---@return integer? pid
---@return integer? uid
function sockets.peerCredentials(channel) end

---@param name string
---@return integer? uid
function sockets.userId(name) end

---@return boolean the greetings, where there are any, are done
function sockets.isStarted(channel) end

--- What the peer still sends is not looked at any more.
function sockets.discardInput(channel) end

--- Gives the memory of empty buffers back to the heap.
---@return integer bytes
function sockets.trim(channel) end

--- Gives what is free in the heap back to the system.
function sockets.trimHeap() end

--- For what a peer that speaks another encoding is told.
---@param bytes string
function sockets.putBytes(channel, bytes) end

---@return integer
function sockets.messagesSent(channel) end

---@return integer bytes that the peer's side has not taken yet
function sockets.unsent(channel) end

--- Compares in constant time, whatever the lengths.
---@param left string
---@param right string
---@return boolean
function sockets.secretEquals(left, right) end

-- ---- listening ----

---@param address string
---@param options table of the socket context
---@return artel.core.Listener?
---@return artel.Error? err
function sockets.listen(address, options) end

--- A socket that a service manager has bound.
---@param number integer
---@param options table
---@return artel.core.Listener?
---@return artel.Error? err
function sockets.adopt(number, options) end

--- An adopted one, anew.
---@param listener artel.core.Listener
---@param options table
---@return true?
---@return artel.Error? err
function sockets.configure(listener, options) end

---@param listener artel.core.Listener
---@param address string
---@return boolean
function sockets.serves(listener, address) end

---@param listener artel.core.Listener
---@return artel.core.Descriptor|false|nil descriptor false: nobody waits
---@return artel.Error? err
function sockets.accept(listener) end

---@param listener artel.core.Listener
---@return integer
function sockets.listenerNumber(listener) end

---@param listener artel.core.Listener
function sockets.closeListener(listener) end

-- ---- locks and the service manager ----

---@param address string
---@param timeout number
---@param user? string whose the missing folders are to be
---@return artel.core.AddressLock?
---@return artel.Error? err
function sockets.lockAddress(address, timeout, user) end

--- Its file stays, and gets that owner and mode if it has to be made.
---@param path string
---@param exclusive boolean
---@param timeout number
---@param uid integer
---@param gid integer
---@param mode integer
---@return artel.core.AddressLock?
---@return artel.Error? err kind "timeout" or "disabled"
function sockets.lockFile(path, exclusive, timeout, uid, gid, mode) end

---@param lock artel.core.AddressLock
function sockets.pauseLock(lock) end

---@param lock artel.core.AddressLock
---@param timeout number
---@return true?
---@return artel.Error? err
function sockets.resumeLock(lock, timeout) end

---@param lock artel.core.AddressLock
function sockets.removeLock(lock) end

--- When the process exits, its listeners close and the lock goes.
---@param lock artel.core.AddressLock
function sockets.cleanUpAtExit(lock) end

---@return integer count of the sockets it has handed over
---@return integer first their first number
function sockets.takeServiceManager() end

---@param text string
function sockets.notifyServiceManager(text) end

--- As many descriptors as this process may have.
function sockets.raiseDescriptorLimit() end

--- Makes the timer that ends this process with code 1, two seconds after the time, when it was
--- started and neither started anew nor cleared since. Once in a process, after SIGTERM and
--- SIGINT have got handlers: these signals start it, too, unless it runs. Where this fails, the
--- other two do nothing.
---@param seconds number
---@param complaint string with its line end, for standard error
---@return true?
---@return artel.Error? err
function sockets.prepareStopLimit(seconds, complaint) end

function sockets.startStopLimit() end

function sockets.clearStopLimit() end

return sockets
