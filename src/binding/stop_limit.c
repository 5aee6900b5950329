/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a process that does not stop in time, as Lua sets it. */
#include "../core/stop_limit.h"

#include "../core/error.h"
#include "error.h"
#include "sockets.h"

#include <lauxlib.h>

#define TIME_S_MAX 1e9 /* what is further away does not come */

static int prepare_stop_limit(lua_State *L)
{
    lua_Number time_s = luaL_checknumber(L, 1);
    const char *complaint = luaL_checkstring(L, 2);
    luaL_argcheck(L, time_s >= 0, 1, "not a time");
    time_s = time_s < TIME_S_MAX ? time_s : TIME_S_MAX;
    int status = artel_stop_limit_prepare((int64_t)(time_s * 1000), complaint);
    if (status < 0) {
        return artel_push_failure(L, "spawn", status, "no timer for the stop: %s",
                                  artel_error_text(status));
    }
    lua_pushboolean(L, true);
    return 1;
}

static int start_stop_limit(lua_State *L)
{
    (void)L;
    artel_stop_limit_start();
    return 0;
}

static int clear_stop_limit(lua_State *L)
{
    (void)L;
    artel_stop_limit_clear();
    return 0;
}

void artel_stop_limit_register(lua_State *L)
{
    static const luaL_Reg FUNCTIONS[] = {{"prepareStopLimit", prepare_stop_limit},
                                         {"startStopLimit", start_stop_limit},
                                         {"clearStopLimit", clear_stop_limit},
                                         {NULL, NULL}};
    luaL_setfuncs(L, FUNCTIONS, 0);
}
