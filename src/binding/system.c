/* SPDX-License-Identifier: Apache-2.0 */
/* Knows how the core's figures about process and machine look from Lua. */
#include "system.h"

#include "../core/clock.h"
#include "../core/processors.h"
#include "../core/self.h"
#include "../core/usage.h"

#include <lauxlib.h>

#define MS_PER_SECOND 1000.0

/* When the first Lua state of this process loaded the module; 0 before. */
static int64_t loaded_ms;

static int process_id(lua_State *L)
{
    lua_pushinteger(L, artel_self_process_id());
    return 1;
}

static int wall_time(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)(artel_clock_now_ms() - loaded_ms) / MS_PER_SECOND);
    return 1;
}

static int processor_time(lua_State *L)
{
    lua_pushnumber(L, artel_usage_processor_time());
    return 1;
}

static int resident_memory(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)artel_usage_resident_memory());
    return 1;
}

static int memory_limit(lua_State *L)
{
    uint64_t limit = artel_usage_memory_limit();
    if (limit > 0) {
        lua_pushinteger(L, (lua_Integer)limit);
    } else {
        lua_pushnil(L);
    }
    return 1;
}

static int processor_count(lua_State *L)
{
    struct artel_processors processors;
    artel_processors_find(&processors);
    lua_pushinteger(L, processors.count);
    lua_pushstring(L, processors.how);
    return 2;
}

void artel_system_register(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"processId", process_id},
        {"wallTime", wall_time},
        {"processorTime", processor_time},
        {"residentMemory", resident_memory},
        {"memoryLimit", memory_limit},
        {"processorCount", processor_count},
        {NULL, NULL},
    };
    if (loaded_ms == 0) {
        loaded_ms = artel_clock_now_ms();
    }
    luaL_newlib(L, functions);
    lua_setfield(L, -2, "system");
}
