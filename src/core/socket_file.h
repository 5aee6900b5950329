/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a unix socket: when it may be replaced, who may use it, when it goes. */
#ifndef ARTEL_CORE_SOCKET_FILE_H
#define ARTEL_CORE_SOCKET_FILE_H

#include "socket_address.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Makes the folders that path lies in, as far as they are missing, with mode 0700, and
 * gives these to owner and group ((uid_t)-1, (gid_t)-1: ours). -EPERM where one would be
 * given away in a folder that is not the owner's, though another user than root and us
 * has a say in where the path leads. 0 or another negated errno. */
int artel_socket_file_make_folders(const char *path, uid_t owner, gid_t group);

/*
 * Removes the file of a socket that nobody serves: lstat says socket, connect says
 * ECONNREFUSED. 0, also when there is none; -EADDRINUSE when it is served, -ENOTSOCK when
 * it is no socket, or another negated errno.
 */
int artel_socket_file_clear(const struct artel_socket_address *address);

/*
 * Gives a file just bound to owner and group ((uid_t)-1, (gid_t)-1: stay) and sets its
 * mode; answers its device and inode. 0 or a negated errno.
 */
int artel_socket_file_guard(const char *path, uid_t owner, gid_t group, mode_t mode,
                            dev_t *device, ino_t *inode);

/* Removes the file if it is still that one. */
void artel_socket_file_remove(const char *path, dev_t device, ino_t inode);

#endif
