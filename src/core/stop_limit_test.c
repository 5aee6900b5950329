/* SPDX-License-Identifier: Apache-2.0 */
/* A process that was asked to stop and does not ends, and no other one does. */
#include "stop_limit.h"

#include "clock.h"
#include "test.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>

#define TIME_MS 20

static const char COMPLAINT[] = "it does not stop\n";

static int errors[2]; /* what a process in test writes to standard error */
static volatile sig_atomic_t handled;

static void handle(int signal_number)
{
    handled += signal_number;
}

static void handle_with_facts(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    handled += info->si_signo == signal_number ? signal_number : 0;
}

static void prepare(void)
{
    CHECK(dup2(errors[1], STDERR_FILENO) >= 0);
    struct sigaction action = {.sa_handler = handle};
    struct sigaction with_facts = {.sa_sigaction = handle_with_facts,
                                   .sa_flags = SA_SIGINFO};
    CHECK_INT(0, sigaction(SIGTERM, &action, NULL));
    CHECK_INT(0, sigaction(SIGINT, &with_facts, NULL));
    sigset_t most; /* as inherited from who blocks everything else */
    sigfillset(&most);
    sigdelset(&most, SIGTERM);
    sigdelset(&most, SIGINT);
    sigdelset(&most, SIGALRM);
    sigprocmask(SIG_BLOCK, &most, NULL);
    int status = artel_stop_limit_prepare(TIME_MS, COMPLAINT);
    if (status == -ENOSYS) {
        _exit(TEST_SKIPPED);
    }
    CHECK_INT(0, status);
    CHECK_INT(-EALREADY, artel_stop_limit_prepare(TIME_MS, COMPLAINT));
}

static void be_busy(void)
{
    for (volatile unsigned spin = 0;; spin++) { /* no system call */
    }
}

/* Waits for longer than the timer takes, whatever interrupts that. */
static void outlive_the_timer(void)
{
    int64_t end = artel_clock_deadline_ms(TIME_MS + 2 * ARTEL_STOP_LIMIT_GRACE_MS);
    while (artel_clock_now_ms() < end) {
        poll(NULL, 0, artel_clock_poll_timeout(end));
    }
}

static void raise_and_be_busy(int signal_number)
{
    prepare();
    raise(signal_number);
    CHECK_INT(signal_number, handled);
    raise(signal_number); /* once more does not put the end off, nor bring it forward */
    CHECK_INT(2 * signal_number, handled);
    be_busy();
}

static void terminated(void)
{
    raise_and_be_busy(SIGTERM);
}

static void interrupted(void)
{
    raise_and_be_busy(SIGINT);
}

static void started(void)
{
    prepare();
    artel_stop_limit_start();
    be_busy();
}

static void started_anew(void)
{
    prepare();
    int64_t end = artel_clock_deadline_ms(TIME_MS + 2 * ARTEL_STOP_LIMIT_GRACE_MS);
    while (artel_clock_now_ms() < end) {
        artel_stop_limit_start();
        poll(NULL, 0, TIME_MS + ARTEL_STOP_LIMIT_GRACE_MS / 4);
    }
}

static void cleared(void)
{
    prepare();
    artel_stop_limit_start();
    artel_stop_limit_clear();
    outlive_the_timer();
}

static void never_prepared(void)
{
    artel_stop_limit_start();
    artel_stop_limit_clear();
}

static void started_with_a_handler_of_nobody(void)
{
    CHECK_INT(0, artel_stop_limit_prepare(TIME_MS, COMPLAINT));
    raise(SIGTERM); /* has its default action still */
    be_busy();
}

static int run(void (*body)(void), char *complaint, size_t complaint_len)
{
    CHECK_INT(0, pipe(errors));
    int status = test_in_a_fork(body);
    close(errors[1]);
    ssize_t len = read(errors[0], complaint, complaint_len - 1);
    CHECK(len >= 0);
    complaint[len] = '\0';
    close(errors[0]);
    return status;
}

static void check_ended(void (*body)(void))
{
    char complaint[100];
    int64_t start = artel_clock_now_ms();
    int status = run(body, complaint, sizeof complaint);
    CHECK(WIFEXITED(status));
    CHECK_INT(ARTEL_STOP_LIMIT_EXIT_CODE, WEXITSTATUS(status));
    CHECK_STR(COMPLAINT, complaint);
    CHECK(artel_clock_now_ms() - start >= TIME_MS + ARTEL_STOP_LIMIT_GRACE_MS - 1);
}

static void check_alive(void (*body)(void))
{
    char complaint[100];
    int status = run(body, complaint, sizeof complaint);
    CHECK(WIFEXITED(status));
    CHECK_INT(0, WEXITSTATUS(status));
    CHECK_STR("", complaint);
}

static void a_busy_process_ends_after_sigterm_or_sigint(void)
{
    check_ended(terminated);
    check_ended(interrupted);
}

static void a_busy_process_ends_when_its_stop_was_started(void)
{
    check_ended(started);
}

static void a_new_start_gives_all_of_the_time_again(void)
{
    check_alive(started_anew);
}

static void a_process_whose_stop_has_ended_goes_on(void)
{
    check_alive(cleared);
    check_alive(never_prepared);
}

static void a_signal_that_nobody_handles_keeps_its_action(void)
{
    char complaint[100];
    int status = run(started_with_a_handler_of_nobody, complaint, sizeof complaint);
    CHECK(WIFSIGNALED(status));
    CHECK_INT(SIGTERM, WTERMSIG(status));
}

static void try_it(void)
{
    prepare();
}

int main(void)
{
    char complaint[100];
    int status = run(try_it, complaint, sizeof complaint);
    if (WIFEXITED(status) && WEXITSTATUS(status) == TEST_SKIPPED) {
        return TEST_SKIPPED;
    }
    RUN(a_busy_process_ends_after_sigterm_or_sigint);
    RUN(a_busy_process_ends_when_its_stop_was_started);
    RUN(a_new_start_gives_all_of_the_time_again);
    RUN(a_process_whose_stop_has_ended_goes_on);
    RUN(a_signal_that_nobody_handles_keeps_its_action);
    return 0;
}
