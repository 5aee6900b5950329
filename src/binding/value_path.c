/* SPDX-License-Identifier: Apache-2.0 */
/* Knows how a path through a value is spelt, and how much of it a person wants to read.
 */
#include "value_path.h"

#include "../core/utf8.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define KEY_LEN_MAX 40  /* bytes of one key that are shown */
#define KEYS_AT_BEGIN 8 /* keys shown of a path that is too long */
#define KEYS_AT_END 4

/* No malloc and no luaL_Buffer: some of a path is better than an error about an error. */
struct path {
    char text[1024]; /* room for twelve keys of nothing but escapes, nearly */
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void add(struct path *path,
                                                      const char *format, ...)
{
    size_t room = sizeof path->text - path->len;
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(path->text + path->len, room, format, arguments);
    va_end(arguments);
    if (len > 0) {
        path->len += (size_t)len < room ? (size_t)len : room - 1;
    }
}

static bool is_identifier(const char *key, size_t len)
{
    if (len == 0 || len > KEY_LEN_MAX || isdigit((unsigned char)key[0])) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)key[i];
        if (byte >= 0x80 || (!isalnum(byte) && byte != '_')) {
            return false;
        }
    }
    return true;
}

/* Nothing in a key may break the line it is printed on, nor the terminal. */
static void add_quoted(struct path *path, const char *key, size_t len)
{
    const uint8_t *bytes = (const uint8_t *)key;
    size_t at = 0;
    add(path, "[\"");
    while (at < len && at < KEY_LEN_MAX) {
        size_t sequence_len = artel_utf8_sequence_len(bytes + at, len - at);
        if (sequence_len == 0 || bytes[at] < 0x20 || bytes[at] == 0x7F) {
            add(path, "\\x%02X", bytes[at]);
            at++;
            continue;
        }
        if (bytes[at] == '"' || bytes[at] == '\\') {
            add(path, "\\");
        }
        add(path, "%.*s", (int)sequence_len, key + at);
        at += sequence_len;
    }
    add(path, at < len ? "...\"]" : "\"]");
}

static void add_key(struct path *path, lua_State *L, int index)
{
    switch (lua_type(L, index)) {
    case LUA_TSTRING: {
        size_t len;
        const char *key = lua_tolstring(L, index, &len);
        if (is_identifier(key, len)) {
            add(path, ".%s", key);
        } else {
            add_quoted(path, key, len);
        }
        break;
    }
    case LUA_TNUMBER:
        if (lua_isinteger(L, index)) {
            add(path, "[" LUA_INTEGER_FMT "]", lua_tointeger(L, index));
        } else {
            add(path, "[" LUA_NUMBER_FMT "]", lua_tonumber(L, index));
        }
        break;
    case LUA_TBOOLEAN:
        add(path, lua_toboolean(L, index) ? "[true]" : "[false]");
        break;
    case LUA_TNONE: /* at no entry: the table itself is meant */
        break;
    default:
        add(path, "[%s]", lua_typename(L, lua_type(L, index)));
        break;
    }
}

void artel_push_value_path(lua_State *L, int first_key, int count)
{
    struct path path = {"message", strlen("message")};
    for (int i = 0; i < count; i++) {
        if (i == KEYS_AT_BEGIN && count > KEYS_AT_BEGIN + KEYS_AT_END) {
            i = count - KEYS_AT_END;
            add(&path, " ... ");
        }
        add_key(&path, L, first_key + 2 * i);
    }
    lua_pushlstring(L, path.text, path.len);
}
