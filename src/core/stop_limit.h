/* SPDX-License-Identifier: Apache-2.0 */
/* How a process that was asked to stop ends though its code never comes back. */
#ifndef ARTEL_CORE_STOP_LIMIT_H
#define ARTEL_CORE_STOP_LIMIT_H

#include <stdint.h>

/*
 * The signal of its timer. A real-time one, so that no program's own use of the classic
 * ones is taken away; a shared worker must not use it for itself.
 */
#define ARTEL_STOP_LIMIT_SIGNAL (SIGRTMIN + 6)

/* With what such a process exits. */
#define ARTEL_STOP_LIMIT_EXIT_CODE 1

/*
 * What the process has on top of the time of artel_stop_limit_prepare(), so that what
 * ends in order when that time is over comes first, also on a busy machine. Three
 * quarters of it at least are time in which the process can run, also if it stands still
 * (SIGSTOP) when the time is over.
 */
#define ARTEL_STOP_LIMIT_GRACE_MS 2000

/*
 * Makes the timer, once in a process. From now on SIGTERM and SIGINT start it unless it
 * runs, each if somebody handles it by now, whose handler is called then: a signal comes
 * through where nothing else does.
 *
 * time_ms    from the start to the end, without the grace.
 * complaint  written to standard error at the end; copied, up to 500 bytes of it.
 *
 * 0 or a negated errno; -ENOSYS where there are no such timers. Then all is as before,
 * and the functions below do nothing.
 */
int artel_stop_limit_prepare(int64_t time_ms, const char *complaint);

/* Starts the timer, anew if it runs. */
void artel_stop_limit_start(void);

/* Stops the timer. */
void artel_stop_limit_clear(void);

#endif
