/* SPDX-License-Identifier: Apache-2.0 */
/* Sending and receiving as users call it: what must be fast, and what needs nothing of
 * lua/artel/channel.lua as long as nothing is out of the ordinary. */
#include "channel.h"

#include "../core/error.h"
#include "error.h"
#include "lack.h"
#include "rest.h"
#include "wait.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

/* Registry key of the table of Lua functions that finish what is begun here. */
static const char SLOW_PATHS = 0;

static int finish_slow(lua_State *L, int status, lua_KContext base)
{
    (void)status;
    return lua_gettop(L) - (int)base;
}

int artel_go_slow(lua_State *L, const char *name)
{
    int count = lua_gettop(L);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &SLOW_PATHS) != LUA_TTABLE) {
        lua_pop(L, 1);
        artel_require_channel_module(L);
        lua_rawgetp(L, LUA_REGISTRYINDEX, &SLOW_PATHS);
    }
    lua_getfield(L, -1, name);
    lua_replace(L, -2);
    lua_insert(L, 1);
    lua_callk(L, count, LUA_MULTRET, 0, finish_slow);
    return finish_slow(L, LUA_OK, 0);
}

/* JSON only: an object with such a key would be read as something else than a message. */
static bool has_reserved_key(lua_State *L, int index)
{
    static const char *const RESERVED[] = {"_request_", "_response_", "_error_", "_stop_",
                                           "_query_",   "_status_",   "_cancel_"};
    if (lua_type(L, index) != LUA_TTABLE) {
        return false;
    }
    for (size_t i = 0; i < sizeof RESERVED / sizeof *RESERVED; i++) {
        lua_pushstring(L, RESERVED[i]);
        if (lua_rawget(L, index) != LUA_TNIL) {
            lua_pushstring(L, RESERVED[i]);
            return true;
        }
        lua_pop(L, 1);
    }
    return false;
}

/* Strings from here on are sent from where Lua keeps them, without a copy of ours. */
#define LONG_STRING_LEN_MIN ((size_t)65536)

/* Whether the value at index is such a string, and goes over the channel as it is. */
static bool is_long_string(lua_State *L, const struct artel_channel_box *box, int index)
{
    if (lua_type(L, index) != LUA_TSTRING || lua_rawlen(L, index) < LONG_STRING_LEN_MIN ||
        lua_rawlen(L, index) > UINT32_MAX) {
        return false;
    }
    return artel_channel_send_encoding(box->channel) == ARTEL_MSGPACK && !box->has_codec;
}

/* Queues the string at index as a message that is lent to the channel. */
static int lend_string(lua_State *L, struct artel_channel_box *box, int index)
{
    size_t len = 0;
    const char *bytes = lua_tolstring(L, index, &len);
    uint8_t head[ARTEL_MSGPACK_LONG_HEAD_LEN];
    artel_msgpack_long_head(head, bytes, len);
    struct artel_buffer *out =
        artel_channel_frame_begin(box->channel, ARTEL_FRAME_MESSAGE, 0);
    int status = out == NULL ? -ENOMEM : artel_buffer_append(out, head, sizeof head);
    if (status == 0) {
        status = artel_channel_frame_end_lent(box->channel, bytes, len);
    }
    return status == 0 ? 0
                       : artel_push_send_failure(L, box, ARTEL_FRAME_MESSAGE, status,
                                                 artel_error_text(status));
}

/* Whether nobody else could run while a call waits here, nor waits for what it would take
 * in. It may run Lua: finalisers. */
static bool may_block_in_c(lua_State *L, const struct artel_channel_box *box)
{
    return !box->waits_in_lua && !artel_channel_loop_waits(box->channel) &&
           artel_wait_mode(L) == ARTEL_WAIT_BLOCK;
}

/*
 * Sends what is queued and lent. Where it may block it waits for the peer to take it, and
 * takes in what comes, unless this is a worker's end; whatever is out of the ordinary is
 * left to those who wait in Lua. Calls nothing of Lua's: what raises would leave the
 * channel with bytes that are Lua's to collect, and a finaliser could send too. As
 * artel_channel_flush().
 */
static int flush_lent(struct artel_channel_box *box, bool may_block)
{
    int flushed = artel_channel_flush(box->channel);
    while (flushed == 0 && may_block && artel_wait_once(box, !box->worker_end, true)) {
        may_block = box->worker_end || artel_box_fill(box, false) >= 0;
        flushed = artel_channel_flush(box->channel);
    }
    return flushed == 0 ? artel_channel_keep_lent(box->channel) : flushed;
}

/* Queues the message at index 2, or lends it to the channel. */
static int queue_message(lua_State *L, struct artel_channel_box *box, bool is_long)
{
    return is_long ? lend_string(L, box, 2)
                   : artel_box_queue(L, 1, ARTEL_FRAME_MESSAGE, 0, 2);
}

/* The arguments become channel, timeout; raises when that is no time-out. */
static void check_timeout(lua_State *L)
{
    lua_settop(L, 2);
    if (!lua_isnil(L, 2)) {
        luaL_argcheck(L, luaL_checknumber(L, 2) >= 0, 2, "seconds from 0 up expected");
    }
}

static int go_on_sending(lua_State *L)
{
    return artel_go_slow(L, "afterSend");
}

/*
 * The message at 1 is queued and somebody in Lua has looked after it; their answers stand
 * behind the channel. Where memory was short for that the message is queued none the
 * less, and will be sent: who were told otherwise would send it again.
 */
