/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fuzzers of Lua modules share: the host's state, with a limit on steps and
 * memory, and executed lines that count as coverage. What must be true of an input is
 * said in Lua: x_fuzz.lua beside x_fuzz.c returns a function that raises when it is not.
 */
#ifndef ARTEL_HOST_LUA_FUZZ_H
#define ARTEL_HOST_LUA_FUZZ_H

#include "state.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_STEPS_MAX 200000 /* instructions of one input */
#define FUZZ_STEP 1000
#define FUZZ_BYTES_MAX ((size_t)32 << 20)
#define FUZZ_LINES 8192

/* libFuzzer reads them beside its own: how often a line followed another. */
__attribute__((
    section("__libfuzzer_extra_counters"))) static uint8_t fuzz_lines[FUZZ_LINES];

static struct {
    size_t bytes; /* that Lua holds */
    long steps;
    unsigned last_line;
    bool exhausted; /* the input needs more than it gets: it shows nothing */
} fuzz;

static inline void *fuzz_allocate(void *ignored, void *block, size_t old_len, size_t len)
{
    (void)ignored;
    old_len = block != NULL ? old_len : 0; /* then it tells a type */
    if (len > old_len && fuzz.bytes + (len - old_len) > FUZZ_BYTES_MAX) {
        fuzz.exhausted = true;
        return NULL;
    }
    void *fresh = NULL;
    if (len == 0) {
        free(block);
    } else {
        fresh = realloc(block, len);
        if (fresh == NULL) {
            return NULL;
        }
    }
    fuzz.bytes += len - old_len;
    return fresh;
}

static inline void fuzz_hook(lua_State *L, lua_Debug *event)
{
    if (event->event == LUA_HOOKCOUNT) {
        fuzz.steps += FUZZ_STEP;
        if (fuzz.steps > FUZZ_STEPS_MAX) {
            fuzz.exhausted = true;
            luaL_error(L, "too many steps");
        }
        return;
    }
    lua_getinfo(L, "S", event);
    unsigned line = (unsigned)event->currentline * 31 + (unsigned)event->srclen;
    for (size_t i = 0; i < event->srclen && i < 64; i++) {
        line = line * 33 + (unsigned char)event->source[i];
    }
    fuzz_lines[(line ^ fuzz.last_line) % FUZZ_LINES]++;
    fuzz.last_line = line >> 1;
}

static inline int fuzz_traceback(lua_State *L)
{
    luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
    return 1;
}

/* The state, made at the first call; at index 1 is the message handler, at 2 what
 * name_fuzz.lua has returned, and nothing above. */
static inline lua_State *fuzz_start(const char *name)
{
    static lua_State *L;
    if (L == NULL) {
        L = artel_host_state_new(false);
        if (L == NULL) {
            abort();
        }
        lua_pushcfunction(L, fuzz_traceback);
        lua_pushfstring(L, "%s/%s_fuzz.lua", ARTEL_FUZZ_FOLDER, name);
        if (luaL_dofile(L, lua_tostring(L, 2)) != LUA_OK) {
            fprintf(stderr, "%s\n", lua_tostring(L, -1));
            abort();
        }
        lua_replace(L, 2);
        fuzz.bytes = (size_t)lua_gc(L, LUA_GCCOUNT) * 1024;
        lua_setallocf(L, fuzz_allocate, NULL);
        lua_sethook(L, fuzz_hook, LUA_MASKLINE | LUA_MASKCOUNT, FUZZ_STEP);
    }
    lua_settop(L, 2);
    fuzz.steps = 0;
    fuzz.last_line = 0;
    fuzz.exhausted = false;
    return L;
}

/* Calls the property with the values above it. */
static inline void fuzz_check(lua_State *L)
{
    int count = lua_gettop(L) - 2;
    lua_pushvalue(L, 2);
    lua_insert(L, 3);
    if (lua_pcall(L, count, 0, 1) != LUA_OK && !fuzz.exhausted) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        abort();
    }
    lua_settop(L, 2);
}

#endif
