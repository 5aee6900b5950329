/* SPDX-License-Identifier: Apache-2.0 */
/* What a child is started with: its arguments, and what it gets to see of our
 * environment. */
#ifndef ARTEL_BINDING_EXEC_VECTORS_H
#define ARTEL_BINDING_EXEC_VECTORS_H

#include <lua.h>
#include <stdbool.h>

/*
 * The strings of the list at index as an argv for execve, in a userdata left on the
 * stack; the list keeps the strings alive. Raises when one is no string.
 */
char **artel_push_argv(lua_State *L, int index);

/*
 * The environment of a child, as for execve, in a userdata left on the stack; the strings
 * are still our own environment's. is_daemon: it outlives us, so what a service manager
 * told us is not meant for it.
 */
char **artel_push_environment(lua_State *L, bool is_daemon);

#endif
