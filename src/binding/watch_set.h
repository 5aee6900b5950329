/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARTEL_BINDING_WATCH_SET_H
#define ARTEL_BINDING_WATCH_SET_H

#include <lua.h>

/* Adds a table "watchSet" to the table on top of the stack. */
void artel_watch_set_register(lua_State *L);

#endif
