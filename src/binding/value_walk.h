/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one walk over a Lua value that all encoders share. It decides what is a list and
 * what a map, finds cycles, counts depth, and says where the culprit is; an encoder only
 * writes.
 */
#ifndef ARTEL_BINDING_VALUE_WALK_H
#define ARTEL_BINDING_VALUE_WALK_H

#include "codec.h"

#include "../core/error.h"

#include <stdbool.h>

struct artel_walk;

/*
 * What an encoder does with each part of a value. All answer 0, or what artel_walk_room()
 * or artel_walk_refuse() answered them. They must not touch the Lua stack.
 */
struct artel_walk_ops {
    int (*null)(struct artel_walk *walk);
    int (*boolean)(struct artel_walk *walk, bool value);
    int (*integer)(struct artel_walk *walk, lua_Integer value);
    int (*number)(struct artel_walk *walk, lua_Number value);
    int (*string)(struct artel_walk *walk, const char *bytes, size_t len);
    int (*text_key)(struct artel_walk *walk, const char *bytes, size_t len);
    bool only_text_keys; /* else other keys are written as values are */
    int (*list_begin)(struct artel_walk *walk, size_t count);
    int (*list_end)(struct artel_walk *walk);
    int (*map_begin)(struct artel_walk *walk);
    /* count: keys, known only now; begin: artel_walk_written() before map_begin(). */
    int (*map_end)(struct artel_walk *walk, size_t begin, size_t count);
    size_t surplus; /* bytes written behind the value, which are taken off again */
};

struct artel_walk_level; /* an open table */

struct artel_walk {
    uint8_t *at;   /* where the next byte goes */
    uint8_t *stop; /* at <= stop; for more, artel_walk_room() */
    struct artel_buffer *out;
    size_t begun;   /* length of out before the value */
    size_t max_len; /* bytes of the value */
    const struct artel_walk_ops *ops;
    lua_State *L;
    const struct artel_walk_level *level; /* innermost open table, NULL when none is */
    uint32_t depth;                       /* open tables */
    uint32_t max_depth;
    int base;      /* stack index of the value; each level has a key and a value above */
    char what[80]; /* what cannot be sent, once artel_walk_refuse() was called */
};

/* An encoder may ask for so much more room than it will use, or give it back later,
 * without being told that the value is too long. */
#define ARTEL_WALK_SLACK 2048

/* The slow half of artel_walk_room(). */
int artel_walk_grow(struct artel_walk *walk, size_t len);

/* Makes sure that len bytes may be written at walk->at, which may move. 0,
 * ARTEL_E_OVERSIZE or -ENOMEM. */
static inline int artel_walk_room(struct artel_walk *walk, size_t len)
{
    return len <= (size_t)(walk->stop - walk->at) ? 0 : artel_walk_grow(walk, len);
}

/* Ends the walk with "cannot send <what> (at <path>)"; answers ARTEL_E_ENCODE. */
__attribute__((format(printf, 2, 3))) int artel_walk_refuse(struct artel_walk *walk,
                                                            const char *what, ...);

/* Bytes written so far. */
static inline size_t artel_walk_written(const struct artel_walk *walk)
{
    return (size_t)(walk->at - artel_buffer_head(walk->out)) - walk->begun;
}

/* The byte that came after so many. */
static inline uint8_t *artel_walk_place(const struct artel_walk *walk, size_t written)
{
    return artel_buffer_head(walk->out) + walk->begun + written;
}

/* Walks the value at index; limits and answers are those of artel_msgpack_encode(). One
 * slot of the stack must be free. */
int artel_walk_value(lua_State *L, int index, struct artel_buffer *out,
                     const struct artel_walk_ops *ops, size_t max_len,
                     uint32_t max_depth);

#endif