static int after_sending(lua_State *L, int status, lua_KContext unused)
{
    (void)unused;
    if (status == LUA_OK || status == LUA_YIELD) {
        return lua_gettop(L) - 1;
    }
    struct artel_channel_box *box = lua_touserdata(L, 1);
    if (!artel_is_lack(L) || box->channel == NULL ||
        artel_channel_flush(box->channel) < 0) {
        return lua_error(L);
    }
    lua_pushboolean(L, true);
    lua_pushinteger(L, (lua_Integer)artel_channel_pending_len(box->channel));
    return 2;
}

/* sendMessage(self, message) → true | true, pending | nil, err */
int artel_channel_send_message(lua_State *L)
{
    struct artel_channel_box *box = artel_check_usable_box(L, 1);
    lua_settop(L, 2);
    if (artel_channel_send_encoding(box->channel) == ARTEL_JSON &&
        has_reserved_key(L, 2)) {
        return artel_push_failure(L, "encode", 0,
                                  "cannot send an object with the key \"%s\", which JSON "
                                  "channels use themselves (at message)",
                                  lua_tostring(L, -1));
    }
    bool is_long = is_long_string(L, box, 2);
    bool may_block = is_long && may_block_in_c(L, box);
    if (is_long) {
        box = artel_check_usable_box(L, 1); /* a finaliser may have closed it */
    }
    int failure = queue_message(L, box, is_long);
    if (failure != 0) {
        lua_getfield(L, -1, "kind");
        bool full = strcmp(lua_tostring(L, -1), "overloaded") == 0;
        lua_pop(L, 1);
        if (full) { /* whether that is an error depends on who waits how */
            lua_settop(L, 2);
            return artel_go_slow(L, "sendWhenFull");
        }
        return failure;
    }
    int flushed =
        is_long ? flush_lent(box, may_block) : artel_channel_flush(box->channel);
    if (flushed == 1) {
        lua_pushboolean(L, true);
        return 1;
    }
    lua_settop(L, 1);
    lua_pushcfunction(L, go_on_sending);
    lua_pushvalue(L, 1);
    return after_sending(L, lua_pcallk(L, 1, LUA_MULTRET, 0, 0, after_sending), 0);
}

/* flush(self, timeout?) → true | nil, err */
int artel_channel_flush_queue(lua_State *L)
{
    struct artel_channel_box *box = artel_check_usable_box(L, 1);
    check_timeout(L);
    box->held_ns = 0;
    if (artel_channel_flush(box->channel) == 1) {
        lua_pushboolean(L, true);
        return 1;
    }
    return artel_go_slow(L, "flush");
}

/*
 * Takes the next message, and waits for it where the arguments (channel, timeout) and
 * who else may be served meanwhile allow that. As artel_box_take(), or 0 when that is for
 * Lua to go on with; then *found is what artel_channel_next() answered last.
 */
static int take_message(lua_State *L, struct artel_channel_box *box, int *found)
{
    bool may_block = false;
    *found = 0;
    while (!box->queued_in_lua) {
        struct artel_frame frame;
        *found = artel_channel_next(box->channel, &frame);
        if (*found == 1 && frame.kind == ARTEL_FRAME_MESSAGE) {
            return artel_box_take(L, 1, &frame);
        }
        if (*found != 0 || !lua_isnil(L, 2) || box->waits_in_lua ||
            artel_channel_pending_len(box->channel) > 0 ||
            artel_channel_loop_waits(box->channel)) {
            break;
        }
        may_block = may_block || artel_wait_mode(L) == ARTEL_WAIT_BLOCK;
        if (!may_block) {
            break;
        }
        ssize_t got = artel_box_fill(box, true);
        if (got == -EINTR) {
            artel_run_hooks(L);
        } else if (got == 0) {
            artel_rest(L, 1);
        } else {
            continue;
        }
        box = artel_check_open_box(L, 1); /* a hook or a finaliser may have closed it */
    }
    return 0;
}

/* receiveMessage(self, timeout?) → message | nil, err */
int artel_channel_receive_message(lua_State *L)
{
    struct artel_channel_box *box = artel_check_usable_box(L, 1);
    check_timeout(L);
    int found = 0;
    int answers = take_message(L, box, &found);
    return answers != 0 ? answers : artel_go_slow(L, "receive");
}

/* What messages() answers: () → message | nil at the end. */
static int next_message(lua_State *L)
{
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushnil(L); /* no time-out */
    if (artel_check_box(L, 1)->channel == NULL) {
        return 1;
    }
    struct artel_channel_box *box = artel_check_usable_box(L, 1);
    int found = 0;
    int answers = take_message(L, box, &found);
    if (answers == 1) {
        return 1;
    }
    if (answers == 2) { /* one that cannot be decoded: its error must not get lost */
        lua_replace(L, 2);
        lua_settop(L, 2);
        return artel_go_slow(L, "keepError");
    }
    bool is_end = found == ARTEL_E_EOF && !box->queued_in_lua &&
                  artel_channel_pending_len(box->channel) == 0;
    if (is_end && lua_getiuservalue(L, 1, ARTEL_BOX_STATE) == LUA_TNIL) {
        return 1; /* nobody else is to be told */
    }
    lua_settop(L, 1);
    return artel_go_slow(L, "next");
}

/* messages(self) → function */
int artel_channel_messages(lua_State *L)
{
    artel_check_usable_box(L, 1);
    lua_settop(L, 1);
    lua_pushcclosure(L, next_message, 1);
    return 1;
}

/* setSlowPaths{ name = function, ... }: for artel_go_slow() */
static int set_slow_paths(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &SLOW_PATHS);
    return 0;
}

void artel_messages_register(lua_State *L)
{
    static const luaL_Reg FUNCTIONS[] = {{"setSlowPaths", set_slow_paths}, {NULL, NULL}};
    luaL_setfuncs(L, FUNCTIONS, 0);
}
