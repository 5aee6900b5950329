/* SPDX-License-Identifier: Apache-2.0 */
/* What artel.map must know about a function that it hands to workers, and about a
 * terminal. */
#include "function.h"

#include "../core/self.h"

#include <lauxlib.h>

/* upvalueNames(function) → {name, ...} | nil for a function written in C */
static int upvalue_names(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    if (lua_iscfunction(L, 1)) {
        return 0;
    }
    lua_newtable(L);
    const char *name;
    for (int i = 1; (name = lua_getupvalue(L, 1, i)) != NULL; i++) {
        lua_pop(L, 1); /* the value */
        lua_pushstring(L, name);
        lua_rawseti(L, 2, i);
    }
    return 1;
}

/* isTerminal(descriptor) → boolean */
static int is_terminal(lua_State *L)
{
    lua_pushboolean(L, artel_self_is_terminal((int)luaL_checkinteger(L, 1)));
    return 1;
}

void artel_function_register(lua_State *L)
{
    static const luaL_Reg FUNCTIONS[] = {
        {"upvalueNames", upvalue_names}, {"isTerminal", is_terminal}, {NULL, NULL}};
    luaL_setfuncs(L, FUNCTIONS, 0);
}
