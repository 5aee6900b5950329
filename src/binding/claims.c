/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of a pool as Lua sees them: bodies encoded before, and their claim words. */
#include "../core/claims.h"

#include "../core/error.h"
#include "channel.h"
#include "error.h"

#include <errno.h>
#include <lauxlib.h>

static struct artel_claims *check_claims(lua_State *L)
{
    return artel_check_box(L, 1)->claims;
}

static uint32_t check_id(lua_State *L)
{
    return (uint32_t)luaL_checkinteger(L, 2);
}

/* queueBody(channel, id, bytes) → true | nil, err. Queues a request whose body is encoded
 * already and, where the channel has claim words, its claim. */
static int queue_body(lua_State *L)
{
    struct artel_channel_box *box = artel_check_open_box(L, 1);
    uint32_t id = check_id(L);
    size_t len;
    const char *bytes = luaL_checklstring(L, 3, &len);
    struct artel_buffer *out =
        artel_channel_frame_begin(box->channel, ARTEL_FRAME_REQUEST, id);
    int status = -ENOMEM;
    if (out != NULL) {
        status = artel_buffer_append(out, bytes, len);
    }
    if (status == 0) {
        status = artel_channel_frame_end(box->channel);
    }
    if (status < 0) {
        return artel_push_send_failure(L, box, ARTEL_FRAME_REQUEST, status,
                                       artel_error_text(status));
    }
    if (box->claims != NULL) {
        artel_claims_queue(box->claims, id);
    }
    lua_pushboolean(L, true);
    return 1;
}

/* Counts the waiter of an answer out of the state that Lua keeps for the channel. */
static void forget_waiter(lua_State *L, int state, int pending, uint32_t id)
{
    lua_pushnil(L);
    lua_rawseti(L, pending, id);
    lua_getfield(L, state, "pendingCount");
    lua_pushinteger(L, lua_tointeger(L, -1) - 1);
    lua_setfield(L, state, "pendingCount");
    lua_pop(L, 1);
}

/*
 * takeAnswers(channel, state): takes the responses that stand at the head of what has
 * come, as long as their waiters are jobs of a pool: each gets its value or err, is done,
 * and has its onAnswer called. What lua/artel/dispatch.lua does for a single frame.
 */
static int take_answers(lua_State *L)
{
    enum { CHANNEL = 1, STATE, PENDING, WAITER, ON_ANSWER };
    struct artel_channel_box *box = artel_check_open_box(L, CHANNEL);
    struct artel_frame frame;
    while (box->channel != NULL && artel_channel_next(box->channel, &frame) == 1 &&
           frame.kind == ARTEL_FRAME_RESPONSE) {
        uint32_t id = frame.id;
        lua_settop(L, STATE);
        lua_getfield(L, STATE, "pending");
        if (lua_rawgeti(L, PENDING, id) != LUA_TTABLE ||
            lua_getfield(L, WAITER, "onAnswer") == LUA_TNIL) {
            break;
        }
        bool ok = artel_box_take(L, CHANNEL, &frame) == 1;
        lua_getfield(L, STATE,
                     "pending"); /* again: its codec may have closed the channel */
        lua_replace(L, PENDING);
        bool awaited = lua_rawgeti(L, PENDING, id) != LUA_TNIL;
        lua_pop(L, 1);
        if (!awaited) {
            break;
        }
        lua_setfield(L, WAITER, ok ? "value" : "err");
        forget_waiter(L, STATE, PENDING, id);
        lua_pushboolean(L, true);
        lua_setfield(L, WAITER, "done");
        lua_settop(L, ON_ANSWER);
        lua_pushvalue(L, WAITER);
        lua_call(L, 1, 0);
    }
    return 0;
}

/* claimRecall(channel, id) → boolean: true when the request surely never begins */
static int claim_recall(lua_State *L)
{
    struct artel_claims *claims = check_claims(L);
    lua_pushboolean(L, claims != NULL && artel_claims_recall(claims, check_id(L)));
    return 1;
}

/* claimCancel(channel, id): its handler's artel.isCancelled() turns true */
static int claim_cancel(lua_State *L)
{
    struct artel_claims *claims = check_claims(L);
    if (claims != NULL) {
        artel_claims_cancel(claims, check_id(L));
    }
    return 0;
}

/* claimState(channel, id) → "none" | "queued" | "begun" | "cancelled" | "done" |
 * "recalled", and since when it runs, in seconds of core.now() */
static int claim_state(lua_State *L)
{
    static const char *const NAMES[] = {"none",      "queued", "begun",
                                        "cancelled", "done",   "recalled"};
    struct artel_claims *claims = check_claims(L);
    if (claims == NULL) { /* nobody knows: the careful answer */
        lua_pushliteral(L, "begun");
        return 1;
    }
    lua_pushstring(L, NAMES[artel_claims_state(claims, check_id(L))]);
    lua_pushnumber(L, (lua_Number)artel_claims_begun_ms(claims, check_id(L)) / 1000);
    return 2;
}

/* claimRunTime(channel, id) → seconds that the request ran; 0 when not known */
static int claim_run_time(lua_State *L)
{
    struct artel_claims *claims = check_claims(L);
    int64_t run_ns = claims == NULL ? 0 : artel_claims_run_ns(claims, check_id(L));
    lua_pushnumber(L, (lua_Number)run_ns / 1e9);
    return 1;
}

/* Those of what this end is asked. What a worker asks its master has none: the ids are
 * the worker's own. */
static struct artel_claims *check_own_claims(lua_State *L)
{
    return artel_check_box(L, 1)->worker_end ? check_claims(L) : NULL;
}

/* claimBegin(channel, id) → boolean: false when the master has taken the request back */
static int claim_begin(lua_State *L)
{
    struct artel_claims *claims = check_own_claims(L);
    lua_pushboolean(L, claims == NULL || artel_claims_begin(claims, check_id(L)));
    return 1;
}

/* claimFinish(channel, id), before the answer is queued */
static int claim_finish(lua_State *L)
{
    struct artel_claims *claims = check_own_claims(L);
    if (claims != NULL) {
        artel_claims_finish(claims, check_id(L));
    }
    return 0;
}

/* Beside the functions: claimSlots and claimIdMax, the limits of claims.h. */
void artel_claims_register(lua_State *L)
{
    static const luaL_Reg FUNCTIONS[] = {{"queueBody", queue_body},
                                         {"takeAnswers", take_answers},
                                         {"claimRecall", claim_recall},
                                         {"claimCancel", claim_cancel},
                                         {"claimState", claim_state},
                                         {"claimRunTime", claim_run_time},
                                         {"claimBegin", claim_begin},
                                         {"claimFinish", claim_finish},
                                         {NULL, NULL}};
    luaL_setfuncs(L, FUNCTIONS, 0);
    lua_pushinteger(L, ARTEL_CLAIM_SLOTS);
    lua_setfield(L, -2, "claimSlots");
    lua_pushinteger(L, ARTEL_CLAIM_ID_MAX);
    lua_setfield(L, -2, "claimIdMax");
}
