/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many descriptors behind one. luv watches that one instead of each of them, since it
 * prints a line to standard error for every socket whose peer died with unread input, and
 * takes a descriptor only once.
 */
#ifndef ARTEL_CORE_WATCH_SET_H
#define ARTEL_CORE_WATCH_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct artel_watch_set {
    int fd;      /* readable while one of its own is ready; -1: none */
    pid_t owner; /* a copy that fork has made shares the kernel's set, and leaves it alone
                  */
};

/* 0 or a negated errno, with *set without a descriptor. */
int artel_watch_set_open(struct artel_watch_set *set);

/* Repeatable. */
void artel_watch_set_close(struct artel_watch_set *set);

/* Watches fd, under a number that its user gives, or changes what for. 0 or a negated
 * errno. */
int artel_watch_set_put(struct artel_watch_set *set, int fd, uint64_t id, bool want_read,
                        bool want_write, bool is_new);

/* To be called before fd is closed. */
void artel_watch_set_remove(struct artel_watch_set *set, int fd);

/* Writes the numbers of those that are ready, or broken, and answers how many. They come
 * again while they are. Never waits. */
size_t artel_watch_set_take(struct artel_watch_set *set, uint64_t *ids, size_t count);

#endif
