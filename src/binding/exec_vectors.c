/* SPDX-License-Identifier: Apache-2.0 */
/* Knows what execve takes, and which variables are meant for this process and for no
 * child of it. */
#include "exec_vectors.h"

#include <lauxlib.h>
#include <string.h>

extern char **environ;

char **artel_push_argv(lua_State *L, int index)
{
    size_t count = lua_rawlen(L, index);
    char **argv = lua_newuserdatauv(L, (count + 1) * sizeof *argv, 0);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        argv[i] = (char *)luaL_checkstring(L, -1);
        lua_pop(L, 1);
    }
    argv[count] = NULL;
    return argv;
}

static bool begins(const char *variable, const char *start)
{
    return strncmp(variable, start, strlen(start)) == 0;
}

static bool is_handed_down(const char *variable, bool is_daemon)
{
    /* A worker gets the cookie with its profile, if it is its own at all; here whoever it
     * starts in turn could read it, and another user that it becomes. */
    if (begins(variable, "ARTEL_ADMIN_COOKIE=")) {
        return false;
    }
    return !is_daemon ||
           !(begins(variable, "LISTEN_") || begins(variable, "NOTIFY_SOCKET="));
}

char **artel_push_environment(lua_State *L, bool is_daemon)
{
    size_t count = 0;
    while (environ != NULL && environ[count] != NULL) {
        count++;
    }
    char **kept = lua_newuserdatauv(L, (count + 1) * sizeof *kept, 0);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_handed_down(environ[i], is_daemon)) {
            kept[used++] = environ[i];
        }
    }
    kept[used] = NULL;
    return kept;
}
