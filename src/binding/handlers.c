/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives the messages and requests that stand one behind another in a channel to the
 * handlers of an implementation: what lua/artel/handlers.lua does for every single frame.
 * Whatever is out of the ordinary goes back to it.
 */
#include "handlers.h"

#include "../core/error.h"
#include "error.h"
#include "rest.h"
#include "wait.h"

#include <errno.h>
#include <lauxlib.h>

/* ---- the next frame ---- */

int artel_take_work(lua_State *L, struct artel_channel_box *box)
{
    if (box->channel == NULL || box->queued_in_lua || artel_box_is_backed_up(box)) {
        return 0;
    }
    artel_check_open_box(L, ARTEL_CHANNEL);
    struct artel_frame frame;
    if (artel_channel_next(box->channel, &frame) != 1 ||
        frame.kind > ARTEL_FRAME_REQUEST) {
        return 0;
    }
    lua_pushinteger(L, frame.kind);
    lua_pushinteger(L, frame.id);
    int base = lua_gettop(L);
    if (artel_box_take(L, ARTEL_CHANNEL, &frame) == 1) {
        lua_pushboolean(L, true);
        lua_insert(L, -2);
    } else { /* what was decoded so far may lie below nil, err */
        lua_copy(L, -2, base + 1);
        lua_copy(L, -1, base + 2);
    }
    lua_settop(L, base + 2);
    return 4;
}

/* The same, and waits for it in the kernel, whatever else is to be done. What is queued
 * is sent before that, and what then is left of it needs somebody to look after it, so
 * there is no wait. */
static int await_work(lua_State *L, struct artel_channel_box *box)
{
    for (;;) {
        int count = artel_take_work(L, box);
        if (count > 0 || box->channel == NULL || box->queued_in_lua) {
            return count;
        }
        struct artel_frame frame;
        if (artel_channel_next(box->channel, &frame) != 0 ||
            artel_channel_flush(box->channel) != 1) {
            return 0;
        }
        box->held_ns = 0;
        ssize_t got = artel_box_fill(box, true);
        if (got == -EINTR) {
            artel_run_hooks(L); /* which may close it */
        } else if (got == 0) {
            artel_rest(L, 1);
            return 0; /* a finaliser may have given somebody else something to do */
        }
    }
}

/* takeWork(channel, wait?) → as above */
static int take_or_await_work(lua_State *L)
{
    bool wait = lua_toboolean(L, 2);
    struct artel_channel_box *box = artel_check_box(L, 1);
    return wait ? await_work(L, box) : artel_take_work(L, box);
}

/* ---- handlers ---- */

/* Pushes the handler and its arguments; false, with nothing pushed, when there is none.
 */
static bool push_call(lua_State *L, const char *handler, int value)
{
    if (lua_getfield(L, ARTEL_IMPLEMENTATION, handler) == LUA_TNIL) {
        lua_pop(L, 1);
        return false;
    }
    lua_pushvalue(L, ARTEL_IMPLEMENTATION);
    lua_pushvalue(L, value);
    lua_pushvalue(L, ARTEL_CHANNEL);
    lua_pushvalue(L, ARTEL_PEER_NAME);
    return true;
}

/* As the answer of artel_take_work() about a frame that nobody handles. */
static int push_unwanted(lua_State *L, enum artel_frame_kind kind, uint32_t id,
                         const char *why)
{
    lua_pushinteger(L, kind);
    lua_pushinteger(L, id);
    artel_push_failure(L, "remote", 0, "%s", why);
    return 4;
}

/*
 * Takes the next frame, where ARTEL_GOES_ON allows it: false: no frame; true: one that is
 * here; a function: waits for one when it answers true, since then the channel alone can
 * give this process anything to do, and the dispatcher and the loop are spared their
 * turns. Answers 0 and *mine with the frame at index when it is one of this kind that can
 * be handled; else what is to be returned.
 */
static int take_next(lua_State *L, struct artel_channel_box *box,
                     enum artel_frame_kind kind, int index, bool *mine)
{
    *mine = false;
    if (!lua_toboolean(L, ARTEL_GOES_ON)) {
        return 0;
    }
    lua_settop(L, index - 1);
    int count = artel_take_work(L, box);
    if (count == 0 && lua_isfunction(L, ARTEL_GOES_ON)) {
        lua_pushvalue(L, ARTEL_GOES_ON);
        lua_call(L, 0, 1);
        bool alone = lua_toboolean(L, -1);
        lua_pop(L, 1);
        count = alone ? await_work(L, box) : 0;
    }
    *mine = count > 0 && lua_tointeger(L, index) == (lua_Integer)kind &&
            lua_toboolean(L, index + 2);
    return *mine ? 0 : count;
}

/* A message was handled after a wait. Who knows what happened meanwhile. */
static int message_handled(lua_State *L, int status, lua_KContext context)
{
    (void)L, (void)status, (void)context;
    return 0;
}

/*
 * handleMessages(channel, implementation, peerName, goesOn, message) → nothing, when no
 * frame is here, or when somebody else may want it | kind, id, true, value | kind, id,
 * nil, err: a frame that was taken and is none for this function. Raises what a handler
 * raises.
 */
int artel_handle_messages(lua_State *L)
{
    struct artel_channel_box *box = artel_check_box(L, ARTEL_CHANNEL);
    lua_settop(L, ARTEL_MESSAGE);
    for (;;) {
        if (!push_call(L, "onMessage", ARTEL_MESSAGE)) {
            lua_pushliteral(L, "a message came, and the implementation has no onMessage; "
                               "it answers request()");
            return lua_error(L);
        }
        box->messages_handled++;
        unsigned looks = box->looks;
        lua_callk(L, 4, 0, 0, message_handled);
        if (box->looks != looks) {
            return 0;
        }
        bool mine = false;
        int count = take_next(L, box, ARTEL_FRAME_MESSAGE, ARTEL_MESSAGE, &mine);
        if (!mine) {
            return count;
        }
        lua_replace(L, ARTEL_MESSAGE);
        lua_settop(L, ARTEL_MESSAGE);
    }
}

