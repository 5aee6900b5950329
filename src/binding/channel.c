/* SPDX-License-Identifier: Apache-2.0 */
/* The channel userdata: its classes, its life, and the two calls that must be fast. */
#include "channel.h"

#include "../core/clock.h"
#include "../core/error.h"
#include "../core/self.h"
#include "error.h"
#include "wait.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

/* A metatable with this key is one of a channel class, whichever. */
static const char CLASS_TAG = 0;
/* Registry key of the table class name → metatable. */
static const char CLASSES = 0;
/* Registry key of the table of Lua functions that finish what the fast paths begin. */
static const char SLOW_PATHS = 0;

/* ---- the box ---- */

static int channel_gc(lua_State *L)
{
    artel_box_close(lua_touserdata(L, 1));
    return 0;
}

static void require_channel_module(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "artel.channel");
    lua_call(L, 1, 0);
}

/* What a class does not have yet comes from lua/artel/channel.lua, read at first need: a
 * raw worker that only sends and receives never loads it. */
static int load_methods(lua_State *L)
{
    lua_pushnil(L);
    lua_setmetatable(L, 1);
    require_channel_module(L);
    lua_pushvalue(L, 2);
    lua_gettable(L, 1);
    return 1;
}

/* The same for what a metatable has besides: these two stand in until the module, which
 * replaces them, is loaded. */
static int load_and_close(lua_State *L)
{
    require_channel_module(L);
    lua_settop(L, 1);
    lua_getfield(L, 1, "close");
    lua_insert(L, 1);
    lua_call(L, 1, 0);
    return 0;
}

static int load_and_show(lua_State *L)
{
    require_channel_module(L);
    lua_settop(L, 1);
    luaL_tolstring(L, 1, NULL);
    return 1;
}

static int channel_send_message(lua_State *L);
static int channel_receive_message(lua_State *L);
static int channel_get_stream(lua_State *L);

/* Pushes the metatable of the class, made at first need. */
static void push_class(lua_State *L, const char *name)
{
    static const luaL_Reg METHODS[] = {{"sendMessage", channel_send_message},
                                       {"receiveMessage", channel_receive_message},
                                       {"getStream", channel_get_stream},
                                       {NULL, NULL}};
    lua_rawgetp(L, LUA_REGISTRYINDEX, &CLASSES);
    if (lua_getfield(L, -1, name) == LUA_TTABLE) {
        lua_remove(L, -2);
        return;
    }
    lua_pop(L, 1);
    lua_createtable(L, 0, 8);
    lua_pushboolean(L, true);
    lua_rawsetp(L, -2, &CLASS_TAG);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    lua_pushcfunction(L, channel_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, load_and_close);
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
    box->owner = artel_self_process_id();
    artel_process_init(&box->process);
    box->limits = ARTEL_CODEC_DEFAULT_LIMITS;
    push_class(L, class_name);
    lua_setmetatable(L, -2);
    return box;
}

bool artel_is_box(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index)) {
        return false;
    }
    bool is_channel = lua_rawgetp(L, -1, &CLASS_TAG) != LUA_TNIL;
    lua_pop(L, 2);
    return is_channel;
}

struct artel_channel_box *artel_check_box(lua_State *L, int index)
{
    if (!artel_is_box(L, index)) {
        luaL_typeerror(L, index, "artel channel");
    }
    return lua_touserdata(L, index);
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
    if (L != box->decoding) {
        return true; /* a coroutine of the finaliser's; its callers cannot be seen */
    }
    box->decoding = NULL;
    return false;
}

struct artel_channel_box *artel_check_open_box(lua_State *L, int index)
{
    struct artel_channel_box *box = artel_check_box(L, index);
    if (box->channel == NULL) {
        luaL_error(L, "attempt to use a closed channel");
    }
    if (box->decoding != NULL && is_decoding(L, box)) {
        luaL_error(L,
                   "attempt to use a channel in a finaliser while it takes in a message");
    }
    return box;
}

/* As artel_check_open_box, for what users call. */
static struct artel_channel_box *check_usable_box(lua_State *L, int index)
{
    struct artel_channel_box *box = artel_check_open_box(L, index);
    if (box->closing) {
        luaL_error(L, "attempt to use a closed channel");
    }
    return box;
}

