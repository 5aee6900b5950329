/* SPDX-License-Identifier: Apache-2.0 */
/* When a worker that gets nothing collects its garbage, so that resting costs little. */
#include "rest.h"

#include "channel.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

/* Less garbage than this is not worth a collection, KiB. */
#define GROWTH_KIB_MIN 64

/* A larger heap takes too long for who asks in the middle of it, KiB. */
#define HEAP_KIB_MAX 8192

void artel_rest(lua_State *L, int index)
{
    struct artel_channel_box *box = artel_check_box(L, index);
    int heap_kib = lua_gc(L, LUA_GCCOUNT);
    if (!box->worker_end || heap_kib > HEAP_KIB_MAX ||
        heap_kib < box->rested_kib + GROWTH_KIB_MIN) {
        return;
    }
    lua_gc(L, LUA_GCCOLLECT);
    box->rested_kib = lua_gc(L, LUA_GCCOUNT);
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
