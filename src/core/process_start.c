/* SPDX-License-Identifier: Apache-2.0 */
/* Knows how a child is started so that it inherits nothing it should not. */
#include "process.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The first number that no file action of ours writes to. */
#define FIRST_FREE_FD (ARTEL_CHILD_MEMORY_FD + 1)

/* What the child gets: each either -1 or a descriptor that no dup2 below overwrites. */
struct sources {
    int channel;
    int memory;
    int errors;
};

static int source_open(int *source, int fd)
{
    if (fd < 0) {
        return 0;
    }
    /* Above every target: so neither a target that is another's source (channel on 4,
     * memory on 3) nor a dup2 onto itself, which would keep close-on-exec, can occur. */
    *source = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    return *source < 0 ? -errno : 0;
}

static int sources_open(struct sources *sources,
                        const struct artel_process_options *options)
{
    int status = source_open(&sources->channel, options->channel_fd);
    if (status == 0) {
        status = source_open(&sources->memory, options->memory_fd);
    }
    if (status == 0) {
        status = source_open(&sources->errors, options->stderr_fd);
    }
    return status;
}

static void sources_close(struct sources *sources)
{
    artel_fd_close(&sources->channel);
    artel_fd_close(&sources->memory);
    artel_fd_close(&sources->errors);
}

/* Whether the child would have this descriptor by inheritance. */
static bool is_inherited(int fd)
{
    int flags = fcntl(fd, F_GETFD);
    return flags >= 0 && (flags & FD_CLOEXEC) == 0;
}

/* Without an open 1 and 2, the first file that the child opens would be printed into. */
static int add_outputs(posix_spawn_file_actions_t *actions, int errors)
{
    int status = 0;
    if (!is_inherited(STDOUT_FILENO)) {
        status = posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null",
                                                  O_WRONLY, 0);
    }
    if (status == 0 && errors >= 0) {
        status = posix_spawn_file_actions_adddup2(actions, errors, STDERR_FILENO);
    } else if (status == 0 && !is_inherited(STDERR_FILENO)) {
        status = posix_spawn_file_actions_addopen(actions, STDERR_FILENO, "/dev/null",
                                                  O_WRONLY, 0);
    }
    return status;
}

/* 0 or an errno, not negated, as in all of posix_spawn. */
static int add_actions(posix_spawn_file_actions_t *actions, const struct sources *sources)
{
    int status =
        posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (status == 0) {
        status = add_outputs(actions, sources->errors);
    }
    int first_closed = STDERR_FILENO + 1;
    if (status == 0 && sources->channel >= 0) {
        status = posix_spawn_file_actions_adddup2(actions, sources->channel,
                                                  ARTEL_CHILD_CHANNEL_FD);
        first_closed = ARTEL_CHILD_CHANNEL_FD + 1;
    }
    if (status == 0 && sources->memory >= 0) {
        status = posix_spawn_file_actions_adddup2(actions, sources->memory,
                                                  ARTEL_CHILD_MEMORY_FD);
        first_closed = ARTEL_CHILD_MEMORY_FD + 1;
    }
    if (status == 0) {
        status = posix_spawn_file_actions_addclosefrom_np(actions, first_closed);
    }
    return status;
}

/* 0 or an errno, not negated. */
static int set_attributes(posix_spawnattr_t *attributes, bool new_session)
{
    sigset_t all;
    sigset_t none;
    sigfillset(&all);
    sigemptyset(&none);
    /* Who leads a session leads a process group too, and may not be moved to another. */
    int group = new_session ? POSIX_SPAWN_SETSID : POSIX_SPAWN_SETPGROUP;
    int status = posix_spawnattr_setflags(
        attributes, (short)(group | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK));
    if (status == 0) {
        status = posix_spawnattr_setpgroup(attributes, 0);
    }
    if (status == 0) {
        status = posix_spawnattr_setsigdefault(attributes, &all);
    }
    if (status == 0) {
        status = posix_spawnattr_setsigmask(attributes, &none);
    }
    return status;
}

static int spawn(pid_t *pid, const struct artel_process_options *options,
                 const struct sources *sources)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int status = posix_spawn_file_actions_init(&actions);
    if (status != 0) {
        return -status;
    }
    status = posix_spawnattr_init(&attributes);
    if (status != 0) {
        goto out_actions;
    }
    status = add_actions(&actions, sources);
    if (status == 0) {
        status = set_attributes(&attributes, options->new_session);
    }
    if (status == 0) {
        status = posix_spawn(pid, options->path, &actions, &attributes, options->argv,
                             options->envp);
    }
    posix_spawnattr_destroy(&attributes);
out_actions:
    posix_spawn_file_actions_destroy(&actions);
    return -status;
}

/* Bytes that the kernel will count as the child's peak though they were ours: exec keeps
 * the high-water mark of the address space it leaves, and vfork left it in this one. */
static uint64_t inherited_peak(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) < 0) {
        return 0;
    }
    return (uint64_t)usage.ru_maxrss * 1024;
}

int artel_process_start(struct artel_process *process,
                        const struct artel_process_options *options)
{
    artel_reaper_run();
    struct sources sources = {-1, -1, -1};
    struct artel_process started;
    artel_process_init(&started);
    pid_t pid = 0;
    int status = artel_reaper_reserve(&started);
    if (status == 0) {
        status = sources_open(&sources, options);
    }
    if (status == 0) {
        status = spawn(&pid, options, &sources);
    }
    sources_close(&sources);
    if (status < 0) {
        artel_process_fini(&started);
        return status;
    }
    *process = started;
    process->pid = pid;
    process->owner = getpid();
    process->state = ARTEL_PROCESS_RUNNING;
    process->inherited_peak = inherited_peak();
    /* The number cannot have been used again: nobody but us reaps it, unless the
     * application ignores SIGCHLD, and then a failure here says that it has gone.
     * Without pidfds (old kernel, no descriptor left) the number itself must do. */
    process->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (process->pidfd >= 0) {
        (void)artel_fd_leave_standard(&process->pidfd);
    } else if (errno == ESRCH) {
        process->state = ARTEL_PROCESS_UNKNOWN;
    }
    return 0;
}
