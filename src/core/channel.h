/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel: one end of a connection that carries whole frames both ways. A transport,
 * two byte queues and a frame reader; no event loop, and no waiting but
 * in artel_channel_fill(block).
 */
#ifndef ARTEL_CORE_CHANNEL_H
#define ARTEL_CORE_CHANNEL_H

#include "buffer.h"
#include "frame.h"
#include "transport.h"

/* How a stream begins. */
enum artel_channel_start {
    ARTEL_START_PLAIN,  /* frames at once (JSON over sockets, channel pairs) */
    ARTEL_START_MASTER, /* dedicated: greeting, ready or failed report, then frames */
    ARTEL_START_HOST,   /* dedicated, the other end: greeting, profile, then frames */
    ARTEL_START_CLIENT, /* msgpack over sockets: sends the greeting, expects it back */
    ARTEL_START_SERVER  /* msgpack over sockets: expects the greeting, sends it back */
};

struct artel_channel_options {
    enum artel_encoding encoding; /* of application frames */
    enum artel_channel_start start;
    uint32_t accepts;       /* set of application frame kinds that may come in */
    size_t max_message_len; /* longest body in or out, bytes; at most UINT32_MAX */
    size_t max_queued_len;  /* most bytes queued to be sent; one frame always fits */
};

struct artel_channel; /* opaque */

/* So much is taken in behind a frame that nobody consumes, bytes. */
#define ARTEL_UNREAD_LEN_MAX ((size_t)256 * 1024 * 1024)

/*
 * Takes the transport over, also on failure. The greeting, if this end speaks first, is
 * queued. 0 or -ENOMEM.
 */
int artel_channel_new(struct artel_channel **channel, struct artel_transport *transport,
                      const struct artel_channel_options *options);

/* Closes at once what is open and frees; NULL is fine. Queued bytes are lost: flush
 * first. */
void artel_channel_free(struct artel_channel *channel);

/*
 * Sets the encoding of application frames (both directions) on a channel that does not
 * know it yet: the host, after it has read the profile and before it sends.
 */
void artel_channel_set_encoding(struct artel_channel *channel,
                                enum artel_encoding encoding);
void artel_channel_set_limits(struct artel_channel *channel, size_t max_message_len,
                              size_t max_queued_len);
void artel_channel_set_accepts(struct artel_channel *channel, uint32_t accepts);

/* ---- receiving ---- */

/*
 * Reads once from the transport into the input queue.
 * > 0 bytes taken in, 0 nothing now, ARTEL_E_EOF (also when it was met before), -EINTR,
 * or another negated errno, which is remembered as the end of the stream; so is
 * ARTEL_E_OVERLOADED, when more than ARTEL_UNREAD_LEN_MAX is here behind the oldest
 * frame.
 */
ssize_t artel_channel_fill(struct artel_channel *channel, bool block);

/* Reads no more, as if the peer had ended: it is known to have died though somebody else
 * still holds its end open. */
void artel_channel_end_input(struct artel_channel *channel);

/*
 * The oldest complete frame among the bytes taken in; does no input. The greeting and
 * the switch of encodings happen in here.
 * 1 with a frame, borrowed until the next call of fill or consume; the same frame again
 * until it is consumed. 0: more bytes are needed. Negative: the stream has ended and
 * every complete frame was delivered (ARTEL_E_EOF, ARTEL_E_PROTOCOL, ARTEL_E_OVERSIZE, or
 * the negated errno of a failed read); the answer sticks.
 */
int artel_channel_next(struct artel_channel *channel, struct artel_frame *frame);

/* Drops the frame that artel_channel_next() answered last. */
void artel_channel_consume(struct artel_channel *channel);

/*
 * After ARTEL_E_PROTOCOL: one sentence on what was wrong. Where it is the first frame, or
 * the greeting, its first five bytes are quoted and escaped; no more, since the sentence
 * is for logs too. Borrowed; "" when there is nothing to say.
 */
const char *artel_channel_fault(const struct artel_channel *channel);

/*
 * Ends the stream with ARTEL_E_PROTOCOL at the frame that artel_channel_next() answered
 * last, which is not consumed yet: its body was found to be no text of its encoding.
 */
void artel_channel_break(struct artel_channel *channel, const char *complaint);

/* The encoding of the frame that artel_channel_next() answered last (start-up reports of
 * a dedicated channel are msgpack whatever the application frames are). */
enum artel_encoding artel_channel_frame_encoding(const struct artel_channel *channel);

/* Whether the greeting of the peer is in (true from the start where there is none). */
bool artel_channel_is_started(const struct artel_channel *channel);

/* Whether nothing more will be read: do not wait for the descriptor to become readable.
 */
bool artel_channel_input_ended(const struct artel_channel *channel);