/* Replies of fast handlers leave together, held back for no longer than this, as long as
 * handlers take what they took so far. */
#define HOLD_NS_MAX 100000
#define FAST_NS 20000
#define AVERAGE_WEIGHT 10

/* Whether the reply to a request that ran so long may wait for those of the requests that
 * are here already. */
static bool may_hold(struct artel_channel_box *box, int64_t run_ns)
{
    if (run_ns == 0) {
        return false; /* nobody has measured it */
    }
    if (box->average_run_ns == 0) {
        box->average_run_ns = run_ns;
    }
    box->average_run_ns += (run_ns - box->average_run_ns) / AVERAGE_WEIGHT;
    if (run_ns > FAST_NS || box->average_run_ns > FAST_NS ||
        box->held_ns + run_ns > HOLD_NS_MAX) {
        return false;
    }
    box->held_ns += run_ns;
    return true;
}

/*
 * The handler has answered: its two results are on top. 0, or what is to be returned:
 * false when the answer is queued and not all of it has left; kind response, id,
 * response, reason when it could not be queued as it is.
 */
static int answer(lua_State *L, struct artel_channel_box *box)
{
    int response = lua_gettop(L) - 1;
    uint32_t id = (uint32_t)lua_tointeger(L, ARTEL_ID);
    lua_pushnil(L);
    lua_rawseti(L, ARTEL_RUNNING, id);
    lua_pushboolean(L, false);
    lua_rawseti(L, ARTEL_OWNER, 1);
    int64_t run_ns = 0;
    if (box->claims != NULL) {
        artel_claims_finish(box->claims, id);
        run_ns = artel_claims_run_ns(box->claims, id);
    }
    if (box->channel == NULL) {
        return 0;
    }
    if (lua_isnil(L, response) && lua_isnil(L, response + 1)) {
        lua_pushlightuserdata(L, NULL); /* artel.null */
        lua_replace(L, response);
    }
    if (lua_isnil(L, response) ||
        artel_box_queue(L, ARTEL_CHANNEL, ARTEL_FRAME_RESPONSE, id, response) != 0) {
        lua_settop(L, response + 1);
        lua_pushinteger(L, ARTEL_FRAME_RESPONSE);
        lua_pushinteger(L, id);
        lua_rotate(L, response, 2);
        return 4;
    }
    if (may_hold(box, run_ns)) {
        return 0;
    }
    box->held_ns = 0;
    lua_pushboolean(L, false);
    return artel_channel_flush(box->channel) == 0 ? 1 : 0;
}

static int request_handled(lua_State *L, int status, lua_KContext context)
{
    (void)status, (void)context;
    return answer(L, artel_check_box(L, ARTEL_CHANNEL));
}

/*
 * handleRequests(channel, implementation, peerName, goesOn, owner, running, id, request)
 * → as handleMessages, or false: not all of the answers has left | kind response, id,
 * response, reason: an answer that is still to be queued. While a handler is at work,
 * running[id] is true and owner[1] the id.
 */
int artel_handle_requests(lua_State *L)
{
    struct artel_channel_box *box = artel_check_box(L, ARTEL_CHANNEL);
    lua_settop(L, ARTEL_REQUEST);
    for (;;) {
        uint32_t id = (uint32_t)lua_tointeger(L, ARTEL_ID);
        /* Unless its pool has taken it back. */
        if (box->claims == NULL || artel_claims_begin(box->claims, id)) {
            if (!push_call(L, "onRequest", ARTEL_REQUEST)) {
                return push_unwanted(L, ARTEL_FRAME_REQUEST, id,
                                     "the implementation has no onRequest; it takes "
                                     "messages (sendMessage)");
            }
            lua_pushboolean(L, true);
            lua_rawseti(L, ARTEL_RUNNING, id);
            lua_pushvalue(L, ARTEL_ID);
            lua_rawseti(L, ARTEL_OWNER, 1);
            box->requests_handled++;
            unsigned looks = box->looks;
            lua_callk(L, 4, 2, 0, request_handled);
            int unsent = answer(L, box);
            if (unsent > 0 || box->looks != looks) {
                return unsent;
            }
        }
        bool mine = false;
        int count = take_next(L, box, ARTEL_FRAME_REQUEST, ARTEL_ID, &mine);
        if (!mine) {
            return count;
        }
        lua_copy(
            L, -3,
            ARTEL_ID); /* kind, id, true, request: from ARTEL_ID on, where kind stands */
        lua_replace(L, ARTEL_REQUEST);
        lua_settop(L, ARTEL_REQUEST);
    }
}

/* handledCounts(channel) → messages, requests that were given to handlers; also when it
 * is closed */
static int handled_counts(lua_State *L)
{
    const struct artel_channel_box *box = artel_check_box(L, 1);
    lua_pushinteger(L, (lua_Integer)box->messages_handled);
    lua_pushinteger(L, (lua_Integer)box->requests_handled);
    return 2;
}

void artel_handlers_register(lua_State *L)
{
    static const luaL_Reg FUNCTIONS[] = {{"takeWork", take_or_await_work},
                                         {"handleMessages", artel_handle_messages},
                                         {"handleRequests", artel_handle_requests},
                                         {"handledCounts", handled_counts},
                                         {NULL, NULL}};
    luaL_setfuncs(L, FUNCTIONS, 0);
}
