/* SPDX-License-Identifier: Apache-2.0 */
/* Connecting, step by step or at once, and who is behind an address, as Lua sees it. */
#include "sockets.h"

#include "../core/clock.h"
#include "../core/connect.h"
#include "../core/error.h"
#include "../core/fd.h"
#include "../core/peer.h"
#include "../core/tcp_listeners.h"
#include "class.h"
#include "error.h"
#include "wait.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#define DESCRIPTOR_TYPE "artel.Descriptor"
#define FAULT_LEN 400 /* a path and a sentence */

/* ---- descriptors ---- */

static int descriptor_close(lua_State *L)
{
    struct artel_descriptor *descriptor = luaL_checkudata(L, 1, DESCRIPTOR_TYPE);
    artel_fd_close(&descriptor->fd);
    return 0;
}

struct artel_descriptor *artel_descriptor_new(lua_State *L)
{
    static const luaL_Reg METAMETHODS[] = {
        {"__gc", descriptor_close}, {"__close", descriptor_close}, {NULL, NULL}};
    struct artel_descriptor *descriptor = lua_newuserdatauv(L, sizeof *descriptor, 0);
    descriptor->fd = -1;
    artel_set_class(L, DESCRIPTOR_TYPE, METAMETHODS);
    return descriptor;
}

struct artel_descriptor *artel_check_descriptor(lua_State *L, int index)
{
    struct artel_descriptor *descriptor = luaL_checkudata(L, index, DESCRIPTOR_TYPE);
    luaL_argcheck(L, descriptor->fd >= 0, index, "the descriptor is closed");
    return descriptor;
}

static int number(lua_State *L)
{
    lua_pushinteger(L, artel_check_descriptor(L, 1)->fd);
    return 1;
}

/* The number is the caller's from now on. */
static int release(lua_State *L)
{
    lua_pushinteger(L, artel_fd_take(&artel_check_descriptor(L, 1)->fd));
    return 1;
}

/* ---- addresses ---- */

void artel_check_address(lua_State *L, int index, struct artel_address *address)
{
    size_t len;
    const char *text = luaL_checklstring(L, index, &len);
    const char *fault = "";
    if (artel_address_parse(address, text, len, &fault) < 0) {
        luaL_error(L, "the address %s %s", text, fault);
    }
}

