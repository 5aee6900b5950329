/* SPDX-License-Identifier: Apache-2.0 */
/* Knows the two metatables by which a table is marked as an object or an array. */
#include "mark.h"

#include "codec.h"
#include "lack.h"

#include <lauxlib.h>
#include <stdbool.h>

/* Their addresses are the keys of the metatables in the registry. */
static const char OBJECT[] = "artel.object";
static const char ARRAY[] = "artel.array";

static void push_metatable(lua_State *L, const char *which)
{
    artel_check_stack(L, 3);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, which) == LUA_TTABLE) {
        return;
    }
    lua_pop(L, 1);
    lua_createtable(L, 0, 1);
    lua_pushstring(L, which);
    lua_setfield(L, -2, "__name");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, which);
}

void artel_push_object_metatable(lua_State *L)
{
    push_metatable(L, OBJECT);
}

void artel_push_array_metatable(lua_State *L)
{
    push_metatable(L, ARRAY);
}

/* Whether the metatable on top of the stack is this one. */
static bool is_metatable(lua_State *L, const char *which)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, which);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 1);
    return same;
}

enum artel_mark artel_table_mark(lua_State *L, int index)
{
    if (!lua_getmetatable(L, index)) {
        return ARTEL_MARK_NONE;
    }
    enum artel_mark mark = is_metatable(L, OBJECT)  ? ARTEL_MARK_OBJECT
                           : is_metatable(L, ARRAY) ? ARTEL_MARK_ARRAY
                                                    : ARTEL_MARK_NONE;
    lua_pop(L, 1);
    return mark;
}

/* mark(table?) -> table. Another metatable is not thrown away without a word. */
static int mark_table(lua_State *L, const char *which)
{
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    bool foreign = lua_getmetatable(L, 1) && artel_table_mark(L, 1) == ARTEL_MARK_NONE;
    luaL_argcheck(L, !foreign, 1, "the table has a metatable of its own");
    lua_settop(L, 1);
    push_metatable(L, which);
    lua_setmetatable(L, 1);
    return 1;
}

static int mark_object(lua_State *L)
{
    return mark_table(L, OBJECT);
}

static int mark_array(lua_State *L)
{
    return mark_table(L, ARRAY);
}

void artel_mark_register(lua_State *L)
{
    static const luaL_Reg FUNCTIONS[] = {
        {"object", mark_object}, {"array", mark_array}, {NULL, NULL}};
    luaL_setfuncs(L, FUNCTIONS, 0);
}
