/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARTEL_BINDING_WATCH_SET_H
#define ARTEL_BINDING_WATCH_SET_H

#include "../core/watch_set.h"

#include <lua.h>

#define ARTEL_READY_MAX 64

/* The userdata. Of the ids, those before kept wait to be told, and so do those from next
 * on: kept <= next <= count. */
struct artel_watch_box {
    struct artel_watch_set set;
    uint64_t ids[ARTEL_READY_MAX]; /* what was ready when take() was called */
    size_t told;                   /* so many of those that were kept */
    size_t kept;
    size_t next;
    size_t count;
    uint64_t serving; /* the channel whose handler is at work (crowd.c); 0: none */
};

struct artel_watch_box *artel_check_watch_box(lua_State *L, int index);

/* Adds a table "watchSet" to the table on top of the stack. */
void artel_watch_set_register(lua_State *L);

#endif
