/* SPDX-License-Identifier: Apache-2.0 */
/* Children without a handle: reaped, counted, killed, and left alone by a fork. */
#include "clock.h"
#include "process.h"
#include "test.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#define GENEROUS_MS 30000

static char *environment[] = {"PATH=/usr/bin:/bin", NULL};

static void start(struct artel_process *process, const char *script)
{
    char shell[] = "sh";
    char option[] = "-c";
    char *command = strdup(script);
    char *argv[] = {shell, option, command, NULL};
    struct artel_process_options options = {.path = "/bin/sh",
                                            .argv = argv,
                                            .envp = environment,
                                            .channel_fd = -1,
                                            .memory_fd = -1,
                                            .stderr_fd = -1};
    artel_process_init(process);
    CHECK_INT(0, artel_process_start(process, &options));
    free(command);
}

static void wait_until_dead(int pidfd)
{
    struct pollfd ended = {pidfd, POLLIN, 0};
    CHECK_INT(1, poll(&ended, 1, GENEROUS_MS));
}

static void check_no_child_is_left(void)
{
    CHECK_INT(-1, waitpid(-1, NULL, WNOHANG));
    CHECK_INT(ECHILD, errno);
}

static void a_running_child_moves_to_the_reaper(void)
{
    struct artel_process process;
    start(&process, "exec sleep 1000");
    pid_t pid = process.pid;
    artel_reaper_add(&process);
    CHECK_INT(-1, process.pidfd);
    CHECK_INT(pid, process.pid);
    CHECK_INT(ARTEL_PROCESS_UNKNOWN, artel_process_poll(&process));
    artel_process_fini(&process);
    artel_reaper_run();
    CHECK_INT(0, kill(pid, 0));
    CHECK_INT(1, artel_reaper_wait(artel_clock_deadline_ms(10)));
    artel_reaper_kill(SIGKILL);
    CHECK_INT(0, artel_reaper_wait(artel_clock_deadline_ms(GENEROUS_MS)));
    check_no_child_is_left();
}

static void an_ended_child_is_reaped_at_once(void)
{
    struct artel_process process;
    start(&process, "exit 0");
    wait_until_dead(process.pidfd);
    artel_reaper_add(&process);
    check_no_child_is_left();
    CHECK_INT(0, artel_reaper_wait(0));
}

static void the_next_start_reaps(void)
{
    struct artel_process first;
    start(&first, "read line; exit 0");
    /* Standard input is /dev/null, so it ends by itself; watch it through a copy. */
    int pidfd = dup(first.pidfd);
    pid_t pid = first.pid;
    artel_reaper_add(&first);
    wait_until_dead(pidfd);
    close(pidfd);
    struct artel_process second;
    start(&second, "exit 0");
    CHECK_INT(-1, waitpid(pid, NULL, WNOHANG));
    CHECK_INT(ECHILD, errno);
    CHECK_INT(1, artel_process_wait(&second, ARTEL_NO_DEADLINE));
    artel_process_fini(&second);
}

static void many_are_waited_for(void)
{
    for (int i = 0; i < 20; i++) {
        struct artel_process process;
        start(&process, "exec sleep 1000");
        artel_reaper_add(&process);
    }
    CHECK_INT(20, artel_reaper_wait(0));
    artel_reaper_kill(SIGTERM);
    CHECK_INT(0, artel_reaper_wait(artel_clock_deadline_ms(GENEROUS_MS)));
    check_no_child_is_left();
}

static void a_fork_forgets_its_parents_children(void)
{
    struct artel_process process;
    start(&process, "exec sleep 1000");
    pid_t child = process.pid;
    artel_reaper_add(&process);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        artel_reaper_kill(SIGKILL);
        _exit(artel_reaper_wait(ARTEL_NO_DEADLINE));
    }
    int status;
    CHECK_INT(pid, waitpid(pid, &status, 0));
    CHECK_INT(0, status);
    CHECK_INT(0, waitpid(child, NULL, WNOHANG)); /* still running */
    artel_reaper_kill(SIGKILL);
    CHECK_INT(0, artel_reaper_wait(artel_clock_deadline_ms(GENEROUS_MS)));
}

int main(void)
{
    RUN(a_running_child_moves_to_the_reaper);
    RUN(an_ended_child_is_reaped_at_once);
    RUN(the_next_start_reaps);
    RUN(many_are_waited_for);
    RUN(a_fork_forgets_its_parents_children);
    return 0;
}
