/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of what a child writes to its standard error: a pipe that is emptied whenever
 * anybody waits for the child, of which the last bytes are kept.
 */
#ifndef ARTEL_CORE_CAPTURE_H
#define ARTEL_CORE_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>

/* Enough for a traceback. */
#define ARTEL_CAPTURE_LEN ((size_t)4096)

struct artel_capture {
    int fd;     /* reading end, non-blocking */
    bool ended; /* nobody can write any more */
    size_t len;
    char text[ARTEL_CAPTURE_LEN]; /* the last len bytes */
};

/* Makes the pipe. *child_fd is the writing end, the caller's, close-on-exec. 0 with a
 * heap block in *capture for artel_capture_free(), or a negated errno. */
int artel_capture_new(struct artel_capture **capture, int *child_fd);

/* NULL is fine. */
void artel_capture_free(struct artel_capture *capture);

/* Takes in what is there. Never waits. */
void artel_capture_drain(struct artel_capture *capture);

#endif
