/* SPDX-License-Identifier: Apache-2.0 */
/* The channel as a Lua userdata, shared by the files of the binding. */
#ifndef ARTEL_BINDING_CHANNEL_H
#define ARTEL_BINDING_CHANNEL_H

#include "../core/capture.h"
#include "../core/channel.h"
#include "../core/claims.h"
#include "../core/process.h"
#include "codec.h"

#include <lua.h>
#include <stdbool.h>

/* User values of a box. */
enum {
    ARTEL_BOX_STATE = 1, /* the table that lua/artel/channel.lua keeps for it, or nil */
    ARTEL_BOX_CODEC = 2, /* { encode =, decode = } of a custom channel factory, or nil */
    ARTEL_BOX_USER_VALUES = 2
};

struct artel_channel_box {
    const void *mark; /* an address of our own: tells it from other userdata */
    struct artel_channel *channel; /* NULL once closed */
    struct artel_process process;  /* pid 0 when there is no process behind it */
    struct artel_claims *claims;   /* of a pool's worker; NULL when there are none */
    struct artel_capture *capture; /* of its standard error; NULL when there is none */
    struct artel_codec_limits limits;
    bool has_codec;  /* the user value ARTEL_BOX_CODEC is not nil */
    bool worker_end; /* this end is a worker's: it stops reading while it cannot send */
    bool exit_noted; /* the process has ended: an empty read is the end of the channel */
    bool queued_in_lua; /* messages wait in the state table: look there first */
    bool waits_in_lua;  /* a wait has to look after more than this channel: not in C */
    bool closing;       /* close() has begun: nothing else is allowed from outside */
    bool
        direct; /* nothing goes on but frames for handlers, which crowd.c may give them */
    bool used;  /* served since its memory was trimmed, and noted as such */
    unsigned looks; /* of Lua's at what comes in: others than its handlers want it */
    uint64_t messages_handled; /* given to a handler */
    uint64_t requests_handled;
    int64_t held_ns;        /* how long replies that are held back took; 0: none is */
    int64_t average_run_ns; /* of requests, the last ones weighing most */
    int rested_kib;         /* Lua's heap after the last artel_rest() that collected */
    pid_t owner;         /* the process that made it: a forked copy may only close it */
    lua_State *decoding; /* where a frame is being decoded in place; NULL: nowhere */
};

/*
 * Pushes a new, closed box of the class ("artel.Channel", "artel.Worker", ...). The
 * caller then opens a channel into it.
 */
struct artel_channel_box *artel_channel_box_new(lua_State *L, const char *class_name);

/* The box at index, of whatever class; NULL for anything else. */
struct artel_channel_box *artel_to_box(lua_State *L, int index);

/* The box at index; raises for anything else. May be closed, and is in a copy of the
 * process that fork has made. */
struct artel_channel_box *artel_check_box(lua_State *L, int index);

/*
 * The same, and raises when it is closed, and in a finaliser that runs while the channel
 * decodes: it could move the bytes that are being read.
 */
struct artel_channel_box *artel_check_open_box(lua_State *L, int index);

/* The same, and raises when close() has begun: for what users call. */
struct artel_channel_box *artel_check_usable_box(lua_State *L, int index);

/* Why users may not use the box, or NULL when they may. */
const char *artel_box_fault(const struct artel_channel_box *box);

/* Pushes what require "artel.channel" answers: the rest of the classes, in Lua. */
void artel_require_channel_module(lua_State *L);

/*
 * Reads once. > 0 bytes, 0 nothing now, negative the end (as artel_channel_fill). A
 * channel whose process has ended, and which holds nothing more, ends though a grandchild
 * keeps it open.
 */
ssize_t artel_box_fill(struct artel_channel_box *box, bool block);

/* Whether the handlers of a worker must wait for the peer to read what they answered. */
bool artel_box_is_backed_up(const struct artel_channel_box *box);

/*
 * Encodes the value at index as a frame of the box at box_index and queues it. 0 with the
 * stack as it was, or 2 with nil and an error object pushed.
 */
int artel_box_queue(lua_State *L, int box_index, enum artel_frame_kind kind, uint32_t id,
                    int index);

/* Pushes nil and the error object for a frame of the box that could not be queued;
 * answers 2. */
int artel_push_send_failure(lua_State *L, const struct artel_channel_box *box,
                            enum artel_frame_kind kind, int status, const char *reason);

/*
 * Decodes the body of the frame that artel_channel_next() gave, and consumes it. 1 with
 * the value pushed (nil when the frame has no body), or 2 with nil and an error object.
 */
int artel_box_take(lua_State *L, int box_index, const struct artel_frame *frame);

/* Sends what leaves at once and closes the channel; keeps the process. Repeatable. */
void artel_box_close_channel(struct artel_channel_box *box);

/* The same, and hands a process that still runs to the reaper. Repeatable. */
void artel_box_close(struct artel_channel_box *box);

/* Methods: sendMessage, flush, receiveMessage and messages. */
int artel_channel_send_message(lua_State *L);
int artel_channel_flush_queue(lua_State *L);
int artel_channel_receive_message(lua_State *L);
int artel_channel_messages(lua_State *L);

/*
 * Calls the function of lua/artel/channel.lua that finishes what a method has begun, with
 * the arguments that are on the stack. It may yield: the caller returns what this does.
 */
int artel_go_slow(lua_State *L, const char *name);

/* Adds the class functions and the parts that lua/artel/channel.lua is made of. */
void artel_channel_register(lua_State *L);
void artel_messages_register(lua_State *L);
void artel_channel_parts_register(lua_State *L);
void artel_handlers_register(lua_State *L);
void artel_process_register(lua_State *L);
void artel_claims_register(lua_State *L);

#endif
