/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts that lua/artel/channel.lua builds waiting, requests and admin frames from:
 * each is one step on one channel and never waits. Not for users.
 */
#include "channel.h"

#include "../core/error.h"
#include "../core/fd.h"
#include "error.h"
#include "wait.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

/* Somebody in Lua looks at what comes in. */
static void look(struct artel_channel_box *box)
{
    box->looks++;
    box->direct = false;
}

/* peek(channel) → kind, id | nil when no whole frame is here | false, code, text, errno
 * at the end, where code is "closed", "protocol", "oversize" or "overloaded" */
static int peek(lua_State *L)
{
    struct artel_channel_box *box = artel_check_open_box(L, 1);
    look(box);
    struct artel_frame frame;
    int found = artel_channel_next(box->channel, &frame);
    if (found == 1) {
        lua_pushinteger(L, frame.kind);
        lua_pushinteger(L, frame.id);
        return 2;
    }
    if (found == 0) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushboolean(L, false);
    lua_pushstring(L, found == ARTEL_E_PROTOCOL     ? "protocol"
                      : found == ARTEL_E_OVERSIZE   ? "oversize"
                      : found == ARTEL_E_OVERLOADED ? "overloaded"
                                                    : "closed");
    lua_pushstring(L, found == ARTEL_E_PROTOCOL ? artel_channel_fault(box->channel)
                                                : artel_error_text(found));
    lua_pushstring(L, artel_errno_name(-found)); /* nil for codes of our own */
    return 4;
}

/* take(channel) → true, value of the frame that peek showed | nil, err when it cannot be
 * decoded; either way the frame is consumed */
static int take(lua_State *L)
{
    struct artel_channel_box *box = artel_check_open_box(L, 1);
    struct artel_frame frame;
    if (artel_channel_next(box->channel, &frame) != 1) {
        return luaL_error(L, "take without a frame");
    }
    lua_pushboolean(L, true);
    artel_box_take(L, 1, &frame);
    return 2; /* what is on top: true, value; or nil, err */
}

/* fill(channel, block?) → "more" | "none" | "end" | "signal" */
static int fill(lua_State *L)
{
    struct artel_channel_box *box = artel_check_open_box(L, 1);
    look(box);
    ssize_t got = artel_box_fill(box, lua_toboolean(L, 2));
    lua_pushstring(L, got > 0         ? "more"
                      : got == 0      ? "none"
                      : got == -EINTR ? "signal"
                                      : "end");
    return 1;
}

/* queue(channel, kind, id, value?) → true | nil, err. Without a value the frame is bare.
 */
static int queue(lua_State *L)
{
    artel_check_open_box(L, 1);
    lua_Integer kind = luaL_checkinteger(L, 2);
    luaL_argcheck(L, kind >= 0 && kind < ARTEL_FRAME_KINDS, 2, "no such frame kind");
    uint32_t id = (uint32_t)luaL_checkinteger(L, 3);
    int index = lua_isnone(L, 4) ? 0 : 4;
    int failure = artel_box_queue(L, 1, (enum artel_frame_kind)kind, id, index);
    if (failure != 0) {
        return failure;
    }
    lua_pushboolean(L, true);
    return 1;
}

/* flush(channel) → true: nothing is queued any more | false: some is left | nil, err */
static int flush(lua_State *L)
{
    struct artel_channel_box *box = artel_check_open_box(L, 1);
    box->held_ns = 0;
    int status = artel_channel_flush(box->channel);
    if (status == -ENOMEM) {
        return artel_push_failure(L, "oversize", status,
                                  "there was no memory for the rest of a message");
    }
    if (status < 0) {
        return artel_push_failure(L, "closed", status, "the peer has gone (%s)",
                                  artel_error_text(status));
    }
    lua_pushboolean(L, status == 1);
    return 1;
}

/* pending(channel) → bytes queued to be sent */
static int pending(lua_State *L)
{
    struct artel_channel_box *box = artel_check_open_box(L, 1);
    lua_pushinteger(L, (lua_Integer)artel_channel_pending_len(box->channel));
    return 1;
}

