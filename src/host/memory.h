/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of the host's Lua state. */
#ifndef ARTEL_HOST_MEMORY_H
#define ARTEL_HOST_MEMORY_H

#include <lua.h>

/* From now on the state keeps the memory of large blocks that it frees for the next. For
 * one state of the process. */
void artel_host_keep_large_blocks(lua_State *L);

#endif