/* Takes in what is here and forgets it: a socket that is closed while it holds unread
 * bytes makes the peer see an error instead of the end. Does not wait. */
void artel_channel_discard_input(struct artel_channel *channel);

/* Bytes taken in and not yet consumed. */
size_t artel_channel_unread_len(const struct artel_channel *channel);

/* ---- sending ---- */

/*
 * Begins a frame: answers the output queue, behind whose tail the caller appends the body
 * (in artel_channel_send_encoding()). Until artel_channel_frame_end() nothing of it
 * counts: another begin, a flush or a longjmp between leaves the queue as if nothing had
 * happened. Answers NULL when the prefix could not be allocated.
 */
struct artel_buffer *artel_channel_frame_begin(struct artel_channel *channel,
                                               enum artel_frame_kind kind, uint32_t id);

/*
 * Completes the frame. 0; ARTEL_E_OVERSIZE when its body is longer than the limit;
 * ARTEL_E_OVERLOADED when other frames are queued and it does not fit beside them;
 * -ENOMEM. On failure the queue is as it was before begin.
 */
int artel_channel_frame_end(struct artel_channel *channel);

/*
 * As artel_channel_frame_end(), with len more bytes of body which are not copied: they
 * are sent from where they are. Until artel_channel_flush() has answered 1, or
 * artel_channel_keep_lent() was called, they must stay there, and nothing else may be
 * queued.
 */
int artel_channel_frame_end_lent(struct artel_channel *channel, const void *bytes,
                                 size_t len);

/*
 * Copies what is left of lent bytes into the queue, so that their owner may let go of
 * them. 0, or -ENOMEM: the frame cannot be completed, so nothing more can be sent.
 */
int artel_channel_keep_lent(struct artel_channel *channel);

/* Queues bytes that are no frame of ours: what a peer that speaks another encoding is
 * told before the channel is closed. 0 or -ENOMEM. */
int artel_channel_put_bytes(struct artel_channel *channel, const void *bytes, size_t len);

/* Frames of kind message that were queued since the channel was opened. */
uint64_t artel_channel_messages_sent(const struct artel_channel *channel);

enum artel_encoding artel_channel_send_encoding(const struct artel_channel *channel);

/* Hands queued bytes to the transport. 1: all gone; 0: some are left; negative: the peer
 * cannot be reached any more (a negated errno; sticks; what is queued is dropped). Never
 * waits. */
int artel_channel_flush(struct artel_channel *channel);

/* Bytes queued and not yet taken by the transport. */
size_t artel_channel_pending_len(const struct artel_channel *channel);

/* Whether so many of them wait that who goes on handling what the peer sends should wait
 * for it to read. */
bool artel_channel_is_backed_up(const struct artel_channel *channel);

/* Nothing more will be sent; call when the queue is empty. */
void artel_channel_shutdown_write(struct artel_channel *channel);

/* What is queued is dropped, and nothing more can be sent: every flush answers status. */
void artel_channel_end_output(struct artel_channel *channel, int status);

/* Gives the memory of queues back that hold nothing, or little: for one of many channels
 * that rest. What artel_channel_next() gave is void. Answers how much that was, bytes. */
size_t artel_channel_trim(struct artel_channel *channel);

/* ---- waiting ---- */

/* The descriptor to poll; see artel_channel_arm(). */
int artel_channel_fd(const struct artel_channel *channel);

/* "socket" or another transport's name. Static. */
const char *artel_channel_transport_name(const struct artel_channel *channel);

/* As the transport's arm: true when not to sleep, else the events to poll for. */
bool artel_channel_arm(struct artel_channel *channel, bool want_read, bool want_write,
                       short *events);

/* The same without the kernel: looks, and announces nothing. */
bool artel_channel_ready(struct artel_channel *channel, bool want_read, bool want_write);

/* As the transport's spin and peer_rests. */
struct artel_spin *artel_channel_spin(struct artel_channel *channel, unsigned resting);
bool artel_channel_peer_rests(struct artel_channel *channel);

/* From now on somebody sleeps on the descriptor for input without asking each time, or
 * does so no more. watcher: ARTEL_WATCHER_LOOP or ARTEL_WATCHER_STREAM. */
void artel_channel_watch(struct artel_channel *channel, unsigned watcher, bool watches);

/* From now on the loop sleeps on the descriptor until there is room, though others may
 * send meanwhile; or does so no more. */
void artel_channel_await_room(struct artel_channel *channel, bool awaits);
bool artel_channel_loop_awaits_room(const struct artel_channel *channel);

/* Whether the loop sleeps on the descriptor, for input or for room. Who takes either from
 * it must see to those who sleep there. */
bool artel_channel_loop_waits(const struct artel_channel *channel);

#endif
