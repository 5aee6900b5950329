/* SPDX-License-Identifier: Apache-2.0 */
/* Knows how a worker learns that its master has gone though it reads nothing. */
#include "parent_death.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/prctl.h>

static pid_t watched_parent; /* set before the handler is installed, never after */

static void leave_if_orphaned(void)
{
    if (getppid() != watched_parent) {
        _exit(ARTEL_PARENT_DEATH_EXIT_CODE); /* exit() is not safe in a handler */
    }
}

static void on_parent_death(int signal_number)
{
    (void)signal_number;
    leave_if_orphaned(); /* getppid() and _exit(): errno is not touched */
}

int artel_parent_death_watch(pid_t parent)
{
    watched_parent = parent;
    /* SA_RESTART: when only a thread of the master ended, nothing shall be disturbed. */
    struct sigaction action = {.sa_handler = on_parent_death, .sa_flags = SA_RESTART};
    sigset_t mask;
    sigemptyset(&action.sa_mask);
    sigemptyset(&mask);
    sigaddset(&mask, ARTEL_PARENT_DEATH_SIGNAL);
    if (sigaction(ARTEL_PARENT_DEATH_SIGNAL, &action, NULL) < 0) {
        return -errno;
    }
    int status = pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
    if (status != 0) {
        return -status;
    }
    if (prctl(PR_SET_PDEATHSIG, (unsigned long)ARTEL_PARENT_DEATH_SIGNAL, 0, 0, 0) < 0) {
        return -errno;
    }
    leave_if_orphaned(); /* it may have died before the kernel was told */
    return 0;
}
#else
int artel_parent_death_watch(pid_t parent)
{
    (void)parent;
    return -ENOSYS;
}
#endif
