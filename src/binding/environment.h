/* SPDX-License-Identifier: Apache-2.0 */
/* What of our environment a child gets to see. */
#ifndef ARTEL_BINDING_ENVIRONMENT_H
#define ARTEL_BINDING_ENVIRONMENT_H

#include <lua.h>
#include <stdbool.h>

/*
 * The environment of a child, as for execve, in a userdata left on the stack; the strings
 * are still our own environment's. is_daemon: it outlives us, so what a service manager
 * told us is not meant for it.
 */
char **artel_push_environment(lua_State *L, bool is_daemon);

#endif
