/* SPDX-License-Identifier: Apache-2.0 */
/* How much a process may use. */
#ifndef ARTEL_CORE_LIMITS_H
#define ARTEL_CORE_LIMITS_H

struct artel_resource_limits {
    double memory_bytes; /* RLIMIT_AS; 0: leave alone */
    double cpu_seconds;  /* RLIMIT_CPU, rounded up; its end is SIGXCPU, a second later
                            SIGKILL */
    double open_files;   /* RLIMIT_NOFILE */
};

/*
 * Sets soft and hard limits. 0; or a negated errno, *which the name of the culprit
 * ("memory", "cpu", "openFiles", static): -EINVAL for a value that is not above zero,
 * -EPERM for one above what this process may have.
 */
int artel_resource_limits_apply(const struct artel_resource_limits *limits,
                                const char **which);

/* Lets this process have as many descriptors as its hard limit allows: the soft one is
 * low for the sake of programs that use select(2). */
void artel_resource_limits_raise_open_files(void);

#endif
