/* SPDX-License-Identifier: Apache-2.0 */
/* Children: what they inherit, how their end is told, and that only they are touched. */
#include "process.h"

#include "clock.h"
#include "fd.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* Long enough for a loaded machine; nothing waits for so long when all is well. */
#define GENEROUS_MS 30000

static char *environment[] = {"PATH=/usr/bin:/bin", NULL};

static void start_with(struct artel_process *process, const char *script, int channel_fd,
                       int memory_fd, int stderr_fd)
{
    char shell[] = "sh";
    char option[] = "-c";
    char *command = strdup(script);
    char *argv[] = {shell, option, command, NULL};
    struct artel_process_options options = {.path = "/bin/sh",
                                            .argv = argv,
                                            .envp = environment,
                                            .channel_fd = channel_fd,
                                            .memory_fd = memory_fd,
                                            .stderr_fd = stderr_fd};
    artel_process_init(process);
    CHECK_INT(0, artel_process_start(process, &options));
    free(command);
}

static void start(struct artel_process *process, const char *script)
{
    start_with(process, script, -1, -1, -1);
}

static void wait_ended(struct artel_process *process)
{
    int status;
    do {
        status = artel_process_wait(process, artel_clock_deadline_ms(GENEROUS_MS));
    } while (status == -EINTR);
    CHECK_INT(1, status);
}

/* Everything up to the end of the stream; waits for it. */
static const char *read_all(int fd)
{
    static char text[4096];
    size_t len = 0;
    ssize_t count;
    while ((count = read(fd, text + len, sizeof text - 1 - len)) > 0) {
        len += (size_t)count;
    }
    CHECK(count == 0);
    text[len] = '\0';
    return text;
}

/* Runs a script that has the far end of a channel, and answers what it wrote there. */
static const char *output_of(const char *script)
{
    int ends[2];
    CHECK_INT(0, artel_fd_pair(ends));
    struct artel_process process;
    start_with(&process, script, ends[1], -1, -1);
    artel_fd_close(&ends[1]);
    const char *text = read_all(ends[0]);
    wait_ended(&process);
    CHECK_INT(ARTEL_PROCESS_EXITED, process.state);
    artel_process_fini(&process);
    artel_fd_close(&ends[0]);
    return text;
}

static void an_exit_code_is_told(void)
{
    struct artel_process process;
    start(&process, "exit 3");
    wait_ended(&process);
    CHECK_INT(ARTEL_PROCESS_EXITED, process.state);
    CHECK_INT(3, process.code);
    CHECK_INT(ARTEL_PROCESS_EXITED, artel_process_poll(&process));
    CHECK_INT(1, artel_process_wait(&process, 0));
    CHECK_INT(-ESRCH, artel_process_kill(&process, SIGTERM));
    CHECK_INT(-ESRCH, artel_process_kill_group(&process, SIGTERM));
    artel_process_fini(&process);
    CHECK_INT(-1, process.pidfd);
}

static void a_signal_is_told(void)
{
    struct artel_process process;
    start(&process, "exec sleep 1000");
    CHECK_INT(ARTEL_PROCESS_RUNNING, artel_process_poll(&process));
    CHECK_INT(0, artel_process_kill(&process, SIGKILL));
    wait_ended(&process);
    CHECK_INT(ARTEL_PROCESS_SIGNALED, process.state);
    CHECK_INT(SIGKILL, process.code);
    artel_process_fini(&process);
}

static void waiting_ends_at_the_deadline(void)
{
    struct artel_process process;
    start(&process, "exec sleep 1000");
    CHECK_INT(0, artel_process_wait(&process, 0));
    int64_t began = artel_clock_now_ms();
    CHECK_INT(0, artel_process_wait(&process, artel_clock_deadline_ms(30)));
    CHECK(artel_clock_now_ms() - began >= 30);
    CHECK_INT(0, artel_process_kill(&process, SIGTERM));
    CHECK_INT(1, artel_process_wait(&process, ARTEL_NO_DEADLINE));
    CHECK_INT(SIGTERM, process.code);
    artel_process_fini(&process);
}

