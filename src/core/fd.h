/* SPDX-License-Identifier: Apache-2.0 */
/* File descriptors: made close-on-exec from birth, closed once. An empty one is -1. */
#ifndef ARTEL_CORE_FD_H
#define ARTEL_CORE_FD_H

#include <stdbool.h>
#include <stddef.h>

/* Two connected stream sockets, close-on-exec, blocking. 0 or a negated errno; on
 * failure ends is untouched. The caller owns both. */
int artel_fd_pair(int ends[2]);

/* Hands the descriptor over: answers *fd and leaves -1 in its place. */
int artel_fd_take(int *fd);

/* Closes *fd unless it is -1 and leaves -1. Never fails for the caller, keeps errno. */
void artel_fd_close(int *fd);

/* 0 or a negated errno. */
int artel_fd_set_cloexec(int fd, bool on);
int artel_fd_set_nonblocking(int fd, bool on);

/*
 * Moves a descriptor away from 0, 1 and 2, where it would be printed into: a program that
 * closed its standard streams gets those numbers for whatever it opens next. The new one
 * is close-on-exec. 0, or a negated errno with *fd as it was.
 */
int artel_fd_leave_standard(int *fd);

/*
 * Takes the numbers 0, 1 and 2 where they are free, so that what others open is not
 * printed into; libuv aborts over one of its own there. They go on failing with EBADF.
 * Where /dev/null cannot be opened they stay free.
 */
void artel_fd_fill_standard(void);

/* Whether this process could open so many descriptors more: 0, or a negated errno. */
int artel_fd_look_for_room(size_t count);

#endif
