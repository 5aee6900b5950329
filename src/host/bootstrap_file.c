/* SPDX-License-Identifier: Apache-2.0 */
/* Knows how a bootstrap file is read: as data, though it is written as Lua. */
#include "bootstrap_file.h"

#include "core/error.h"
#include "core/file.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* A profile is source text; nobody writes more of it. */
#define BOOTSTRAP_LEN_MAX ((size_t)16 * 1024 * 1024)

/* What C reads of a plan. A wrong type must not pass for a field that is missing: without
 * its identity a worker would keep all the rights it was started with. */
static const struct {
    const char *name;
    int type;
} FIELDS[] = {{"address", LUA_TSTRING},
              {"identity", LUA_TSTRING},
              {"outputPath", LUA_TSTRING},
              {"limits", LUA_TTABLE}};

/* Runs the chunk on top with nothing within its reach: no global variable, and no method
 * of a string either. Its answer, or an error, takes its place. */
static int evaluate(lua_State *L)
{
    int chunk = lua_gettop(L);
    lua_newtable(L);
    lua_setupvalue(L, chunk, 1);
    lua_pushliteral(L, ""); /* the metatable of one string is that of all */
    if (!lua_getmetatable(L, chunk + 1)) {
        lua_pushnil(L);
    }
    lua_pushvalue(L, chunk);
    lua_pushnil(L);
    lua_setmetatable(L, chunk + 1); /* until it is set again nothing else may raise */
    int status = lua_pcall(L, 0, 1, 0);
    lua_replace(L, chunk);
    lua_setmetatable(L, chunk + 1);
    lua_settop(L, chunk);
    return status;
}

/* What is wrong with the plan on top, pushed; or NULL. */
static const char *find_fault(lua_State *L)
{
    if (!lua_istable(L, -1)) {
        return "it answers no table";
    }
    for (size_t i = 0; i < sizeof FIELDS / sizeof *FIELDS; i++) {
        lua_pushstring(L, FIELDS[i].name);
        int type = lua_rawget(L, -2);
        lua_pop(L, 1);
        if (type != LUA_TNIL && type != FIELDS[i].type) {
            return lua_pushfstring(L, "its %s is a %s", FIELDS[i].name,
                                   lua_typename(L, type));
        }
    }
    return NULL;
}

/* Replaces what Lua says of a text that it cannot read by that without the word it stands
 * at: where a quote is missing, that is the admin cookie. */
static void drop_word(lua_State *L)
{
    const char *message = lua_tostring(L, -1);
    const char *place = strchr(message, ':'); /* in "path:12: complaint near word" */
    while (place != NULL && strspn(place + 1, "0123456789") == 0) {
        place = strchr(place + 1, ':');
    }
    const char *word = place == NULL ? NULL : strstr(place, " near ");
    if (word != NULL) {
        lua_pushlstring(L, message, (size_t)(word - message));
        lua_replace(L, -2);
    }
}

int artel_bootstrap_text_load(lua_State *L, const char *text, size_t len,
                              const char *path)
{
    int top = lua_gettop(L);
    lua_pushfstring(L, "@%s", path);
    int loaded = luaL_loadbufferx(L, text, len, lua_tostring(L, -1), "t");
    if (loaded == LUA_OK) {
        loaded = evaluate(L);
    } else if (loaded == LUA_ERRSYNTAX) {
        drop_word(L);
    }
    const char *fault = loaded != LUA_OK ? luaL_tolstring(L, -1, NULL) : find_fault(L);
    if (fault != NULL) {
        lua_pushfstring(L, "the bootstrap file %s cannot be used: %s", path, fault);
    }
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    return fault != NULL ? ARTEL_E_DECODE : 0;
}

int artel_bootstrap_file_load(lua_State *L, const char *path)
{
    char fault[ARTEL_FILE_FAULT_LEN];
    char *text = NULL;
    size_t len = 0;
    int status = artel_file_read_trusted(path, BOOTSTRAP_LEN_MAX, &text, &len, fault,
                                         sizeof fault);
    if (status < 0) {
        lua_pushstring(L, fault);
        return status;
    }
    status = artel_bootstrap_text_load(L, text, len, path);
    free(text);
    return status;
}
