/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to where shared workers listen: close-on-exec, blocking, without delay. */
#ifndef ARTEL_CORE_CONNECT_H
#define ARTEL_CORE_CONNECT_H

#include "socket_address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Begins to connect and never waits. 0: connected, as artel_connect() leaves it;
 * -EINPROGRESS: *fd becomes writable when it is decided (see artel_connect_watch()), then
 * ask artel_connect_finish();
 * -EAGAIN: a unix listener's backlog is full, try later; or another negated errno.
 * The caller owns *fd in the first two cases.
 */
int artel_connect_begin(const struct artel_socket_address *address, int *fd);

/*
 * Makes a descriptor that becomes readable once a connection that was begun is decided. A
 * failed one is in an error state, which some event loops (libuv's) take for a descriptor
 * that is not theirs to watch. 0 with *watch the caller's, or a negated errno.
 */
int artel_connect_watch(int fd, int *watch);

/* After the connection is decided. 0: connected; or a negated errno, *fd closed. */
int artel_connect_finish(int *fd);

/*
 * Connects to an address, trying each thing its host may stand for, until deadline_ms.
 * 0 with *fd the caller's; -ETIMEDOUT; -EINTR; or the negated errno of the first try,
 * with a sentence in fault (fault_len bytes).
 */
int artel_connect(const struct artel_address *address, int64_t deadline_ms, int *fd,
                  char *fault, size_t fault_len);

/*
 * Connects to a unix socket only to see who is there: artel_listener_accept() at the
 * other end drops such a connection unseen. 0, -ETIMEDOUT when the worker is too busy,
 * -ECONNREFUSED when nobody listens, or another negated errno.
 */
int artel_connect_probe(const struct artel_socket_address *address, int64_t deadline_ms,
                        int *fd);

/* Whether a connection that came in from this address is such a probe. */
bool artel_connect_is_probe(const struct artel_socket_address *address);

#endif
