/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lock files: who holds one may do what the lock stands for, and nobody can be tricked
 * into locking something else.
 */
#ifndef ARTEL_CORE_LOCK_H
#define ARTEL_CORE_LOCK_H

#include "address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum artel_lock_mode { ARTEL_LOCK_SHARED, ARTEL_LOCK_EXCLUSIVE };

struct artel_lock {
    int fd;     /* -1: nothing is held */
    char *path; /* owned; NULL when nothing is held */
    enum artel_lock_mode mode;
    bool held;   /* false while paused */
    pid_t owner; /* a forked copy of the holder holds nothing */
};

/* Whom a lock file that has to be made shall belong to, as the file that it guards does.
 */
struct artel_lock_owner {
    uid_t uid;
    gid_t gid;
    mode_t mode;
};

/* Nothing held; artel_lock_release() is harmless. */
void artel_lock_init(struct artel_lock *lock);

/*
 * Opens path, making it if need be, and locks it. It must be a regular file with one link
 * that belongs to this process's effective user; with owner (else NULL) also to that one
 * or to root.
 *
 * 0; -ETIMEDOUT when others still hold it at deadline_ms; -EINTR; -EPERM when the file is
 * not to be trusted; or another negated errno. On failure *lock is as after init, and
 * fault (fault_len bytes) holds a sentence that names the path.
 */
int artel_lock_take(struct artel_lock *lock, const char *path, enum artel_lock_mode mode,
                    const struct artel_lock_owner *owner, int64_t deadline_ms,
                    char *fault, size_t fault_len);

/*
 * Lets others have it, but keeps the file open, so that a process that has become another
 * user since can still take it again.
 */
void artel_lock_pause(struct artel_lock *lock);

/* Takes a paused lock again; answers as artel_lock_take(), but on failure it stays
 * paused. */
int artel_lock_resume(struct artel_lock *lock, int64_t deadline_ms, char *fault,
                      size_t fault_len);

/* Gives it up; may be repeated. */
void artel_lock_release(struct artel_lock *lock);

/* Removes the file and gives it up. For an exclusive lock that is held, else as release.
 */
void artel_lock_remove(struct artel_lock *lock);

/*
 * Where the lock of an address is: beside a unix socket; for TCP in a private folder of
 * the user that the worker will run as, which is made if need be. 0 with a heap block in
 * *path that the caller frees; or a negated errno with a sentence in fault.
 */
int artel_lock_path_of_address(char **path, const struct artel_address *address,
                               uid_t user, char *fault, size_t fault_len);

#endif
