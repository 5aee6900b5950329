/* SPDX-License-Identifier: Apache-2.0 */
/* Knows how an address that the core took apart looks as a Lua table. */
#include "address.h"

#include "../core/address.h"

#include <lauxlib.h>

static int parse_address(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    struct artel_address address;
    const char *fault = NULL;
    if (artel_address_parse(&address, text, len, &fault) < 0) {
        lua_pushnil(L);
        lua_pushstring(L, fault);
        return 2;
    }
    lua_createtable(L, 0, 5);
    lua_pushboolean(L, address.is_unix);
    lua_setfield(L, -2, "isUnix");
    if (address.is_unix) {
        lua_pushstring(L, address.path);
        lua_setfield(L, -2, "path");
    } else {
        lua_pushstring(L, address.host);
        lua_setfield(L, -2, "host");
        lua_pushinteger(L, address.port);
        lua_setfield(L, -2, "port");
    }
    lua_pushboolean(L, artel_address_is_local(&address));
    lua_setfield(L, -2, "isLocal");
    lua_pushboolean(L, artel_address_is_network_exposed(&address));
    lua_setfield(L, -2, "isNetworkExposed");
    return 1;
}

void artel_address_register(lua_State *L)
{
    lua_pushcfunction(L, parse_address);
    lua_setfield(L, -2, "parseAddress");
}
