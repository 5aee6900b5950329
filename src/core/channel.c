/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a channel, and how bytes become frames: greeting, reports, input queue. */
#include "channel_state.h"

#include "error.h"
#include "json_bytes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GREETING "ATL1"
#define GREETING_LEN 4

/* A read asks for this much at first, and for twice as much each time it was filled. */
#define READ_LEN_MIN ((size_t)512) /* a shared worker may have thousands of channels */
#define READ_LEN_MAX ((size_t)256 * 1024)
/* So much is taken in at once, however much room a long message has made: a peer that
 * writes on meanwhile would keep us here, and get past the limit of what is unread. */
#define READ_AT_ONCE_MAX (4 * READ_LEN_MAX)

/* ---- life ---- */

static bool is_dedicated(const struct artel_channel *channel)
{
    return channel->options.start == ARTEL_START_MASTER ||
           channel->options.start == ARTEL_START_HOST;
}

static void start_reader(struct artel_channel *channel)
{
    enum artel_encoding encoding = channel->options.encoding;
    uint32_t accepts = channel->options.accepts;
    size_t max_len = channel->options.max_message_len;
    if (channel->in_phase == PHASE_REPORT) {
        encoding = ARTEL_MSGPACK;
        max_len = REPORT_LEN_MAX;
        accepts = channel->options.start == ARTEL_START_HOST
                      ? ARTEL_FRAME_BIT(ARTEL_FRAME_PROFILE)
                      : ARTEL_FRAME_BIT(ARTEL_FRAME_READY) |
                            ARTEL_FRAME_BIT(ARTEL_FRAME_FAILED);
    }
    artel_frame_reader_init(&channel->reader, encoding, max_len, accepts);
}

static int queue_greeting(struct artel_channel *channel)
{
    return artel_channel_put_bytes(channel, GREETING, GREETING_LEN);
}

int artel_channel_new(struct artel_channel **channel, struct artel_transport *transport,
                      const struct artel_channel_options *options)
{
    struct artel_channel *self = calloc(1, sizeof *self);
    if (self == NULL) {
        transport->ops->free(transport);
        return -ENOMEM;
    }
    self->transport = transport;
    self->options = *options;
    self->read_len = READ_LEN_MIN;
    artel_buffer_init(&self->in);
    artel_buffer_init(&self->out);
    bool dedicated = is_dedicated(self);
    self->in_phase = options->start == ARTEL_START_PLAIN ? PHASE_FRAMES : PHASE_GREETING;
    self->out_phase = dedicated ? PHASE_REPORT : PHASE_FRAMES;
    start_reader(self);
    int status =
        dedicated || options->start == ARTEL_START_CLIENT ? queue_greeting(self) : 0;
    if (status < 0) {
        artel_channel_free(self);
        return status;
    }
    *channel = self;
    return 0;
}

void artel_channel_free(struct artel_channel *channel)
{
    if (channel == NULL) {
        return;
    }
    channel->transport->ops->free(channel->transport);
    artel_buffer_fini(&channel->in);
    artel_buffer_fini(&channel->out);
    free(channel);
}

size_t artel_channel_trim(struct artel_channel *channel)
{
    size_t before = channel->out.capacity + channel->in.capacity;
    channel->out.end = channel->out.start + channel->queued_len;
    artel_buffer_trim(&channel->out, 0);
    /* Also of a frame that has only begun: who sends a byte behind a long one must not
     * have us keep what that took. */
    artel_buffer_trim(&channel->in, 0);
    channel->read_len = READ_LEN_MIN;
    return before - (channel->out.capacity + channel->in.capacity);
}

void artel_channel_set_encoding(struct artel_channel *channel,
                                enum artel_encoding encoding)
{
    channel->options.encoding = encoding;
    start_reader(channel);
}

void artel_channel_set_limits(struct artel_channel *channel, size_t max_message_len,
                              size_t max_queued_len)
{
    channel->options.max_message_len = max_message_len;
    channel->options.max_queued_len = max_queued_len;
    if (channel->in_phase == PHASE_FRAMES) {
        channel->reader.max_len = max_message_len;
    }
}

