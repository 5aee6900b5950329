/* SPDX-License-Identifier: Apache-2.0 */
/* The set of descriptors that luv's loop watches for artel, as lua/artel/loop_luv.lua
 * sees it. */
#include "watch_set.h"

#include "../core/error.h"
#include "class.h"
#include "crowd.h"

#include <lauxlib.h>
#include <string.h>

#define WATCH_SET_TYPE "artel.WatchSet"

struct artel_watch_box *artel_check_watch_box(lua_State *L, int index)
{
    return luaL_checkudata(L, index, WATCH_SET_TYPE);
}

static struct artel_watch_set *check_set(lua_State *L)
{
    return &artel_check_watch_box(L, 1)->set;
}

static int collect(lua_State *L)
{
    artel_watch_set_close(check_set(L));
    return 0;
}

static int refuse(lua_State *L, const char *what, int status)
{
    return luaL_error(L, "%s: %s", what, artel_error_text(status));
}

/* open() → set; raises when there is no descriptor left */
static int open(lua_State *L)
{
    static const luaL_Reg METAMETHODS[] = {{"__gc", collect}, {NULL, NULL}};
    struct artel_watch_box *box = lua_newuserdatauv(L, sizeof *box, 0);
    memset(box, 0, sizeof *box);
    box->set.fd = -1;
    artel_set_class(L, WATCH_SET_TYPE, METAMETHODS);
    int status = artel_watch_set_open(&box->set);
    return status < 0 ? refuse(L, "no descriptor for the loop", status) : 1;
}

/* number(set) → integer: the descriptor that is readable while one in the set is ready */
static int number(lua_State *L)
{
    lua_pushinteger(L, check_set(L)->fd);
    return 1;
}

/* put(set, descriptor, id, read, write, isNew) */
static int put(lua_State *L)
{
    int status = artel_watch_set_put(
        check_set(L), (int)luaL_checkinteger(L, 2), (uint64_t)luaL_checkinteger(L, 3),
        lua_toboolean(L, 4), lua_toboolean(L, 5), lua_toboolean(L, 6));
    return status < 0 ? refuse(L, "cannot watch a descriptor", status) : 0;
}

/* remove(set, descriptor) */
static int take_out(lua_State *L)
{
    artel_watch_set_remove(check_set(L), (int)luaL_checkinteger(L, 2));
    return 0;
}

/* take(set): asks which are ready; next() tells them */
static int take(lua_State *L)
{
    struct artel_watch_box *box = artel_check_watch_box(L, 1);
    box->told = box->kept = box->next = 0;
    box->count = artel_watch_set_take(&box->set, box->ids, ARTEL_READY_MAX);
    return 0;
}

/* next(set) → id of another one that is ready, or nothing */
static int next(lua_State *L)
{
    struct artel_watch_box *box = artel_check_watch_box(L, 1);
    if (box->told == box->kept && box->next == box->count) {
        return 0;
    }
    uint64_t id = box->ids[box->told < box->kept ? box->told++ : box->next++];
    lua_pushinteger(L, (lua_Integer)id);
    return 1;
}

void artel_watch_set_register(lua_State *L)
{
    static const luaL_Reg FUNCTIONS[] = {
        {"open", open}, {"number", number}, {"put", put}, {"remove", take_out},
        {"take", take}, {"next", next},     {NULL, NULL}};
    luaL_newlib(L, FUNCTIONS);
    artel_crowd_register(L);
    lua_setfield(L, -2, "watchSet");
}
