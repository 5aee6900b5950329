/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to a process when the one that started it dies. */
#ifndef ARTEL_CORE_PARENT_DEATH_H
#define ARTEL_CORE_PARENT_DEATH_H

#include <sys/types.h>

/*
 * The signal by which the kernel tells it, on Linux. A real-time one, so that no
 * program's own use of the classic ones is taken away; a worker must not use it for
 * itself.
 */
#define ARTEL_PARENT_DEATH_SIGNAL (SIGRTMIN + 7)

/* With what such a process exits; nobody is left to read it, but a tracer may. */
#define ARTEL_PARENT_DEATH_EXIT_CODE 1

/*
 * Ends this process when parent is no longer its parent: now, or later by a signal whose
 * handler looks again (the kernel also sends it when merely the thread that started this
 * process ends). Call after artel_identity_take(), which clears the kernel's setting.
 * 0 or a negated errno; -ENOSYS where there is no such signal: there the end of the
 * channel must do.
 */
int artel_parent_death_watch(pid_t parent);

#endif
