/* SPDX-License-Identifier: Apache-2.0 */
/* Files and the places where our own lie: what the profile and the search for the host
 * need. */
#ifndef ARTEL_BINDING_FILE_H
#define ARTEL_BINDING_FILE_H

#include <lua.h>

/*
 * Adds a table "files" to the table on top of the stack:
 *   absolutePath(path) → path; currentDirectory() → path
 *   stat(path) → {type, mode, uid, gid, links, device, inode, size}
 *   isExecutable(path) → boolean
 *   readTrusted(path, maxLength?) → text
 *   writeAtomically(path, text, mode? = 0600, keep? = false) → true
 *   makePrivateDirectory(path) → true; temporaryDirectory() → path
 *   remove(path) → true
 *   effectiveUser() → uid; userExists(name) → boolean
 *   hostOverride() → path or nil: ARTEL_HOST, if it may be believed
 *   codePath, codeIsProgram: the file that holds this code, and whether that is a program
 *   installPrefix: where this build would be installed
 * Failures: nil, sentence, name of the errno. Misuse raises.
 */
void artel_file_register(lua_State *L);

#endif
