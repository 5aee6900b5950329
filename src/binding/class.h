/* SPDX-License-Identifier: Apache-2.0 */
/* Classes of userdata and tables, known by name. */
#ifndef ARTEL_BINDING_CLASS_H
#define ARTEL_BINDING_CLASS_H

#include <lauxlib.h>

/*
 * Gives the value on top of the stack the metatable of that name, which luaL_checkudata()
 * looks for; made with these functions at first need.
 */
void artel_set_class(lua_State *L, const char *name, const luaL_Reg *functions);

#endif
