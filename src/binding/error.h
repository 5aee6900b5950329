/* SPDX-License-Identifier: Apache-2.0 */
/* Error objects: the table that every `nil, err` of the Lua API carries. */
#ifndef ARTEL_BINDING_ERROR_H
#define ARTEL_BINDING_ERROR_H

#include <lua.h>

/*
 * Pushes nil and a new error object; answers 2, so that a function can return it.
 * kind     one of the kinds of docs/api.md.
 * code     0, or a negated errno: then its name becomes err.errno.
 * format   as lua_pushfstring; the message begins with the kind by itself.
 */
int artel_push_failure(lua_State *L, const char *kind, int code, const char *format, ...);

/* The same for a core code about a channel that holds no better explanation. */
int artel_push_code_failure(lua_State *L, int code);

/* Adds newError, isError and traceback to the table on top of the stack. */
void artel_error_register(lua_State *L);

#endif
