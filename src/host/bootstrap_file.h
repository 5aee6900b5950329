/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the file that lua/artel/bootstrap_file.lua writes. */
#ifndef ARTEL_HOST_BOOTSTRAP_FILE_H
#define ARTEL_HOST_BOOTSTRAP_FILE_H

#include <lua.h>
#include <stddef.h>

/*
 * Reads the plan in a bootstrap file. 0 with the table pushed; or a negative status (a
 * negated errno or ARTEL_E_DECODE) with one sentence pushed that names the file.
 */
int artel_bootstrap_file_load(lua_State *L, const char *path);

/* The same with the text of the file, which is called path in messages. */
int artel_bootstrap_text_load(lua_State *L, const char *text, size_t len,
                              const char *path);

#endif
