/* SPDX-License-Identifier: Apache-2.0 */
/* Knows which checks make a file or folder trustworthy, and how one is replaced whole. */
#include "file.h"

#include "error.h"
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PERMISSION_BITS 07777
#define WRITABLE_BY_OTHERS (S_IWGRP | S_IWOTH)
#define OPEN_TO_OTHERS (S_IRWXG | S_IRWXO)

/* "cannot open /x: Permission denied"; answers status, so that it ends a return. */
static int describe(int status, char *fault, size_t fault_len, const char *what,
                    const char *path)
{
    snprintf(fault, fault_len, "cannot %s %s: %s", what, path, artel_error_text(status));
    return status;
}

static int refuse(char *fault, size_t fault_len, const char *path, const char *why)
{
    snprintf(fault, fault_len, "%s is not to be trusted: %s", path, why);
    return -EPERM;
}

static const char *type_name(mode_t mode)
{
    return S_ISREG(mode)    ? "file"
           : S_ISDIR(mode)  ? "folder"
           : S_ISLNK(mode)  ? "link"
           : S_ISSOCK(mode) ? "socket"
                            : "other";
}

int artel_file_stat(const char *path, struct artel_file_facts *facts)
{
    struct stat found;
    if (lstat(path, &found) < 0) {
        return -errno;
    }
    *facts = (struct artel_file_facts){
        .type = type_name(found.st_mode),
        .mode = found.st_mode & PERMISSION_BITS,
        .uid = found.st_uid,
        .gid = found.st_gid,
        .links = (uint64_t)found.st_nlink,
        .device = (uint64_t)found.st_dev,
        .inode = (uint64_t)found.st_ino,
        .size = (uint64_t)found.st_size,
    };
    return 0;
}

static char *join(const char *folder, const char *name)
{
    size_t folder_len = strlen(folder);
    const char *slash = folder_len > 0 && folder[folder_len - 1] == '/' ? "" : "/";
    size_t size = folder_len + strlen(name) + 2;
    char *joined = malloc(size);
    if (joined != NULL) {
        snprintf(joined, size, "%s%s%s", folder, slash, name);
    }
    return joined;
}

int artel_file_absolute_path(const char *path, char **absolute)
{
    if (path[0] == '/') {
        char *copy = strdup(path);
        if (copy == NULL) {
            return -ENOMEM;
        }
        *absolute = copy;
        return 0;
    }
    while (path[0] == '.' && path[1] == '/') {
        path += strspn(path + 1, "/") + 1;
    }
    char *folder = getcwd(NULL, 0); /* glibc, musl and the BSDs allocate */
    if (folder == NULL) {
        return -errno;
    }
    char *joined =
        strcmp(path, ".") == 0 || path[0] == '\0' ? strdup(folder) : join(folder, path);
    free(folder);
    if (joined == NULL) {
        return -ENOMEM;
    }
    *absolute = joined;
    return 0;
}

/* Reads to the end of the file, which may have grown since size was asked. */
static int read_whole(int fd, size_t size, size_t max_len, char **text, size_t *len)
{
    if (size > max_len) {
        return -EFBIG;
    }
    char *block = malloc(size + 1);
    size_t used = 0;
    while (block != NULL) {
        ssize_t count = read(fd, block + used, size - used + 1);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            int status = -errno;
            free(block);
            return status;
        }
        used += (size_t)count;
        if (count == 0) {
            block[used] = '\0';
            *text = block;
            *len = used;
            return 0;
        }
        if (used > max_len) {
            free(block);
            return -EFBIG;
        }
        if (used > size) {
            size = used * 2;
            char *larger = realloc(block, size + 1);
            if (larger == NULL) {
                free(block);
            }
            block = larger;
        }
    }
    return -ENOMEM;
}

