/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets of shared workers: bound, guarded, accepted from, and taken away. */
#ifndef ARTEL_CORE_LISTEN_H
#define ARTEL_CORE_LISTEN_H

#include "socket_address.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct artel_listen_options {
    int backlog; /* connections that wait to be accepted; the kernel has a limit too */
    mode_t mode; /* unix: who may connect (needs to write) */
    uid_t owner; /* unix: of the socket file; (uid_t)-1: as it is made */
    gid_t group; /* unix: likewise */
    bool reuse_port; /* TCP: other processes may listen there too */
    bool ipv6_only;  /* TCP: [::] does not take IPv4 */
    bool keep_alive; /* TCP: peers that vanished are noticed */
    bool no_delay;   /* TCP: small messages leave at once */
};

/* Backlog of the system, mode 0600, keep_alive and no_delay on. */
void artel_listen_options_init(struct artel_listen_options *options);

struct artel_listener {
    int fd; /* non-blocking; readable when somebody waits; -1 when closed */
    struct artel_socket_address address;
    bool owns_file; /* unix, bound by us: the file goes when we close */
    dev_t device;   /* of that file */
    ino_t inode;
    pid_t owner; /* a forked copy removes nothing */
};

/* Closed; artel_listener_close() is harmless. */
void artel_listener_init(struct artel_listener *listener);

/*
 * Binds and listens. A socket file that nobody serves any more is replaced; missing
 * parent folders are made with mode 0700. Whoever may race with others for the address
 * holds its lock (artel_lock_path_of_address()). 0; -EADDRINUSE when somebody serves it,
 * -ENOTSOCK when another kind of file is there, or another negated errno; with a sentence
 * in fault (fault_len bytes) that names the address.
 */
int artel_listener_open(struct artel_listener *listener,
                        const struct artel_address *address,
                        const struct artel_listen_options *options, char *fault,
                        size_t fault_len);

/*
 * Takes over a listening socket that a service manager has bound, and calls listen(2) on
 * it once more, so that peers see this process as the one that listens. Its file is never
 * removed. 0; -EINVAL when it is no listening stream socket; or another negated errno
 * with fd still the caller's. Owns fd on success.
 */
int artel_listener_adopt(struct artel_listener *listener, int fd,
                         const struct artel_listen_options *options);

/* Whether the listener serves what the address names. */
bool artel_listener_serves(const struct artel_listener *listener,
                           const struct artel_address *address);

/*
 * Takes the next connection: close-on-exec, blocking. 0 with *fd the caller's; -EAGAIN
 * when nobody waits, or more have been passed over than in one go; -EMFILE, -ENFILE,
 * -ENOBUFS or -ENOMEM when there is no room: stop watching the listener for a while, for
 * it stays readable. Connections that ended before they were taken, and probes
 * (artel_connect_probe()), are passed over.
 */
int artel_listener_accept(struct artel_listener *listener, int *fd);

/* Listens no more, and removes the socket file if it is still the one that was bound. May
 * be repeated. */
void artel_listener_close(struct artel_listener *listener);

#endif
