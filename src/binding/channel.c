/* SPDX-License-Identifier: Apache-2.0 */
/* The channel userdata: its classes and its life. */
#include "channel.h"

#include "../core/error.h"
#include "../core/self.h"

#include <lauxlib.h>
#include <string.h>

/* Its address marks our boxes, of whatever class. To look there is cheaper than to
 * compare metatables, and every call on a channel begins so. */
static const char BOX_MARK = 0;
/* Registry key of the table class name → metatable. */
static const char CLASSES = 0;

/* ---- the box ---- */

static int refuse_while_decoding(lua_State *L)
{
    return luaL_error(
        L, "attempt to use a channel in a finaliser while it takes in a message");
}

/* Whether the collector calls, and not somebody who got the function by getmetatable().
 */
static bool is_collected(lua_State *L)
{
    lua_Debug self;
    return lua_getstack(L, 0, &self) && lua_getinfo(L, "n", &self) && self.name != NULL &&
           strcmp(self.name, "__gc") == 0 && strcmp(self.namewhat, "metamethod") == 0;
}

static int channel_gc(lua_State *L)
{
    struct artel_channel_box *box = artel_to_box(L, 1);
    luaL_argexpected(L, box != NULL, 1, "artel channel");
    if (box->decoding != NULL && !is_collected(L)) {
        return refuse_while_decoding(L);
    }
    artel_box_close(box);
    return 0;
}

void artel_require_channel_module(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "artel.channel");
    lua_call(L, 1, 0);
}

static int require_channel_module(lua_State *L)
{
    artel_require_channel_module(L);
    return 0;
}

/* What a class does not have yet comes from lua/artel/channel.lua, read at first need: a
 * raw worker that sends, receives, iterates and closes never loads it. */
static int load_methods(lua_State *L)
{
    lua_settop(L, 2);
    lua_getmetatable(L, 1);
    lua_pushnil(L);
    lua_setmetatable(L, 1); /* else the module could come back here */
    lua_pushcfunction(L, require_channel_module);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
        lua_pushvalue(L, 3);
        lua_setmetatable(L, 1); /* whoever asks next tries again */
        return lua_error(L);
    }
    lua_settop(L, 2);
    lua_gettable(L, 1);
    return 1;
}

/* The same for __tostring: this stands in until the module replaces it. */
static int load_and_show(lua_State *L)
{
    artel_require_channel_module(L);
    lua_settop(L, 1);
    luaL_tolstring(L, 1, NULL);
    return 1;
}

static int channel_get_stream(lua_State *L);

/* close(self) → true: flushes and closes; may be repeated */
static int channel_close(lua_State *L)
{
    lua_settop(L, 1);
    if (artel_check_box(L, 1)->channel != NULL) {
        struct artel_channel_box *box = artel_check_open_box(L, 1);
        bool is_watched = lua_getiuservalue(L, 1, ARTEL_BOX_STATE) != LUA_TNIL;
        lua_settop(L, 1);
        if (is_watched || artel_channel_pending_len(box->channel) > 0) {
            return artel_go_slow(L, "close");
        }
        artel_box_close_channel(box);
    }
    lua_pushboolean(L, true);
    return 1;
}

static int after_close(lua_State *L, int status, lua_KContext unused)
{
    (void)L, (void)status, (void)unused;
    return 0;
}

/* __close of every class: the close that it has. That may yield. */
static int close_variable(lua_State *L)
{
    lua_settop(L, 1);
    lua_getfield(L, 1, "close");
    lua_insert(L, 1);
    lua_callk(L, 1, 0, 0, after_close);
    return 0;
}

/* Pushes the metatable of the class, made at first need. */
static void push_class(lua_State *L, const char *name)
{
    static const luaL_Reg METHODS[] = {{"sendMessage", artel_channel_send_message},
                                       {"flush", artel_channel_flush_queue},
                                       {"receiveMessage", artel_channel_receive_message},
                                       {"messages", artel_channel_messages},
                                       {"getStream", channel_get_stream},
                                       {"close", channel_close},
                                       {NULL, NULL}};
    lua_rawgetp(L, LUA_REGISTRYINDEX, &CLASSES);
    if (lua_getfield(L, -1, name) == LUA_TTABLE) {
        lua_remove(L, -2);
        return;
    }
    lua_pop(L, 1);
    lua_createtable(L, 0, 8);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    lua_pushcfunction(L, channel_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, close_variable);
    lua_setfield(L, -2, "__close");
    lua_pushcfunction(L, load_and_show);
    lua_setfield(L, -2, "__tostring");
    luaL_newlib(L, METHODS);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, load_methods);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "__index");
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, name);
    lua_remove(L, -2);
}

struct artel_channel_box *artel_channel_box_new(lua_State *L, const char *class_name)
{
    struct artel_channel_box *box =
        lua_newuserdatauv(L, sizeof *box, ARTEL_BOX_USER_VALUES);
    memset(box, 0, sizeof *box);
    box->mark = &BOX_MARK;
    box->owner = artel_self_process_id();
    artel_process_init(&box->process);
    box->limits = ARTEL_CODEC_DEFAULT_LIMITS;
    push_class(L, class_name);
    lua_setmetatable(L, -2);
    return box;
}

/* Not in a copy of the process that fork has made: what it sends would be sent twice, and
 * what it reads be lost to the process that made the channel. */
