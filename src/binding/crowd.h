/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARTEL_BINDING_CROWD_H
#define ARTEL_BINDING_CROWD_H

#include <lua.h>

/* Adds serve, serving and hasReady to the table of the watch set on top of the stack. */
void artel_crowd_register(lua_State *L);

#endif
