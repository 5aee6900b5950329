/* SPDX-License-Identifier: Apache-2.0 */
/* Knows the children whose handles are gone, and which of them are still to be reaped. */
#include "process.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

struct artel_orphan {
    struct artel_process process;
    struct artel_orphan *next;
};

/*
 * A list that is only ever pushed to or taken whole, so threads need no lock, and a fork
 * at any moment leaves nothing locked in the copy.
 */
static struct artel_orphan *_Atomic orphans;

static void push(struct artel_orphan *orphan)
{
    orphan->next = atomic_load(&orphans);
    while (!atomic_compare_exchange_weak(&orphans, &orphan->next, orphan)) {
    }
}

static struct artel_orphan *take_all(void)
{
    return atomic_exchange(&orphans, NULL);
}

/* Puts back who is still running; in a forked copy nobody is. Answers whether it was. */
static bool settle(struct artel_orphan *orphan)
{
    if (artel_process_poll(&orphan->process) == ARTEL_PROCESS_RUNNING) {
        push(orphan);
        return true;
    }
    artel_process_fini(&orphan->process);
    free(orphan);
    return false;
}

int artel_reaper_reserve(struct artel_process *process)
{
    process->orphan = malloc(sizeof *process->orphan);
    return process->orphan == NULL ? -ENOMEM : 0;
}

void artel_reaper_add(struct artel_process *process)
{
    if (artel_process_poll(process) != ARTEL_PROCESS_RUNNING) {
        artel_process_fini(process);
        return;
    }
    struct artel_orphan *orphan = process->orphan;
    process->orphan = NULL;
    orphan->process = *process;
    process->pidfd = -1; /* the descriptor and the duty to reap have moved */
    process->state = ARTEL_PROCESS_UNKNOWN;
    push(orphan);
}

void artel_reaper_run(void)
{
    if (atomic_load(&orphans) == NULL) {
        return;
    }
    for (struct artel_orphan *orphan = take_all(), *next; orphan != NULL; orphan = next) {
        next = orphan->next;
        settle(orphan);
    }
}

int artel_reaper_wait(int64_t deadline_ms)
{
    int left = 0;
    /* One after the other: all have ended when the slowest has. */
    for (struct artel_orphan *orphan = take_all(), *next; orphan != NULL; orphan = next) {
        next = orphan->next;
        while (artel_process_wait(&orphan->process, deadline_ms) == -EINTR) {
        }
        left += settle(orphan) ? 1 : 0;
    }
    return left;
}

void artel_reaper_kill(int signal_number)
{
    for (struct artel_orphan *orphan = take_all(), *next; orphan != NULL; orphan = next) {
        next = orphan->next;
        (void)artel_process_kill(&orphan->process, signal_number);
        settle(orphan);
    }
}
