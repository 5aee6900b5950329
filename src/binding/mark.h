/* SPDX-License-Identifier: Apache-2.0 */
/* Tables that say themselves whether they are an object or an array. */
#ifndef ARTEL_BINDING_MARK_H
#define ARTEL_BINDING_MARK_H

#include <lua.h>

enum artel_mark { ARTEL_MARK_NONE, ARTEL_MARK_OBJECT, ARTEL_MARK_ARRAY };

/* What artel.object or artel.array made of the table at index. Allocates nothing. */
enum artel_mark artel_table_mark(lua_State *L, int index);

/* Adds object(table?) and array(table?) to the table on top of the stack. */
void artel_mark_register(lua_State *L);

#endif