void artel_box_close_channel(struct artel_channel_box *box)
{
    if (box->channel == NULL) {
        return;
    }
    if (box->owner == artel_self_process_id()) { /* a forked copy would send it twice */
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

/* ---- values to frames and back ---- */

/* The custom codec's function, and the box's user value above it; or nothing and false.
 */
static bool push_codec(lua_State *L, int box_index, const char *name)
{
    if (lua_getiuservalue(L, box_index, ARTEL_BOX_CODEC) != LUA_TTABLE) {
        lua_pop(L, 1);
        return false;
    }
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
    return true;
}

/*
 * encode(value) of a custom codec, whose function is on top → 0 with a string in its
 * place, or a code with the reason. Before any byte of the frame exists: encode may do
 * anything, also send on the same channel or close it.
 */
static int encode_custom(lua_State *L, struct artel_channel_box *box, int index)
{
    lua_pushvalue(L, index);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
        luaL_tolstring(L, -1, NULL);
        lua_remove(L, -2);
        return ARTEL_E_ENCODE;
    }
    const char *fault = NULL;
    if (lua_type(L, -1) != LUA_TSTRING) {
        fault = "the channel factory's encode did not answer a string";
    } else if (box->channel == NULL) {
        fault = "the channel factory's encode has closed the channel";
    }
    if (fault != NULL) {
        lua_pop(L, 1);
        lua_pushstring(L, fault);
    }
    return fault != NULL ? ARTEL_E_ENCODE : 0;
}

/* Appends the string on top, which stays. */
static int append_string(lua_State *L, struct artel_buffer *out)
{
    size_t len = 0;
    const char *bytes = lua_tolstring(L, -1, &len);
    return artel_buffer_append(out, bytes, len);
}

/* Start-up frames are between artel and artel: the profile's limits are not for them. */
static const struct artel_codec_limits *limits_for(const struct artel_channel_box *box,
                                                   enum artel_frame_kind kind)
{
    bool is_report = kind == ARTEL_FRAME_READY || kind == ARTEL_FRAME_FAILED ||
                     kind == ARTEL_FRAME_PROFILE;
    return is_report ? &ARTEL_CODEC_DEFAULT_LIMITS : &box->limits;
}

int artel_box_queue(lua_State *L, int box_index, enum artel_frame_kind kind, uint32_t id,
                    int index)
{
    struct artel_channel_box *box = lua_touserdata(L, box_index);
    bool custom = kind <= ARTEL_FRAME_RESPONSE && push_codec(L, box_index, "encode");
    int status = custom ? encode_custom(L, box, index) : 0;
    bool explained = status < 0;
    struct artel_buffer *out =
        explained ? NULL : artel_channel_frame_begin(box->channel, kind, id);
    if (out == NULL) {
        status = explained ? status : -ENOMEM;
    } else if (custom) {
        status = append_string(L, out);
        lua_pop(L, 1);
    } else if (index != 0) {
        status = artel_channel_send_encoding(box->channel) == ARTEL_JSON
                     ? artel_json_encode(L, index, out, &box->limits)
                     : artel_msgpack_encode(L, index, out, limits_for(box, kind));
        explained = status < 0;
    }
    if (status == 0) {
        status = artel_channel_frame_end(box->channel);
    }
    if (status == 0) {
        return 0;
    }
    const char *reason = explained ? lua_tostring(L, -1) : artel_error_text(status);
    const char *name = status == ARTEL_E_OVERSIZE     ? "oversize"
                       : status == ARTEL_E_OVERLOADED ? "overloaded"
                                                      : "encode";
    return artel_push_failure(L, name, status, "%s", reason);
}

/* decode(bytes) of a custom codec, whose function is on top. The frame is gone before:
 * decode may do anything, also receive on the same channel or close it. */
static int decode_custom(lua_State *L, struct artel_channel_box *box,
                         const struct artel_frame *frame)
{
    lua_pushlstring(L, (const char *)frame->body, frame->body_len);
    artel_channel_consume(box->channel);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK) {
        return 0;
    }
    luaL_tolstring(L, -1, NULL);
    lua_remove(L, -2);
    return ARTEL_E_DECODE;
}

/* Decodes straight from the channel's buffer, and consumes the frame. */
static int decode_in_place(lua_State *L, struct artel_channel_box *box,
                           const struct artel_frame *frame)
{
    box->decoding = L; /* collects garbage: see artel_check_open_box */
    int status = artel_channel_frame_encoding(box->channel) == ARTEL_JSON
                     ? artel_json_decode(L, frame->body, frame->body_len, &box->limits)
                     : artel_msgpack_decode(L, frame->body, frame->body_len,
                                            limits_for(box, frame->kind));
    box->decoding = NULL;
    if (status == ARTEL_E_PROTOCOL) {
        artel_channel_break(box->channel, lua_tostring(L, -1));
    }
    artel_channel_consume(box->channel);
    return status;
}

