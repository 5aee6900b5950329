/* SPDX-License-Identifier: Apache-2.0 */
/* Channels over sockets: what the ends of a shared worker's connections accept and cost.
 */
#include "channel.h"
#include "open.h"
#include "sockets.h"

#include "../core/error.h"
#include "../core/identity.h"
#include "../core/peer.h"
#include "error.h"

#include <lauxlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

/* Lua does not seed the hashes of integers: a peer could choose a hundred thousand keys
 * that all collide, and inserting them would take many seconds. */
#define NUMBER_KEYS_MAX 4096

/* The channel takes the descriptor over. On failure two values are pushed, else one. */
static int open_channel(lua_State *L, const char *class_name,
                        enum artel_channel_start start, uint32_t further_kinds)
{
    struct artel_descriptor *descriptor = artel_check_descriptor(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    struct artel_channel_options options;
    artel_read_channel_options(L, 2, start, &options);
    if (options.encoding == ARTEL_JSON) {
        options.start = ARTEL_START_PLAIN;
    }
    options.accepts |= further_kinds;
    struct artel_channel_box *box = artel_channel_box_new(L, class_name);
    artel_box_configure(L, lua_gettop(L), 2, &options);
    box->limits.max_number_keys = NUMBER_KEYS_MAX;
    int status = artel_box_open(box, &descriptor->fd, &options);
    if (status < 0) {
        return artel_push_failure(L, "connect", status, "cannot make a channel: %s",
                                  artel_error_text(status));
    }
    return 1;
}

/* openClient(descriptor, options) → channel of class artel.SharedWorker | nil, err;
 * options as for pair() */
static int open_client(lua_State *L)
{
    int count = open_channel(L, "artel.SharedWorker", ARTEL_START_CLIENT,
                             ARTEL_FRAME_BIT(ARTEL_FRAME_STATUS));
    if (count == 1) {
        artel_channel_flush(artel_check_open_box(L, -1)->channel); /* the greeting */
    }
    return count;
}

/* openServer(descriptor, options) → channel | nil, err */
static int open_server(lua_State *L)
{
    int count = open_channel(L, "artel.Channel", ARTEL_START_SERVER,
                             ARTEL_FRAME_BIT(ARTEL_FRAME_STOP) |
                                 ARTEL_FRAME_BIT(ARTEL_FRAME_QUERY));
    if (count == 1) {
        artel_check_open_box(L, -1)->worker_end = true;
    }
    return count;
}

/* isStarted(channel) → boolean: whether the greetings, where there are any, are done */
static int is_started(lua_State *L)
{
    lua_pushboolean(L, artel_channel_is_started(artel_check_open_box(L, 1)->channel));
    return 1;
}

/* trim(channel) → bytes: gives the memory of empty buffers back to the heap */
static int trim(lua_State *L)
{
    struct artel_channel_box *box = artel_check_open_box(L, 1);
    lua_pushinteger(L, (lua_Integer)artel_channel_trim(box->channel));
    box->used = false;
    return 1;
}

/* trimHeap(): gives what is free in the heap back to the system */
static int trim_heap(lua_State *L)
{
    (void)L;
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    return 0;
}

/* putBytes(channel, bytes): for what a peer that speaks another encoding is told */
static int put_bytes(lua_State *L)
{
    struct artel_channel_box *box = artel_check_open_box(L, 1);
    size_t len;
    const char *bytes = luaL_checklstring(L, 2, &len);
    artel_channel_put_bytes(box->channel, bytes, len);
    return 0;
}

/* messagesSent(channel) → count */
static int messages_sent(lua_State *L)
{
    struct artel_channel_box *box = artel_check_open_box(L, 1);
    lua_pushinteger(L, (lua_Integer)artel_channel_messages_sent(box->channel));
    return 1;
}

/* peerCredentials(channel) → pid | nil when it cannot be seen from here, uid | nothing
 * when it is no unix socket */
static int peer_credentials(lua_State *L)
{
    struct artel_channel_box *box = artel_check_open_box(L, 1);
    struct artel_peer_credentials found;
    if (artel_peer_credentials(artel_channel_fd(box->channel), &found) < 0) {
        return 0;
    }
    if (found.pid > 0) {
        lua_pushinteger(L, found.pid);
    } else {
        lua_pushnil(L);
    }
    lua_pushinteger(L, (lua_Integer)found.uid);
    return 2;
}

/* discardInput(channel): what the peer still sends is not looked at any more */
static int discard_input(lua_State *L)
{
    artel_channel_discard_input(artel_check_open_box(L, 1)->channel);
    return 0;
}

/* unsent(channel) → bytes that a TCP peer has not got yet */
static int unsent(lua_State *L)
{
    struct artel_channel_box *box = artel_check_open_box(L, 1);
    lua_pushinteger(L,
                    (lua_Integer)artel_peer_unsent_len(artel_channel_fd(box->channel)));
    return 1;
}

/* userId(name) → uid | nothing when there is no such user */
static int user_id(lua_State *L)
{
    struct artel_identity identity;
    if (artel_identity_find(&identity, luaL_checkstring(L, 1)) < 0) {
        return 0;
    }
    lua_pushinteger(L, (lua_Integer)identity.uid);
    return 1;
}

void artel_socket_channel_register(lua_State *L)
{
    static const luaL_Reg FUNCTIONS[] = {{"openClient", open_client},
                                         {"openServer", open_server},
                                         {"isStarted", is_started},
                                         {"trim", trim},
                                         {"trimHeap", trim_heap},
                                         {"putBytes", put_bytes},
                                         {"messagesSent", messages_sent},
                                         {"peerCredentials", peer_credentials},
                                         {"discardInput", discard_input},
                                         {"unsent", unsent},
                                         {"userId", user_id},
                                         {NULL, NULL}};
    luaL_setfuncs(L, FUNCTIONS, 0);
}
