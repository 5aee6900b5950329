/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Knows how a Lua value is walked with the fewest calls into Lua, and what makes a list.
 *
 * On the stack, a table at depth n stands at base + 2 * n, its current key and value
 * above it; so the path to any culprit can be read there. Nothing here allocates from Lua
 * before it has failed: no garbage is collected, no finalizer runs, no table changes
 * meanwhile.
 */
#include "value_walk.h"

#include "lack.h"
#include "mark.h"
#include "value_path.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>

#define STACK_PER_LEVEL 6 /* key and value, again for a look ahead, and two to spare */
#define FIRST_RESERVE 64  /* bytes: enough for most small values */
#define LARGEST_LEN ((size_t)PTRDIFF_MAX - ARTEL_WALK_SLACK)

struct artel_walk_level {
    const struct artel_walk_level *outer; /* NULL for the outermost one */
    const void *table;
};

static int walk_value(struct artel_walk *walk, int type);

int artel_walk_refuse(struct artel_walk *walk, const char *what, ...)
{
    va_list arguments;
    va_start(arguments, what);
    vsnprintf(walk->what, sizeof walk->what, what, arguments);
    va_end(arguments);
    return ARTEL_E_ENCODE;
}

/* Writing goes on at the tail of out. */
static int reserve(struct artel_walk *walk, size_t len, size_t left)
{
    int status = artel_buffer_reserve(walk->out, len);
    if (status == 0) {
        size_t room = artel_buffer_room(walk->out);
        walk->at = artel_buffer_tail(walk->out);
        walk->stop = walk->at + (room < left ? room : left);
    }
    return status;
}

/*
 * Up to ARTEL_WALK_SLACK bytes past the limit may be written; whether the value as a
 * whole is too long is settled at the end. What fails here is surely too long.
 */
int artel_walk_grow(struct artel_walk *walk, size_t len)
{
    size_t written = artel_walk_written(walk);
    size_t left = walk->max_len + ARTEL_WALK_SLACK - written;
    if (len > left) {
        return ARTEL_E_OVERSIZE;
    }
    walk->out->end = walk->out->start + walk->begun + written;
    return reserve(walk, len, left);
}

/* ---- what is wrong with the keys of a table ---- */

static lua_Integer find_hole(lua_State *L, int table)
{
    for (lua_Integer i = 1;; i++) {
        if (lua_rawgeti(L, table, i) == LUA_TNIL) {
            return i;
        }
        lua_pop(L, 1);
    }
}

/* Refuses a table whose keys are neither all strings nor exactly 1..n. */
static int refuse_keys(struct artel_walk *walk, int table)
{
    lua_State *L = walk->L;
    bool text = false;
    bool number = false;
    walk->depth--; /* the table itself is the culprit, not something in it */
    lua_settop(L, table);
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING) {
            text = true;
        } else if (lua_isinteger(L, -2) && lua_tointeger(L, -2) > 0) {
            number = true;
        } else if (lua_isinteger(L, -2)) {
            return artel_walk_refuse(walk, "a table with the key " LUA_INTEGER_FMT,
                                     lua_tointeger(L, -2));
        } else {
            return artel_walk_refuse(walk, "a table with a %s as a key",
                                     luaL_typename(L, -2));
        }
    }
    switch (artel_table_mark(L, table)) {
    case ARTEL_MARK_OBJECT:
        return artel_walk_refuse(walk, "an object with a number as a key");
    case ARTEL_MARK_ARRAY:
        if (text) {
            return artel_walk_refuse(walk, "an array with a string as a key");
        }
        break;
    case ARTEL_MARK_NONE:
        if (text && number) {
            return artel_walk_refuse(walk, "a table with mixed keys");
        }
        break;
    }
    return artel_walk_refuse(walk, "a list with a hole at index " LUA_INTEGER_FMT,
                             find_hole(L, table));
}

/* ---- lists ---- */

static bool key_is(lua_State *L, int index, size_t expected)
{
    return lua_isinteger(L, index) && (lua_Unsigned)lua_tointeger(L, index) == expected;
}

/* Whether lua_next() answers the keys i + 1 .. count after key i, and then no more. */
static bool rest_is_in_order(lua_State *L, int table, size_t i, size_t count)
{
    lua_pushinteger(L, (lua_Integer)i);
    while (lua_next(L, table) != 0) {
        lua_pop(L, 1);
        i++;
        if (!key_is(L, -1, i)) {
            lua_pop(L, 1);
            return false;
        }
    }
    return i == count;
}

/*
 * Writes the table as a list while its keys turn out to be 1, 2, 3, ..., as they nearly
 * always do: one pass that checks and writes. With a table among the elements the rest is
 * checked first, so that no table is ever walked twice. The first key and value are on
 * the stack. 1: the keys are in another order, or this is no list; nothing was written.
 */
