/* SPDX-License-Identifier: Apache-2.0 */
/* The process behind a worker's channel, as Lua sees it. */
#include "channel.h"

#include "../core/clock.h"
#include "../core/error.h"
#include "error.h"
#include "wait.h"

#include <errno.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdlib.h>

/* After the stop time-out a leftover gets SIGTERM, and this much later SIGKILL. */
#define TERMINATE_GRACE_MS 1000

static struct artel_process *check_process(lua_State *L)
{
    return &artel_check_box(L, 1)->process;
}

/* processId(worker) → number */
static int process_id(lua_State *L)
{
    lua_pushinteger(L, check_process(L)->pid);
    return 1;
}

/* processState(worker) → "running" | "exited", code | "signaled", "SIGKILL" | "unknown";
 * behind these the most resident memory it had, bytes, once it has ended */
static int process_state(lua_State *L)
{
    struct artel_process *process = check_process(L);
    switch (artel_process_poll(process)) {
    case ARTEL_PROCESS_RUNNING:
        lua_pushliteral(L, "running");
        return 1;
    case ARTEL_PROCESS_EXITED:
        lua_pushliteral(L, "exited");
        lua_pushinteger(L, process->code);
        break;
    case ARTEL_PROCESS_SIGNALED: {
        const char *name = artel_signal_name(process->code);
        lua_pushliteral(L, "signaled");
        if (name != NULL) {
            lua_pushstring(L, name);
        } else {
            lua_pushfstring(L, "signal %d", process->code);
        }
        break;
    }
    default:
        lua_pushliteral(L, "unknown");
        return 1;
    }
    lua_pushinteger(L, (lua_Integer)process->peak_memory);
    return 3;
}

/* waitProcess(worker, timeout?) → boolean: true when it has ended. Blocks. */
static int wait_process(lua_State *L)
{
    struct artel_process *process = check_process(L);
    int64_t deadline = artel_check_deadline(L, 2);
    int ended;
    while ((ended = artel_process_wait(process, deadline)) == -EINTR) {
        artel_run_hooks(L);
    }
    lua_pushboolean(L, ended == 1);
    return 1;
}

/* processStream(worker) → descriptor that is readable once the process has ended, or nil
 */
static int process_stream(lua_State *L)
{
    struct artel_process *process = check_process(L);
    if (process->pidfd < 0) {
        return 0;
    }
    lua_pushinteger(L, process->pidfd);
    return 1;
}

/* releaseProcess(worker): it has ended and nobody watches it any more: gives back the
 * descriptor that the garbage collector would come to later */
static int release_process(lua_State *L)
{
    struct artel_process *process = check_process(L);
    if (artel_process_poll(process) != ARTEL_PROCESS_RUNNING) {
        artel_process_fini(process);
    }
    struct artel_channel_box *box = artel_check_box(L, 1);
    artel_capture_free(box->capture);
    box->capture = NULL;
    return 0;
}

/* errorStream(worker) → descriptor that is readable when the worker has written to its
 * captured standard error, or nil */
static int error_stream(lua_State *L)
{
    struct artel_capture *capture = artel_check_box(L, 1)->capture;
    if (capture == NULL || capture->ended) {
        return 0;
    }
    lua_pushinteger(L, capture->fd);
    return 1;
}

/* capturedErrors(worker) → the end of what it has written there, or nil */
static int captured_errors(lua_State *L)
{
    struct artel_capture *capture = artel_check_box(L, 1)->capture;
    if (capture == NULL) {
        return 0;
    }
    artel_capture_drain(capture);
    lua_pushlstring(L, capture->text, capture->len);
    return 1;
}

/* noteExit(worker): the process has ended, an empty read is the end of the channel */
static int note_exit(lua_State *L)
{
    artel_check_box(L, 1)->exit_noted = true;
    return 0;
}

