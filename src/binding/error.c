/* SPDX-License-Identifier: Apache-2.0 */
/* How an error object is made and shown. */
#include "error.h"

#include "../core/error.h"
#include "class.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdbool.h>

#define ERROR_TYPE "artel.Error"

/* "kind: message"; what a traceback adds is in err.traceback. */
static int error_tostring(lua_State *L)
{
    lua_getfield(L, 1, "kind");
    luaL_tolstring(L, -1, NULL);
    lua_pushliteral(L, ": ");
    lua_getfield(L, 1, "message");
    luaL_tolstring(L, -1, NULL);
    lua_remove(L, -2);
    lua_concat(L, 3);
    return 1;
}

/* So that `"cannot go on: " .. err` works as it would with a string. */
static int error_concat(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    luaL_tolstring(L, 2, NULL);
    lua_concat(L, 2);
    return 1;
}

static void set_error_metatable(lua_State *L)
{
    static const luaL_Reg METAMETHODS[] = {
        {"__tostring", error_tostring}, {"__concat", error_concat}, {NULL, NULL}};
    artel_set_class(L, ERROR_TYPE, METAMETHODS);
}

int artel_push_failure(lua_State *L, const char *kind, int code, const char *format, ...)
{
    lua_pushnil(L);
    lua_createtable(L, 0, 3);
    lua_pushstring(L, kind);
    lua_setfield(L, -2, "kind");
    va_list arguments;
    va_start(arguments, format);
    lua_pushvfstring(L, format, arguments);
    va_end(arguments);
    lua_setfield(L, -2, "message");
    if (code < 0) {
        lua_pushstring(L, artel_errno_name(-code));
        lua_setfield(L, -2, "errno");
    }
    set_error_metatable(L);
    return 2;
}

static const char *kind_of_code(int code)
{
    switch (code) {
    case ARTEL_E_PROTOCOL:
        return "protocol";
    case ARTEL_E_OVERSIZE:
        return "oversize";
    case ARTEL_E_ENCODE:
        return "encode";
    case ARTEL_E_DECODE:
        return "decode";
    case ARTEL_E_OVERLOADED:
        return "overloaded";
    default:
        return "closed";
    }
}

int artel_push_code_failure(lua_State *L, int code)
{
    return artel_push_failure(L, kind_of_code(code), code, "%s", artel_error_text(code));
}

/* newError(fields) → the same table as an error object; fields.kind and fields.message
 * are strings. */
static int new_error(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    set_error_metatable(L);
    return 1;
}

/* isError(value) → boolean */
static int is_error(lua_State *L)
{
    bool same = false;
    if (lua_type(L, 1) == LUA_TTABLE && lua_getmetatable(L, 1)) {
        luaL_getmetatable(L, ERROR_TYPE);
        same = lua_rawequal(L, -1, -2);
    }
    lua_pushboolean(L, same);
    return 1;
}

/* traceback(message, level?) → the text of both; for code that may not use debug */
static int traceback(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    luaL_traceback(L, L, lua_tostring(L, -1), (int)luaL_optinteger(L, 2, 1));
    return 1;
}

void artel_error_register(lua_State *L)
{
    static const luaL_Reg FUNCTIONS[] = {{"newError", new_error},
                                         {"isError", is_error},
                                         {"traceback", traceback},
                                         {NULL, NULL}};
    luaL_setfuncs(L, FUNCTIONS, 0);
}
