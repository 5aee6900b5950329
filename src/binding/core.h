/* SPDX-License-Identifier: Apache-2.0 */
/* The entry point that require "artel.core" calls, in a module and in the host alike. */
#ifndef ARTEL_BINDING_CORE_H
#define ARTEL_BINDING_CORE_H

#include <lua.h>

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
int luaopen_artel_core(lua_State *L);

#endif