int artel_box_take(lua_State *L, int box_index, const struct artel_frame *frame)
{
    struct artel_channel_box *box = lua_touserdata(L, box_index);
    int status = 0;
    if (frame->body == NULL) {
        artel_channel_consume(box->channel);
        lua_pushnil(L);
    } else if (frame->kind <= ARTEL_FRAME_RESPONSE &&
               push_codec(L, box_index, "decode")) {
        status = decode_custom(L, box, frame);
    } else {
        status = decode_in_place(L, box, frame);
    }
    if (status == 0) {
        return 1;
    }
    const char *kind = status == ARTEL_E_OVERSIZE   ? "oversize"
                       : status == ARTEL_E_PROTOCOL ? "protocol"
                                                    : "decode";
    return artel_push_failure(L, kind, 0, "%s", lua_tostring(L, -1));
}

/* ---- the fast paths ---- */

static int finish_slow(lua_State *L, int status, lua_KContext base)
{
    (void)status;
    return lua_gettop(L) - (int)base;
}

/* Calls the Lua function that finishes the work, with the current arguments; it may
 * yield. */
static int go_slow(lua_State *L, const char *name)
{
    int count = lua_gettop(L);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &SLOW_PATHS) != LUA_TTABLE) {
        lua_pop(L, 1);
        require_channel_module(L);
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

/* sendMessage(self, message) → true | true, pending | nil, err */
static int channel_send_message(lua_State *L)
{
    struct artel_channel_box *box = check_usable_box(L, 1);
    lua_settop(L, 2);
    if (artel_channel_send_encoding(box->channel) == ARTEL_JSON &&
        has_reserved_key(L, 2)) {
        return artel_push_failure(L, "encode", 0,
                                  "cannot send an object with the key \"%s\", which JSON "
                                  "channels use themselves (at message)",
                                  lua_tostring(L, -1));
    }
    int failure = artel_box_queue(L, 1, ARTEL_FRAME_MESSAGE, 0, 2);
    if (failure != 0) {
        lua_getfield(L, -1, "kind");
        bool full = strcmp(lua_tostring(L, -1), "overloaded") == 0;
        lua_pop(L, 1);
        if (full) { /* whether that is an error depends on who waits how */
            lua_settop(L, 2);
            return go_slow(L, "sendWhenFull");
        }
        return failure;
    }
    if (artel_channel_flush(box->channel) == 1) {
        lua_pushboolean(L, true);
        return 1;
    }
    lua_settop(L, 1);
    return go_slow(L, "afterSend");
}

/* receiveMessage(self, timeout?) → message | nil, err */
static int channel_receive_message(lua_State *L)
{
    struct artel_channel_box *box = check_usable_box(L, 1);
    lua_settop(L, 2);
    if (!lua_isnil(L, 2)) {
        luaL_argcheck(L, luaL_checknumber(L, 2) >= 0, 2, "seconds from 0 up expected");
    }
    bool may_block = false;
    while (!box->queued_in_lua) {
        struct artel_frame frame;
        int found = artel_channel_next(box->channel, &frame);
        if (found == 1 && frame.kind == ARTEL_FRAME_MESSAGE) {
            return artel_box_take(L, 1, &frame);
        }
        if (found != 0 || !lua_isnil(L, 2) || box->waits_in_lua ||
            artel_channel_pending_len(box->channel) > 0) {
            break;
        }
        may_block = may_block || artel_wait_mode(L) == ARTEL_WAIT_BLOCK;
        if (!may_block) {
            break;
        }
        if (artel_box_fill(box, true) == -EINTR) {
            artel_run_hooks(L);
            box = artel_check_open_box(L, 1); /* a hook may have closed it */
        }
    }
    return go_slow(L, "receive");
}

/* getStream(self) → number of the descriptor to watch */
static int channel_get_stream(lua_State *L)
{
    lua_pushinteger(L, artel_channel_fd(check_usable_box(L, 1)->channel));
    return 1;
}

/* class(name) → its table of methods, its metatable */
static int class(lua_State *L)
{
    push_class(L, luaL_checkstring(L, 1));
    lua_getfield(L, -1, "__index");
    lua_pushnil(L); /* from here on the caller provides the methods itself */
    lua_setmetatable(L, -2);
    lua_insert(L, -2);
    return 2;
}

/* setSlowPaths{ receive =, afterSend =, sendWhenFull = } */
static int set_slow_paths(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &SLOW_PATHS);
    return 0;
}

void artel_channel_register(lua_State *L)
{
    static const luaL_Reg FUNCTIONS[] = {
        {"class", class}, {"setSlowPaths", set_slow_paths}, {NULL, NULL}};
    luaL_setfuncs(L, FUNCTIONS, 0);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &CLASSES);
}
