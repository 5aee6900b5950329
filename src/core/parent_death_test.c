/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker ends with its master, busy or idle, and not with one of the master's threads.
 * This program adopts the orphans, so it sees how they ended.
 */
#include "parent_death.h"

#include "identity.h"
#include "test.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static int to_test[2]; /* the worker's reports: one byte each */
static int
    to_worker[2]; /* kept open and silent, so that the worker does not end by EOF */

static void report(char what)
{
    if (write(to_test[1], &what, 1) != 1) {
        _exit(99);
    }
}

static char next_report(void)
{
    char what = '\0';
    CHECK_INT(1, read(to_test[0], &what, 1));
    return what;
}

static void be_busy(void)
{
    for (volatile unsigned spin = 0;;
         spin++) { /* no system call: only a signal gets in */
    }
}

static void be_idle(void)
{
    char byte;
    while (read(to_worker[0], &byte, 1) < 0 && errno == EINTR) {
    }
    _exit(98);
}

static void be_idle_as_nobody(void)
{
    be_idle();
}

static pid_t worker_of(pid_t master, void (*work)(void))
{
    pid_t worker = fork();
    if (worker == 0) {
        if (work == be_idle_as_nobody) {
            struct artel_identity nobody;
            char fault[200];
            CHECK_INT(0, artel_identity_find(&nobody, "nobody"));
            CHECK_INT(0, artel_identity_take(&nobody, fault, sizeof fault));
        }
        sigset_t all; /* as inherited from a master that blocks everything */
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, NULL);
        CHECK_INT(0, artel_parent_death_watch(master));
        report('r');
        work();
    }
    return worker;
}

/* The master and its worker, this program's child and grandchild. */
static void start(pid_t *master, pid_t *worker, void (*work)(void))
{
    int pids[2];
    CHECK_INT(0, pipe(to_test));
    CHECK_INT(0, pipe(to_worker));
    CHECK_INT(0, pipe(pids));
    *master = fork();
    CHECK(*master >= 0);
    if (*master == 0) {
        pid_t pid = worker_of(getpid(), work);
        CHECK_INT(sizeof pid, write(pids[1], &pid, sizeof pid));
        pause();
        _exit(0);
    }
    CHECK_INT(sizeof *worker, read(pids[0], worker, sizeof *worker));
    CHECK_INT('r', next_report());
    close(pids[0]);
    close(pids[1]);
}

static void close_pipes(void)
{
    for (int i = 0; i < 2; i++) {
        close(to_test[i]);
        close(to_worker[i]);
    }
}

static void the_worker_ends_with_its_master(void (*work)(void))
{
    pid_t master;
    pid_t worker;
    int status;
    start(&master, &worker, work);
    CHECK_INT(0, kill(master, SIGKILL));
    CHECK_INT(master, waitpid(master, &status, 0));
    CHECK_INT(worker, waitpid(worker, &status, 0)); /* ours by adoption */
    CHECK(WIFEXITED(status));
    CHECK_INT(ARTEL_PARENT_DEATH_EXIT_CODE, WEXITSTATUS(status));
    close_pipes();
}

static void a_busy_worker_ends_with_its_master(void)
{
    the_worker_ends_with_its_master(be_busy);
}

static void an_idle_worker_ends_with_its_master(void)
{
    the_worker_ends_with_its_master(be_idle);
}

static void a_worker_of_another_user_ends_with_its_master(void)
{
    if (geteuid() == 0) {
        the_worker_ends_with_its_master(be_idle_as_nobody);
    }
}

static void a_worker_that_is_an_orphan_already_ends_at_once(void)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        artel_parent_death_watch(getpid()); /* anybody but its parent */
        _exit(97);
    }
    int status;
    CHECK_INT(pid, waitpid(pid, &status, 0));
    CHECK(WIFEXITED(status));
    CHECK_INT(ARTEL_PARENT_DEATH_EXIT_CODE, WEXITSTATUS(status));
}

/* poll(2) is never restarted, so it tells that the signal came and was survived. */
static void tell_of_signals(void)
{
    for (;;) {
        if (poll(NULL, 0, -1) < 0 && errno == EINTR) {
            report('s');
        }
    }
}

static void *start_from_a_thread(void *worker)
{
    *(pid_t *)worker = worker_of(getpid(), tell_of_signals);
    return NULL;
}

static void the_end_of_a_thread_of_the_master_is_survived(void)
{
    CHECK_INT(0, pipe(to_test));
    CHECK_INT(0, pipe(to_worker));
    pthread_t thread;
    pid_t worker;
    CHECK_INT(0, pthread_create(&thread, NULL, start_from_a_thread, &worker));
    CHECK_INT(0, pthread_join(thread, NULL));
    /* Either the signal came after 'r', or before the worker watched: then none comes. */
    CHECK_INT('r', next_report());
    struct pollfd survived = {to_test[0], POLLIN, 0};
    if (poll(&survived, 1, 1000) == 1) {
        CHECK_INT('s', next_report());
    }
    int status;
    CHECK_INT(0, waitpid(worker, &status, WNOHANG)); /* still there */
    CHECK_INT(0, kill(worker, SIGKILL));
    CHECK_INT(worker, waitpid(worker, &status, 0));
    close_pipes();
}

int main(void)
{
    CHECK_INT(0, prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    RUN(a_busy_worker_ends_with_its_master);
    RUN(an_idle_worker_ends_with_its_master);
    RUN(a_worker_of_another_user_ends_with_its_master);
    RUN(a_worker_that_is_an_orphan_already_ends_at_once);
    RUN(the_end_of_a_thread_of_the_master_is_survived);
    return 0;
}
