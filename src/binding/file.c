/* SPDX-License-Identifier: Apache-2.0 */
/* Knows how the core's careful file functions look from Lua. */
#include "file.h"

#include "../core/error.h"
#include "../core/file.h"
#include "../core/identity.h"
#include "../core/self.h"
#include "class.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef ARTEL_INSTALL_PREFIX
#define ARTEL_INSTALL_PREFIX "/usr/local"
#endif

#define BLOCK_TYPE "artel.core.block"
#define DEFAULT_MAX_LEN (64 * 1024 * 1024)
#define PERMISSION_BITS 07777

/* A heap block of the core's: freed also when Lua raises before we come to it. */
struct block {
    char *bytes; /* NULL when there is none */
};

static int block_free(lua_State *L)
{
    struct block *block = luaL_checkudata(L, 1, BLOCK_TYPE);
    free(block->bytes);
    block->bytes = NULL;
    return 0;
}

static struct block *new_block(lua_State *L)
{
    static const luaL_Reg METAMETHODS[] = {{"__gc", block_free}, {NULL, NULL}};
    struct block *block = lua_newuserdatauv(L, sizeof *block, 0);
    block->bytes = NULL;
    artel_set_class(L, BLOCK_TYPE, METAMETHODS);
    return block;
}

/* Pushes the bytes as a string and lets the block go. */
static int push_block(lua_State *L, struct block *block, size_t len)
{
    lua_pushlstring(L, block->bytes, len);
    free(block->bytes);
    block->bytes = NULL;
    return 1;
}

static int push_fault(lua_State *L, int status, const char *fault)
{
    lua_pushnil(L);
    lua_pushstring(L, fault);
    lua_pushstring(L, artel_errno_name(-status)); /* nil for a code without a name */
    return 3;
}

static int push_status(lua_State *L, int status, const char *what, const char *name)
{
    const char *fault =
        lua_pushfstring(L, "cannot %s %s: %s", what, name, artel_error_text(status));
    return push_fault(L, status, fault);
}

/* A string that C may read to its zero byte. */
static const char *check_text(lua_State *L, int index)
{
    size_t len;
    const char *text = luaL_checklstring(L, index, &len);
    luaL_argcheck(L, strlen(text) == len, index, "holds a zero byte");
    return text;
}

static int absolute_path(lua_State *L)
{
    const char *path = check_text(L, 1);
    struct block *block = new_block(L);
    int status = artel_file_absolute_path(path, &block->bytes);
    if (status < 0) {
        return push_status(L, status, "find the current folder for", path);
    }
    return push_block(L, block, strlen(block->bytes));
}

static int current_directory(lua_State *L)
{
    lua_settop(L, 0);
    lua_pushliteral(L, ".");
    return absolute_path(L);
}

static void set_number(lua_State *L, const char *name, uint64_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, name);
}

static int stat_path(lua_State *L)
{
    const char *path = check_text(L, 1);
    struct artel_file_facts facts;
    int status = artel_file_stat(path, &facts);
    if (status < 0) {
        return push_status(L, status, "look at", path);
    }
    lua_createtable(L, 0, 8);
    lua_pushstring(L, facts.type);
    lua_setfield(L, -2, "type");
    set_number(L, "mode", facts.mode);
    set_number(L, "uid", facts.uid);
    set_number(L, "gid", facts.gid);
    set_number(L, "links", facts.links);
    set_number(L, "device", facts.device);
    set_number(L, "inode", facts.inode);
    set_number(L, "size", facts.size);
    return 1;
}

static int is_executable(lua_State *L)
{
    lua_pushboolean(L, artel_file_is_executable(check_text(L, 1)));
    return 1;
}

typedef int read_file(const char *path, size_t max_len, char **text, size_t *len,
                      char *fault, size_t fault_len);

static int read_with(lua_State *L, read_file *read)
{
    const char *path = check_text(L, 1);
    lua_Integer max_len = luaL_optinteger(L, 2, DEFAULT_MAX_LEN);
    luaL_argcheck(L, max_len >= 0, 2, "must not be negative");
    struct block *block = new_block(L);
    char fault[ARTEL_FILE_FAULT_LEN];
    size_t len = 0;
    int status = read(path, (size_t)max_len, &block->bytes, &len, fault, sizeof fault);
    return status < 0 ? push_fault(L, status, fault) : push_block(L, block, len);
}

