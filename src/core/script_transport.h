/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: a channel whose transport gives bytes in whatever portions a test wants, and
 * keeps what is written. */
#ifndef ARTEL_CORE_SCRIPT_TRANSPORT_H
#define ARTEL_CORE_SCRIPT_TRANSPORT_H

#include "channel.h"
#include "error.h"
#include "test.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>

#define SCRIPT_ACCEPTS                                                                   \
    (ARTEL_FRAME_BIT(ARTEL_FRAME_MESSAGE) | ARTEL_FRAME_BIT(ARTEL_FRAME_REQUEST) |       \
     ARTEL_FRAME_BIT(ARTEL_FRAME_RESPONSE) | ARTEL_FRAME_BIT(ARTEL_FRAME_ERROR) |        \
     ARTEL_FRAME_BIT(ARTEL_FRAME_CANCEL))

struct script {
    struct artel_transport base;
    const uint8_t *input;
    size_t len;
    size_t at;
    size_t portion;   /* most bytes of one read */
    size_t available; /* reads stop here, as if more were still on its way */
    bool ends;        /* behind the input is the end, and not silence */
    uint8_t sent[4096];
    size_t sent_len;
    size_t room;     /* bytes that the next write takes */
    int write_error; /* 0, or what every write answers */
};

static ssize_t script_read(struct artel_transport *self, void *into, size_t len,
                           bool block)
{
    struct script *script = (struct script *)self;
    (void)block;
    size_t stop = script->available < script->len ? script->available : script->len;
    size_t count = stop - script->at;
    if (count == 0) {
        return script->ends && script->at == script->len ? ARTEL_E_EOF : -EAGAIN;
    }
    count = count < script->portion ? count : script->portion;
    count = count < len ? count : len;
    memcpy(into, script->input + script->at, count);
    script->at += count;
    return (ssize_t)count;
}

static ssize_t script_writev(struct artel_transport *self, const struct iovec *parts,
                             int count)
{
    struct script *script = (struct script *)self;
    if (script->write_error != 0) {
        return script->write_error;
    }
    ssize_t total = 0;
    for (int i = 0; i < count; i++) {
        size_t taken = parts[i].iov_len < script->room ? parts[i].iov_len : script->room;
        CHECK(script->sent_len + taken <= sizeof script->sent);
        memcpy(script->sent + script->sent_len, parts[i].iov_base, taken);
        script->sent_len += taken;
        script->room -= taken;
        total += (ssize_t)taken;
    }
    return total;
}

static bool script_arm(struct artel_transport *self, bool want_read, bool want_write,
                       short *events)
{
    (void)self;
    *events = (short)((want_read ? POLLIN : 0) | (want_write ? POLLOUT : 0));
    return false;
}

static int script_shutdown(struct artel_transport *self)
{
    (void)self;
    return 0;
}

static void script_free(struct artel_transport *self)
{
    (void)self; /* the test's own variable */
}

static const struct artel_transport_ops SCRIPT_OPS = {
    .name = "script",
    .read = script_read,
    .writev = script_writev,
    .arm = script_arm,
    .shutdown_write = script_shutdown,
    .shutdown_read = script_shutdown,
    .free = script_free,
};

static inline void script_init(struct script *script, const void *input, size_t len)
{
    memset(script, 0, sizeof *script);
    script->base.ops = &SCRIPT_OPS;
    script->base.fd = -1;
    script->input = input;
    script->len = len;
    script->portion = SIZE_MAX;
    script->available = SIZE_MAX;
    script->ends = true;
    script->room = SIZE_MAX;
}

static inline struct artel_channel *script_channel(struct script *script,
                                                   enum artel_encoding encoding,
                                                   enum artel_channel_start start)
{
    struct artel_channel_options options = {.encoding = encoding,
                                            .start = start,
                                            .accepts = SCRIPT_ACCEPTS,
                                            .max_message_len = 100,
                                            .max_queued_len = 1000};
    struct artel_channel *channel = NULL;
    CHECK_INT(0, artel_channel_new(&channel, &script->base, &options));
    return channel;
}

/* Appends a frame with this body; 0 or why it was not taken. */
static inline int script_put(struct artel_channel *channel, enum artel_frame_kind kind,
                             const char *body, size_t len)
{
    struct artel_buffer *out = artel_channel_frame_begin(channel, kind, 7);
    CHECK(out != NULL);
    CHECK_INT(0, artel_buffer_append(out, body, len));
    return artel_channel_frame_end(channel);
}

#endif
