/* SPDX-License-Identifier: Apache-2.0 */
/* The module artel.core: what C gives to the Lua modules. Not for users. */
#include "core.h"

#include "../core/fd.h"
#include "address.h"
#include "channel.h"
#include "codec.h"
#include "error.h"
#include "file.h"
#include "function.h"
#include "main_thread.h"
#include "open.h"
#include "sockets.h"
#include "system.h"
#include "wait.h"
#include "watch_set.h"

int luaopen_artel_core(lua_State *L)
{
    artel_fd_fill_standard();
    lua_newtable(L);
    artel_error_register(L);
    artel_codec_register(L);
    artel_process_register(L);
    artel_channel_register(L);
    artel_messages_register(L);
    artel_channel_parts_register(L);
    artel_handlers_register(L);
    artel_wait_register(L);
    artel_watch_set_register(L);
    artel_open_register(L);
    artel_claims_register(L);
    artel_file_register(L);
    artel_function_register(L);
    artel_address_register(L);
    artel_system_register(L);
    artel_main_thread_register(L);
    artel_sockets_register(L);
    return 1;
}
