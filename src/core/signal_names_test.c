/* SPDX-License-Identifier: Apache-2.0 */
/* Names of signals, both ways. */
#include "process.h"
#include "test.h"

#include <signal.h>

static void names_and_numbers_agree(void)
{
    CHECK_STR("SIGKILL", artel_signal_name(SIGKILL));
    CHECK_INT(SIGKILL, artel_signal_number("SIGKILL"));
    CHECK_INT(SIGTERM, artel_signal_number("TERM"));
    for (int number = 1; number < 32; number++) {
        const char *name = artel_signal_name(number);
        CHECK(name != NULL);
        CHECK_INT(number, artel_signal_number(name));
        CHECK_INT(number, artel_signal_number(name + 3));
    }
    CHECK_INT(SIGIO, artel_signal_number("SIGIO"));
}

static void strangers_have_none(void)
{
    CHECK_STR(NULL, artel_signal_name(0));
    CHECK_STR(NULL, artel_signal_name(-1));
    CHECK_STR(NULL, artel_signal_name(1000));
    CHECK_INT(0, artel_signal_number(""));
    CHECK_INT(0, artel_signal_number("SIG"));
    CHECK_INT(0, artel_signal_number("sigterm"));
    CHECK_INT(0, artel_signal_number("SIGSIGTERM"));
}

int main(void)
{
    RUN(names_and_numbers_agree);
    RUN(strangers_have_none);
    return 0;
}
