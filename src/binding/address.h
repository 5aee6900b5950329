/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of shared workers, as Lua sees them. */
#ifndef ARTEL_BINDING_ADDRESS_H
#define ARTEL_BINDING_ADDRESS_H

#include <lua.h>

/*
 * Adds parseAddress(text) to the table on top of the stack. It answers
 * {isUnix, path} or {isUnix, host, port}, each with isLocal and isNetworkExposed; or nil
 * and a phrase that fits behind the address ("has no port").
 */
void artel_address_register(lua_State *L);

#endif
