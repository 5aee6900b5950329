/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker does when nothing has come for a while. */
#ifndef ARTEL_BINDING_REST_H
#define ARTEL_BINDING_REST_H

#include <lua.h>

struct artel_channel_box;

/*
 * To be called when a blocked read of the box, which is at index, has found nothing for
 * as long as it may take. A worker's end gives back what the messages before have left
 * in Lua's heap. Runs finalisers, which may close the channel.
 */
void artel_rest(lua_State *L, int index);

#endif
