/* SPDX-License-Identifier: Apache-2.0 */
/* How frames become bytes: the output queue, what is lent to it, and how it empties. */
#include "channel_state.h"

#include "error.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

int artel_channel_put_bytes(struct artel_channel *channel, const void *bytes, size_t len)
{
    /* A frame that was begun and given up may still stand behind the queue. */
    channel->out.end = channel->out.start + channel->queued_len;
    int status = artel_buffer_append(&channel->out, bytes, len);
    if (status == 0) {
        channel->queued_len += len;
    }
    return status;
}

enum artel_encoding artel_channel_send_encoding(const struct artel_channel *channel)
{
    return channel->out_phase == PHASE_REPORT ? ARTEL_MSGPACK : channel->options.encoding;
}

/* What stands before and behind a body in JSON; %u is the id. An error frame's body is an
 * object whose opening bracket becomes the comma behind the id. */
static const struct {
    const char *before;
    const char *behind;
} JSON_ENVELOPES[ARTEL_FRAME_KINDS] = {
    [ARTEL_FRAME_MESSAGE] = {"", "\n"},
    [ARTEL_FRAME_REQUEST] = {"{\"_request_\":%u,\"body\":", "}\n"},
    [ARTEL_FRAME_RESPONSE] = {"{\"_response_\":%u,\"body\":", "}\n"},
    [ARTEL_FRAME_ERROR] = {"{\"_error_\":%u", "\n"},
    [ARTEL_FRAME_STOP] = {"{\"_stop_\":", "}\n"},
    [ARTEL_FRAME_QUERY] = {"{\"_query_\":", "}\n"},
    [ARTEL_FRAME_STATUS] = {"{\"_status_\":", "}\n"},
    [ARTEL_FRAME_CANCEL] = {"{\"_cancel_\":%u", "}\n"},
};
#define ENVELOPE_LEN_MAX 48

struct artel_buffer *artel_channel_frame_begin(struct artel_channel *channel,
                                               enum artel_frame_kind kind, uint32_t id)
{
    struct artel_buffer *out = &channel->out;
    out->end = out->start + channel->queued_len; /* forgets a frame that was given up */
    if (artel_buffer_reserve(out, ENVELOPE_LEN_MAX) < 0) {
        return NULL;
    }
    uint8_t *at = artel_buffer_tail(out);
    if (artel_channel_send_encoding(channel) == ARTEL_MSGPACK) {
        artel_frame_put_header(at, 0, kind, id);
        artel_buffer_commit(out, ARTEL_FRAME_HEADER_LEN);
    } else if (kind != ARTEL_FRAME_MESSAGE) {
        int len = snprintf((char *)at, ENVELOPE_LEN_MAX, JSON_ENVELOPES[kind].before, id);
        artel_buffer_commit(out, (size_t)len);
    }
    channel->body_at = artel_buffer_len(out);
    channel->open_kind = kind;
    return out;
}

static int close_envelope(struct artel_channel *channel, size_t body_len)
{
    struct artel_buffer *out = &channel->out;
    if (artel_channel_send_encoding(channel) == ARTEL_MSGPACK) {
        /* What users send is never bare: a codec of theirs may write it in 0 bytes. */
        if (body_len == 0 && channel->open_kind > ARTEL_FRAME_RESPONSE) {
            static const uint8_t NIL = 0xc0;
            int status = artel_buffer_append(out, &NIL, 1);
            if (status < 0) {
                return status;
            }
            body_len = 1;
        }
        uint8_t *header =
            artel_buffer_head(out) + channel->body_at - ARTEL_FRAME_HEADER_LEN;
        header[0] = (uint8_t)(body_len >> 24);
        header[1] = (uint8_t)(body_len >> 16);
        header[2] = (uint8_t)(body_len >> 8);
        header[3] = (uint8_t)body_len;
        return 0;
    }
    if (channel->open_kind == ARTEL_FRAME_ERROR) {
        artel_buffer_head(out)[channel->body_at] = ',';
    }
    const char *behind = JSON_ENVELOPES[channel->open_kind].behind;
    return artel_buffer_append(out, behind, strlen(behind));
}

/* Whether a frame of so many bytes may be queued behind what is queued already. */
static bool fits_queue(const struct artel_channel *channel, size_t frame_len)
{
    size_t most = channel->options.max_queued_len;
    return channel->queued_len == 0 || channel->out_phase == PHASE_REPORT ||
           (frame_len <= most && channel->queued_len <= most - frame_len);
}

