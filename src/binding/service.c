/* SPDX-License-Identifier: Apache-2.0 */
/* The service manager that has started the host, as Lua sees it. */
#include "sockets.h"

#include "../core/error.h"
#include "../core/limits.h"
#include "../core/service_manager.h"
#include "error.h"

#include <lauxlib.h>

#define FAULT_LEN 200

/* One a process: what it was started with. */
static struct artel_service_manager manager;

static int take_service_manager(lua_State *L)
{
    char fault[FAULT_LEN] = "";
    artel_service_manager_fini(&manager);
    int status = artel_service_manager_take(&manager, fault, sizeof fault);
    if (status < 0) {
        return artel_push_failure(L, "listen", status, "%s", fault);
    }
    lua_pushinteger(L, manager.fds);
    lua_pushinteger(L, ARTEL_SERVICE_FIRST_FD);
    return 2;
}

static int notify_service_manager(lua_State *L)
{
    int status = artel_service_manager_notify(&manager, luaL_checkstring(L, 1));
    if (status < 0) {
        return artel_push_failure(L, "closed", status, "the service manager: %s",
                                  artel_error_text(status));
    }
    lua_pushboolean(L, true);
    return 1;
}

static int raise_descriptor_limit(lua_State *L)
{
    (void)L;
    artel_resource_limits_raise_open_files();
    return 0;
}

void artel_service_register(lua_State *L)
{
    static const luaL_Reg FUNCTIONS[] = {{"takeServiceManager", take_service_manager},
                                         {"notifyServiceManager", notify_service_manager},
                                         {"raiseDescriptorLimit", raise_descriptor_limit},
                                         {NULL, NULL}};
    luaL_setfuncs(L, FUNCTIONS, 0);
}
