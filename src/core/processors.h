/* SPDX-License-Identifier: Apache-2.0 */
/* How many processors this process may really use: affinity, and the quotas of its
 * groups. */
#ifndef ARTEL_CORE_PROCESSORS_H
#define ARTEL_CORE_PROCESSORS_H

#include <stdbool.h>
#include <stddef.h>

#define ARTEL_PROCESSORS_HOW_LEN 512

struct artel_processors {
    unsigned count;   /* at least 1: the quota rounded up, within allowed */
    unsigned allowed; /* by affinity; those online where that is unknown */
    double quota;     /* processors' worth of time; 0: no quota */
    char how[ARTEL_PROCESSORS_HOW_LEN]; /* which of them decided, and where it stands */
};

/* Never fails: what cannot be read does not limit. */
void artel_processors_find(struct artel_processors *processors);

/* How many the affinity of this process allows, at least 1; two system calls at most. */
unsigned artel_processors_allowed(void);

/*
 * The tightest CPU quota of the control group of this process and of those above it, in
 * processors, with its file in where (where_len bytes). Both kinds of groups count. False
 * when there is none. root: put before every path that is read, "" but for tests.
 */
bool artel_processors_quota(const char *root, double *quota, char *where,
                            size_t where_len);

#endif
