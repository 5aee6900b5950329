/* SPDX-License-Identifier: Apache-2.0 */
/* Knows how to tell a socket file that is left over from one in use or one of another's.
 */
#include "socket_file.h"

#include "clock.h"
#include "connect.h"
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Gives away a folder that was just made, and nothing that has been put in its place. */
static int give_folder(const char *path, uid_t owner, gid_t group)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    struct stat facts;
    int status = 0;
    if (fstat(fd, &facts) < 0) {
        status = -errno;
    } else if (facts.st_uid != geteuid() || (facts.st_mode & 07777) != 0700) {
        status = -EPERM;
    } else if (fchown(fd, owner, group) < 0) {
        status = -errno;
    }
    artel_fd_close(&fd);
    return status;
}

int artel_socket_file_make_folders(const char *path, uid_t owner, gid_t group)
{
    char folder[ARTEL_ADDRESS_PATH_MAX_LEN + 1];
    size_t len = strlen(path);
    if (len >= sizeof folder) {
        return -ENAMETOOLONG;
    }
    memcpy(folder, path, len + 1);
    for (char *slash = folder + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        /* One that is there may answer anything (EEXIST, EROFS, EACCES): what matters is
         * whether the next one, and at last the socket, can be made in it. */
        if (mkdir(folder, 0700) == 0) {
            int status = owner == (uid_t)-1 ? 0 : give_folder(folder, owner, group);
            if (status < 0) {
                return status;
            }
        } else if (access(folder, F_OK) < 0) {
            return -errno;
        }
        *slash = '/';
    }
    return 0;
}

int artel_socket_file_clear(const struct artel_socket_address *address)
{
    const char *path =
        ((const struct sockaddr_un *)(const void *)&address->storage)->sun_path;
    struct stat before;
    if (lstat(path, &before) < 0) {
        return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
    }
    if (!S_ISSOCK(before.st_mode)) {
        return -ENOTSOCK;
    }
    int fd = -1;
    int status = artel_connect_probe(address, artel_clock_deadline_ms(0), &fd);
    artel_fd_close(&fd);
    if (status == 0 || status == -ETIMEDOUT) {
        return -EADDRINUSE; /* it answers, or is too busy to */
    }
    if (status == -ECONNREFUSED) {
        artel_socket_file_remove(path, before.st_dev, before.st_ino);
        return 0;
    }
    return status == -ENOENT ? 0 : status;
}

int artel_socket_file_guard(const char *path, uid_t owner, gid_t group, mode_t mode,
                            dev_t *device, ino_t *inode)
{
    /* By a descriptor: what else might be put at the path meanwhile is not touched. */
    int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int status = 0;
    struct stat facts;
    char name[40];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    if (fstat(fd, &facts) < 0) {
        status = -errno;
    } else if (!S_ISSOCK(facts.st_mode)) {
        status = -ENOTSOCK;
    } else if (facts.st_uid != geteuid() || facts.st_nlink != 1) {
        status = -EPERM; /* another's, or one with another name: not the one we bound */
    } else if ((owner != (uid_t)-1 || group != (gid_t)-1) &&
               fchownat(fd, "", owner, group, AT_EMPTY_PATH) < 0) {
        status = -errno;
    } else if ((facts.st_mode & 07777) != mode && chmod(name, mode) < 0) {
        /* What the umask took away is given only now, to the right owner and group. */
        status = -errno;
    }
    artel_fd_close(&fd);
    if (status == 0) {
        *device = facts.st_dev;
        *inode = facts.st_ino;
    }
    return status;
}

void artel_socket_file_remove(const char *path, dev_t device, ino_t inode)
{
    struct stat facts;
    if (lstat(path, &facts) == 0 && S_ISSOCK(facts.st_mode) && facts.st_dev == device &&
        facts.st_ino == inode) {
        (void)unlink(path);
    }
}
