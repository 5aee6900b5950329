/* SPDX-License-Identifier: Apache-2.0 */
/* Knows how to keep the end of a stream of any length. */
#include "capture.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Reads in one go: more than a pipe holds, and an end to it though the writer has none.
 */
#define ROUNDS_MAX 256

int artel_capture_new(struct artel_capture **capture, int *child_fd)
{
    int ends[2];
    struct artel_capture *self = malloc(sizeof *self);
    if (self == NULL) {
        return -ENOMEM;
    }
    if (pipe2(ends, O_CLOEXEC) < 0) {
        int status = -errno;
        free(self);
        return status;
    }
    /* Ours alone: a child whose standard error did not block would lose lines. */
    int status = artel_fd_set_nonblocking(ends[0], true);
    self->fd = ends[0];
    self->ended = false;
    self->len = 0;
    if (status < 0) {
        artel_fd_close(&ends[1]);
        artel_capture_free(self);
        return status;
    }
    *capture = self;
    *child_fd = ends[1];
    return 0;
}

void artel_capture_free(struct artel_capture *capture)
{
    if (capture != NULL) {
        artel_fd_close(&capture->fd);
        free(capture);
    }
}

/* Appends bytes, at most a whole text of them, and drops the oldest that have no room. */
static void keep(struct artel_capture *capture, const char *bytes, size_t len)
{
    size_t room = ARTEL_CAPTURE_LEN - capture->len;
    if (len > room) {
        size_t dropped = len - room;
        memmove(capture->text, capture->text + dropped, capture->len - dropped);
        capture->len -= dropped;
    }
    memcpy(capture->text + capture->len, bytes, len);
    capture->len += len;
}

void artel_capture_drain(struct artel_capture *capture)
{
    char bytes[ARTEL_CAPTURE_LEN];
    for (int i = 0; i < ROUNDS_MAX && !capture->ended; i++) {
        ssize_t got = read(capture->fd, bytes, sizeof bytes);
        if (got > 0) {
            keep(capture, bytes, (size_t)got);
        } else if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
            capture->ended = true;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}