static void everything_works_without_a_pidfd(void)
{
    struct artel_process process;
    start(&process, "exec sleep 1000");
    artel_fd_close(&process.pidfd); /* as on a kernel that has none */
    CHECK_INT(0, artel_process_wait(&process, 0));
    CHECK_INT(0, artel_process_wait(&process, artel_clock_deadline_ms(5)));
    CHECK_INT(0, artel_process_kill(&process, SIGTERM));
    wait_ended(&process);
    CHECK_INT(ARTEL_PROCESS_SIGNALED, process.state);
    CHECK_INT(SIGTERM, process.code);
    CHECK_INT(-ESRCH, artel_process_kill(&process, SIGTERM));
    artel_process_fini(&process);

    start(&process, "exit 4");
    artel_fd_close(&process.pidfd);
    CHECK_INT(1, artel_process_wait(&process, ARTEL_NO_DEADLINE));
    CHECK_INT(4, process.code);
    artel_process_fini(&process);
}

static void what_cannot_be_executed_is_told_with_its_errno(void)
{
    char name[] = "nothing";
    char *argv[] = {name, NULL};
    struct artel_process_options options = {.path = "/nonexistent/nothing",
                                            .argv = argv,
                                            .envp = environment,
                                            .channel_fd = -1,
                                            .memory_fd = -1,
                                            .stderr_fd = -1};
    struct artel_process process;
    artel_process_init(&process);
    CHECK_INT(-ENOENT, artel_process_start(&process, &options));
    CHECK_INT(0, process.pid);
    options.path = "/etc/passwd";
    CHECK_INT(-EACCES, artel_process_start(&process, &options));
    options.channel_fd = 999999;
    CHECK_INT(-EBADF, artel_process_start(&process, &options));
    CHECK_INT(-1, waitpid(-1, NULL, WNOHANG));
    CHECK_INT(ECHILD, errno);
}

static void a_child_has_four_descriptors_and_no_more(void)
{
    int stray[8];
    for (int i = 0; i < 8; i++) {
        stray[i] = open("/dev/null", O_RDONLY); /* on purpose not close-on-exec */
        CHECK(stray[i] >= 0);
    }
    CHECK_STR("0 1 2 3 ",
              output_of("n=0; while [ $n -lt 100 ]; do [ -e /proc/$$/fd/$n ] && "
                        "printf '%s ' $n >&3; n=$((n + 1)); done"));
    CHECK_STR("/dev/null\n", output_of("readlink /proc/$$/fd/0 >&3"));
    for (int i = 0; i < 8; i++) {
        close(stray[i]);
    }
}

static void the_memory_file_is_on_four(void)
{
    int ends[2];
    int memory[2];
    CHECK_INT(0, artel_fd_pair(ends));
    CHECK_INT(0, pipe2(memory, O_CLOEXEC));
    struct artel_process process;
    start_with(&process, "echo channel >&3; echo memory >&4", ends[1], memory[1], -1);
    artel_fd_close(&ends[1]);
    artel_fd_close(&memory[1]);
    CHECK_STR("channel\n", read_all(ends[0]));
    CHECK_STR("memory\n", read_all(memory[0]));
    wait_ended(&process);
    artel_process_fini(&process);
    artel_fd_close(&ends[0]);
    artel_fd_close(&memory[0]);
}

static void standard_error_can_be_captured(void)
{
    int ends[2];
    CHECK_INT(0, artel_fd_pair(ends));
    struct artel_process process;
    start_with(&process, "echo oops >&2; exit 1", -1, -1, ends[1]);
    artel_fd_close(&ends[1]);
    CHECK_STR("oops\n", read_all(ends[0]));
    wait_ended(&process);
    CHECK_INT(1, process.code);
    artel_process_fini(&process);
    artel_fd_close(&ends[0]);
}

