/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the C tests share: checks that also work under NDEBUG, and a way to run cases.
 * A test program answers 0 when all passed, 77 when it cannot run here, anything else
 * when it failed.
 */
#ifndef ARTEL_CORE_TEST_H
#define ARTEL_CORE_TEST_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEST_SKIPPED 77

/* A test that hangs is killed by SIGALRM after so many seconds. */
#define TEST_TIMEOUT_S 120

#define CHECK(condition)                                                                 \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);      \
            abort();                                                                     \
        }                                                                                \
    } while (0)

/* Both as long long: prints what was there. */
#define CHECK_INT(expected, actual)                                                      \
    test_check_int((long long)(expected), (long long)(actual), #actual, __FILE__,        \
                   __LINE__)

/* Either may be NULL. */
#define CHECK_STR(expected, actual)                                                      \
    test_check_str((expected), (actual), #actual, __FILE__, __LINE__)

/* Runs a function without arguments and says so. */
#define RUN(function)                                                                    \
    do {                                                                                 \
        alarm(TEST_TIMEOUT_S);                                                           \
        function();                                                                      \
        printf("ok %s\n", #function);                                                    \
        fflush(stdout);                                                                  \
    } while (0)

static inline void test_check_int(long long expected, long long actual, const char *what,
                                  const char *file, int line)
{
    if (expected != actual) {
        fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", file, line, what, actual,
                expected);
        abort();
    }
}

static inline void test_check_str(const char *expected, const char *actual,
                                  const char *what, const char *file, int line)
{
    bool same = expected == NULL || actual == NULL ? expected == actual
                                                   : strcmp(expected, actual) == 0;
    if (!same) {
        fprintf(stderr, "%s:%d: %s is \"%s\", not \"%s\"\n", file, line, what,
                actual != NULL ? actual : "(null)",
                expected != NULL ? expected : "(null)");
        abort();
    }
}

/* Runs body in a forked copy, for what has no way back; its status as of waitpid(2). */
static inline int test_in_a_fork(void (*body)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(TEST_TIMEOUT_S);
        body();
        _exit(0);
    }
    int status = 0;
    CHECK_INT(pid, waitpid(pid, &status, 0));
    return status;
}

#endif