static int walk_list_in_order(struct artel_walk *walk, int table, size_t count)
{
    lua_State *L = walk->L;
    size_t begin = artel_walk_written(walk);
    size_t i = 1;
    bool sure = false;
    int status = walk->ops->list_begin(walk, count);
    while (status == 0 && (sure || (i <= count && key_is(L, -2, i)))) {
        int type = lua_type(L, -1);
        if (!sure && type == LUA_TTABLE) {
            sure = rest_is_in_order(L, table, i, count);
            if (!sure) {
                break;
            }
        }
        status = walk_value(walk, type);
        if (status < 0) {
            return status;
        }
        lua_pop(L, 1);
        if (lua_next(L, table) == 0) {
            if (i == count) {
                return walk->ops->list_end(walk);
            }
            break;
        }
        i++;
    }
    if (status < 0) {
        return status;
    }
    lua_settop(L, table);
    walk->at = artel_walk_place(walk, begin);
    return 1;
}

/* Whether the keys are exactly 1..count, in any order. */
static bool is_list(lua_State *L, int table, size_t count)
{
    size_t found = 0;
    for (lua_pushnil(L); lua_next(L, table) != 0; found++) {
        lua_pop(L, 1);
        if (!lua_isinteger(L, -1) ||
            (lua_Unsigned)lua_tointeger(L, -1) - 1 >= (lua_Unsigned)count) {
            lua_pop(L, 1);
            return false;
        }
    }
    return found == count;
}

/* For lists that were filled in another order than from 1 up. */
static int walk_list_by_index(struct artel_walk *walk, int table, size_t count)
{
    lua_State *L = walk->L;
    int status = walk->ops->list_begin(walk, count);
    for (size_t i = 1; status == 0 && i <= count; i++) {
        lua_pushinteger(L, (lua_Integer)i); /* the path is read from the stack */
        status = walk_value(walk, lua_rawgeti(L, table, (lua_Integer)i));
        if (status < 0) {
            return status;
        }
        lua_pop(L, 2);
    }
    return status < 0 ? status : walk->ops->list_end(walk);
}

/* ---- maps ---- */

/* The key under the value on top of the stack. */
static int walk_key(struct artel_walk *walk, int table)
{
    lua_State *L = walk->L;
    int type = lua_type(L, -2);
    if (type == LUA_TSTRING) {
        size_t len;
        const char *bytes = lua_tolstring(L, -2, &len);
        return walk->ops->text_key(walk, bytes, len);
    }
    if (walk->ops->only_text_keys) {
        return refuse_keys(walk, table);
    }
    if (type == LUA_TBOOLEAN) {
        return walk->ops->boolean(walk, lua_toboolean(L, -2));
    }
    if (type == LUA_TNUMBER) {
        return lua_isinteger(L, -2) ? walk->ops->integer(walk, lua_tointeger(L, -2))
                                    : walk->ops->number(walk, lua_tonumber(L, -2));
    }
    walk->depth--; /* the table is the culprit; the key is no part of a path */
    return artel_walk_refuse(walk, "a table with a %s as a key", lua_typename(L, type));
}

/* The first key and value are on the stack. */
static int walk_map(struct artel_walk *walk, int table)
{
    lua_State *L = walk->L;
    size_t begin = artel_walk_written(walk);
    size_t count = 0;
    int status = walk->ops->map_begin(walk);
    if (status < 0) {
        return status;
    }
    do {
        count++;
        status = walk_key(walk, table);
        if (status < 0) {
            return status;
        }
        status = walk_value(walk, lua_type(L, -1));
        if (status < 0) {
            return status;
        }
        lua_pop(L, 1);
    } while (lua_next(L, table) != 0);
    return walk->ops->map_end(walk, begin, count);
}

/* ---- any value ---- */

static int walk_empty(struct artel_walk *walk, enum artel_mark mark)
{
    size_t begin = artel_walk_written(walk);
    if (mark == ARTEL_MARK_OBJECT) {
        int status = walk->ops->map_begin(walk);
        return status < 0 ? status : walk->ops->map_end(walk, begin, 0);
    }
    int status = walk->ops->list_begin(walk, 0);
    return status < 0 ? status : walk->ops->list_end(walk);
}

/* The first key and value are on the stack. */
static int walk_entries(struct artel_walk *walk, int table, enum artel_mark mark)
{
    lua_State *L = walk->L;
    if (mark == ARTEL_MARK_OBJECT) {
        return walk_map(walk, table);
    }
    /* A list has one border, so another length than this it cannot have. */
    size_t count = lua_rawlen(L, table);
    if (count > 0) {
        int status = walk_list_in_order(walk, table, count);
        if (status <= 0) {
            return status;
        }
        if (is_list(L, table, count)) {
            return walk_list_by_index(walk, table, count);
        }
        lua_pushnil(L);
        lua_next(L, table);
    }
    return mark == ARTEL_MARK_ARRAY ? refuse_keys(walk, table) : walk_map(walk, table);
}

