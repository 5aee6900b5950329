/* SPDX-License-Identifier: Apache-2.0 */
/* Making the host's Lua state. */
#ifndef ARTEL_HOST_STATE_H
#define ARTEL_HOST_STATE_H

#include <lua.h>

/* A state with Lua's libraries and artel's modules ready for require; no environment
 * variable of Lua's is heeded. NULL when there is no memory. */
lua_State *artel_host_state_new(void);

#endif
