/* SPDX-License-Identifier: Apache-2.0 */
/* Names and texts of errors. */
#include "error.h"
#include "test.h"

#include <errno.h>
#include <limits.h>

static void names_are_those_of_errno_h(void)
{
    CHECK_STR("ECONNREFUSED", artel_errno_name(ECONNREFUSED));
    CHECK_STR("EPIPE", artel_errno_name(EPIPE));
    CHECK_STR("ENOENT", artel_errno_name(ENOENT));
}

static void numbers_that_are_no_errno_have_no_name(void)
{
    CHECK_STR(NULL, artel_errno_name(0));
    CHECK_STR(NULL, artel_errno_name(-EPIPE));
    CHECK_STR(NULL, artel_errno_name(100000));
    CHECK_STR(NULL, artel_errno_name(INT_MIN));
}

static void every_code_has_a_text(void)
{
    for (int code = ARTEL_E_OVERLOADED; code <= ARTEL_E_EOF; code++) {
        CHECK(strcmp(artel_error_text(code), "unknown error") != 0);
    }
    CHECK_STR("Broken pipe", artel_error_text(-EPIPE));
    CHECK_STR("unknown error", artel_error_text(INT_MIN));
    CHECK(artel_error_text(0) != NULL);
}

int main(void)
{
    RUN(names_are_those_of_errno_h);
    RUN(numbers_that_are_no_errno_have_no_name);
    RUN(every_code_has_a_text);
    return 0;
}