/* unread(channel) → bytes taken in and not yet delivered */
static int unread(lua_State *L)
{
    struct artel_channel_box *box = artel_check_open_box(L, 1);
    lua_pushinteger(L, (lua_Integer)artel_channel_unread_len(box->channel));
    return 1;
}

/* inputEnded(channel) → boolean: nothing more will be read, so do not wait for it */
static int input_ended(lua_State *L)
{
    lua_pushboolean(L, artel_channel_input_ended(artel_check_open_box(L, 1)->channel));
    return 1;
}

/* isAtRest(channel) → boolean: open, all that came was taken, nothing is queued, and the
 * end of the input has not come */
static int is_at_rest(lua_State *L)
{
    const struct artel_channel *channel = artel_check_box(L, 1)->channel;
    lua_pushboolean(L, channel != NULL && artel_channel_unread_len(channel) == 0 &&
                           artel_channel_pending_len(channel) == 0 &&
                           !artel_channel_input_ended(channel));
    return 1;
}

/* arm(channel, wantRead, wantWrite) → true when there is something to do already; else
 * false, events of poll(2). For a loop: holds until the next arm. */
static int arm(lua_State *L)
{
    struct artel_channel_box *box = artel_check_open_box(L, 1);
    bool want_read = lua_toboolean(L, 2);
    bool want_write = lua_toboolean(L, 3);
    short events = 0;
    artel_channel_watch(box->channel, ARTEL_WATCHER_LOOP, want_read);
    artel_channel_await_room(box->channel, want_write);
    bool ready = artel_channel_arm(box->channel, want_read, want_write, &events);
    lua_pushboolean(L, ready);
    lua_pushinteger(L, events);
    return 2;
}

/* shutdownWrite(channel): nothing more will be sent */
static int shutdown_write(lua_State *L)
{
    artel_channel_shutdown_write(artel_check_open_box(L, 1)->channel);
    return 0;
}

/* endOutput(channel): drops what is queued; nothing more can be sent */
static int end_output(lua_State *L)
{
    artel_channel_end_output(artel_check_open_box(L, 1)->channel, ARTEL_E_CLOSED);
    return 0;
}

/* closeNow(channel): what is queued and cannot leave at once is lost. Keeps the process.
 */
static int close_now(lua_State *L)
{
    if (artel_check_box(L, 1)->channel != NULL) {
        artel_box_close_channel(artel_check_open_box(L, 1));
    }
    return 0;
}

/* Raises what is on top of the stack, as error() with that level would. */
static int raise_at(lua_State *L, int level)
{
    luaL_where(L, level);
    lua_insert(L, -2);
    lua_concat(L, 2);
    return lua_error(L);
}

/* checkSelf(channel, level): raises, where error() with that level would, unless it is a
 * channel */
static int check_self(lua_State *L)
{
    int level = (int)luaL_checkinteger(L, 2);
    if (artel_to_box(L, 1) != NULL) {
        artel_check_box(L, 1);
        return 0;
    }
    lua_pushfstring(
        L, "bad self (artel channel expected, got %s; is it called with a colon?)",
        luaL_typename(L, 1));
    return raise_at(L, level);
}

/* checkOpen(channel, level): the same unless it is a channel that may be used */
static int check_open(lua_State *L)
{
    check_self(L);
    const char *fault = artel_box_fault(lua_touserdata(L, 1));
    if (fault == NULL) {
        return 0;
    }
    lua_pushstring(L, fault);
    return raise_at(L, (int)lua_tointeger(L, 2));
}

/* channelFault(value) → why it is no channel that may be used, or nil */
static int channel_fault(lua_State *L)
{
    if (artel_to_box(L, 1) == NULL) {
        lua_pushfstring(L, "artel channel expected, got %s", luaL_typename(L, 1));
    } else {
        lua_pushstring(L, artel_box_fault(artel_check_box(L, 1)));
    }
    return 1;
}