/* Runs in a forked copy, whose descriptors it may shuffle; answers through its status. */
static void in_a_fork(int (*body)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(TEST_TIMEOUT_S);
        _exit(body());
    }
    int status;
    CHECK_INT(pid, waitpid(pid, &status, 0));
    CHECK_INT(0, status);
}

/* The channel's far end on 4 and the memory file on 3, so a naive dup2 destroys one. */
static int start_with_crossed_descriptors(void)
{
    int ends[2];
    int memory[2];
    if (artel_fd_pair(ends) != 0 || pipe2(memory, O_CLOEXEC) != 0) {
        return 1;
    }
    int near_channel = fcntl(ends[0], F_DUPFD_CLOEXEC, 20);
    int near_memory = fcntl(memory[0], F_DUPFD_CLOEXEC, 20);
    int far_channel = fcntl(ends[1], F_DUPFD_CLOEXEC, 20);
    int far_memory = fcntl(memory[1], F_DUPFD_CLOEXEC, 20);
    for (int fd = 3; fd < 20; fd++) {
        close(fd);
    }
    dup3(far_channel, 4, O_CLOEXEC);
    dup3(far_memory, 3, O_CLOEXEC);
    close(far_channel);
    close(far_memory);
    struct artel_process process;
    start_with(&process, "echo channel >&3; echo memory >&4", 4, 3, -1);
    close(3);
    close(4);
    CHECK_STR("channel\n", read_all(near_channel));
    CHECK_STR("memory\n", read_all(near_memory));
    wait_ended(&process);
    CHECK_INT(0, process.code);
    return 0;
}

static void crossed_descriptors_are_uncrossed(void)
{
    in_a_fork(start_with_crossed_descriptors);
}

/* dup2(3, 3) would leave close-on-exec set and the child without its channel. */
static int start_with_the_channel_on_three(void)
{
    int ends[2];
    if (artel_fd_pair(ends) != 0) {
        return 1;
    }
    int near = fcntl(ends[0], F_DUPFD_CLOEXEC, 20);
    int far = fcntl(ends[1], F_DUPFD_CLOEXEC, 20);
    close(ends[0]);
    close(ends[1]);
    dup3(far, 3, O_CLOEXEC);
    close(far);
    struct artel_process process;
    start_with(&process, "echo channel >&3", 3, -1, -1);
    CHECK(fcntl(3, F_GETFD) == FD_CLOEXEC); /* ours, and as it was */
    close(3);
    CHECK_STR("channel\n", read_all(near));
    wait_ended(&process);
    return 0;
}

static void a_channel_already_on_three_arrives(void)
{
    in_a_fork(start_with_the_channel_on_three);
}

/* A daemon without standard streams: what it opens is on 0, 1 and 2. */
static int start_without_standard_streams(void)
{
    int report = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 20);
    close(0);
    close(1);
    close(2);
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0 || ends[1] != 1) {
        return 1;
    }
    struct artel_process process;
    start_with(&process,
               "echo stray; echo stray >&2; cat; echo $(readlink /proc/$$/fd/1 "
               "/proc/$$/fd/2) >&3",
               ends[1], -1, -1);
    close(ends[1]);
    const char *text = read_all(ends[0]);
    wait_ended(&process);
    dup2(report, STDERR_FILENO);
    CHECK_STR("/dev/null /dev/null\n", text);
    CHECK_INT(0, process.code);
    return 0;
}

static void a_master_without_standard_streams_may_start_children(void)
{
    in_a_fork(start_without_standard_streams);
}

