/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the range notation of monitoring plugins: range_fuzz.lua. */
#include "lua_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lua_State *L = fuzz_start("range");
    lua_pushlstring(L, (const char *)data, size);
    fuzz_check(L);
    return 0;
}
