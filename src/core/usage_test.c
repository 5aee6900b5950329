/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that the figures follow what the process does. */
#include "usage.h"

#include "test.h"

#include <sys/resource.h>

#define MIB ((size_t)1 << 20)

static void resident_memory_grows_with_pages_that_are_touched(void)
{
    uint64_t before = artel_usage_resident_memory();
    CHECK(before > 0);
    char *block = malloc(64 * MIB);
    CHECK(block != NULL);
    memset(block, 1, 64 * MIB);
    CHECK(((volatile char *)block)[MIB] == 1);
    CHECK(artel_usage_resident_memory() >= before + 60 * MIB);
    free(block);
}

static void processor_time_only_grows(void)
{
    double before = artel_usage_processor_time();
    CHECK(before > 0);
    while (artel_usage_processor_time() < before + 0.01) {
    }
}

static void the_limit_is_the_soft_one(void)
{
    struct rlimit former;
    CHECK_INT(0, getrlimit(RLIMIT_AS, &former));
    if (former.rlim_cur == RLIM_INFINITY) {
        CHECK_INT(0, artel_usage_memory_limit());
    }
    struct rlimit limit = {.rlim_cur = (rlim_t)1 << 46, .rlim_max = former.rlim_max};
    CHECK_INT(0, setrlimit(RLIMIT_AS, &limit));
    CHECK_INT(1LL << 46, artel_usage_memory_limit());
    CHECK_INT(0, setrlimit(RLIMIT_AS, &former));
}

int main(void)
{
    RUN(resident_memory_grows_with_pages_that_are_touched);
    RUN(processor_time_only_grows);
    RUN(the_limit_is_the_soft_one);
    return 0;
}