static int read_trusted(lua_State *L)
{
    return read_with(L, artel_file_read_trusted);
}

static int read_regular(lua_State *L)
{
    return read_with(L, artel_file_read_regular);
}

static int write_atomically(lua_State *L)
{
    const char *path = check_text(L, 1);
    size_t len;
    const char *text = luaL_checklstring(L, 2, &len);
    lua_Integer mode = luaL_optinteger(L, 3, 0600);
    luaL_argcheck(L, (mode & ~(lua_Integer)PERMISSION_BITS) == 0, 3, "is no file mode");
    bool keep = lua_toboolean(L, 4);
    char fault[ARTEL_FILE_FAULT_LEN];
    int status = artel_file_write_atomically(path, text, len, (mode_t)mode, keep, fault,
                                             sizeof fault);
    if (status < 0) {
        return push_fault(L, status, fault);
    }
    lua_pushboolean(L, true);
    return 1;
}

static int make_private_directory(lua_State *L)
{
    char fault[ARTEL_FILE_FAULT_LEN];
    int status =
        artel_file_make_private_folder(check_text(L, 1), geteuid(), fault, sizeof fault);
    if (status < 0) {
        return push_fault(L, status, fault);
    }
    lua_pushboolean(L, true);
    return 1;
}

static int push_text(lua_State *L)
{
    lua_pushstring(L, lua_touserdata(L, 1));
    return 1;
}

static int temporary_directory(lua_State *L)
{
    struct block *block = new_block(L);
    char fault[ARTEL_FILE_FAULT_LEN];
    int status = artel_file_make_temporary_folder(&block->bytes, fault, sizeof fault);
    if (status < 0) {
        return push_fault(L, status, fault);
    }
    lua_pushcfunction(L, push_text);
    lua_pushlightuserdata(L, block->bytes);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
        artel_file_remove(block->bytes); /* whose name nobody would ever know */
        return lua_error(L);
    }
    return 1;
}

static int remove_path(lua_State *L)
{
    const char *path = check_text(L, 1);
    int status = artel_file_remove(path);
    if (status < 0) {
        return push_status(L, status, "remove", path);
    }
    lua_pushboolean(L, true);
    return 1;
}

static int effective_user(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)artel_self_effective_user());
    return 1;
}

static int user_exists(lua_State *L)
{
    const char *name = check_text(L, 1);
    struct artel_identity ignored;
    int status = artel_identity_find(&ignored, name);
    if (status < 0 && status != -ENOENT) {
        return push_status(L, status, "look up the user", name);
    }
    lua_pushboolean(L, status == 0);
    return 1;
}

static int host_override(lua_State *L)
{
    lua_pushstring(L, artel_self_host_override());
    return 1;
}

/* At the time of loading, while the current folder is the one that "./x.so" was found in.
 */
static void set_code_path(lua_State *L)
{
    struct block *block = new_block(L);
    bool is_program = false;
    if (artel_self_code_path(&block->bytes, &is_program) == 0) {
        push_block(L, block, strlen(block->bytes));
        lua_setfield(L, -3, "codePath");
    }
    lua_pop(L, 1);
    lua_pushboolean(L, is_program);
    lua_setfield(L, -2, "codeIsProgram");
}

void artel_file_register(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"absolutePath", absolute_path},
        {"currentDirectory", current_directory},
        {"stat", stat_path},
        {"isExecutable", is_executable},
        {"readTrusted", read_trusted},
        {"readRegular", read_regular},
        {"writeAtomically", write_atomically},
        {"makePrivateDirectory", make_private_directory},
        {"temporaryDirectory", temporary_directory},
        {"remove", remove_path},
        {"effectiveUser", effective_user},
        {"userExists", user_exists},
        {"hostOverride", host_override},
        {NULL, NULL},
    };
    luaL_newlib(L, functions);
    set_code_path(L);
    lua_pushliteral(L, ARTEL_INSTALL_PREFIX);
    lua_setfield(L, -2, "installPrefix");
    lua_setfield(L, -2, "files");
}
