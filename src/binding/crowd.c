/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serves many channels that are ready, one after another in one coroutine, as long as
 * their handlers do not wait. What else is to be done is left to
 * lua/artel/server_crowd.lua.
 */
#include "crowd.h"

#include "handlers.h"
#include "watch_set.h"

#include <lauxlib.h>

/* While frames are given to handlers here, dispatch.pump() has nothing to do. */
static void set_pumping(lua_State *L, bool pumping)
{
    lua_getiuservalue(L, ARTEL_CHANNEL, ARTEL_BOX_STATE);
    lua_pushboolean(L, pumping);
    lua_setfield(L, -2, "pumping");
    lua_pop(L, 1);
}

/* Pushes the connection (lua/artel/server_connection.lua) whose channel it is. */
static void push_connection(lua_State *L)
{
    lua_getiuservalue(L, ARTEL_CHANNEL, ARTEL_BOX_STATE);
    lua_getfield(L, -1, "connection");
    lua_replace(L, -2);
}

/* From owner, kind, id, true, request to the arguments of artel_handle_requests(). Tells
 * the owner, which artel.isCancelled() asks, whose request it is. */
static int handle_request(lua_State *L)
{
    lua_replace(L, ARTEL_REQUEST);
    push_connection(L);
    lua_getfield(L, -1, "running");
    lua_replace(L, ARTEL_RUNNING);
    lua_pushvalue(L, ARTEL_RUNNING);
    lua_setfield(L, ARTEL_OWNER, "running");
    lua_pushvalue(L, ARTEL_CHANNEL);
    lua_setfield(L, ARTEL_OWNER, "channel");
    lua_settop(L, ARTEL_REQUEST);
    return artel_handle_requests(L);
}

/*
 * serveOne(channel, implementation, nil, true, owner) → as handleMessages. Takes in what
 * has come and gives it to the handlers.
 */
static int serve_one(lua_State *L)
{
    struct artel_channel_box *box = artel_check_open_box(L, ARTEL_CHANNEL);
    if (artel_channel_pending_len(box->channel) > 0 || artel_box_fill(box, false) <= 0) {
        box->direct = false; /* room to write, or the end */
        return 0;
    }
    push_connection(L);
    lua_getfield(L, -1, "peerName");
    lua_replace(L, ARTEL_PEER_NAME);
    lua_settop(L, ARTEL_OWNER);
    int count = artel_take_work(L, box);
    if (count == 0 || !lua_toboolean(L, -2)) {
        return count;
    }
    bool is_request = lua_tointeger(L, -4) == ARTEL_FRAME_REQUEST;
    set_pumping(L, true);
    if (is_request) {
        count = handle_request(L);
    } else {
        lua_replace(L, ARTEL_MESSAGE);
        count = artel_handle_messages(L);
    }
    set_pumping(L, false);
    return count;
}

/* Whether a channel that was served needs nothing before more comes. */
static bool is_quiet(const struct artel_channel_box *box)
{
    return box->channel != NULL && box->direct &&
           artel_channel_unread_len(box->channel) == 0 &&
           artel_channel_pending_len(box->channel) == 0;
}

enum { SET = 1, OWNERS, IMPLEMENTATION, OWNER, CHANNEL };

/* A handler has waited: what is left of its frames is told, and nobody else is served. */
static int served(lua_State *L, int status, lua_KContext context)
{
    (void)status, (void)context;
    return lua_gettop(L) - OWNER;
}

/*
 * serve(set, owners, implementation, owner) → nothing, when all that take() found were
 * served or are left to next() | channel, kind and so on as handleMessages and
 * handleRequests answer: more is to be done | channel: it is used again after a rest.
 * Raises what a handler raises. owners has the channels by id.
 */
static int serve(lua_State *L)
{
    struct artel_watch_box *ready = artel_check_watch_box(L, SET);
    while (ready->next < ready->count) {
        uint64_t id = ready->ids[ready->next++];
        lua_settop(L, OWNER);
        lua_rawgeti(L, OWNERS, (lua_Integer)id);
        struct artel_channel_box *box = artel_to_box(L, CHANNEL);
        if (box == NULL || box->channel == NULL || !box->direct) {
            ready->ids[ready->kept++] = id;
            continue;
        }
        lua_pushcfunction(L, serve_one);
        lua_pushvalue(L, CHANNEL);
        lua_pushvalue(L, IMPLEMENTATION);
        lua_pushnil(L);
        lua_pushboolean(L, true);
        lua_pushvalue(L, OWNER);
        ready->serving = id;
        lua_callk(L, 5, LUA_MULTRET, 0, served);
        ready->serving = 0;
        if (lua_toboolean(L, CHANNEL + 1)) {
            return lua_gettop(L) - OWNER;
        }
        if (!is_quiet(box)) {
            ready->ids[ready->kept++] = id;
        } else if (!box->used) {
            box->used = true;
            lua_settop(L, CHANNEL);
            return 1;
        }
    }
    return 0;
}

/* serving(set, owners) → the channel whose handler has not come back to serve(), or nil.
 * Tells it once. */
static int serving(lua_State *L)
{
    struct artel_watch_box *ready = artel_check_watch_box(L, SET);
    uint64_t id = ready->serving;
    ready->serving = 0;
    if (id == 0) {
        return 0;
    }
    lua_rawgeti(L, OWNERS, (lua_Integer)id);
    return 1;
}

/* hasReady(set) → boolean: serve() has not gone through all of them */
static int has_ready(lua_State *L)
{
    const struct artel_watch_box *ready = artel_check_watch_box(L, SET);
    lua_pushboolean(L, ready->next < ready->count);
    return 1;
}

void artel_crowd_register(lua_State *L)
{
    static const luaL_Reg FUNCTIONS[] = {
        {"serve", serve}, {"serving", serving}, {"hasReady", has_ready}, {NULL, NULL}};
    luaL_setfuncs(L, FUNCTIONS, 0);
}
