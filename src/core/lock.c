/* SPDX-License-Identifier: Apache-2.0 */
/* Knows how a lock file is opened, checked and waited for so that exclusion really holds.
 */
#include "lock.h"

#include "clock.h"
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Between two looks at a lock that others hold. flock(2) itself can only be bounded by a
 * signal, and signals are the application's. */
#define NAP_FIRST_MS 1
#define NAP_LONGEST_MS 20

void artel_lock_init(struct artel_lock *lock)
{
    *lock = (struct artel_lock){.fd = -1};
}

static int refused(int status, const char *path, const char *why, char *fault,
                   size_t fault_len)
{
    snprintf(fault, fault_len, "%s %s", path, why);
    return status;
}

static int failed(int error, const char *path, char *fault, size_t fault_len)
{
    snprintf(fault, fault_len, "cannot lock %s: %s", path, strerror(error));
    return -error;
}

/* ---- opening ---- */

/* Reading is enough for either kind of lock. O_NONBLOCK: a named pipe must not hold us.
 */
#define OPEN_FLAGS (O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

static int open_file(const char *path, int flags)
{
    int fd;
    do {
        fd = open(path, OPEN_FLAGS | flags, 0600);
    } while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

/* Opens path or makes it; the descriptor, -EAGAIN to be asked again, or a negated errno.
 */
static int open_or_create(const char *path, const struct artel_lock_owner *owner)
{
    int fd = open_file(path, 0);
    if (fd != -ENOENT) {
        return fd;
    }
    fd = open_file(path, O_CREAT | O_EXCL);
    if (fd == -EEXIST) { /* another was faster, or a symbolic link leads nowhere */
        fd = open_file(path, 0);
        return fd == -ENOENT ? -EAGAIN : fd; /* and has removed it again: once more */
    }
    if (fd >= 0 && owner != NULL) {
        /* Only root may give files away: for others it stays theirs, which is fine too.
         */
        if (fchown(fd, owner->uid, owner->gid) < 0) {
            (void)!fchown(fd, (uid_t)-1, owner->gid);
        }
        (void)fchmod(fd, owner->mode & 0777);
    }
    return fd;
}

static bool may_belong_to(uid_t uid, const struct artel_lock_owner *owner)
{
    return uid == geteuid() || (owner != NULL && (uid == owner->uid || uid == 0));
}

/* What is wrong with the file, or NULL. */
static const char *distrust(const struct stat *facts,
                            const struct artel_lock_owner *owner)
{
    if (!S_ISREG(facts->st_mode)) {
        return "is not a regular file";
    }
    if (!may_belong_to(facts->st_uid, owner)) {
        return "belongs to another user";
    }
    if (facts->st_nlink > 1) {
        return "has more than one link";
    }
    return NULL;
}

/* ---- waiting ---- */

/* 0, -ETIMEDOUT, -EINTR, or another negated errno. */
static int lock_until(int fd, enum artel_lock_mode mode, int64_t deadline_ms)
{
    int operation = mode == ARTEL_LOCK_SHARED ? LOCK_SH : LOCK_EX;
    if (deadline_ms == ARTEL_NO_DEADLINE) {
        return flock(fd, operation) == 0 ? 0 : -errno;
    }
    for (long nap_ms = NAP_FIRST_MS;; nap_ms *= 2) {
        if (flock(fd, operation | LOCK_NB) == 0) {
            return 0;
        }
        if (errno != EWOULDBLOCK) {
            return -errno;
        }
        int left_ms = artel_clock_poll_timeout(deadline_ms);
        if (left_ms == 0) {
            return -ETIMEDOUT;
        }
        nap_ms = nap_ms < NAP_LONGEST_MS ? nap_ms : NAP_LONGEST_MS;
        struct timespec nap = {0, (nap_ms < left_ms ? nap_ms : left_ms) * 1000000};
        if (nanosleep(&nap, NULL) < 0) {
            return -errno;
        }
    }
}

/*
 * One try: 1 when fd is locked and is still what path names; 0 when the file was removed
 * or replaced while we waited, so its lock excludes nobody.
 */
static int lock_and_compare(int fd, const char *path, enum artel_lock_mode mode,
                            int64_t deadline_ms, char *fault, size_t fault_len)
{
    int status = lock_until(fd, mode, deadline_ms);
    if (status == -ETIMEDOUT) {
        return refused(status, path, "is held by another process", fault, fault_len);
    }
    struct stat opened;
    struct stat named;
    if (status < 0 || fstat(fd, &opened) < 0) {
        return failed(status < 0 ? -status : errno, path, fault, fault_len);
    }
    return lstat(path, &named) == 0 && opened.st_dev == named.st_dev &&
           opened.st_ino == named.st_ino;
}

int artel_lock_take(struct artel_lock *lock, const char *path, enum artel_lock_mode mode,
                    const struct artel_lock_owner *owner, int64_t deadline_ms,
                    char *fault, size_t fault_len)
{
    artel_lock_init(lock);
    char *copy = strdup(path);
    if (copy == NULL) {
        return failed(ENOMEM, path, fault, fault_len);
    }
    int fd = -1;
    int status = 0;
    while (status == 0) {
        artel_fd_close(&fd);
        status = fd = open_or_create(path, owner);
        if (status == -EAGAIN) {
            status = 0;
            continue;
        }
        if (status == -ELOOP) {
            status = refused(-EPERM, path, "is a symbolic link", fault, fault_len);
            break;
        }
        struct stat facts;
        if (status < 0 || fstat(fd, &facts) < 0) {
            status = failed(status < 0 ? -status : errno, path, fault, fault_len);
            break;
        }
        const char *wrong = distrust(&facts, owner);
        status = wrong != NULL
                     ? refused(-EPERM, path, wrong, fault, fault_len)
                     : lock_and_compare(fd, path, mode, deadline_ms, fault, fault_len);
    }
    if (status < 0) {
        artel_fd_close(&fd);
        free(copy);
        return status;
    }
    lock->fd = fd;
    lock->path = copy;
    lock->mode = mode;
    lock->held = true;
    lock->owner = getpid();
    return 0;
}

/* ---- giving up ---- */

static bool is_held(const struct artel_lock *lock)
{
    return lock->held && lock->owner == getpid();
}

void artel_lock_pause(struct artel_lock *lock)
{
    if (is_held(lock)) {
        (void)flock(lock->fd, LOCK_UN);
        lock->held = false;
    }
}

int artel_lock_resume(struct artel_lock *lock, int64_t deadline_ms, char *fault,
                      size_t fault_len)
{
    int status = lock_until(lock->fd, lock->mode, deadline_ms);
    if (status == -ETIMEDOUT) {
        return refused(status, lock->path, "is held by another process", fault,
                       fault_len);
    }
    if (status < 0) {
        return failed(-status, lock->path, fault, fault_len);
    }
    lock->held = true;
    struct stat facts;
    if (fstat(lock->fd, &facts) == 0 && facts.st_nlink > 0) {
        return 0; /* asked of the file itself: its folder may be closed to us by now */
    }
    struct artel_lock fresh;
    status = artel_lock_take(&fresh, lock->path, lock->mode, NULL, deadline_ms, fault,
                             fault_len);
    if (status < 0) {
        artel_lock_pause(lock);
        return status;
    }
    artel_lock_release(lock);
    *lock = fresh;
    return 0;
}

void artel_lock_release(struct artel_lock *lock)
{
    artel_lock_pause(lock); /* explicitly: a forked copy may keep the file open */
    artel_fd_close(&lock->fd);
    free(lock->path);
    artel_lock_init(lock);
}

void artel_lock_remove(struct artel_lock *lock)
{
    struct stat opened;
    struct stat named;
    /* While it is held, so who waits for it sees that it waited for the wrong file. */
    if (is_held(lock) && lock->mode == ARTEL_LOCK_EXCLUSIVE &&
        fstat(lock->fd, &opened) == 0 && lstat(lock->path, &named) == 0 &&
        opened.st_dev == named.st_dev && opened.st_ino == named.st_ino) {
        (void)unlink(lock->path);
    }
    artel_lock_release(lock);
}