void artel_channel_set_accepts(struct artel_channel *channel, uint32_t accepts)
{
    channel->options.accepts = accepts;
    if (channel->in_phase == PHASE_FRAMES) {
        channel->reader.accepts = accepts;
    }
}

/* ---- receiving ---- */

/*
 * Writes the sentence of artel_channel_fault(): what was wrong, and how what came begins.
 * It goes into logs, and what came may hold a secret. So no more is quoted than tells who
 * speaks here ("GET /", "SSH-2", "ATL2"): that is over before the body of a frame begins,
 * and before the value in {"_stop_":"a cookie"}. Behind a frame nothing is: a peer that
 * counts or quotes wrongly makes the rest of anything stand where a frame should.
 */
static void describe_fault(struct artel_channel *channel, const char *complaint)
{
    static const size_t SHOWN = 5; /* bytes: the length of a frame and its kind */
    char *out = channel->fault;
    size_t room = sizeof channel->fault;
    if (channel->has_received) {
        snprintf(out, room, "%s", complaint);
        return;
    }
    int used = snprintf(out, room, "%s, got \"", complaint);
    size_t at = used < 0 ? 0 : (size_t)used;
    size_t len = artel_buffer_len(&channel->in);
    const uint8_t *bytes = artel_buffer_head(&channel->in);
    for (size_t i = 0; i < len && i < SHOWN && at + 6 < room; i++) {
        bool plain =
            bytes[i] >= ' ' && bytes[i] < 127 && bytes[i] != '"' && bytes[i] != '\\';
        used = snprintf(out + at, room - at, plain ? "%c" : "\\x%02x", bytes[i]);
        at += used < 0 ? 0 : (size_t)used;
    }
    snprintf(out + at, room - at, len > SHOWN ? "\"..." : "\"");
}

/* Whether too much is here behind a frame that nobody consumes. */
static bool is_flooded(struct artel_channel *channel)
{
    size_t len = artel_buffer_len(&channel->in);
    struct artel_frame oldest = {0};
    return len > ARTEL_UNREAD_LEN_MAX && artel_channel_next(channel, &oldest) == 1 &&
           len - oldest.total_len > ARTEL_UNREAD_LEN_MAX;
}

ssize_t artel_channel_fill(struct artel_channel *channel, bool block)
{
    if (channel->in_end != 0) {
        return channel->in_end;
    }
    /* A long message is taken in by ever larger reads: room grows with what has come,
     * never with what was announced. */
    size_t wanted = channel->read_len;
    if (artel_buffer_len(&channel->in) > wanted) {
        wanted = artel_buffer_len(&channel->in);
    }
    if (wanted > READ_LEN_MAX) {
        wanted = READ_LEN_MAX;
    }
    int status = is_flooded(channel) ? ARTEL_E_OVERLOADED
                                     : artel_buffer_reserve(&channel->in, wanted);
    if (status < 0) {
        /* The peer must not wait for us to take what nobody will. One that does so
         * already wakes up only when there is room. */
        channel->transport->ops->shutdown_read(channel->transport);
        artel_channel_discard_input(channel);
        return channel->in_end = status;
    }
    size_t room = artel_buffer_room(&channel->in);
    if (room > READ_AT_ONCE_MAX) {
        room = READ_AT_ONCE_MAX;
    }
    ssize_t got = channel->transport->ops->read(
        channel->transport, artel_buffer_tail(&channel->in), room, block);
    if (got > 0) {
        artel_buffer_commit(&channel->in, (size_t)got);
        if ((size_t)got == room && channel->read_len < READ_LEN_MAX) {
            channel->read_len *= 2;
        }
        return got;
    }
    if (got == -EAGAIN) {
        return 0;
    }
    if (got != -EINTR) {
        channel->in_end = (int)got;
    }
    if (got == ARTEL_E_PROTOCOL) {
        snprintf(channel->fault, sizeof channel->fault,
                 "the peer has damaged the memory that it shares with us, or knows "
                 "nothing of it: is it this version's host?");
    }
    return got;
}

