/* SPDX-License-Identifier: Apache-2.0 */
/* What a channel consists of, for the two files that are its two directions. */
#ifndef ARTEL_CORE_CHANNEL_STATE_H
#define ARTEL_CORE_CHANNEL_STATE_H

#include "channel.h"

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
    bool has_received; /* a frame at least was consumed */

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

#endif
