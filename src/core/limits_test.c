/* SPDX-License-Identifier: Apache-2.0 */
/* Resource limits, set for real in forked copies. */
#include "limits.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void apply(struct artel_resource_limits limits)
{
    const char *which = NULL;
    CHECK_INT(0, artel_resource_limits_apply(&limits, &which));
    CHECK_STR(NULL, which);
}

static void set_all(void)
{
    apply((struct artel_resource_limits){
        .memory_bytes = 1e12, .cpu_seconds = 90.5, .open_files = 64});
    struct rlimit limit;
    CHECK_INT(0, getrlimit(RLIMIT_AS, &limit));
    CHECK_INT(1000000000000, limit.rlim_cur);
    CHECK_INT(1000000000000, limit.rlim_max);
    CHECK_INT(0, getrlimit(RLIMIT_CPU, &limit));
    CHECK_INT(91, limit.rlim_cur);
    CHECK_INT(92, limit.rlim_max);
    CHECK_INT(0, getrlimit(RLIMIT_NOFILE, &limit));
    CHECK_INT(64, limit.rlim_cur);
    CHECK_INT(64, limit.rlim_max);
}

static void run_out_of_descriptors(void)
{
    apply((struct artel_resource_limits){.open_files = 10});
    int fd;
    while ((fd = open("/dev/null", O_RDONLY)) >= 0) {
        CHECK(fd < 10);
    }
    CHECK_INT(EMFILE, errno);
}

static void run_out_of_time(void)
{
    apply((struct artel_resource_limits){.cpu_seconds = 0.1});
    for (volatile unsigned spin = 0;; spin++) {
    }
}

static void change_nothing(void)
{
    struct rlimit before;
    struct rlimit after;
    CHECK_INT(0, getrlimit(RLIMIT_AS, &before));
    apply((struct artel_resource_limits){0});
    CHECK_INT(0, getrlimit(RLIMIT_AS, &after));
    CHECK_INT(before.rlim_cur, after.rlim_cur);
}

static void refuse_nonsense(void)
{
    const char *which = NULL;
    struct artel_resource_limits limits = {.memory_bytes = -1};
    CHECK_INT(-EINVAL, artel_resource_limits_apply(&limits, &which));
    CHECK_STR("memory", which);
    limits = (struct artel_resource_limits){.cpu_seconds = nan("")};
    CHECK_INT(-EINVAL, artel_resource_limits_apply(&limits, &which));
    CHECK_STR("cpu", which);
    limits = (struct artel_resource_limits){.open_files = INFINITY};
    CHECK_INT(-EPERM, artel_resource_limits_apply(&limits, &which));
    CHECK_STR("openFiles", which);
}

static void soft_and_hard_limits_are_set(void)
{
    CHECK_INT(0, test_in_a_fork(set_all));
}

static void open_files_are_limited(void)
{
    CHECK_INT(0, test_in_a_fork(run_out_of_descriptors));
}

static void the_end_of_cpu_time_has_its_own_signal(void)
{
    int status = test_in_a_fork(run_out_of_time);
    CHECK(WIFSIGNALED(status));
    CHECK_INT(SIGXCPU, WTERMSIG(status));
}

static void zero_leaves_alone(void)
{
    CHECK_INT(0, test_in_a_fork(change_nothing));
}

static void the_culprit_is_named(void)
{
    CHECK_INT(0, test_in_a_fork(refuse_nonsense));
}

int main(void)
{
    RUN(soft_and_hard_limits_are_set);
    RUN(open_files_are_limited);
    RUN(the_end_of_cpu_time_has_its_own_signal);
    RUN(zero_leaves_alone);
    RUN(the_culprit_is_named);
    return 0;
}