void artel_channel_end_input(struct artel_channel *channel)
{
    if (channel->in_end == 0) {
        channel->in_end = ARTEL_E_EOF;
    }
}

/* 1 when the greeting is complete, 0 when bytes are missing, negative when it is wrong.
 */
static int match_greeting(struct artel_channel *channel)
{
    const uint8_t *bytes = artel_buffer_head(&channel->in);
    size_t len = artel_buffer_len(&channel->in);
    /* Left in the queue until it is whole, so that a fault can quote it. */
    for (size_t i = 0; i < len && i < GREETING_LEN; i++) {
        if (bytes[i] != (uint8_t)GREETING[i]) {
            describe_fault(channel, bytes[0] == '{'
                                        ? "expected the greeting ATL1 and not JSON"
                                        : "expected the greeting ATL1");
            return channel->reader.failed = ARTEL_E_PROTOCOL;
        }
    }
    if (len < GREETING_LEN) {
        return 0;
    }
    artel_buffer_consume(&channel->in, GREETING_LEN);
    channel->in_phase = is_dedicated(channel) ? PHASE_REPORT : PHASE_FRAMES;
    start_reader(channel);
    if (channel->options.start == ARTEL_START_SERVER && queue_greeting(channel) < 0) {
        return channel->reader.failed = -ENOMEM;
    }
    return 1;
}

/* Frames without a body carry nil in msgpack, and nothing else. */
static bool body_fits_kind(const struct artel_channel *channel,
                           const struct artel_frame *frame)
{
    static const uint32_t BARE =
        ARTEL_FRAME_BIT(ARTEL_FRAME_READY) | ARTEL_FRAME_BIT(ARTEL_FRAME_CANCEL);
    if (channel->reader.encoding != ARTEL_MSGPACK ||
        !(ARTEL_FRAME_BIT(frame->kind) & BARE)) {
        return true;
    }
    return frame->body_len == 1 && frame->body[0] == 0xc0;
}

/* White space between JSON texts must not pile up while no text comes. */
static void skip_blank(struct artel_channel *channel)
{
    const uint8_t *head = artel_buffer_head(&channel->in);
    const uint8_t *end = head + artel_buffer_len(&channel->in);
    artel_buffer_consume(&channel->in, (size_t)(artel_json_skip_blank(head, end) - head));
}

static int look_for_frame(struct artel_channel *channel)
{
    if (channel->reader.encoding == ARTEL_JSON && channel->reader.scanned == 0 &&
        artel_buffer_len(&channel->in) > 0) {
        skip_blank(channel);
    }
    struct artel_frame found;
    int status = artel_frame_reader_next(
        &channel->reader, artel_buffer_head(&channel->in), artel_buffer_len(&channel->in),
        channel->in_end != 0, &found);
    if (status == 1 && !body_fits_kind(channel, &found)) {
        status = channel->reader.failed = ARTEL_E_PROTOCOL;
    }
    if (status == 1) {
        channel->frame = found;
        channel->frame_body_at =
            found.body == NULL ? 0
                               : (size_t)(found.body - artel_buffer_head(&channel->in));
        return 1;
    }
    if (status == ARTEL_E_PROTOCOL) {
        const char *expected = channel->reader.encoding == ARTEL_JSON
                                   ? "expected a JSON text that may be sent here"
                                   : "expected a msgpack frame that may be sent here";
        describe_fault(channel, channel->reader.expected != NULL
                                    ? channel->reader.expected
                                    : expected);
    }
    if (status == 0 && channel->reader.encoding == ARTEL_JSON &&
        artel_json_scan_is_blank(&channel->reader.scan)) {
        /* White space between texts is not kept: a peer could send it for ever. */
        artel_buffer_consume(&channel->in, channel->reader.scanned);
        channel->reader.scanned = 0;
    }
    return status;
}

