/* SPDX-License-Identifier: Apache-2.0 */
/* What Lua raises when memory is short. */
#ifndef ARTEL_BINDING_LACK_H
#define ARTEL_BINDING_LACK_H

#include <lua.h>
#include <stdbool.h>

/* Whether what is on top of the stack is that error, whoever has raised it again since.
 */
bool artel_is_lack(lua_State *L);

/* Sees to it that so many values can be pushed; raises that error otherwise. */
void artel_check_stack(lua_State *L, int count);

#endif
