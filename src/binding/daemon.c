/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a host that belongs to nobody: what it inherits, and how it reports back. */
#include "channel.h"
#include "open.h"
#include "sockets.h"

#include "../core/clock.h"
#include "../core/error.h"
#include "../core/fd.h"
#include "error.h"
#include "exec_vectors.h"
#include "wait.h"

#include <errno.h>
#include <lauxlib.h>

/* The process that leaves its place to the daemon does so at once: longer means trouble.
 */
#define LEAVE_TIMEOUT_MS 30000

/*
 * The host forks first thing and its parent leaves, so the daemon is nobody's child and
 * nobody's zombie. Answers 0, or the negated errno with which it could not.
 */
static int wait_for_leaving(struct artel_process *process)
{
    int64_t deadline = artel_clock_deadline_ms(LEAVE_TIMEOUT_MS);
    int ended;
    while ((ended = artel_process_wait(process, deadline)) == -EINTR) {
        continue; /* a moment only; whoever interrupts is heard after it */
    }
    if (ended != 1) {
        artel_reaper_add(process);
        return ended < 0 ? ended : -ETIMEDOUT;
    }
    artel_process_fini(process);
    return 0;
}

/* How the process has ended that should have left its place; 0 when it has. */
static int push_death(lua_State *L, const struct artel_process *process, const char *path)
{
    if (process->state == ARTEL_PROCESS_SIGNALED) {
        const char *name = artel_signal_name(process->code);
        return artel_push_failure(L, "spawn", 0,
                                  "the host %s was killed by %s before it had left us",
                                  path, name != NULL ? name : "a signal");
    }
    if (process->state == ARTEL_PROCESS_EXITED && process->code != 0) {
        return artel_push_failure(
            L, "spawn", 0,
            "the host %s exited with code %d before it had left us; "
            "it says why on standard error",
            path, process->code);
    }
    return 0;
}

/*
 * startDaemon{ path =, argv = {...}, plan = } → channel on which it reports, once it is
 * detached | nil, err
 */
static int start_daemon(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_getfield(L, 1, "path");
    lua_getfield(L, 1, "argv");
    struct artel_process_options child = {.path = luaL_checkstring(L, 2),
                                          .argv = artel_push_argv(L, 3),
                                          .envp = artel_push_environment(L, true),
                                          .channel_fd = -1,
                                          .memory_fd = -1,
                                          .stderr_fd = -1,
                                          .new_session = true};
    struct artel_channel_options options;
    artel_read_channel_options(L, 1, ARTEL_START_MASTER, &options);
    struct artel_channel_box *box = artel_channel_box_new(L, "artel.Channel");
    int box_index = lua_gettop(L);
    struct artel_descriptor *other_end = artel_descriptor_new(L);
    lua_getfield(L, 1, "plan");
    int ends[2] = {-1, -1};
    int status = artel_fd_pair(ends);
    other_end->fd = ends[1]; /* what is queued may raise */
    if (status == 0) {
        status = artel_box_open(box, &ends[0], &options);
    }
    if (status == 0 &&
        artel_box_queue(L, box_index, ARTEL_FRAME_PROFILE, 0, lua_gettop(L)) != 0) {
        artel_fd_close(&other_end->fd);
        return 2;
    }
    struct artel_process process;
    artel_process_init(&process);
    child.channel_fd = other_end->fd;
    if (status == 0) {
        status = artel_process_start(&process, &child);
    }
    artel_fd_close(&ends[0]);
    artel_fd_close(&other_end->fd);
    if (status == 0) {
        artel_channel_flush(box->channel); /* the daemon reads while we wait */
        status = wait_for_leaving(&process);
    }
    if (status < 0) {
        return artel_push_failure(L, "spawn", status, "cannot start the host %s: %s",
                                  child.path, artel_error_text(status));
    }
    if (push_death(L, &process, child.path) != 0) {
        return 2;
    }
    lua_pushvalue(L, box_index);
    return 1;
}

void artel_daemon_register(lua_State *L)
{
    lua_pushcfunction(L, start_daemon);
    lua_setfield(L, -2, "startDaemon");
}
