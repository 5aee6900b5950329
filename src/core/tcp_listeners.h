/* SPDX-License-Identifier: Apache-2.0 */
/* Which TCP socket of this machine listens at an address, and whose it is. */
#ifndef ARTEL_CORE_TCP_LISTENERS_H
#define ARTEL_CORE_TCP_LISTENERS_H

#include "socket_address.h"

#include <stdint.h>
#include <sys/types.h>

struct artel_tcp_listener {
    uint64_t inode; /* of the socket, as in /proc/PID/fd */
    uid_t uid;      /* who made it */
};

/*
 * Finds the listening socket that a connection to address would reach. 0, -ECONNREFUSED
 * when there is none, or another negated errno. Sends the address nothing.
 */
int artel_tcp_listener_find(const struct artel_socket_address *address,
                            struct artel_tcp_listener *listener);

/*
 * Finds a process that has the socket open: the first one but process 1, which also holds
 * the sockets it hands to services. 0, or -EACCES when none can be seen.
 */
int artel_tcp_listener_process(const struct artel_tcp_listener *listener, pid_t *pid);

#endif
