/* SPDX-License-Identifier: Apache-2.0 */
/* Knows the timer that ends a process whatever its code does. */
#include "stop_limit.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(_POSIX_TIMERS) && _POSIX_TIMERS > 0 && defined(SIGRTMIN)

/* The timer ticks when the time is over and four times in the grace; the last one ends
 * the process. Ticks that a process has slept through come as one. */
#define TICKS 5
#define TICK_MS (ARTEL_STOP_LIMIT_GRACE_MS / (TICKS - 1))

#define TIME_S_MAX (INT32_MAX / 2) /* as much as any time_t holds */

/* Set before a handler is installed that reads them, never after. */
static timer_t timer;
static struct itimerspec schedule;
static char complaint_text[500];
static size_t complaint_len;
static struct {
    int number;
    struct sigaction former;
} stop_signals[] = {{.number = SIGTERM}, {.number = SIGINT}};

static volatile sig_atomic_t is_prepared;
static volatile sig_atomic_t is_running;
static volatile sig_atomic_t ticks; /* since the start */

static void on_tick(int signal_number)
{
    (void)signal_number;
    if (!is_running || ++ticks < TICKS) {
        return;
    }
    ssize_t written = write(STDERR_FILENO, complaint_text, complaint_len);
    (void)written; /* there is nobody else to tell */
    _exit(ARTEL_STOP_LIMIT_EXIT_CODE);
}

void artel_stop_limit_start(void)
{
    if (!is_prepared) {
        return;
    }
    is_running = 1;
    timer_settime(timer, 0, &schedule, NULL);
    ticks = 0; /* one of before that comes from here on brings the end forward, no more */
}

void artel_stop_limit_clear(void)
{
    if (!is_running) {
        return;
    }
    static const struct itimerspec NEVER;
    is_running = 0;
    timer_settime(timer, 0, &NEVER, NULL);
}

static void on_stop_signal(int signal_number, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    if (!is_running) { /* else who repeats the signal would put the end off */
        artel_stop_limit_start();
    }
    errno = saved_errno;
    for (size_t i = 0; i < sizeof stop_signals / sizeof *stop_signals; i++) {
        const struct sigaction *former = &stop_signals[i].former;
        if (stop_signals[i].number != signal_number) {
            continue;
        }
        if ((former->sa_flags & SA_SIGINFO) != 0) {
            former->sa_sigaction(signal_number, info, context);
        } else {
            former->sa_handler(signal_number);
        }
    }
}

/* Puts our handler in front of the one that is there. */
static int chain(int number, struct sigaction *former)
{
    if (sigaction(number, NULL, former) < 0) {
        return -errno;
    }
    if ((former->sa_flags & SA_SIGINFO) == 0 &&
        (former->sa_handler == SIG_DFL || former->sa_handler == SIG_IGN)) {
        return 0;
    }
    struct sigaction ours = *former; /* it may rely on its mask */
    ours.sa_flags |= SA_SIGINFO;
    ours.sa_sigaction = on_stop_signal;
    return sigaction(number, &ours, NULL) < 0 ? -errno : 0;
}

static int make_timer(void)
{
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
                             .sigev_signo = ARTEL_STOP_LIMIT_SIGNAL};
    sigset_t mask;
    sigemptyset(&action.sa_mask);
    sigemptyset(&mask);
    sigaddset(&mask, ARTEL_STOP_LIMIT_SIGNAL);
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0) {
        return -errno;
    }
    int status = sigaction(ARTEL_STOP_LIMIT_SIGNAL, &action, NULL) < 0
                     ? -errno
                     : -pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
    if (status < 0) {
        timer_delete(timer);
    }
    return status;
}

int artel_stop_limit_prepare(int64_t time_ms, const char *complaint)
{
    if (is_prepared) {
        return -EALREADY;
    }
    int64_t first_ms = time_ms > 0 ? time_ms : 1; /* 0 would be never */
    int64_t first_s = first_ms / 1000 < TIME_S_MAX ? first_ms / 1000 : TIME_S_MAX;
    schedule.it_value.tv_sec = (time_t)first_s;
    schedule.it_value.tv_nsec = (long)(first_ms % 1000) * 1000000;
    schedule.it_interval.tv_nsec = (long)TICK_MS * 1000000;
    snprintf(complaint_text, sizeof complaint_text, "%s", complaint);
    complaint_len = strlen(complaint_text);
    int status = make_timer();
    is_prepared = status == 0;
    for (size_t i = 0; status == 0 && i < sizeof stop_signals / sizeof *stop_signals;
         i++) {
        status = chain(stop_signals[i].number, &stop_signals[i].former);
    }
    return status;
}

#else
int artel_stop_limit_prepare(int64_t time_ms, const char *complaint)
{
    (void)time_ms, (void)complaint;
    return -ENOSYS;
}

void artel_stop_limit_start(void)
{
}

void artel_stop_limit_clear(void)
{
}
#endif
