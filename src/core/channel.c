/* SPDX-License-Identifier: Apache-2.0 */
/* How bytes become frames and frames bytes: queues, greeting, and the start-up reports.
 */
#include "channel.h"

#include "error.h"
#include "json_bytes.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GREETING "ATL1"
#define GREETING_LEN 4

/* A read asks for this much at first, and for twice as much each time it was filled. */
#define READ_LEN_MIN ((size_t)512) /* a shared worker may have thousands of channels */
#define READ_LEN_MAX ((size_t)256 * 1024)

/* Profiles and start-up reports may be this long, whatever limits the profile sets. */
#define REPORT_LEN_MAX ((size_t)64 * 1024 * 1024)

/* What a direction carries next. */
enum phase {
    PHASE_GREETING, /* receiving only: the four bytes are not all in yet */
    PHASE_REPORT, /* dedicated: the profile, or the ready or failed report, in msgpack */
    PHASE_FRAMES  /* application frames */
};

struct artel_channel {
    struct artel_transport *transport;
    struct artel_channel_options options;

    struct artel_buffer in;
    struct artel_frame_reader reader;
    enum phase in_phase;
    size_t read_len;          /* what the next fill asks for */
    int in_end;               /* 0, or why nothing more will be read */
    struct artel_frame frame; /* total_len 0: none; its body is an offset into in */
    size_t frame_body_at;

    struct artel_buffer out;
    enum phase out_phase;
    size_t queued_len;   /* bytes of whole frames at the head of out */
    const uint8_t *lent; /* the rest of the last frame, behind those; not ours */
    size_t lent_len;
    size_t body_at; /* of the frame being written, counted from out's head */
    enum artel_frame_kind open_kind;
    uint64_t messages_sent;
    int out_end; /* 0, or why nothing more can be sent */

    char fault[160];
};

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

/* Writes the sentence of artel_channel_fault(): what was wrong, and what came, quoted and
 * escaped. */
static void describe_fault(struct artel_channel *channel, const char *complaint)
{
    static const size_t SHOWN =
        24; /* bytes of the culprit: enough to recognise a print */
    char *out = channel->fault;
    size_t room = sizeof channel->fault;
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
    snprintf(out + at, room - at, "\"");
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
    int status = artel_buffer_reserve(&channel->in, wanted);
    if (status < 0) {
        return channel->in_end = status;
    }
    size_t room = artel_buffer_room(&channel->in);
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
            describe_fault(channel, "expected the greeting ATL1");
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
        describe_fault(channel, channel->reader.encoding == ARTEL_JSON
                                    ? "expected a JSON text that may be sent here"
                                    : "expected a msgpack frame that may be sent here");
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

/* ---- sending ---- */

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

int artel_channel_keep_lent(struct artel_channel *channel)
{
    channel->out.end = channel->out.start + channel->queued_len;
    int status = artel_buffer_append(&channel->out, channel->lent, channel->lent_len);
    if (status < 0) {
        channel->out_end = status;
        return drop_output(channel);
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

void artel_channel_trim(struct artel_channel *channel)
{
    if (channel->queued_len == 0) {
        channel->out.end = channel->out.start;
        artel_buffer_trim(&channel->out, 0);
    }
    artel_buffer_trim(&channel->in, 0);
    channel->read_len = READ_LEN_MIN;
}

void artel_channel_shutdown_write(struct artel_channel *channel)
{
    channel->transport->ops->shutdown_write(channel->transport);
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
