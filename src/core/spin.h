/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking again and again for a while before going to sleep: going to sleep and being
 * woken costs more than most answers take. How long is worth it is learned from how
 * recent waits ended, and is nothing where it has not paid.
 */
#ifndef ARTEL_CORE_SPIN_H
#define ARTEL_CORE_SPIN_H

#include <stdbool.h>
#include <stdint.h>

/* Nobody looks longer than this, nanoseconds. */
#define ARTEL_SPIN_NS_MAX 50000

struct artel_spin {
    int64_t budget_ns;     /* how long the next wait looks; 0: it does not */
    unsigned hits;         /* waits that a look has ended, since budget_ns was last 0 */
    unsigned misses;       /* those that it has not, likewise */
    unsigned short_sleeps; /* sleeps that a look would have spared, likewise */
    unsigned patience;     /* so many of these, and looking is tried again */
};

/* Nothing is known yet: looking is tried. */
void artel_spin_init(struct artel_spin *spin);

/* Looks until ready(of) or until the budget is spent. True when ready. */
bool artel_spin_until(struct artel_spin *spin, bool (*ready)(void *of), void *of);

/* Tells of a wait that has slept for so long, whether it has looked before or not. */
void artel_spin_slept(struct artel_spin *spin, int64_t slept_ns);

#endif
