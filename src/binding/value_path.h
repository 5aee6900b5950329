/* SPDX-License-Identifier: Apache-2.0 */
/* Where in a value something sits, for people: message.jobs[3]["odd key"]. */
#ifndef ARTEL_BINDING_VALUE_PATH_H
#define ARTEL_BINDING_VALUE_PATH_H

#include <lua.h>

/*
 * Pushes the path that leads through count keys, the outermost of which is at index
 * first_key of the stack and each further one two places on. Long keys are cut, and so is
 * the middle of a long path. The stack needs room for one value.
 */
void artel_push_value_path(lua_State *L, int first_key, int count);

#endif
