/* SPDX-License-Identifier: Apache-2.0 */
/* Knows which kernel clock deadlines are measured on, and how milliseconds are rounded.
 */
#include "clock.h"

#include <limits.h>
#include <time.h>

#define NANOSECONDS_PER_MS 1000000

int64_t artel_clock_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / NANOSECONDS_PER_MS;
}

int64_t artel_clock_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t artel_clock_deadline_ms(int64_t timeout_ms)
{
    if (timeout_ms < 0) {
        return ARTEL_NO_DEADLINE;
    }
    int64_t now = artel_clock_now_ms();
    if (timeout_ms > 0) {
        now++; /* the millisecond has begun already: never wait for less than was asked */
    }
    return timeout_ms >= ARTEL_NO_DEADLINE - now ? ARTEL_NO_DEADLINE : now + timeout_ms;
}

int artel_clock_poll_timeout(int64_t deadline_ms)
{
    if (deadline_ms == ARTEL_NO_DEADLINE) {
        return -1;
    }
    int64_t now = artel_clock_now_ms();
    if (deadline_ms <= now) {
        return 0;
    }
    int64_t left = deadline_ms - now;
    return left > INT_MAX ? INT_MAX : (int)left;
}
