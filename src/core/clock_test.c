/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines: rounding and the ends of the range. */
#include "clock.h"
#include "test.h"

#include <limits.h>
#include <poll.h>

static void time_never_goes_back(void)
{
    int64_t before = artel_clock_now_ms();
    for (int i = 0; i < 10000; i++) {
        int64_t now = artel_clock_now_ms();
        CHECK(now >= before);
        before = now;
    }
}

static void a_negative_timeout_waits_for_ever(void)
{
    CHECK(artel_clock_deadline_ms(-1) == ARTEL_NO_DEADLINE);
    CHECK(artel_clock_deadline_ms(INT64_MIN) == ARTEL_NO_DEADLINE);
    CHECK_INT(-1, artel_clock_poll_timeout(ARTEL_NO_DEADLINE));
}

static void far_deadlines_saturate(void)
{
    CHECK(artel_clock_deadline_ms(INT64_MAX) == ARTEL_NO_DEADLINE);
    CHECK(artel_clock_deadline_ms(INT64_MAX - 1) == ARTEL_NO_DEADLINE);
    CHECK_INT(INT_MAX, artel_clock_poll_timeout(ARTEL_NO_DEADLINE - 1));
}

static void a_deadline_that_has_passed_leaves_nothing(void)
{
    CHECK_INT(0, artel_clock_poll_timeout(artel_clock_deadline_ms(0)));
    CHECK_INT(0, artel_clock_poll_timeout(0));
    CHECK_INT(0, artel_clock_poll_timeout(INT64_MIN));
}

static void a_wait_is_never_shorter_than_asked(void)
{
    for (int i = 0; i < 5; i++) {
        int64_t began = artel_clock_now_ms();
        int64_t deadline = artel_clock_deadline_ms(3);
        int left;
        while ((left = artel_clock_poll_timeout(deadline)) > 0) {
            CHECK(left <= 4);
            poll(NULL, 0, left);
        }
        CHECK(artel_clock_now_ms() - began >= 3);
    }
}

int main(void)
{
    RUN(time_never_goes_back);
    RUN(a_negative_timeout_waits_for_ever);
    RUN(far_deadlines_saturate);
    RUN(a_deadline_that_has_passed_leaves_nothing);
    RUN(a_wait_is_never_shorter_than_asked);
    return 0;
}
