/* SPDX-License-Identifier: Apache-2.0 */
/* How channels come into being: a pair in one process, or one with a new worker behind
 * it. */
#include "open.h"

#include "../core/error.h"
#include "../core/fd.h"
#include "../core/memory_file.h"
#include "../core/self.h"
#include "channel.h"
#include "error.h"
#include "exec_vectors.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#define PEER_FRAMES                                                                      \
    (ARTEL_FRAME_BIT(ARTEL_FRAME_MESSAGE) | ARTEL_FRAME_BIT(ARTEL_FRAME_REQUEST) |       \
     ARTEL_FRAME_BIT(ARTEL_FRAME_RESPONSE) | ARTEL_FRAME_BIT(ARTEL_FRAME_ERROR) |        \
     ARTEL_FRAME_BIT(ARTEL_FRAME_CANCEL))

/* Nobody sends longer than the msgpack header can say. */
#define MESSAGE_LEN_MAX ((lua_Number)UINT32_MAX)

static size_t get_size(lua_State *L, int index, const char *name, lua_Number most,
                       size_t otherwise)
{
    size_t size = otherwise;
    if (lua_getfield(L, index, name) == LUA_TNUMBER) {
        lua_Number wanted = lua_tonumber(L, -1);
        size = wanted >= most ? (size_t)most : (size_t)wanted;
    }
    lua_pop(L, 1);
    return size;
}

void artel_read_channel_options(lua_State *L, int index, enum artel_channel_start start,
                                struct artel_channel_options *options)
{
    lua_getfield(L, index, "encoding");
    const char *encoding = luaL_optstring(L, -1, "msgpack");
    options->encoding = strcmp(encoding, "json") == 0 ? ARTEL_JSON : ARTEL_MSGPACK;
    lua_pop(L, 1);
    options->start = start;
    options->accepts = PEER_FRAMES;
    options->max_message_len =
        get_size(L, index, "maxMessageSize", MESSAGE_LEN_MAX, (size_t)1 << 30);
    options->max_queued_len = get_size(L, index, "maxQueuedBytes", 1e15, (size_t)1 << 30);
}

void artel_box_configure(lua_State *L, int box_index, int index,
                         const struct artel_channel_options *options)
{
    struct artel_channel_box *box = lua_touserdata(L, box_index);
    box->limits.max_len = options->max_message_len;
    if (options->encoding == ARTEL_JSON) {
        box->limits.max_depth = ARTEL_JSON_MAX_DEPTH;
    }
    box->limits.max_items =
        get_size(L, index, "maxMessageItems", 1e15, box->limits.max_items);
    box->has_codec = lua_getfield(L, index, "codec") == LUA_TTABLE;
    lua_setiuservalue(L, box_index, ARTEL_BOX_CODEC);
}

int artel_box_open(struct artel_channel_box *box, int *fd,
                   const struct artel_channel_options *options)
{
    struct artel_transport *transport = NULL;
    int status = artel_socket_transport_new(&transport, *fd);
    if (status < 0) {
        return status;
    }
    artel_fd_take(fd); /* the transport has it now */
    return artel_channel_new(&box->channel, transport, options);
}

int artel_box_open_worker(struct artel_channel_box *box, int *fd, int memory_fd,
                          const struct artel_channel_options *options)
{
    struct artel_memory_rings rings = {.mapping = NULL};
    int status = memory_fd < 0 ? 0 : artel_memory_rings_map(&rings, memory_fd);
    if (status < 0) {
        return status;
    }
    if (rings.mapping == NULL) {
        return artel_box_open(box, fd, options);
    }
    struct artel_transport *transport = NULL;
    status = artel_shared_transport_new(&transport, *fd, &rings,
                                        options->start == ARTEL_START_MASTER);
    if (status < 0) {
        artel_memory_rings_unmap(&rings);
        return status;
    }
    artel_fd_take(fd); /* the transport has it now */
    return artel_channel_new(&box->channel, transport, options);
}

static int push_open_failure(lua_State *L, const char *kind, int status, const char *what)
{
    return artel_push_failure(L, kind, status, "cannot make %s: %s", what,
                              artel_error_text(status));
}

/* pair(options) → channel, channel | nil, err; options as for a worker */
static int pair(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    struct artel_channel_options options;
    artel_read_channel_options(L, 1, ARTEL_START_PLAIN, &options);
    struct artel_channel_box *left = artel_channel_box_new(L, "artel.Channel");
    struct artel_channel_box *right = artel_channel_box_new(L, "artel.Channel");
    artel_box_configure(L, 2, 1, &options);
    artel_box_configure(L, 3, 1, &options);
    int ends[2] = {-1, -1};
    int status = artel_fd_pair(ends);
    if (status == 0) {
        status = artel_box_open(left, &ends[0], &options);
    }
    if (status == 0) {
        status = artel_box_open(right, &ends[1], &options);
    }
    artel_fd_close(&ends[0]);
    artel_fd_close(&ends[1]);
    return status < 0 ? push_open_failure(L, "connect", status, "a channel") : 2;
}

/* What a new worker shares with us besides the socket. */
struct memory_wishes {
    uint32_t ring_size; /* 0: messages go over the socket */
    bool ring_needed;   /* false: the socket will do where there can be no rings */
    bool claims;
};

