/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that must not be half written, planted by somebody else, or read by others.
 *
 * Where a function takes fault (fault_len bytes), a failure leaves a sentence there that
 * names the path: some refusals ("is writable by others") have no errno of their own and
 * come as -EPERM.
 */
#ifndef ARTEL_CORE_FILE_H
#define ARTEL_CORE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Room for a sentence with a path in it; longer paths are cut. */
#define ARTEL_FILE_FAULT_LEN 512

struct artel_file_facts {
    const char *type; /* "file", "folder", "link", "socket" or "other"; static */
    mode_t mode;      /* permission bits only */
    uid_t uid;
    gid_t gid;
    uint64_t links;
    uint64_t device;
    uint64_t inode;
    uint64_t size; /* bytes */
};

/* What stands at path itself: a symbolic link is not followed. 0 or a negated errno. */
int artel_file_stat(const char *path, struct artel_file_facts *facts);

/*
 * The path from the root, by putting the current folder before a relative one; leading
 * "./" go, nothing else is tidied, since ".." behind a symbolic link means another place.
 * The path need not exist. 0 with a heap block in *absolute that the caller frees, or a
 * negated errno.
 */
int artel_file_absolute_path(const char *path, char **absolute);

/*
 * Reads a file that will be believed: opened once and not through a symbolic link,
 * regular, owned by the effective user or root, not writable by others, at most max_len
 * bytes. 0 with a heap block in *text that the caller frees (a zero byte follows it, not
 * counted in *len), or a negated errno.
 */
int artel_file_read_trusted(const char *path, size_t max_len, char **text, size_t *len,
                            char *fault, size_t fault_len);

/* The same of a file that others may own and write to: what makes it believable is for
 * the caller to know. */
int artel_file_read_regular(const char *path, size_t max_len, char **text, size_t *len,
                            char *fault, size_t fault_len);

/*
 * Replaces what path holds in one step: readers see the old content or the new one, also
 * after a crash. keep: a file that is there passes its owner and mode on, or the call
 * fails; otherwise, and for a new file, mode counts. 0 or a negated errno; the temporary
 * file beside it is gone in either case.
 */
int artel_file_write_atomically(const char *path, const void *bytes, size_t len,
                                mode_t mode, bool keep, char *fault, size_t fault_len);

/*
 * Makes a folder of mode 0700 that belongs to the user, or accepts one that is there if
 * it is a real folder, that user's, and closed to others. Only root can make one for
 * another user than geteuid(). The parent must exist. 0 or a negated errno.
 */
int artel_file_make_private_folder(const char *path, uid_t user, char *fault,
                                   size_t fault_len);

/* Makes a new folder of mode 0700 in the system's temporary folder. 0 with a heap block
 * in *path that the caller frees, or a negated errno. */
int artel_file_make_temporary_folder(char **path, char *fault, size_t fault_len);

/* Whether path leads to a regular file that this process may execute. */
bool artel_file_is_executable(const char *path);

/* Removes a file or an empty folder. 0 or a negated errno. */
int artel_file_remove(const char *path);

#endif
