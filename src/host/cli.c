/* SPDX-License-Identifier: Apache-2.0 */
/* Hands the command line over to the Lua module artel.cli. */
#include "cli.h"

#include "state.h"

#include <lauxlib.h>
#include <stdio.h>

#define EXIT_FAILED 1

struct command_line {
    int count;
    char **arguments;
};

/* Protected by its caller; leaves the exit code on the stack. */
static int run(lua_State *L)
{
    const struct command_line *line = lua_touserdata(L, 1);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "artel.cli");
    lua_call(L, 1, 1);
    lua_createtable(L, line->count, 0);
    for (int i = 0; i < line->count; i++) {
        lua_pushstring(L, line->arguments[i]);
        lua_seti(L, -2, i + 1);
    }
    lua_call(L, 1, 1);
    return 1;
}

int artel_host_cli(int count, char **arguments)
{
    struct command_line line = {count, arguments};
    lua_State *L = artel_host_state_new(true);
    if (L == NULL) {
        fprintf(stderr, "artel: not enough memory for a Lua state\n");
        return EXIT_FAILED;
    }
    lua_pushcfunction(L, run);
    lua_pushlightuserdata(L, &line);
    int code = EXIT_FAILED;
    if (lua_pcall(L, 1, 1, 0) == LUA_OK) {
        code = (int)lua_tointeger(L, -1);
    } else {
        fprintf(stderr, "artel: %s\n", lua_tostring(L, -1));
    }
    artel_host_state_leave(L, code);
}
