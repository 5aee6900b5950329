/* SPDX-License-Identifier: Apache-2.0 */
/* Knows how exactly our child, never another with its number, is watched and ended. */
#include "process.h"

#include "clock.h"
#include "fd.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

void artel_process_init(struct artel_process *process)
{
    memset(process, 0, sizeof *process);
    process->pidfd = -1;
    process->state = ARTEL_PROCESS_UNKNOWN; /* nothing to wait for */
}

/* ---- watching ---- */

/* waitid(2) as the kernel has it: the C library's wrapper hides the resource usage. */
static int wait_child(const struct artel_process *process, siginfo_t *info, int options,
                      struct rusage *usage)
{
    memset(info, 0, sizeof *info);
    long status = -1;
    errno = EINVAL;
    if (process->pidfd >= 0) {
        status = syscall(SYS_waitid, P_PIDFD, process->pidfd, info, options, usage);
    }
    if (status < 0 &&
        errno == EINVAL) { /* no pidfd, or a kernel that cannot wait for one */
        status = syscall(SYS_waitid, P_PID, process->pid, info, options, usage);
    }
    return status < 0 ? -errno : 0;
}

static void record_end(struct artel_process *process, const siginfo_t *info,
                       const struct rusage *usage)
{
    process->state =
        info->si_code == CLD_EXITED ? ARTEL_PROCESS_EXITED : ARTEL_PROCESS_SIGNALED;
    process->code = info->si_status;
    uint64_t peak = (uint64_t)usage->ru_maxrss * 1024;
    /* The kernel's counters are rough by some pages for each processor. */
    uint64_t doubtful = process->inherited_peak + process->inherited_peak / 8;
    process->peak_memory = peak > doubtful ? peak : 0;
}

/* One look, or with block one wait: 0, or -EINTR. */
static int look(struct artel_process *process, bool block)
{
    siginfo_t info;
    struct rusage usage;
    int status = wait_child(process, &info, WEXITED | (block ? 0 : WNOHANG), &usage);
    if (status == -EINTR) {
        return status;
    }
    if (status < 0) { /* ECHILD: somebody else reaped it, or SIGCHLD is ignored */
        process->state = ARTEL_PROCESS_UNKNOWN;
    } else if (info.si_pid != 0) {
        record_end(process, &info, &usage);
    }
    return 0;
}

enum artel_process_state artel_process_poll(struct artel_process *process)
{
    if (process->state != ARTEL_PROCESS_RUNNING) {
        return process->state;
    }
    if (process->owner != getpid()) {
        return ARTEL_PROCESS_UNKNOWN;
    }
    while (look(process, false) == -EINTR) {
    }
    return process->state;
}

/* Where poll cannot tell: short naps, growing. */
static int nap_until_ended(struct artel_process *process, int64_t deadline_ms)
{
    long nap_ms = 1;
    while (artel_process_poll(process) == ARTEL_PROCESS_RUNNING) {
        int left_ms = artel_clock_poll_timeout(deadline_ms);
        if (left_ms == 0) {
            return 0;
        }
        nap_ms = left_ms < 0 || nap_ms < left_ms ? nap_ms : left_ms;
        struct timespec nap = {0, nap_ms * 1000000};
        if (nanosleep(&nap, NULL) < 0) {
            return -EINTR;
        }
        nap_ms = nap_ms * 2 < 50 ? nap_ms * 2 : 50;
    }
    return 1;
}

int artel_process_wait(struct artel_process *process, int64_t deadline_ms)
{
    if (artel_process_poll(process) != ARTEL_PROCESS_RUNNING) {
        return 1;
    }
    if (process->pidfd < 0) {
        if (deadline_ms != ARTEL_NO_DEADLINE) {
            return nap_until_ended(process, deadline_ms);
        }
        int status = look(process, true);
        return status < 0 ? status : 1;
    }
    for (;;) {
        int timeout_ms = artel_clock_poll_timeout(deadline_ms);
        struct pollfd wanted = {process->pidfd, POLLIN, 0};
        int count = poll(&wanted, 1, timeout_ms);
        if (count < 0 && errno == EINTR) {
            return -EINTR;
        }
        if (count != 0) {
            /* At once, unless a debugger has it, the descriptor was closed under us, or
             * there was no memory to poll with. */
            return nap_until_ended(process, deadline_ms);
        }
        if (timeout_ms >= 0 && artel_clock_poll_timeout(deadline_ms) == 0) {
            return 0;
        }
    }
}

/* ---- ending ---- */

/*
 * Whether the number still belongs to our child, running or not yet reaped. Does not reap
 * it, so that the number (and that of its group) stays reserved for what follows.
 */
static bool holds_number(struct artel_process *process)
{
    siginfo_t info;
    int status;
    do {
        status = wait_child(process, &info, WEXITED | WNOHANG | WNOWAIT, NULL);
    } while (status == -EINTR);
    if (status < 0) {
        process->state = ARTEL_PROCESS_UNKNOWN;
    }
    return status == 0;
}

int artel_process_kill(struct artel_process *process, int signal_number)
{
    if (process->state == ARTEL_PROCESS_RUNNING && process->owner != getpid()) {
        return -ECHILD;
    }
    if (artel_process_poll(process) != ARTEL_PROCESS_RUNNING) {
        return -ESRCH;
    }
    if (process->pidfd >= 0) {
        if (syscall(SYS_pidfd_send_signal, process->pidfd, signal_number, NULL, 0) == 0) {
            return 0;
        }
        if (errno != ENOSYS && errno != EPERM) { /* what filters of containers answer */
            return -errno;
        }
    }
    return kill(process->pid, signal_number) == 0 ? 0 : -errno;
}

int artel_process_kill_group(struct artel_process *process, int signal_number)
{
    if (process->state == ARTEL_PROCESS_RUNNING && process->owner != getpid()) {
        return -ECHILD;
    }
    if (process->state != ARTEL_PROCESS_RUNNING || !holds_number(process)) {
        return -ESRCH;
    }
    return kill(-process->pid, signal_number) == 0 ? 0 : -errno;
}

void artel_process_fini(struct artel_process *process)
{
    artel_fd_close(&process->pidfd);
    free(process->orphan);
    process->orphan = NULL;
}
