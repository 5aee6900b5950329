/* SPDX-License-Identifier: Apache-2.0 */
/* What every reference program needs: a clock, a spawned child, whole reads and writes.
 */
#ifndef ARTEL_BENCH_H
#define ARTEL_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The child's end of a socketpair, as in artel's workers. */
#define BENCH_CHILD_FD 3

uint64_t bench_now_ns(void);

/* Prints what failed with errno and exits 1: a reference has nothing to recover. */
_Noreturn void bench_die(const char *what);

/* A message is sent whole. */
void bench_send_all(int fd, const void *bytes, size_t len);

/* false when the peer ended before the first byte; anything else short is fatal. */
bool bench_recv_all(int fd, void *bytes, size_t len);

/* malloc that cannot fail. The caller frees. */
void *bench_alloc(size_t len);

/*
 * Starts program with a socketpair whose other end is the child's descriptor 3.
 * arguments: argv, NULL at the end. Answers our end, close-on-exec, blocking; the caller
 * closes it and reaps *pid.
 */
int bench_spawn(const char *program, const char *const arguments[], pid_t *pid);

/* Starts this very program again with "child" and one more argument. */
int bench_spawn_self(const char *argument, pid_t *pid);

void bench_reap(pid_t pid);

/* The number or text behind `name` on the command line, or the default. */
long bench_option(int argc, char *argv[], const char *name, long by_default);
const char *bench_text_option(int argc, char *argv[], const char *name,
                              const char *by_default);
bool bench_flag(int argc, char *argv[], const char *name);

/* The full path of a program that was built beside this one. Static storage. */
const char *bench_beside(const char *name);

/* One machine-readable line: `ns_per_op 27012`. */
void bench_print(const char *figure, double value);

#endif
