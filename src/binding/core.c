/* SPDX-License-Identifier: Apache-2.0 */
/* The module artel.core: what C gives to the Lua modules. Not for users. */
#include "core.h"

#include "../core/fd.h"
#include "address.h"
#include "channel.h"
#include "codec.h"
#include "error.h"
#include "file.h"
#include "function.h"
#include "main_thread.h"
#include "open.h"
#include "sockets.h"
#include "system.h"
#include "wait.h"
#include "watch_set.h"

#include <string.h>

/* So much room has the table from the start: when one grows all is put in anew. */
#define FUNCTIONS_MAX 128

/* __index of artel.core: (table, "sockets") → what only shared workers, daemons and locks
 * need, put together when it is first asked for. */
static int open_sockets(lua_State *L)
{
    if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), "sockets") != 0) {
        return 0;
    }
    lua_settop(L, 1);
    artel_sockets_register(L);
    lua_getfield(L, 1, "sockets");
    return 1;
}

int luaopen_artel_core(lua_State *L)
{
    artel_fd_fill_standard();
    lua_createtable(L, 0, FUNCTIONS_MAX);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, open_sockets);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    artel_error_register(L);
    artel_codec_register(L);
    artel_process_register(L);
    artel_channel_register(L);
    artel_messages_register(L);
    artel_channel_parts_register(L);
    artel_handlers_register(L);
    artel_wait_register(L);
    artel_watch_set_register(L);
    artel_open_register(L);
    artel_claims_register(L);
    artel_file_register(L);
    artel_function_register(L);
    artel_address_register(L);
    artel_system_register(L);
    artel_main_thread_register(L);
    artel_daemon_register(L);
    return 1;
}