/* setClosing(channel): from now on it is closed for users, while it is being flushed */
static int set_closing(lua_State *L)
{
    artel_check_box(L, 1)->closing = true;
    return 0;
}

/* stream(channel) → descriptor number, also while it is being closed */
static int stream(lua_State *L)
{
    lua_pushinteger(L, artel_channel_fd(artel_check_open_box(L, 1)->channel));
    return 1;
}

/* isOpen(channel) → boolean */
static int is_open(lua_State *L)
{
    lua_pushboolean(L, artel_check_box(L, 1)->channel != NULL);
    return 1;
}

/* state(channel) → the table kept with the channel, or nil */
static int state(lua_State *L)
{
    artel_check_box(L, 1);
    lua_getiuservalue(L, 1, ARTEL_BOX_STATE);
    return 1;
}

/* setState(channel, table) */
static int set_state(lua_State *L)
{
    artel_check_box(L, 1);
    lua_settop(L, 2);
    lua_setiuservalue(L, 1, ARTEL_BOX_STATE);
    return 0;
}

/* setQueuedInLua(channel, boolean): messages wait in the state table, look there first */
static int set_queued_in_lua(lua_State *L)
{
    artel_check_box(L, 1)->queued_in_lua = lua_toboolean(L, 2);
    return 0;
}

/* setWaitsInLua(channel, boolean): receiveMessage must not wait in C, where nobody looks
 * after listeners and the other end of a pair */
static int set_waits_in_lua(lua_State *L)
{
    artel_check_box(L, 1)->waits_in_lua = lua_toboolean(L, 2);
    return 0;
}

/* isWorkerEnd(channel) → boolean */
static int is_worker_end(lua_State *L)
{
    lua_pushboolean(L, artel_check_box(L, 1)->worker_end);
    return 1;
}

/* setWorkerEnd(channel, boolean): for tests of a worker's behaviour in one process too */
static int set_worker_end(lua_State *L)
{
    artel_check_box(L, 1)->worker_end = lua_toboolean(L, 2);
    return 0;
}

/* setDirect(channel, boolean): nothing goes on with it but that frames come, which go
 * straight to its handlers; until Lua looks at what comes in */
static int set_direct(lua_State *L)
{
    artel_check_box(L, 1)->direct = lua_toboolean(L, 2);
    return 0;
}

/* isBackedUp(channel) → boolean */
static int is_backed_up(lua_State *L)
{
    lua_pushboolean(L, artel_box_is_backed_up(artel_check_open_box(L, 1)));
    return 1;
}

/* transportName(channel) → "socket" or "shared-memory" */
static int transport_name(lua_State *L)
{
    struct artel_channel_box *box = artel_check_open_box(L, 1);
    lua_pushstring(L, artel_channel_transport_name(box->channel));
    return 1;
}

void artel_channel_parts_register(lua_State *L)
{
    static const luaL_Reg FUNCTIONS[] = {{"peek", peek},
                                         {"take", take},
                                         {"fill", fill},
                                         {"queue", queue},
                                         {"flush", flush},
                                         {"pending", pending},
                                         {"unread", unread},
                                         {"inputEnded", input_ended},
                                         {"isAtRest", is_at_rest},
                                         {"arm", arm},
                                         {"shutdownWrite", shutdown_write},
                                         {"endOutput", end_output},
                                         {"closeNow", close_now},
                                         {"stream", stream},
                                         {"isOpen", is_open},
                                         {"checkSelf", check_self},
                                         {"checkOpen", check_open},
                                         {"channelFault", channel_fault},
                                         {"setClosing", set_closing},
                                         {"state", state},
                                         {"setState", set_state},
                                         {"setQueuedInLua", set_queued_in_lua},
                                         {"setWaitsInLua", set_waits_in_lua},
                                         {"isWorkerEnd", is_worker_end},
                                         {"setWorkerEnd", set_worker_end},
                                         {"setDirect", set_direct},
                                         {"isBackedUp", is_backed_up},
                                         {"transportName", transport_name},
                                         {NULL, NULL}};
    luaL_setfuncs(L, FUNCTIONS, 0);
}
