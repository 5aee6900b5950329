/* SPDX-License-Identifier: Apache-2.0 */
/* Functions and terminals, for artel.map. */
#ifndef ARTEL_BINDING_FUNCTION_H
#define ARTEL_BINDING_FUNCTION_H

#include <lua.h>

/* Adds upvalueNames and isTerminal to the table on top of the stack. */
void artel_function_register(lua_State *L);

#endif
