/* SPDX-License-Identifier: Apache-2.0 */
/* How the reference programs spawn, move whole messages and say what they measured. */
#include "bench.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

uint64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

_Noreturn void bench_die(const char *what)
{
    perror(what);
    exit(1);
}

void bench_send_all(int fd, const void *bytes, size_t len)
{
    const char *next = bytes;
    while (len > 0) {
        ssize_t sent = send(fd, next, len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            bench_die("send");
        }
        next += sent;
        len -= (size_t)sent;
    }
}

bool bench_recv_all(int fd, void *bytes, size_t len)
{
    char *next = bytes;
    size_t missing = len;
    while (missing > 0) {
        ssize_t got = recv(fd, next, missing, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got == 0 && missing == len) {
            return false;
        }
        if (got <= 0) {
            bench_die("recv");
        }
        next += got;
        missing -= (size_t)got;
    }
    return true;
}

void *bench_alloc(size_t len)
{
    void *block = malloc(len > 0 ? len : 1);
    if (block == NULL) {
        bench_die("malloc");
    }
    return block;
}

int bench_spawn(const char *program, const char *const arguments[], pid_t *pid)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        bench_die("socketpair");
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], BENCH_CHILD_FD);
    char **argv = (char **)(uintptr_t)arguments; /* posix_spawn does not write to them */
    errno = posix_spawn(pid, program, &actions, NULL, argv, environ);
    if (errno != 0) {
        bench_die(program);
    }
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    return ends[0];
}

int bench_spawn_self(const char *argument, pid_t *pid)
{
    const char *const arguments[] = {"child", "child", argument, NULL};
    return bench_spawn("/proc/self/exe", arguments, pid);
}

void bench_reap(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            bench_die("waitpid");
        }
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "the child ended badly (wait status %d)\n", status);
        exit(1);
    }
}

const char *bench_text_option(int argc, char *argv[], const char *name,
                              const char *by_default)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], name) == 0) {
            return argv[i + 1];
        }
    }
    return by_default;
}

long bench_option(int argc, char *argv[], const char *name, long by_default)
{
    const char *text = bench_text_option(argc, argv, name, NULL);
    return text != NULL ? strtol(text, NULL, 10) : by_default;
}

bool bench_flag(int argc, char *argv[], const char *name)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], name) == 0) {
            return true;
        }
    }
    return false;
}

const char *bench_beside(const char *name)
{
    static char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    if (len < 0) {
        bench_die("/proc/self/exe");
    }
    path[len] = '\0';
    char *slash = strrchr(path, '/');
    size_t room = sizeof path - (size_t)(slash + 1 - path);
    if (strlen(name) >= room) {
        errno = ENAMETOOLONG;
        bench_die(name);
    }
    strcpy(slash + 1, name);
    return path;
}

void bench_print(const char *figure, double value)
{
    printf("%s %.6g\n", figure, value);
}