/* signalNumber(name or number) → number | nil when there is no such signal */
static int signal_number(lua_State *L)
{
    lua_Integer number = 0;
    if (lua_isinteger(L, 1)) {
        number = lua_tointeger(L, 1);
    } else if (lua_type(L, 1) == LUA_TSTRING) {
        number = artel_signal_number(lua_tostring(L, 1));
        number = number == 0 ? -1 : number;
    } else {
        number = -1;
    }
    if (number < 0 || number > SIGRTMAX) {
        return 0;
    }
    lua_pushinteger(L, number);
    return 1;
}

/* kill(worker, signal number, wholeGroup?) → true | nil, err */
static int kill_process(lua_State *L)
{
    struct artel_process *process = check_process(L);
    int number = (int)luaL_checkinteger(L, 2);
    int status = lua_toboolean(L, 3) ? artel_process_kill_group(process, number)
                                     : artel_process_kill(process, number);
    if (status == -ESRCH) {
        return artel_push_failure(L, "closed", status, "the worker %d has ended already",
                                  (int)process->pid);
    }
    if (status < 0) {
        return artel_push_failure(L, "closed", status, "cannot signal the worker %d: %s",
                                  (int)process->pid, artel_error_text(status));
    }
    lua_pushboolean(L, true);
    return 1;
}

/* ---- children left over when Lua ends ---- */

/* How long they may take, milliseconds: the longest stop time-out in use. */
struct leftover_guard {
    int64_t stop_timeout_ms;
};

static const char GUARD = 0;

static int end_leftovers(lua_State *L)
{
    struct leftover_guard *guard = lua_touserdata(L, 1);
    if (artel_reaper_wait(artel_clock_deadline_ms(guard->stop_timeout_ms)) == 0) {
        return 0;
    }
    artel_reaper_kill(SIGTERM);
    if (artel_reaper_wait(artel_clock_deadline_ms(TERMINATE_GRACE_MS)) > 0) {
        artel_reaper_kill(SIGKILL);
        artel_reaper_wait(artel_clock_deadline_ms(TERMINATE_GRACE_MS));
    }
    return 0;
}

/* allowStopTimeout(seconds): lua_close waits this long for workers that were dropped */
static int allow_stop_timeout(lua_State *L)
{
    lua_Number seconds = luaL_checknumber(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &GUARD);
    struct leftover_guard *guard = lua_touserdata(L, -1);
    int64_t timeout_ms = seconds > 1e12 ? -1 : (int64_t)(seconds * 1000);
    if (timeout_ms < 0 || guard->stop_timeout_ms < 0) {
        guard->stop_timeout_ms = -1; /* for ever, as asked */
    } else if (timeout_ms > guard->stop_timeout_ms) {
        guard->stop_timeout_ms = timeout_ms;
    }
    return 0;
}

/* reap(): collects dropped workers that have ended */
static int reap(lua_State *L)
{
    (void)L;
    artel_reaper_run();
    return 0;
}

void artel_process_register(lua_State *L)
{
    static const luaL_Reg FUNCTIONS[] = {{"processId", process_id},
                                         {"processState", process_state},
                                         {"processStream", process_stream},
                                         {"waitProcess", wait_process},
                                         {"noteExit", note_exit},
                                         {"errorStream", error_stream},
                                         {"capturedErrors", captured_errors},
                                         {"releaseProcess", release_process},
                                         {"kill", kill_process},
                                         {"signalNumber", signal_number},
                                         {"allowStopTimeout", allow_stop_timeout},
                                         {"reap", reap},
                                         {NULL, NULL}};
    luaL_setfuncs(L, FUNCTIONS, 0);
    /* Made before any channel, so finalised after all of them: by then every dropped
     * worker's channel is closed and its process is the reaper's. */
    struct leftover_guard *guard = lua_newuserdatauv(L, sizeof *guard, 0);
    guard->stop_timeout_ms = 0;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, end_leftovers);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &GUARD);
}
