/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the binding that serve shared workers share. */
#ifndef ARTEL_BINDING_SOCKETS_H
#define ARTEL_BINDING_SOCKETS_H

#include "../core/address.h"

#include <lua.h>

/* A descriptor that Lua owns; collecting it closes it. */
struct artel_descriptor {
    int fd; /* -1 once closed or handed over */
};

/* Pushes an empty one. */
struct artel_descriptor *artel_descriptor_new(lua_State *L);

/* The open descriptor at index; raises for anything else. */
struct artel_descriptor *artel_check_descriptor(lua_State *L, int index);

/* Takes the address at index apart; raises when it is none. */
void artel_check_address(lua_State *L, int index, struct artel_address *address);

/*
 * Adds a table "sockets" to the table on top of the stack. Failures are nil and an error
 * object; times are seconds. In its parts:
 *
 * descriptor.c
 *   number(descriptor) → integer; close(descriptor); release(descriptor) → integer, which
 *     the caller closes
 *   candidates(address, number?) → {candidate, ...}: what to try in turn; nil when a name
 *     server must be asked for the host first, each number of whose answer is then given
 *   nameOf(candidate) → text
 *   connect(address, timeout?) → descriptor. Blocks
 *   connectBegin(candidate) → descriptor, connected | false: the worker is too busy now
 *   connectWatch(descriptor) → descriptor that is readable once the other is decided
 *   connectFinish(descriptor) → true, then
 *   peerName(descriptor) → text
 *   listeningProcess(address, timeout) → pid: who listens there. Blocks
 *   isServed(address, timeout) → boolean: whether somebody listens there. Blocks
 *   watchProcess(pid) → descriptor that is readable once the process has ended
 *
 * socket_channel.c
 *   openClient(descriptor, options), openServer(descriptor, options) → channel, which
 *     owns the descriptor then
 *   peerCredentials(channel) → pid, uid: of a unix socket; else nil
 *   userId(name) → uid or nil
 *   isStarted(channel) → boolean: the greetings are done; trim(channel) → bytes;
 *   trimHeap();
 *   putBytes(channel, bytes); messagesSent(channel) → count; unsent(channel) → bytes;
 *   discardInput(channel)
 *   secretEquals(left, right) → boolean
 *
 * listener.c
 *   listen(address, options) → listener
 *   adopt(number, options) → listener: a socket that a service manager has bound
 *   configure(listener, options) → true: an adopted one, anew
 *   serves(listener, address) → boolean
 *   accept(listener) → descriptor | false: nobody waits
 *   listenerNumber(listener) → integer; closeListener(listener)
 *
 * lock.c
 *   lockAddress(address, timeout, user?) → lock; missing folders are made; these and the
 *     lock are user's if named
 *   lockFile(path, exclusive, timeout, uid, gid, mode) → lock, whose file stays; if it
 *     must be made, it gets that owner and mode. Kind "timeout" or "disabled"
 *   pauseLock(lock); resumeLock(lock, timeout) → true; removeLock(lock)
 *   cleanUpAtExit(lock): when the process exits, its listeners close and the lock goes
 *
 * service.c
 *   takeServiceManager() → how many sockets it has handed over, their first number
 *   notifyServiceManager(text)
 *   raiseDescriptorLimit(): as many descriptors as this process may have
 *
 * stop_limit.c; each does nothing where the first has failed
 *   prepareStopLimit(seconds, complaint) → true: SIGTERM and SIGINT, where somebody
 *     handles them, start the time, too, at whose end this process complains and ends
 *   startStopLimit(): anew; clearStopLimit()
 */
void artel_sockets_register(lua_State *L);

/* The parts; each adds its functions to the table on top. */
void artel_descriptor_register(lua_State *L);
void artel_socket_channel_register(lua_State *L);
void artel_listener_register(lua_State *L);
void artel_lock_register(lua_State *L);
void artel_service_register(lua_State *L);
void artel_stop_limit_register(lua_State *L);

/* Closes every listener of this process: their socket files go. */
void artel_listeners_close_all(void);

/* Adds startDaemon to the table on top of the stack; see daemon.c. */
void artel_daemon_register(lua_State *L);

#endif
