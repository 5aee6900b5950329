/* SPDX-License-Identifier: Apache-2.0 */
/* Knows which variables are meant for this process and for no child of it. */
#include "environment.h"

#include <string.h>

extern char **environ;

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
