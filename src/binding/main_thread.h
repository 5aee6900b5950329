/* SPDX-License-Identifier: Apache-2.0 */
/* Loading modules that remember on which coroutine they were loaded. */
#ifndef ARTEL_BINDING_MAIN_THREAD_H
#define ARTEL_BINDING_MAIN_THREAD_H

#include <lua.h>

/* Adds requireOnMainThread to the table on top of the stack. */
void artel_main_thread_register(lua_State *L);

#endif
