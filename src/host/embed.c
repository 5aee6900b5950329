/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A build tool: compiles Lua modules and writes them as C arrays, so that the host finds
 * its own modules whatever package.path a profile gives it, and starts without parsing.
 * Usage: embed OUTPUT ROOT FILE...   where each FILE lies below ROOT.
 */
#include <lauxlib.h>
#include <lua.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t column;

static int write_bytes(lua_State *L, const void *bytes, size_t len, void *output)
{
    (void)L;
    const unsigned char *at = bytes;
    for (size_t i = 0; i < len; i++) {
        fprintf(output, "%d,%s", at[i], ++column % 24 == 0 ? "\n" : "");
    }
    return ferror((FILE *)output);
}

/* "artel/loop_luv.lua" is the module artel.loop_luv, "artel/init.lua" is artel. */
static void module_name(char *name, size_t name_len, const char *path)
{
    snprintf(name, name_len, "%s", path);
    char *end = strrchr(name, '.');
    if (end != NULL) {
        *end = '\0';
    }
    for (char *at = name; *at != '\0'; at++) {
        if (*at == '/') {
            *at = '.';
        }
    }
    end = strstr(name, ".init");
    if (end != NULL && end[5] == '\0') {
        *end = '\0';
    }
}

static int embed(lua_State *L, FILE *output, const char *root, int count, char **files)
{
    fprintf(output, "/* Made by src/host/embed.c; do not edit. */\n"
                    "#include \"modules.h\"\n\n");
    for (int i = 0; i < count; i++) {
        const char *relative = files[i] + strlen(root) + 1;
        lua_pushfstring(L, "@%s", relative); /* what tracebacks show */
        FILE *source = fopen(files[i], "rb");
        if (source == NULL) {
            perror(files[i]);
            return 1;
        }
        static char text[1 << 20];
        size_t len = fread(text, 1, sizeof text, source);
        fclose(source);
        if (luaL_loadbufferx(L, text, len, lua_tostring(L, -1), "t") != LUA_OK) {
            fprintf(stderr, "%s\n", lua_tostring(L, -1));
            return 1;
        }
        fprintf(output, "static const unsigned char module_%d[] = {\n", i);
        column = 0;
        lua_dump(L, write_bytes, output, 0);
        fprintf(output, "};\n");
        lua_settop(L, 0);
    }
    fprintf(output, "\nconst struct artel_host_module ARTEL_HOST_MODULES[] = {\n");
    for (int i = 0; i < count; i++) {
        char name[256];
        module_name(name, sizeof name, files[i] + strlen(root) + 1);
        fprintf(output, "    {\"%s\", module_%d, sizeof module_%d},\n", name, i, i);
    }
    fprintf(output, "    {0, 0, 0},\n};\n");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: embed OUTPUT ROOT FILE...\n");
        return 2;
    }
    lua_State *L = luaL_newstate();
    FILE *output = fopen(argv[1], "wb");
    if (L == NULL || output == NULL) {
        perror(argv[1]);
        return 1;
    }
    int status = embed(L, output, argv[2], argc - 3, argv + 3);
    if (fclose(output) != 0) {
        status = 1;
    }
    if (status != 0) {
        remove(argv[1]); /* a half-written file must not look like a finished one */
    }
    lua_close(L);
    return status;
}
