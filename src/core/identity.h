/* SPDX-License-Identifier: Apache-2.0 */
/* Who a process is: looking users up, and becoming one for good. */
#ifndef ARTEL_CORE_IDENTITY_H
#define ARTEL_CORE_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct artel_identity {
    uid_t uid;
    gid_t gid; /* the user's primary group */
    char name[64];
};

/* Looks a user up by name. 0, -ENOENT when there is none, or another negated errno. */
int artel_identity_find(struct artel_identity *identity, const char *name);

/* Whether this process may become the user: root, CAP_SETUID with CAP_SETGID, or it is
 * that user already. */
bool artel_identity_may_take(const struct artel_identity *identity);

/*
 * Becomes the user for good: supplementary groups, real, effective and saved ids, all
 * capability sets cleared, no_new_privs; then checks each of them and that root cannot be
 * regained. 0, or a negated errno with a sentence in fault (fault_len bytes) that says
 * which step failed; the process must then not go on.
 */
int artel_identity_take(const struct artel_identity *identity, char *fault,
                        size_t fault_len);

struct artel_resource_limits {
    double memory_bytes; /* RLIMIT_AS; 0: leave alone */
    double cpu_seconds;  /* RLIMIT_CPU */
    double open_files;   /* RLIMIT_NOFILE */
};

/* Sets soft and hard limits. 0 or a negated errno, *which the name of the culprit. */
int artel_resource_limits_apply(const struct artel_resource_limits *limits,
                                const char **which);

/*
 * Ends this process when parent is no longer its parent: now, or later by a signal whose
 * handler looks again. Call after artel_identity_take(), which clears the kernel's
 * setting. 0 or a negated errno. Linux only; elsewhere the end of the channel must do.
 */
int artel_parent_death_watch(pid_t parent);

/*
 * Makes path (appended, created with mode 0640, no symbolic link followed) standard
 * output and error. 0 or a negated errno with both as they were.
 */
int artel_output_redirect(const char *path);

#endif
