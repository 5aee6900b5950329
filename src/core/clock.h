/* SPDX-License-Identifier: Apache-2.0 */
/* The one clock of the core: monotonic milliseconds. Deadlines are points on it. */
#ifndef ARTEL_CORE_CLOCK_H
#define ARTEL_CORE_CLOCK_H

#include <stdint.h>

/* "No deadline": waits for ever. */
#define ARTEL_NO_DEADLINE INT64_MAX

/* Milliseconds since some fixed moment; never goes back. */
int64_t artel_clock_now_ms(void);

/* The same clock in nanoseconds. */
int64_t artel_clock_now_ns(void);

/* The moment timeout_ms from now; a negative timeout_ms means for ever. Saturates. */
int64_t artel_clock_deadline_ms(int64_t timeout_ms);

/* What poll(2) wants: milliseconds left until deadline_ms, at least 0, at most INT_MAX;
 * -1 for ARTEL_NO_DEADLINE. */
int artel_clock_poll_timeout(int64_t deadline_ms);

#endif