static void signals_are_as_after_boot(void)
{
    sigset_t mask;
    sigset_t before;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigaddset(&mask, SIGTERM);
    sigprocmask(SIG_BLOCK, &mask, &before);
    void (*old)(int) = signal(SIGPIPE, SIG_IGN);
    const char *text = output_of("exec grep -E '^Sig(Blk|Ign)' /proc/self/status >&3");
    unsigned long long blocked;
    unsigned long long ignored;
    CHECK_INT(2, sscanf(text, "SigBlk: %llx SigIgn: %llx", &blocked, &ignored));
    CHECK_INT(0, blocked);
    /* glibc's posix_spawn leaves its own two, 32 and 33, ignored. */
    CHECK_INT(0, ignored & ~(3ull << 31));
    signal(SIGPIPE, old);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static void a_child_leads_a_group_that_can_be_killed_whole(void)
{
    int ends[2];
    CHECK_INT(0, artel_fd_pair(ends));
    struct artel_process process;
    start_with(&process, "sleep 1000 & echo $! >&3; wait", ends[1], -1, -1);
    artel_fd_close(&ends[1]);
    CHECK_INT(process.pid, getpgid(process.pid));
    char first;
    CHECK_INT(1, read(ends[0], &first, 1)); /* the grandchild exists */
    CHECK_INT(0, artel_process_kill_group(&process, SIGKILL));
    read_all(ends[0]); /* ends only when the grandchild has gone too */
    wait_ended(&process);
    CHECK_INT(ARTEL_PROCESS_SIGNALED, process.state);
    artel_process_fini(&process);
    artel_fd_close(&ends[0]);
}

/* The number stays reserved until the child is reaped, so its group can still be hit. */
static void a_group_can_be_killed_after_its_leader_ended(void)
{
    int ends[2];
    CHECK_INT(0, artel_fd_pair(ends));
    struct artel_process process;
    start_with(&process, "sleep 1000 & exit 0", ends[1], -1, -1);
    artel_fd_close(&ends[1]);
    struct pollfd ended = {process.pidfd, POLLIN, 0};
    CHECK_INT(1, poll(&ended, 1, GENEROUS_MS));
    CHECK_INT(0, artel_process_kill_group(&process, SIGKILL));
    read_all(ends[0]);
    wait_ended(&process);
    CHECK_INT(ARTEL_PROCESS_EXITED, process.state);
    artel_process_fini(&process);
    artel_fd_close(&ends[0]);
}

static void a_child_reaped_by_somebody_else_has_an_unknown_end(void)
{
    struct artel_process process;
    start(&process, "exit 5");
    CHECK_INT(process.pid, waitpid(process.pid, NULL, 0));
    wait_ended(&process);
    CHECK_INT(ARTEL_PROCESS_UNKNOWN, process.state);
    CHECK_INT(-ESRCH, artel_process_kill(&process, SIGKILL));
    artel_process_fini(&process);

    start(&process, "exit 5");
    CHECK_INT(process.pid, waitpid(process.pid, NULL, 0));
    CHECK_INT(-ESRCH, artel_process_kill_group(&process, SIGKILL));
    CHECK_INT(ARTEL_PROCESS_UNKNOWN, process.state);
    artel_process_fini(&process);
}

static void an_application_may_ignore_sigchld(void)
{
    void (*old)(int) = signal(SIGCHLD, SIG_IGN);
    struct artel_process process;
    start(&process, "exec sleep 1000");
    CHECK_INT(ARTEL_PROCESS_RUNNING, artel_process_poll(&process));
    CHECK_INT(0, artel_process_kill(&process, SIGKILL));
    wait_ended(&process);
    CHECK_INT(ARTEL_PROCESS_UNKNOWN, process.state);
    artel_process_fini(&process);
    for (int i = 0; i < 50; i++) { /* may be gone before it can be looked at */
        start(&process, "exit 0");
        wait_ended(&process);
        CHECK_INT(ARTEL_PROCESS_UNKNOWN, process.state);
        artel_process_fini(&process);
    }
    signal(SIGCHLD, old);
}

static struct artel_process shared_with_the_fork;

static int touch_the_parents_child(void)
{
    struct artel_process *process = &shared_with_the_fork;
    CHECK_INT(ARTEL_PROCESS_UNKNOWN, artel_process_poll(process));
    CHECK_INT(1, artel_process_wait(process, ARTEL_NO_DEADLINE));
    CHECK_INT(-ECHILD, artel_process_kill(process, SIGKILL));
    CHECK_INT(-ECHILD, artel_process_kill_group(process, SIGKILL));
    artel_reaper_kill(SIGKILL);
    artel_process_fini(process);
    return 0;
}

static void a_forked_copy_touches_nothing(void)
{
    start(&shared_with_the_fork, "exec sleep 1000");
    in_a_fork(touch_the_parents_child);
    CHECK_INT(ARTEL_PROCESS_RUNNING, artel_process_poll(&shared_with_the_fork));
    CHECK_INT(0, artel_process_kill(&shared_with_the_fork, SIGTERM));
    wait_ended(&shared_with_the_fork);
    CHECK_INT(SIGTERM, shared_with_the_fork.code);
    artel_process_fini(&shared_with_the_fork);
}

static void note_signal(int number)
{
    (void)number;
}

static void a_signal_interrupts_a_wait(void)
{
    struct sigaction action = {.sa_handler = note_signal};
    struct sigaction before;
    sigemptyset(&action.sa_mask);
    CHECK_INT(0, sigaction(SIGUSR1, &action, &before));
    struct artel_process process;
    start(&process, "exec sleep 1000");
    /* A helper that signals us until it is killed, so the wait cannot miss it. */
    char script[80];
    snprintf(script, sizeof script, "while kill -USR1 %ld; do :; done", (long)getpid());
    struct artel_process pest;
    start(&pest, script);
    int status = artel_process_wait(&process, artel_clock_deadline_ms(GENEROUS_MS));
    CHECK_INT(0, artel_process_kill(&pest, SIGKILL));
    wait_ended(&pest);
    CHECK_INT(-EINTR, status);
    CHECK_INT(0, artel_process_kill(&process, SIGKILL));
    wait_ended(&process);
    artel_process_fini(&process);
    artel_process_fini(&pest);
    CHECK_INT(0, sigaction(SIGUSR1, &before, NULL));
}

static void a_childs_peak_is_not_the_masters(void)
{
    size_t len = 64u << 20;
    char *block = malloc(len);
    CHECK(block != NULL);
    int source =
        open("/dev/zero", O_RDONLY); /* written to by the kernel: really resident */
    CHECK(source >= 0);
    CHECK_INT((ssize_t)len, read(source, block, len));
    close(source);
    struct artel_process process;
    start(&process, "exit 0");
    wait_ended(&process);
    CHECK_INT(0, process.peak_memory); /* ours hides it: better nothing than 64 MiB */
    artel_process_fini(&process);
    free(block);
}

static void a_large_peak_is_told(void)
{
    struct artel_process process;
    start(&process, "exec head -c 120000000 /dev/zero | tail >/dev/null");
    wait_ended(&process);
    CHECK_INT(0, process.code);
    CHECK(process.peak_memory > 100u << 20);
    artel_process_fini(&process);
}

int main(void)
{
    RUN(an_exit_code_is_told);
    RUN(a_signal_is_told);
    RUN(waiting_ends_at_the_deadline);
    RUN(everything_works_without_a_pidfd);
    RUN(what_cannot_be_executed_is_told_with_its_errno);
    RUN(a_child_has_four_descriptors_and_no_more);
    RUN(the_memory_file_is_on_four);
    RUN(standard_error_can_be_captured);
    RUN(crossed_descriptors_are_uncrossed);
    RUN(a_channel_already_on_three_arrives);
    RUN(a_master_without_standard_streams_may_start_children);
    RUN(signals_are_as_after_boot);
    RUN(a_child_leads_a_group_that_can_be_killed_whole);
    RUN(a_group_can_be_killed_after_its_leader_ended);
    RUN(a_child_reaped_by_somebody_else_has_an_unknown_end);
    RUN(an_application_may_ignore_sigchld);
    RUN(a_forked_copy_touches_nothing);
    RUN(a_signal_interrupts_a_wait);
    RUN(a_large_peak_is_told); /* first: afterwards this process has had one, too */
    RUN(a_childs_peak_is_not_the_masters);
    return 0;
}
