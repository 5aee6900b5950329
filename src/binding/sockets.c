/* SPDX-License-Identifier: Apache-2.0 */
/* Puts together the table artel.core.sockets. */
#include "sockets.h"

#include "../core/digest.h"

#include <lauxlib.h>

/* secretEquals(left, right) → boolean: in constant time, whatever their lengths */
static int secret_equals(lua_State *L)
{
    size_t left_len;
    size_t right_len;
    const char *left = luaL_checklstring(L, 1, &left_len);
    const char *right = luaL_checklstring(L, 2, &right_len);
    lua_pushboolean(L, artel_secret_equals(left, left_len, right, right_len));
    return 1;
}

void artel_sockets_register(lua_State *L)
{
    lua_newtable(L);
    artel_descriptor_register(L);
    artel_socket_channel_register(L);
    artel_listener_register(L);
    artel_lock_register(L);
    artel_service_register(L);
    artel_stop_limit_register(L);
    lua_pushcfunction(L, secret_equals);
    lua_setfield(L, -2, "secretEquals");
    lua_setfield(L, -2, "sockets");
}
