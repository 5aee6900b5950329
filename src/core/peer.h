/* SPDX-License-Identifier: Apache-2.0 */
/* Who is at the other end of a connection, or behind an address. */
#ifndef ARTEL_CORE_PEER_H
#define ARTEL_CORE_PEER_H

#include "socket_address.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The process that connected or, seen from its client, the one that called listen. */
struct artel_peer_credentials {
    pid_t pid; /* 0: it cannot be seen from here (another namespace of processes) */
    uid_t uid;
    gid_t gid;
};

/* Of a connected unix socket. 0 or a negated errno. */
int artel_peer_credentials(int fd, struct artel_peer_credentials *credentials);

/*
 * The other end of a connection as users see it: "127.0.0.1:40112", "[::1]:40112", or
 * "pid:812 uid:1000" for a unix socket. 0 or a negated errno (the peer may have gone).
 */
int artel_peer_name(int fd, char name[ARTEL_SOCKET_ADDRESS_TEXT_LEN]);

/*
 * The process that listens at an address of this machine. A unix socket is asked by a
 * connection that artel's workers recognise and drop; TCP asks the kernel, and finds
 * other users' processes only as root. 0; -ECONNREFUSED or -ENOENT when nobody listens
 * there; -EACCES when somebody does whose process cannot be seen; -ETIMEDOUT; or another
 * negated errno.
 */
int artel_peer_listening_process(const struct artel_socket_address *address,
                                 int64_t deadline_ms, pid_t *pid);

/*
 * A descriptor that is readable once the process has ended, for one that is no child of
 * ours. 0 with *fd the caller's, -ESRCH when there is no such process, or another negated
 * errno.
 */
int artel_peer_watch(pid_t pid, int *fd);

/* Bytes that a connected TCP socket has not brought to its peer yet; 0 where the kernel
 * cannot tell. */
size_t artel_peer_unsent_len(int fd);

#endif
