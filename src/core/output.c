/* SPDX-License-Identifier: Apache-2.0 */
/* Knows how a file becomes standard output and error. */
#include "output.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int replace(int fd, int target)
{
    int status;
    do {
        status = dup2(fd, target);
    } while (status < 0 && (errno == EINTR || errno == EBUSY));
    return status < 0 ? -errno : 0;
}

int artel_output_redirect(const char *path)
{
    int fd;
    do {
        /* O_NONBLOCK: a named pipe without a reader must not hold the worker up. */
        fd = open(path,
                  O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK |
                      O_CLOEXEC,
                  0640);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        return -errno;
    }
    /* What is written here shall not come out in another file that somebody has linked to
     * this name. */
    struct stat facts;
    int status = fstat(fd, &facts) < 0                          ? -errno
                 : S_ISREG(facts.st_mode) && facts.st_nlink > 1 ? -EMLINK
                                                                : 0;
    if (status == 0) {
        status = artel_fd_set_nonblocking(fd, false);
    }
    if (status == 0) {
        status = artel_fd_leave_standard(&fd); /* dup2 onto itself keeps close-on-exec */
    }
    if (status == 0) {
        fflush(stdout); /* what was printed before belongs where it was printed to */
        /* The higher number first: only it can be beyond a limit on descriptors. */
        status = replace(fd, STDERR_FILENO);
    }
    if (status == 0) {
        status = replace(fd, STDOUT_FILENO);
    }
    artel_fd_close(&fd);
    return status;
}
