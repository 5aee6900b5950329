/* SPDX-License-Identifier: Apache-2.0 */
/* What the process and the machine are at, as numbers for status reports. */
#ifndef ARTEL_BINDING_SYSTEM_H
#define ARTEL_BINDING_SYSTEM_H

#include <lua.h>

/*
 * Adds a table "system" to the table on top of the stack:
 *   processId() → integer
 *   wallTime() → seconds since this module was first loaded in the process
 *   processorTime() → seconds
 *   residentMemory() → bytes; memoryLimit() → bytes or nil
 *   processorCount() → count, how (a phrase that says what decided)
 */
void artel_system_register(lua_State *L);

#endif