static bool is_open(const struct artel_walk_level *level, const void *table)
{
    while (level != NULL && level->table != table) {
        level = level->outer;
    }
    return level != NULL;
}

/* Never inlined: most values are no tables, and should not pay for what these take. */
__attribute__((noinline)) static int walk_table(struct artel_walk *walk)
{
    lua_State *L = walk->L;
    int table = lua_gettop(L);
    artel_check_stack(L, STACK_PER_LEVEL);
    struct artel_walk_level level = {walk->level, lua_topointer(L, table)};
    if (is_open(level.outer, level.table)) {
        return artel_walk_refuse(walk, "a table that contains itself");
    }
    if (walk->depth == walk->max_depth) {
        return artel_walk_refuse(walk, "a table nested deeper than %u levels",
                                 (unsigned)walk->max_depth);
    }
    enum artel_mark mark = artel_table_mark(L, table);
    lua_pushnil(L);
    if (lua_next(L, table) == 0) {
        return walk_empty(walk, mark);
    }
    walk->level = &level;
    walk->depth++;
    int status = walk_entries(walk, table, mark);
    walk->level = level.outer;
    if (status == 0) { /* else it tells how long the path to the culprit is */
        walk->depth--;
    }
    return status;
}

static int refuse_type(struct artel_walk *walk, int type)
{
    switch (type) {
    case LUA_TNIL:
        return artel_walk_refuse(walk, "nil");
    case LUA_TLIGHTUSERDATA:
        return artel_walk_refuse(walk, "a light userdata");
    default:
        return artel_walk_refuse(walk, "a %s", lua_typename(walk->L, type));
    }
}

/* The value on top of the stack, whose type is known; a failure leaves more there. */
static int walk_value(struct artel_walk *walk, int type)
{
    lua_State *L = walk->L;
    switch (type) {
    case LUA_TSTRING: {
        size_t len;
        const char *bytes = lua_tolstring(L, -1, &len);
        return walk->ops->string(walk, bytes, len);
    }
    case LUA_TNUMBER:
        return lua_isinteger(L, -1) ? walk->ops->integer(walk, lua_tointeger(L, -1))
                                    : walk->ops->number(walk, lua_tonumber(L, -1));
    case LUA_TTABLE:
        return walk_table(walk);
    case LUA_TBOOLEAN:
        return walk->ops->boolean(walk, lua_toboolean(L, -1));
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(L, -1) == NULL) { /* artel.null */
            return walk->ops->null(walk);
        }
        break;
    default:
        break;
    }
    return refuse_type(walk, type);
}

/* Leaves one string where the value was. */
static void push_message(struct artel_walk *walk, int status)
{
    lua_State *L = walk->L;
    bool is_nil = lua_isnil(L, walk->base);
    artel_check_stack(L, STACK_PER_LEVEL);
    artel_push_value_path(L, walk->base + 1, (int)walk->depth);
    const char *path = lua_tostring(L, -1);
    if (is_nil) {
        lua_pushliteral(L, "cannot send nil");
    } else if (status == ARTEL_E_ENCODE) {
        lua_pushfstring(L, "cannot send %s (at %s)", walk->what, path);
    } else if (status == ARTEL_E_OVERSIZE) {
        lua_pushfstring(L, "cannot send more than %I bytes (at %s)",
                        (LUAI_UACINT)walk->max_len, path);
    } else {
        lua_pushfstring(L, "cannot send so much: %s (at %s)", artel_error_text(status),
                        path);
    }
    lua_replace(L, walk->base);
    lua_settop(L, walk->base);
}

int artel_walk_value(lua_State *L, int index, struct artel_buffer *out,
                     const struct artel_walk_ops *ops, size_t max_len, uint32_t max_depth)
{
    lua_pushvalue(L, index);
    size_t begun = artel_buffer_len(out);
    struct artel_walk walk;
    walk.out = out;
    walk.begun = begun;
    walk.max_len = max_len < LARGEST_LEN ? max_len : LARGEST_LEN;
    walk.ops = ops;
    walk.L = L;
    walk.level = NULL;
    walk.depth = 0;
    walk.max_depth =
        max_depth < ARTEL_CODEC_MAX_DEPTH ? max_depth : ARTEL_CODEC_MAX_DEPTH;
    walk.base = lua_gettop(L);
    int status = reserve(&walk, FIRST_RESERVE, walk.max_len + ARTEL_WALK_SLACK);
    if (status == 0) {
        status = walk_value(&walk, lua_type(L, -1));
    }
    if (status == 0) {
        size_t len = artel_walk_written(&walk) - ops->surplus;
        out->end = out->start + begun + len;
        if (len <= walk.max_len) {
            lua_settop(L, walk.base - 1);
            return 0;
        }
        status = ARTEL_E_OVERSIZE;
    }
    push_message(&walk, status);
    return status;
}
