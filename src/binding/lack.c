/* SPDX-License-Identifier: Apache-2.0 */
/* Knows Lua's error of a lack of memory, by its text: after a pcall and an error() there
 * is nothing else by which to know it. */
#include "lack.h"

#include <lauxlib.h>
#include <string.h>

static const char LACK[] = "not enough memory";

bool artel_is_lack(lua_State *L)
{
    if (lua_type(L, -1) != LUA_TSTRING) {
        return false;
    }
    size_t len = 0;
    const char *text = lua_tolstring(L, -1, &len);
    size_t lack_len =
        sizeof LACK - 1; /* require() writes before it what it could not load */
    return len >= lack_len && strcmp(text + len - lack_len, LACK) == 0;
}

void artel_check_stack(lua_State *L, int count)
{
    /* luaL_checkstack() would call it a stack overflow, from which our few values are far
     * away. */
    if (!lua_checkstack(L, count)) {
        luaL_error(L, "%s", LACK);
    }
}
