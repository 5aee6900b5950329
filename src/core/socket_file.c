/* SPDX-License-Identifier: Apache-2.0 */
/* Knows how to tell a socket file that is left over from one in use or one of another's.
 */
#include "socket_file.h"

#include "clock.h"
#include "connect.h"
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- folders ---- */

#define LINKS_MAX 8

static bool is_beyond_others(const char *path, int links_left);

/* The same of one step on such a path; what it lies in has been looked at. */
static bool is_step_beyond_others(const char *path, int links_left)
{
    struct stat facts;
    if (lstat(path, &facts) < 0 || (facts.st_uid != 0 && facts.st_uid != geteuid())) {
        return false;
    }
    if (!S_ISLNK(facts.st_mode)) {
        return (facts.st_mode & (S_IWOTH | S_ISVTX)) != S_IWOTH;
    }
    char target[PATH_MAX];
    ssize_t len = readlink(path, target, sizeof target);
    if (len <= 0 || len == sizeof target) {
        return false;
    }
    int folder_len = target[0] == '/' ? 0 : (int)(strrchr(path, '/') - path) + 1;
    char whole[2 * PATH_MAX];
    snprintf(whole, sizeof whole, "%.*s%.*s", folder_len, path, (int)len, target);
    return is_beyond_others(whole, links_left - 1);
}

/* Whether nobody but root and us has a say in where the absolute path of a folder leads:
 * neither who owns a part of it, nor whoever may write to one. */
static bool is_beyond_others(const char *path, int links_left)
{
    if (links_left == 0 || strlen(path) >= PATH_MAX) {
        return false;
    }
    for (const char *end = path + 1;; end++) {
        if (*end != '/' && *end != '\0') {
            continue;
        }
        char step[PATH_MAX];
        snprintf(step, sizeof step, "%.*s", (int)(end - path), path);
        if (!is_step_beyond_others(step, links_left)) {
            return false;
        }
        if (*end == '\0') {
            return true;
        }
    }
}

/* Gives away a folder that was just made, and nothing that has been put in its place. */
static int give_folder(int parent, const char *name, uid_t owner, gid_t group)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
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

/*
 * Makes a folder for another user: in a folder of that user's, or where no other user can
 * have led us, by a symbolic link perhaps. Else it would be theirs to say where we make
 * one. The parent is held open: what its name leads to may change meanwhile.
 */
static int make_folder_for(char *path, uid_t owner, gid_t group)
{
    char *slash = strrchr(path, '/');
    *slash = '\0';
    const char *parent_path = slash == path ? "/" : path;
    int parent = open(parent_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct stat facts;
    int status = 0;
    if (parent < 0 || fstat(parent, &facts) < 0) {
        status = -errno;
    } else if (facts.st_uid != owner && !is_beyond_others(parent_path, LINKS_MAX)) {
        status = -EPERM;
    } else if (mkdirat(parent, slash + 1, 0700) < 0) {
        status = -errno;
    } else {
        status = give_folder(parent, slash + 1, owner, group);
    }
    artel_fd_close(&parent);
    *slash = '/';
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
        if (access(folder, F_OK) < 0) {
            int status = owner != (uid_t)-1        ? make_folder_for(folder, owner, group)
                         : mkdir(folder, 0700) < 0 ? -errno
                                                   : 0;
            if (status < 0 && (status != -EEXIST || access(folder, F_OK) < 0)) {
                return status;
            }
        }
        *slash = '/';
    }
    return 0;
}

/* ---- the file ---- */

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