/* trusted: only what nobody but us and root can have written. */
static int read_file(const char *path, bool trusted, size_t max_len, char **text,
                     size_t *len, char *fault, size_t fault_len)
{
    /* Non-blocking: a named pipe put in its place must not hang us before fstat tells. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return errno == ELOOP ? refuse(fault, fault_len, path, "it is a symbolic link")
                              : describe(-errno, fault, fault_len, "open", path);
    }
    struct stat found;
    int status;
    if (fstat(fd, &found) < 0) {
        status = describe(-errno, fault, fault_len, "look at", path);
    } else if (!S_ISREG(found.st_mode)) {
        status = refuse(fault, fault_len, path, "it is not a regular file");
    } else if (trusted && found.st_uid != geteuid() && found.st_uid != 0) {
        status = refuse(fault, fault_len, path, "it belongs to another user");
    } else if (trusted && (found.st_mode & WRITABLE_BY_OTHERS) != 0) {
        status = refuse(fault, fault_len, path, "others may write to it");
    } else {
        status = read_whole(fd, (size_t)found.st_size, max_len, text, len);
        if (status < 0) {
            describe(status, fault, fault_len, "read", path);
        }
    }
    artel_fd_close(&fd);
    return status;
}

int artel_file_read_trusted(const char *path, size_t max_len, char **text, size_t *len,
                            char *fault, size_t fault_len)
{
    return read_file(path, true, max_len, text, len, fault, fault_len);
}

int artel_file_read_regular(const char *path, size_t max_len, char **text, size_t *len,
                            char *fault, size_t fault_len)
{
    return read_file(path, false, max_len, text, len, fault, fault_len);
}

static int write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t count = write(fd, bytes, len);
        if (count < 0 && errno != EINTR) {
            return -errno;
        }
        if (count > 0) {
            bytes += count;
            len -= (size_t)count;
        }
    }
    return 0;
}

/* Opens the folder that holds the name; *fd stays -1 for one that we may write to but not
 * read. */
static int open_folder_of(const char *path, int *fd)
{
    char *folder = strdup(path);
    if (folder == NULL) {
        return -ENOMEM;
    }
    char *slash = strrchr(folder, '/');
    if (slash != NULL) {
        slash[slash == folder ? 1 : 0] = '\0';
    }
    *fd = open(slash != NULL ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status = *fd < 0 && errno != EACCES ? -errno : 0;
    free(folder);
    return status;
}

/* A rename lasts only once the folder that holds the name is on disk too. */
static int sync_folder(int fd)
{
    /* EINVAL: a file system that cannot, and needs no, syncing of folders. */
    return fd >= 0 && fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
}

/* Gives the new file the mode, or the owner and mode of the one it is to replace. */
static int dress(int fd, const char *path, mode_t mode, bool keep)
{
    struct stat former, now;
    if (keep && lstat(path, &former) == 0) {
        if (!S_ISREG(former.st_mode)) {
            return -EINVAL;
        }
        if (fstat(fd, &now) < 0) {
            return -errno;
        }
        bool same = former.st_uid == now.st_uid && former.st_gid == now.st_gid;
        if (!same && fchown(fd, former.st_uid, former.st_gid) < 0) {
            return -errno;
        }
        mode = former.st_mode & PERMISSION_BITS;
    }
    return fchmod(fd, mode) < 0 ? -errno : 0; /* after fchown, which may clear bits */
}

/* path.XXXXXX beside path, made by us alone with mode 0600. */
static int open_temporary(const char *path, char **name)
{
    size_t size = strlen(path) + sizeof ".XXXXXX";
    char *pattern = malloc(size);
    if (pattern == NULL) {
        return -ENOMEM;
    }
    snprintf(pattern, size, "%s.XXXXXX", path);
    int fd = mkostemp(pattern, O_CLOEXEC); /* O_EXCL, so no link is followed */
    if (fd < 0) {
        int status = -errno;
        free(pattern);
        return status;
    }
    *name = pattern;
    return fd;
}

int artel_file_write_atomically(const char *path, const void *bytes, size_t len,
                                mode_t mode, bool keep, char *fault, size_t fault_len)
{
    char *temporary = NULL;
    int fd = open_temporary(path, &temporary);
    if (temporary == NULL) {
        return describe(fd, fault, fault_len, "write", path);
    }
    const char *step = "write";
    int folder = -1; /* opened before: what was renamed must not be said to have failed */
    int status = open_folder_of(path, &folder);
    if (status == 0) {
        status = write_all(fd, bytes, len);
    }
    if (status == 0) {
        step = "keep owner and mode of";
        status = dress(fd, path, mode, keep);
    }
    if (status == 0) {
        step = "write";
        status = fsync(fd) < 0 ? -errno : 0;
    }
    artel_fd_close(&fd);
    if (status == 0) {
        status = rename(temporary, path) < 0 ? -errno : 0;
    }
    if (status < 0) {
        unlink(temporary);
    } else {
        status = sync_folder(folder);
    }
    artel_fd_close(&folder);
    free(temporary);
    return status < 0 ? describe(status, fault, fault_len, step, path) : 0;
}

/* Makes the folder the user's; one that cannot be is not left behind. */
static int give_folder(const char *path, uid_t user, char *fault, size_t fault_len)
{
    if (user == geteuid() || lchown(path, user, (gid_t)-1) == 0) {
        return 0;
    }
    int status = describe(-errno, fault, fault_len, "give away the folder", path);
    rmdir(path);
    return status;
}

int artel_file_make_private_folder(const char *path, uid_t user, char *fault,
                                   size_t fault_len)
{
    if (mkdir(path, S_IRWXU) == 0) {
        return give_folder(path, user, fault, fault_len);
    }
    if (errno != EEXIST) {
        return describe(-errno, fault, fault_len, "make the folder", path);
    }
    struct stat found;
    if (lstat(path, &found) < 0) {
        return describe(-errno, fault, fault_len, "look at", path);
    }
    if (!S_ISDIR(found.st_mode)) {
        return refuse(fault, fault_len, path, "it is not a folder");
    }
    if (found.st_uid != user) {
        return refuse(fault, fault_len, path, "it belongs to another user");
    }
    if ((found.st_mode & OPEN_TO_OTHERS) != 0) {
        return refuse(fault, fault_len, path, "it is open to others");
    }
    return 0;
}

int artel_file_make_temporary_folder(char **path, char *fault, size_t fault_len)
{
    const char *parent = secure_getenv("TMPDIR");
    char *pattern =
        join(parent != NULL && parent[0] == '/' ? parent : "/tmp", "artel-XXXXXX");
    if (pattern == NULL) {
        return describe(-ENOMEM, fault, fault_len, "make a folder in", "memory");
    }
    if (mkdtemp(pattern) == NULL) {
        int status = describe(-errno, fault, fault_len, "make the folder", pattern);
        free(pattern);
        return status;
    }
    *path = pattern;
    return 0;
}

bool artel_file_is_executable(const char *path)
{
    struct stat found;
    if (stat(path, &found) < 0 || !S_ISREG(found.st_mode)) {
        return false;
    }
    /* EPERM: a filter that does not know faccessat2. Whether it can be executed shows. */
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 || errno == EPERM;
}

int artel_file_remove(const char *path)
{
    return remove(path) < 0 ? -errno : 0;
}
