/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Knows how malloc is kept from giving large blocks back between two messages.
 *
 * A worker that handles strings of some MiB has several of them at a time, until Lua
 * collects. malloc by itself keeps less than that, so nearly each message would be put
 * into pages that the kernel has to find and clear first, which takes longer than to copy
 * it. In the master, which is not ours, malloc is left alone.
 */
#include "memory.h"

#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

/* Who never has a block of this length keeps malloc's own rules. */
#define LARGE_LEN_MIN ((size_t)1024 * 1024)
/* The longest block that malloc takes from its heap, where it can be kept at all. */
#define LARGE_LEN_MAX ((size_t)32 * 1024 * 1024)
/* So many of the longest are kept: Lua collects when it holds twice what it uses. */
#define BLOCKS_KEPT 4

static size_t kept_len = LARGE_LEN_MIN; /* of the longest blocks that are kept */

static void keep_blocks_of(size_t len)
{
    size_t ahead = len + len / 8; /* a string that grows does not come here each time */
    kept_len = ahead < LARGE_LEN_MAX ? ahead : LARGE_LEN_MAX;
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, (int)kept_len);
    mallopt(M_TRIM_THRESHOLD, (int)(BLOCKS_KEPT * kept_len));
#endif
}

/* A lua_Alloc. */
static void *allocate(void *unused, void *block, size_t old_len, size_t len)
{
    (void)unused, (void)old_len;
    if (len == 0) {
        free(block);
        return NULL;
    }
    if (len > kept_len && kept_len < LARGE_LEN_MAX) {
        keep_blocks_of(len);
    }
    return realloc(block, len);
}

void artel_host_keep_large_blocks(lua_State *L)
{
    lua_setallocf(L, allocate, NULL);
}
