/* SPDX-License-Identifier: Apache-2.0 */
/* Knows how descriptors are made, marked and closed without surprises for other code. */
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Nobody looks for room for more. */
#define ROOM_MAX 16

int artel_fd_pair(int ends[2])
{
    int fresh[2] = {-1, -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fresh) < 0) {
        return -errno;
    }
    int status = artel_fd_leave_standard(&fresh[0]);
    if (status == 0) {
        status = artel_fd_leave_standard(&fresh[1]);
    }
    if (status < 0) {
        artel_fd_close(&fresh[0]);
        artel_fd_close(&fresh[1]);
        return status;
    }
    ends[0] = fresh[0];
    ends[1] = fresh[1];
    return 0;
}

int artel_fd_take(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

void artel_fd_close(int *fd)
{
    if (*fd >= 0) {
        int saved = errno;
        /* Linux has released the number even when it answers EINTR: closing again could
         * hit a descriptor that another thread has just opened. */
        (void)close(*fd);
        errno = saved;
    }
    *fd = -1;
}

static int set_flag(int fd, int get, int set, int flag, bool on)
{
    int flags = fcntl(fd, get);
    if (flags < 0) {
        return -errno;
    }
    int wanted = on ? flags | flag : flags & ~flag;
    return wanted == flags || fcntl(fd, set, wanted) == 0 ? 0 : -errno;
}

int artel_fd_set_cloexec(int fd, bool on)
{
    return set_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

int artel_fd_set_nonblocking(int fd, bool on)
{
    return set_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

int artel_fd_leave_standard(int *fd)
{
    if (*fd > STDERR_FILENO) {
        return 0;
    }
    int moved = fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (moved < 0) {
        return -errno;
    }
    artel_fd_close(fd);
    *fd = moved;
    return 0;
}

void artel_fd_fill_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) {
            continue;
        }
        int opened = open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        if (opened != fd) { /* it failed, or another thread was quicker */
            artel_fd_close(&opened);
            return;
        }
    }
}

int artel_fd_look_for_room(size_t count)
{
    int opened[ROOM_MAX];
    size_t used = 0;
    int status = 0;
    while (status == 0 && used < count && used + 2 <= ROOM_MAX) {
        status = pipe2(opened + used, O_CLOEXEC) < 0 ? -errno : 0;
        used += status == 0 ? 2 : 0;
    }
    while (used > 0) {
        artel_fd_close(&opened[--used]);
    }
    return status;
}