int artel_channel_frame_end(struct artel_channel *channel)
{
    return artel_channel_frame_end_lent(channel, NULL, 0);
}

int artel_channel_frame_end_lent(struct artel_channel *channel, const void *bytes,
                                 size_t len)
{
    assert(channel->lent_len == 0);
    struct artel_buffer *out = &channel->out;
    size_t body_len = artel_buffer_len(out) - channel->body_at + len;
    size_t max_len = channel->out_phase == PHASE_REPORT
                         ? REPORT_LEN_MAX
                         : channel->options.max_message_len;
    int status =
        body_len > max_len ? ARTEL_E_OVERSIZE : close_envelope(channel, body_len);
    size_t frame_len = artel_buffer_len(out) - channel->queued_len;
    if (status == 0 && !fits_queue(channel, frame_len + len)) {
        status = ARTEL_E_OVERLOADED;
    }
    if (status < 0) {
        out->end = out->start + channel->queued_len;
        return status;
    }
    channel->queued_len += frame_len;
    channel->lent = bytes;
    channel->lent_len = len;
    channel->messages_sent += channel->open_kind == ARTEL_FRAME_MESSAGE;
    channel->out_phase = PHASE_FRAMES;
    return 0;
}

/* Nobody will read what is queued: it must not look as if it still could be sent. */
static int drop_output(struct artel_channel *channel)
{
    artel_buffer_consume(&channel->out, artel_buffer_len(&channel->out));
    channel->queued_len = 0;
    channel->lent_len = 0;
    return channel->out_end;
}

void artel_channel_end_output(struct artel_channel *channel, int status)
{
    if (channel->out_end == 0) {
        channel->out_end = status;
        /* The peer may have a part of a frame and must not wait for the rest. */
        channel->transport->ops->shutdown_write(channel->transport);
    }
    drop_output(channel);
}

int artel_channel_keep_lent(struct artel_channel *channel)
{
    channel->out.end = channel->out.start + channel->queued_len;
    int status = artel_buffer_append(&channel->out, channel->lent, channel->lent_len);
    if (status < 0) {
        artel_channel_end_output(channel, status);
        return status;
    }
    channel->queued_len += channel->lent_len;
    channel->lent_len = 0;
    return 0;
}

/* Forgets the first len bytes of what is to be sent. */
static void count_sent(struct artel_channel *channel, size_t len)
{
    size_t queued = len < channel->queued_len ? len : channel->queued_len;
    channel->out.end = channel->out.start + channel->queued_len;
    artel_buffer_consume(&channel->out, queued);
    channel->queued_len -= queued;
    if (len > queued) {
        channel->lent += len - queued;
        channel->lent_len -= len - queued;
    }
}

uint64_t artel_channel_messages_sent(const struct artel_channel *channel)
{
    return channel->messages_sent;
}

int artel_channel_flush(struct artel_channel *channel)
{
    if (channel->out_end != 0) {
        return drop_output(channel);
    }
    while (artel_channel_pending_len(channel) > 0) {
        struct iovec parts[] = {{artel_buffer_head(&channel->out), channel->queued_len},
                                {(void *)channel->lent, channel->lent_len}};
        ssize_t sent = channel->transport->ops->writev(channel->transport, parts,
                                                       channel->lent_len > 0 ? 2 : 1);
        if (sent == 0) {
            return 0;
        }
        if (sent < 0) {
            channel->out_end = (int)sent;
            return drop_output(channel);
        }
        count_sent(channel, (size_t)sent);
    }
    return 1;
}

size_t artel_channel_pending_len(const struct artel_channel *channel)
{
    return channel->queued_len + channel->lent_len;
}

/* Bytes: enough to keep a reader busy. */
#define BACKLOG_MAX ((size_t)1 << 20)

bool artel_channel_is_backed_up(const struct artel_channel *channel)
{
    size_t most = channel->options.max_queued_len / 2;
    return artel_channel_pending_len(channel) > (most < BACKLOG_MAX ? most : BACKLOG_MAX);
}

void artel_channel_shutdown_write(struct artel_channel *channel)
{
    channel->transport->ops->shutdown_write(channel->transport);
}
