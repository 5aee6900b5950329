/* SPDX-License-Identifier: Apache-2.0 */
/* Child processes: started without anything of the parent's, watched and ended alone. */
#ifndef ARTEL_CORE_PROCESS_H
#define ARTEL_CORE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Where the child finds its channel, and the shared-memory file if there is one. */
#define ARTEL_CHILD_CHANNEL_FD 3
#define ARTEL_CHILD_MEMORY_FD 4

struct artel_process_options {
    const char *path;  /* executable, no search in PATH */
    char *const *argv; /* NULL-terminated */
    char *const *envp; /* NULL-terminated */
    int channel_fd;    /* becomes ARTEL_CHILD_CHANNEL_FD; stays the caller's */
    int memory_fd;     /* becomes ARTEL_CHILD_MEMORY_FD; -1 when there is none */
    int stderr_fd;     /* becomes 2; -1: inherited */
    bool new_session;  /* leads a session of its own: no terminal, no signals from one */
};

enum artel_process_state {
    ARTEL_PROCESS_RUNNING,
    ARTEL_PROCESS_EXITED,   /* code holds the exit status */
    ARTEL_PROCESS_SIGNALED, /* code holds the signal's number */
    ARTEL_PROCESS_UNKNOWN   /* ended, but somebody else reaped it */
};

struct artel_orphan; /* the reaper's own */

struct artel_process {
    pid_t pid;   /* 0 before the start */
    pid_t owner; /* the process that started it: a forked copy must not touch it */
    int pidfd;   /* -1 where the kernel has none; readable once the child has ended */
    enum artel_process_state state;
    int code;
    uint64_t peak_memory; /* most bytes of resident memory; 0: not known (see below) */
    uint64_t
        inherited_peak; /* process.c's own: the starter's peak, which hides lower ones */
    struct artel_orphan *orphan; /* for the reaper, which must never lack memory; NULL
                                  * when there is no child */
};

/*
 * peak_memory is known once the child has ended, and only if it was clearly higher than
 * the peak of the process that started it: Linux counts that one's as the child's own,
 * since the child is born in its memory.
 */

/* The state before the start: nothing to wait for, UNKNOWN. */
void artel_process_init(struct artel_process *process);

/*
 * Starts options->path with posix_spawn: standard input from /dev/null, standard output
 * and error inherited, default signal dispositions, empty mask, own process group, and no
 * other descriptor of the caller's. 0, or the negated errno of what failed, exec
 * included.
 */
int artel_process_start(struct artel_process *process,
                        const struct artel_process_options *options);

/*
 * Looks whether the child has ended, and reaps it if so. Never waits. Answers the state,
 * which is final once it is not RUNNING. In a forked copy of the caller: UNKNOWN.
 */
enum artel_process_state artel_process_poll(struct artel_process *process);

/*
 * Waits for the end until deadline_ms. 1: ended; 0: still running; -EINTR.
 */
int artel_process_wait(struct artel_process *process, int64_t deadline_ms);

/* Sends a signal to the child, never to another process that got its number. 0,
 * -ESRCH when it has ended, -ECHILD in a forked copy, or another negated errno. */
int artel_process_kill(struct artel_process *process, int signal_number);

/*
 * Sends it to the whole process group that the child leads (its own children too). Only
 * until the child was reaped, by artel_process_poll() or a wait that answered 1: then the
 * number may be another's, and the answer is -ESRCH.
 */
int artel_process_kill_group(struct artel_process *process, int signal_number);

/* Gives back what is held, and may be repeated. A child that still runs stays running and
 * unreaped: give it to artel_reaper_add() first. */
void artel_process_fini(struct artel_process *process);

/*
 * Children whose handle is gone: kept in a list of this process and reaped by the calls
 * below, which every later start makes. No signal handler, no thread.
 */
void artel_reaper_add(struct artel_process *process); /* takes the pidfd */
/* What artel_reaper_add() will need: to be had before there is a child. 0 or -ENOMEM. */
int artel_reaper_reserve(struct artel_process *process);
void artel_reaper_run(void); /* reaps what has ended; never waits */
/* Waits until all of them have ended or the deadline; answers how many are left. */
int artel_reaper_wait(int64_t deadline_ms);
/* Sends a signal to all of them. */
void artel_reaper_kill(int signal_number);

/* "SIGKILL" for 9; NULL for a number without a name. Static. */
const char *artel_signal_name(int signal_number);
/* The number for "SIGKILL" or "KILL"; 0 when there is none. */
int artel_signal_number(const char *name);

#endif