int artel_channel_next(struct artel_channel *channel, struct artel_frame *frame)
{
    if (channel->frame.total_len == 0) {
        int status = channel->reader.failed;
        if (status == 0 && channel->in_phase == PHASE_GREETING) {
            status = match_greeting(channel);
        } else if (status == 0) {
            status = 1;
        }
        if (status == 1) {
            status = look_for_frame(channel);
        }
        if (status != 1) {
            return status == 0 && channel->in_end != 0 ? channel->in_end : status;
        }
    }
    *frame = channel->frame;
    if (frame->body != NULL) {
        frame->body = artel_buffer_head(&channel->in) + channel->frame_body_at;
    }
    return 1;
}

void artel_channel_consume(struct artel_channel *channel)
{
    artel_buffer_consume(&channel->in, channel->frame.total_len);
    channel->frame.total_len = 0;
    channel->has_received = true;
    if (channel->in_phase == PHASE_REPORT) {
        channel->in_phase = PHASE_FRAMES;
        start_reader(channel);
    }
}

const char *artel_channel_fault(const struct artel_channel *channel)
{
    return channel->fault;
}

void artel_channel_break(struct artel_channel *channel, const char *complaint)
{
    describe_fault(channel, complaint);
    channel->reader.failed = ARTEL_E_PROTOCOL;
}

enum artel_encoding artel_channel_frame_encoding(const struct artel_channel *channel)
{
    return channel->reader.encoding;
}

bool artel_channel_is_started(const struct artel_channel *channel)
{
    return channel->in_phase == PHASE_FRAMES;
}

bool artel_channel_input_ended(const struct artel_channel *channel)
{
    return channel->in_end != 0;
}

void artel_channel_discard_input(struct artel_channel *channel)
{
    static const int ROUNDS_MAX =
        256; /* a peer that never stops sending must not hold us */
    uint8_t scratch[16384];
    for (int i = 0; i < ROUNDS_MAX && channel->in_end == 0; i++) {
        if (channel->transport->ops->read(channel->transport, scratch, sizeof scratch,
                                          false) <= 0) {
            break;
        }
    }
    if (channel->in_end == 0) {
        channel->in_end = ARTEL_E_CLOSED;
    }
}

size_t artel_channel_unread_len(const struct artel_channel *channel)
{
    return artel_buffer_len(&channel->in);
}

/* ---- waiting ---- */

int artel_channel_fd(const struct artel_channel *channel)
{
    return channel->transport->fd;
}

const char *artel_channel_transport_name(const struct artel_channel *channel)
{
    return channel->transport->ops->name;
}

bool artel_channel_arm(struct artel_channel *channel, bool want_read, bool want_write,
                       short *events)
{
    return channel->transport->ops->arm(channel->transport,
                                        want_read && channel->in_end == 0,
                                        want_write && channel->out_end == 0, events);
}

bool artel_channel_ready(struct artel_channel *channel, bool want_read, bool want_write)
{
    return channel->transport->ops->ready(channel->transport,
                                          want_read && channel->in_end == 0,
                                          want_write && channel->out_end == 0);
}

struct artel_spin *artel_channel_spin(struct artel_channel *channel, unsigned resting)
{
    return channel->transport->ops->spin(channel->transport, resting);
}

bool artel_channel_peer_rests(struct artel_channel *channel)
{
    return channel->transport->ops->peer_rests(channel->transport);
}

void artel_channel_watch(struct artel_channel *channel, unsigned watcher, bool watches)
{
    unsigned others = channel->transport->watchers & ~watcher;
    channel->transport->watchers = watches ? others | watcher : others;
}

void artel_channel_await_room(struct artel_channel *channel, bool awaits)
{
    channel->transport->loop_awaits_room = awaits;
}

bool artel_channel_loop_awaits_room(const struct artel_channel *channel)
{
    return channel->transport->loop_awaits_room;
}

bool artel_channel_loop_waits(const struct artel_channel *channel)
{
    const struct artel_transport *transport = channel->transport;
    return (transport->watchers & ARTEL_WATCHER_LOOP) != 0 || transport->loop_awaits_room;
}
