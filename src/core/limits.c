/* SPDX-License-Identifier: Apache-2.0 */
/* Knows which of the kernel's resource limits stands for which of ours. */
#include "limits.h"

#include <errno.h>
#include <stddef.h>
#include <sys/resource.h>

/* The largest number of a limit that a double holds exactly; more means "no limit". */
#define FINITE_MAX 9007199254740992.0

/* extra  how far the hard limit lies above the soft one, if it may. */
static int apply(int resource, double value, rlim_t extra)
{
    if (value == 0) {
        return 0;
    }
    if (!(value > 0)) { /* also not a number */
        return -EINVAL;
    }
    struct rlimit before;
    if (getrlimit((__rlimit_resource_t)resource, &before) < 0) {
        return -errno;
    }
    rlim_t soft = value > FINITE_MAX ? RLIM_INFINITY : (rlim_t)value;
    if ((double)soft < value && soft != RLIM_INFINITY) {
        soft++; /* a part of a unit counts as one */
    }
    rlim_t hard = soft == RLIM_INFINITY ? soft : soft + extra;
    if (hard > before.rlim_max && soft <= before.rlim_max) {
        hard = before.rlim_max;
    }
    struct rlimit after = {soft, hard};
    return setrlimit((__rlimit_resource_t)resource, &after) == 0 ? 0 : -errno;
}

int artel_resource_limits_apply(const struct artel_resource_limits *limits,
                                const char **which)
{
    const struct {
        const char *name;
        int resource;
        double value;
        rlim_t extra;
    } rows[] = {
        {"memory", RLIMIT_AS, limits->memory_bytes, 0},
        /* Without the second between them the kernel sends SIGKILL at once, and nobody
         * could tell it from the memory killer's. */
        {"cpu", RLIMIT_CPU, limits->cpu_seconds, 1},
        {"openFiles", RLIMIT_NOFILE, limits->open_files, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int status = apply(rows[i].resource, rows[i].value, rows[i].extra);
        if (status < 0) {
            *which = rows[i].name;
            return status;
        }
    }
    return 0;
}

void artel_resource_limits_raise_open_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}
