/* SPDX-License-Identifier: Apache-2.0 */
/* Knows how a metatable is made that has all its functions or does not exist. */
#include "class.h"

/*
 * luaL_newmetatable() registers the table while it is still empty: when memory runs out
 * then, all later objects would go without their __gc.
 */
void artel_set_class(lua_State *L, const char *name, const luaL_Reg *functions)
{
    if (luaL_getmetatable(L, name) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_createtable(L, 0, 4);
        lua_pushstring(L, name);
        lua_setfield(L, -2, "__name");
        luaL_setfuncs(L, functions, 0);
        lua_pushvalue(L, -1);
        lua_setfield(L, LUA_REGISTRYINDEX, name);
    }
    lua_setmetatable(L, -2);
}
