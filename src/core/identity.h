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

/*
 * Looks a user up by name. 0, -ENOENT when there is none (also for a name longer than any
 * user's), or another negated errno.
 */
int artel_identity_find(struct artel_identity *identity, const char *name);

/* Looks a group up by name: 0, -ENOENT, or another negated errno. */
int artel_identity_find_group(gid_t *gid, const char *name);

/* Whether this process may become the user: root, CAP_SETUID with CAP_SETGID, or it is
 * that user already. */
bool artel_identity_may_take(const struct artel_identity *identity);

/*
 * Becomes the user for good: supplementary groups, real, effective and saved ids, all
 * capability sets cleared, no_new_privs; then checks each of them and that root cannot be
 * regained. Who is that user already and may not change groups keeps the groups it has.
 * 0, or a negated errno with a sentence in fault (fault_len bytes) that says which step
 * failed; the process must then not go on.
 */
int artel_identity_take(const struct artel_identity *identity, char *fault,
                        size_t fault_len);

#endif
