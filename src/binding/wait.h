/* SPDX-License-Identifier: Apache-2.0 */
/* Who may wait how: blocking, suspending a coroutine, or not at all; and blocking itself.
 */
#ifndef ARTEL_BINDING_WAIT_H
#define ARTEL_BINDING_WAIT_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

struct artel_channel_box;

enum artel_wait_mode {
    ARTEL_WAIT_BLOCK,      /* nobody else could run meanwhile: a plain script */
    ARTEL_WAIT_SUSPEND,    /* a coroutine of artel.async, or of a worker's handler */
    ARTEL_WAIT_FORBIDDEN,  /* a luv callback: blocking here would stop the loop */
    ARTEL_WAIT_UNYIELDABLE /* such a coroutine inside string.gsub, table.sort, require */
};

enum artel_wait_mode artel_wait_mode(lua_State *L);

/* Lets Lua's hooks run after a signal: lua5.4's Ctrl-C raises "interrupted!" from here.
 */
void artel_run_hooks(lua_State *L);

/* Reads the time-out at index: seconds; nil or math.huge: none. Answers the deadline.
 * Raises for anything else. */
int64_t artel_check_deadline(lua_State *L, int index);

/*
 * Blocks until the channel can be read from (or written to), its process ended, a signal
 * came, or the deadline. True unless it is the deadline. Raises what a hook raises; one
 * may have closed the channel.
 */
bool artel_wait_channel(lua_State *L, struct artel_channel_box *box, bool want_read,
                        bool want_write, int64_t deadline_ms);

/* The same without a deadline and without Lua: false when a signal came, too. */
bool artel_wait_once(struct artel_channel_box *box, bool want_read, bool want_write);

/* Adds waitMode, coroutines, now, waitChannel, waitMany, pollStreams to the table on top.
 */
void artel_wait_register(lua_State *L);

#endif