static void read_memory_wishes(lua_State *L, int index, struct memory_wishes *wishes)
{
    lua_getfield(L, index, "transport");
    const char *transport = luaL_optstring(L, -1, "auto");
    wishes->ring_needed = strcmp(transport, "shared-memory") == 0;
    wishes->ring_size = 0;
    if (strcmp(transport, "socket") != 0) {
        lua_getfield(L, index, "ringSize");
        wishes->ring_size = (uint32_t)luaL_checkinteger(L, -1);
        lua_pop(L, 1);
    }
    lua_getfield(L, index, "claims");
    wishes->claims = lua_toboolean(L, -1);
    lua_pop(L, 2);
}

/* Opens our end of a worker's channel over the socket *fd. *memory_fd is left with the
 * file that goes to the worker, or -1. On failure *what is what could not be made. */
static int open_master_end(struct artel_channel_box *box, int *fd, int *memory_fd,
                           const struct artel_channel_options *options,
                           const struct memory_wishes *wishes, const char **what)
{
    *what = "the memory that a worker shares";
    if (wishes->ring_size > 0) {
        int status = artel_memory_file_create(memory_fd, wishes->ring_size);
        if (status == 0) {
            status = artel_box_open_worker(box, fd, *memory_fd, options);
        }
        bool is_spent = *fd < 0; /* the socket went with what could not be made of it */
        if (status == 0 || wishes->ring_needed || is_spent) {
            return status;
        }
        artel_fd_close(memory_fd);
    }
    int status = wishes->claims ? artel_memory_file_create(memory_fd, 0) : 0;
    if (status < 0) {
        return status;
    }
    *what = "a channel";
    return artel_box_open(box, fd, options);
}

/*
 * startWorker{ path =, argv = {...}, plan =, encoding =, codec =, maxMessageSize =,
 * maxQueuedBytes =, maxMessageItems =, transport =?, ringSize =, claims = true?,
 * captureErrors = true?, newSession = true? } → worker | nil, err
 */
static int start_worker(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    struct artel_channel_options options;
    artel_read_channel_options(L, 1, ARTEL_START_MASTER, &options);
    lua_getfield(L, 1, "path");
    lua_getfield(L, 1, "argv");
    struct artel_process_options child = {.path = luaL_checkstring(L, 2),
                                          .argv = artel_push_argv(L, 3),
                                          .envp = artel_push_environment(L, false),
                                          .channel_fd = -1,
                                          .memory_fd = -1};
    child.stderr_fd = -1;
    struct artel_channel_box *box = artel_channel_box_new(L, "artel.Worker");
    int box_index = lua_gettop(L);
    artel_box_configure(L, box_index, 1, &options);
    struct memory_wishes wishes;
    read_memory_wishes(L, 1, &wishes);
    bool captures = lua_getfield(L, 1, "captureErrors") != LUA_TNIL;
    child.new_session = lua_getfield(L, 1, "newSession") != LUA_TNIL;
    lua_settop(L, box_index);
    int ends[2] = {-1, -1};
    const char *what = "a channel";
    int status = artel_fd_pair(ends);
    if (status == 0) {
        status =
            open_master_end(box, &ends[0], &child.memory_fd, &options, &wishes, &what);
    }
    if (status < 0) {
        artel_fd_close(&ends[0]);
        artel_fd_close(&ends[1]);
        artel_fd_close(&child.memory_fd);
        return push_open_failure(L, "spawn", status, what);
    }
    if (wishes.claims) {
        status = artel_claims_map(&box->claims, child.memory_fd);
    }
    if (status == 0 && captures) {
        status = artel_capture_new(&box->capture, &child.stderr_fd);
    }
    child.channel_fd = ends[1];
    if (status == 0) {
        status = artel_process_start(&box->process, &child);
    }
    artel_fd_close(&child.memory_fd);
    artel_fd_close(&child.stderr_fd);
    artel_fd_close(&ends[1]);
    if (status < 0) {
        return artel_push_failure(L, "spawn", status, "cannot start the host %s: %s",
                                  child.path, artel_error_text(status));
    }
    lua_getfield(L, 1, "plan");
    lua_pushinteger(L, artel_self_process_id());
    lua_setfield(L, -2, "parent"); /* who must live for the worker to live */
    int failure = artel_box_queue(L, box_index, ARTEL_FRAME_PROFILE, 0, lua_gettop(L));
    if (failure != 0) {
        return failure;
    }
    artel_channel_flush(box->channel); /* a worker that died says so at the first wait */
    lua_pushvalue(L, box_index);
    return 1;
}

/* configure(channel, options): the host's channel, once it knows the profile */
static int configure(lua_State *L)
{
    struct artel_channel_box *box = artel_check_open_box(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    struct artel_channel_options options;
    artel_read_channel_options(L, 2, ARTEL_START_HOST, &options);
    artel_channel_set_limits(box->channel, options.max_message_len,
                             options.max_queued_len);
    artel_channel_set_accepts(box->channel, options.accepts);
    artel_channel_set_encoding(box->channel, options.encoding);
    artel_box_configure(L, 1, 2, &options);
    return 0;
}

void artel_open_register(lua_State *L)
{
    static const luaL_Reg FUNCTIONS[] = {{"pair", pair},
                                         {"startWorker", start_worker},
                                         {"configure", configure},
                                         {NULL, NULL}};
    luaL_setfuncs(L, FUNCTIONS, 0);
}
