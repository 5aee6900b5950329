/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets in Lua's hands, and how none outlives its process. */
#include "sockets.h"

#include "../core/error.h"
#include "../core/identity.h"
#include "../core/listen.h"
#include "class.h"
#include "error.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#define LISTENER_TYPE "artel.Listener"
#define FAULT_LEN 400

/* Not in Lua's memory: a process that exits without closing Lua finds them here. */
struct listener_entry {
    struct artel_listener listener;
    struct listener_entry *next;
};

static struct listener_entry *open_listeners;

struct listener_box {
    struct listener_entry *entry; /* NULL once closed */
};

static void close_entry(struct listener_entry *entry)
{
    struct listener_entry **link = &open_listeners;
    while (*link != NULL && *link != entry) {
        link = &(*link)->next;
    }
    if (*link == entry) {
        *link = entry->next;
    }
    artel_listener_close(&entry->listener);
    free(entry);
}

void artel_listeners_close_all(void)
{
    for (struct listener_entry *entry = open_listeners; entry != NULL;
         entry = entry->next) {
        artel_listener_close(&entry->listener); /* its box may still point to it */
    }
}

static int close_listener(lua_State *L)
{
    struct listener_box *box = luaL_checkudata(L, 1, LISTENER_TYPE);
    if (box->entry != NULL) {
        close_entry(box->entry);
        box->entry = NULL;
    }
    return 0;
}

/* Pushes a box with a closed listener in it. */
static struct artel_listener *new_listener(lua_State *L)
{
    static const luaL_Reg METAMETHODS[] = {{"__gc", close_listener}, {NULL, NULL}};
    struct listener_box *box = lua_newuserdatauv(L, sizeof *box, 0);
    box->entry = NULL;
    artel_set_class(L, LISTENER_TYPE, METAMETHODS);
    box->entry = calloc(1, sizeof *box->entry);
    if (box->entry == NULL) {
        luaL_error(L, "not enough memory");
        return NULL; /* not reached */
    }
    artel_listener_init(&box->entry->listener);
    box->entry->next = open_listeners;
    open_listeners = box->entry;
    return &box->entry->listener;
}

static struct artel_listener *check_listener(lua_State *L)
{
    struct listener_box *box = luaL_checkudata(L, 1, LISTENER_TYPE);
    luaL_argcheck(L, box->entry != NULL && box->entry->listener.fd >= 0, 1,
                  "the listener is closed");
    return &box->entry->listener;
}

/* ---- options ---- */

static void get_boolean(lua_State *L, const char *name, bool *value)
{
    if (lua_getfield(L, 2, name) != LUA_TNIL) {
        *value = lua_toboolean(L, -1);
    }
    lua_pop(L, 1);
}

/* A user or group by its number or its name; raises for a name that nobody has. */
static void get_id(lua_State *L, const char *name, bool is_group, unsigned *id)
{
    int type = lua_getfield(L, 2, name);
    if (type == LUA_TNUMBER) {
        *id = (unsigned)lua_tointeger(L, -1);
    } else if (type != LUA_TNIL) {
        struct artel_identity identity;
        const char *wanted = lua_tostring(L, -1);
        gid_t gid = 0;
        int status = is_group ? artel_identity_find_group(&gid, wanted)
                              : artel_identity_find(&identity, wanted);
        if (status < 0) {
            lua_pushfstring(L, "there is no %s %s", is_group ? "group" : "user", wanted);
            lua_error(L);
        }
        *id = is_group ? gid : identity.uid;
    }
    lua_pop(L, 1);
}

/* { backlog =, mode =, owner =, group =, reusePort =, ipv6Only =, keepAlive =, noDelay =
 * }, of the right types; what is missing has its default. */
static struct artel_listen_options check_options(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TTABLE);
    struct artel_listen_options options;
    artel_listen_options_init(&options);
    lua_getfield(L, 2, "backlog");
    options.backlog = (int)luaL_optinteger(L, -1, options.backlog);
    lua_getfield(L, 2, "mode");
    options.mode = (mode_t)luaL_optinteger(L, -1, options.mode);
    lua_pop(L, 2);
    get_id(L, "owner", false, &options.owner);
    get_id(L, "group", true, &options.group);
    get_boolean(L, "reusePort", &options.reuse_port);
    get_boolean(L, "ipv6Only", &options.ipv6_only);
    get_boolean(L, "keepAlive", &options.keep_alive);
    get_boolean(L, "noDelay", &options.no_delay);
    return options;
}

/* ---- listening ---- */

static int listen_at(lua_State *L)
{
    struct artel_address address;
    artel_check_address(L, 1, &address);
    struct artel_listen_options options = check_options(L);
    struct artel_listener *listener = new_listener(L);
    char fault[FAULT_LEN] = "";
    int status = artel_listener_open(listener, &address, &options, fault, sizeof fault);
    return status == 0 ? 1 : artel_push_failure(L, "listen", status, "%s", fault);
}

static int adopt(lua_State *L)
{
    int fd = (int)luaL_checkinteger(L, 1);
    struct artel_listen_options options = check_options(L);
    struct artel_listener *listener = new_listener(L);
    int status = artel_listener_adopt(listener, fd, &options);
    if (status == -EINVAL) {
        return artel_push_failure(L, "listen", status,
                                  "the inherited descriptor %d is no listening socket",
                                  fd);
    }
    return status == 0
               ? 1
               : artel_push_failure(L, "listen", status,
                                    "cannot listen at the inherited descriptor %d: %s",
                                    fd, artel_error_text(status));
}

static int configure(lua_State *L)
{
    struct artel_listener *listener = check_listener(L);
    struct artel_listen_options options = check_options(L);
    int status = artel_listener_adopt(listener, listener->fd, &options);
    if (status < 0) {
        return artel_push_failure(L, "listen", status,
                                  "cannot listen at an inherited socket: %s",
                                  artel_error_text(status));
    }
    lua_pushboolean(L, true);
    return 1;
}

static int serves(lua_State *L)
{
    struct artel_listener *listener = check_listener(L);
    struct artel_address address;
    artel_check_address(L, 2, &address);
    lua_pushboolean(L, artel_listener_serves(listener, &address));
    return 1;
}

static int accept_next(lua_State *L)
{
    struct artel_listener *listener = check_listener(L);
    struct artel_descriptor *descriptor = artel_descriptor_new(L);
    int status = artel_listener_accept(listener, &descriptor->fd);
    if (status == -EAGAIN) {
        lua_pushboolean(L, false);
        return 1;
    }
    return status == 0 ? 1
                       : artel_push_failure(L, "listen", status, "cannot accept: %s",
                                            artel_error_text(status));
}

static int listener_number(lua_State *L)
{
    lua_pushinteger(L, check_listener(L)->fd);
    return 1;
}

void artel_listener_register(lua_State *L)
{
    static const luaL_Reg FUNCTIONS[] = {{"listen", listen_at},
                                         {"adopt", adopt},
                                         {"configure", configure},
                                         {"serves", serves},
                                         {"accept", accept_next},
                                         {"listenerNumber", listener_number},
                                         {"closeListener", close_listener},
                                         {NULL, NULL}};
    luaL_setfuncs(L, FUNCTIONS, 0);
}