static bool is_ours(const struct artel_channel_box *box)
{
    return box->owner == artel_self_process_id();
}

struct artel_channel_box *artel_to_box(lua_State *L, int index)
{
    struct artel_channel_box *box = lua_touserdata(L, index);
    /* The length of a light userdata is 0. */
    bool is_box =
        box != NULL && lua_rawlen(L, index) == sizeof *box && box->mark == &BOX_MARK;
    return is_box ? box : NULL;
}

struct artel_channel_box *artel_check_box(lua_State *L, int index)
{
    struct artel_channel_box *box = artel_to_box(L, index);
    if (box == NULL) {
        const char *message = lua_pushfstring(
            L, "artel channel expected, got %s; is it called with a colon?",
            luaL_typename(L, index));
        luaL_argerror(L, index, message);
    }
    if (!is_ours(box) && box->decoding == NULL) {
        artel_box_close(box); /* it is its maker's; here it only holds descriptors */
    }
    return box;
}

const char *artel_box_fault(const struct artel_channel_box *box)
{
    if (!is_ours(box)) {
        return "attempt to use a channel that was made before fork: it is the parent's";
    }
    return box->channel == NULL || box->closing ? "attempt to use a closed channel"
                                                : NULL;
}

/*
 * Whether a function that decodes a frame of the box is among the callers. If none is,
 * the decoder was left by a memory error, and the mark is an old one.
 */
static bool is_decoding(lua_State *L, struct artel_channel_box *box)
{
    lua_Debug caller;
    for (int level = 1; L == box->decoding && lua_getstack(L, level, &caller); level++) {
        lua_getinfo(L, "S", &caller);
        /* Whatever decodes is a C function with the channel as its first argument. */
        if (strcmp(caller.what, "C") == 0 && lua_getlocal(L, &caller, 1) != NULL) {
            bool same = lua_touserdata(L, -1) == box;
            lua_pop(L, 1);
            if (same) {
                return true;
            }
        }
    }
    /* A coroutine of the finaliser's, whose callers cannot be seen: while one is at work
     * Lua collects nothing more. */
    if (L != box->decoding && lua_gc(L, LUA_GCISRUNNING) != 1) {
        return true;
    }
    box->decoding = NULL;
    return false;
}

struct artel_channel_box *artel_check_open_box(lua_State *L, int index)
{
    struct artel_channel_box *box = artel_check_box(L, index);
    if (box->channel == NULL) {
        luaL_error(L, "%s", artel_box_fault(box));
    }
    if (box->decoding != NULL && is_decoding(L, box)) {
        refuse_while_decoding(L);
    }
    return box;
}

struct artel_channel_box *artel_check_usable_box(lua_State *L, int index)
{
    struct artel_channel_box *box = artel_check_open_box(L, index);
    if (box->closing) {
        luaL_error(L, "%s", artel_box_fault(box));
    }
    return box;
}

void artel_box_close_channel(struct artel_channel_box *box)
{
    if (box->channel == NULL) {
        return;
    }
    if (is_ours(box)) {
        artel_channel_flush(box->channel);
    }
    artel_channel_free(box->channel);
    box->channel = NULL;
}

void artel_box_close(struct artel_channel_box *box)
{
    artel_box_close_channel(box);
    if (box->process.pid != 0 &&
        artel_process_poll(&box->process) == ARTEL_PROCESS_RUNNING) {
        artel_reaper_add(&box->process);
    }
    artel_process_fini(&box->process);
    artel_claims_unmap(box->claims);
    box->claims = NULL;
    artel_capture_free(box->capture);
    box->capture = NULL;
}

bool artel_box_is_backed_up(const struct artel_channel_box *box)
{
    return box->worker_end && artel_channel_is_backed_up(box->channel);
}

ssize_t artel_box_fill(struct artel_channel_box *box, bool block)
{
    ssize_t got = artel_channel_fill(box->channel, block);
    if (got != 0 || box->process.pid == 0 || !(block || box->exit_noted)) {
        return got;
    }
    if (artel_process_poll(&box->process) == ARTEL_PROCESS_RUNNING) {
        return 0;
    }
    /* It has ended: what it sent before that is here, so one more look decides. */
    got = artel_channel_fill(box->channel, false);
    if (got == 0) {
        artel_channel_end_input(box->channel);
        return ARTEL_E_EOF;
    }
    return got;
}

/* getStream(self) → number of the descriptor to watch */
static int channel_get_stream(lua_State *L)
{
    struct artel_channel *channel = artel_check_usable_box(L, 1)->channel;
    short events = 0;
    artel_channel_watch(channel, ARTEL_WATCHER_STREAM, true);
    /* Only said anew: a coroutine may wait for room. */
    artel_channel_arm(channel, true, artel_channel_loop_awaits_room(channel), &events);
    lua_pushinteger(L, artel_channel_fd(channel));
    return 1;
}

/* class(name) → its table of methods, its metatable */
static int class(lua_State *L)
{
    push_class(L, luaL_checkstring(L, 1));
    lua_getfield(L, -1, "__index");
    lua_insert(L, -2);
    return 2;
}

void artel_channel_register(lua_State *L)
{
    static const luaL_Reg FUNCTIONS[] = {{"class", class}, {NULL, NULL}};
    luaL_setfuncs(L, FUNCTIONS, 0);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &CLASSES);
}