static int candidates(lua_State *L)
{
    struct artel_address address;
    artel_check_address(L, 1, &address);
    if (!lua_isnoneornil(L, 2)) {
        size_t len;
        const char *host = luaL_checklstring(L, 2, &len);
        luaL_argcheck(L, len <= ARTEL_ADDRESS_HOST_MAX_LEN, 2, "no number is so long");
        memcpy(address.host, host, len + 1);
    }
    struct artel_socket_address list[ARTEL_SOCKET_ADDRESS_MAX];
    int count =
        artel_socket_address_resolve_here(&address, list, ARTEL_SOCKET_ADDRESS_MAX);
    if (count == -EAGAIN) {
        return 0;
    }
    if (count < 0) {
        return artel_push_failure(L, "connect", count, "cannot resolve %s: %s",
                                  address.host, artel_error_text(count));
    }
    lua_createtable(L, count, 0);
    for (int i = 0; i < count; i++) {
        lua_pushlstring(L, (const char *)&list[i], sizeof list[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* What candidates() answered; the string is not aligned, so it is copied. */
static struct artel_socket_address check_candidate(lua_State *L, int index)
{
    struct artel_socket_address address;
    size_t len;
    const char *bytes = luaL_checklstring(L, index, &len);
    luaL_argcheck(L, len == sizeof address, index, "no candidate of an address");
    memcpy(&address, bytes, sizeof address);
    return address;
}

static int name_of(lua_State *L)
{
    struct artel_socket_address address = check_candidate(L, 1);
    char text[ARTEL_SOCKET_ADDRESS_TEXT_LEN];
    artel_socket_address_text(&address, text);
    lua_pushstring(L, text);
    return 1;
}

/* ---- connecting ---- */

static const char *connect_kind(int status)
{
    return status == -ETIMEDOUT ? "timeout" : "connect";
}

static int connect_blocking(lua_State *L)
{
    struct artel_address address;
    artel_check_address(L, 1, &address);
    int64_t deadline = artel_check_deadline(L, 2);
    struct artel_descriptor *descriptor = artel_descriptor_new(L);
    char fault[FAULT_LEN] = "";
    int status;
    while ((status = artel_connect(&address, deadline, &descriptor->fd, fault,
                                   sizeof fault)) == -EINTR) {
        artel_run_hooks(L);
    }
    return status == 0 ? 1
                       : artel_push_failure(L, connect_kind(status), status, "%s", fault);
}

/* The caller knows what was tried and says so. */
static int push_connect_failure(lua_State *L, int status)
{
    return artel_push_failure(L, connect_kind(status), status, "%s",
                              artel_error_text(status));
}

static int connect_begin(lua_State *L)
{
    struct artel_socket_address address = check_candidate(L, 1);
    struct artel_descriptor *descriptor = artel_descriptor_new(L);
    int status = artel_connect_begin(&address, &descriptor->fd);
    if (status == -EAGAIN) {
        lua_pushboolean(L, false);
        return 1;
    }
    if (status < 0 && status != -EINPROGRESS) {
        return push_connect_failure(L, status);
    }
    lua_pushboolean(L, status == 0);
    return 2;
}

static int connect_watch(lua_State *L)
{
    int fd = artel_check_descriptor(L, 1)->fd;
    struct artel_descriptor *watch = artel_descriptor_new(L);
    int status = artel_connect_watch(fd, &watch->fd);
    return status == 0 ? 1 : push_connect_failure(L, status);
}

static int connect_finish(lua_State *L)
{
    struct artel_descriptor *descriptor = artel_check_descriptor(L, 1);
    int status = artel_connect_finish(&descriptor->fd);
    if (status < 0) {
        return push_connect_failure(L, status);
    }
    lua_pushboolean(L, true);
    return 1;
}

/* ---- who is there ---- */

static int peer_name(lua_State *L)
{
    char name[ARTEL_SOCKET_ADDRESS_TEXT_LEN];
    int status = artel_peer_name(artel_check_descriptor(L, 1)->fd, name);
    if (status < 0) {
        return artel_push_failure(L, "closed", status, "the peer cannot be named: %s",
                                  artel_error_text(status));
    }
    lua_pushstring(L, name);
    return 1;
}

/* The best of what the address stands for; -EHOSTUNREACH is pushed as a failure. */
static int resolve_first(const struct artel_address *address,
                         struct artel_socket_address *found)
{
    const char *reason;
    int count = artel_socket_address_resolve(address, found, 1, &reason);
    return count < 0 ? count : 0;
}

static int push_asking_failure(lua_State *L, int status)
{
    return artel_push_failure(L, connect_kind(status), status,
                              "cannot find out who listens at %s: %s", lua_tostring(L, 1),
                              artel_error_text(status));
}

static int listening_process(lua_State *L)
{
    struct artel_address address;
    artel_check_address(L, 1, &address);
    int64_t deadline = artel_check_deadline(L, 2);
    struct artel_socket_address where;
    pid_t pid = 0;
    int status = resolve_first(&address, &where);
    while (status == 0 &&
           (status = artel_peer_listening_process(&where, deadline, &pid)) == -EINTR) {
        artel_run_hooks(L);
        status = 0;
    }
    if (pid == 0 || status < 0) {
        return push_asking_failure(L, status);
    }
    lua_pushinteger(L, pid);
    return 1;
}

/* 0, -ECONNREFUSED when nobody serves it, or another negated errno. */
static int look_who_serves(const struct artel_socket_address *where, int64_t deadline)
{
    if (where->storage.ss_family != AF_UNIX) {
        struct artel_tcp_listener listener;
        return artel_tcp_listener_find(where, &listener);
    }
    int fd = -1;
    int status = artel_connect_probe(where, deadline, &fd);
    artel_fd_close(&fd);
    if (status == -ETIMEDOUT) {
        return 0; /* so busy that its backlog is full */
    }
    return status == -ENOENT || status == -ENOTDIR ? -ECONNREFUSED : status;
}

static int is_served(lua_State *L)
{
    struct artel_address address;
    artel_check_address(L, 1, &address);
    int64_t deadline = artel_check_deadline(L, 2);
    struct artel_socket_address where;
    int status = resolve_first(&address, &where);
    while (status == 0 && (status = look_who_serves(&where, deadline)) == -EINTR) {
        artel_run_hooks(L);
        status = 0;
    }
    if (status < 0 && status != -ECONNREFUSED) {
        return push_asking_failure(L, status);
    }
    lua_pushboolean(L, status == 0);
    return 1;
}

static int watch_process(lua_State *L)
{
    pid_t pid = (pid_t)luaL_checkinteger(L, 1);
    struct artel_descriptor *descriptor = artel_descriptor_new(L);
    int status = artel_peer_watch(pid, &descriptor->fd);
    return status == 0 ? 1
                       : artel_push_failure(L, "closed", status, "process %d: %s",
                                            (int)pid, artel_error_text(status));
}

void artel_descriptor_register(lua_State *L)
{
    static const luaL_Reg FUNCTIONS[] = {{"number", number},
                                         {"close", descriptor_close},
                                         {"release", release},
                                         {"candidates", candidates},
                                         {"nameOf", name_of},
                                         {"connect", connect_blocking},
                                         {"connectBegin", connect_begin},
                                         {"connectWatch", connect_watch},
                                         {"connectFinish", connect_finish},
                                         {"peerName", peer_name},
                                         {"listeningProcess", listening_process},
                                         {"isServed", is_served},
                                         {"watchProcess", watch_process},
                                         {NULL, NULL}};
    luaL_setfuncs(L, FUNCTIONS, 0);
}
