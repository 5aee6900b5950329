/* SPDX-License-Identifier: Apache-2.0 */
/* How a worker comes up: channel, profile, identity, stages, implementation. */
#include "host.h"

#include "binding/channel.h"
#include "binding/core.h"
#include "binding/error.h"
#include "binding/open.h"
#include "bootstrap_file.h"
#include "core/error.h"
#include "core/fd.h"
#include "core/identity.h"
#include "core/limits.h"
#include "core/memory_file.h"
#include "core/output.h"
#include "core/parent_death.h"
#include "core/process.h"
#include "state.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXIT_FAILED 1
#define EXIT_USAGE 2

/* What plans we understand: VERSION in lua/artel/plan.lua. */
#define PLAN_VERSION 1

/* Where things stand on the host's Lua stack. CHANNEL is nil when a service manager has
 * started us; CLAIM is what a shared worker holds of its address, else nil. None is the
 * first: a C function with a channel there is taken for one that decodes a frame.
 */
enum { CHANNEL = 2, PLAN = 3, CLAIM = 4 };

static const char *field_string(lua_State *L, const char *name)
{
    lua_getfield(L, PLAN, name); /* the plan keeps the string alive */
    const char *text = lua_tostring(L, -1);
    lua_pop(L, 1);
    return text;
}

static bool has_field(lua_State *L, const char *name)
{
    bool has = lua_getfield(L, PLAN, name) != LUA_TNIL;
    lua_pop(L, 1);
    return has;
}

/* Reports a failed step to the master; answers the exit code. Also to standard error, for
 * a master that has gone. Not so a daemon, whose standard error still is its starter's,
 * which gets the report; nor one of a pool, which tells it once for all its workers.
 */
static int fail(lua_State *L, const char *step, int status, const char *sentence)
{
    bool has_master = !lua_isnil(L, CHANNEL);
    if (!has_master || !(has_field(L, "address") || has_field(L, "claims"))) {
        fprintf(stderr, "artel worker: %s: %s\n", step, sentence);
    }
    if (!has_master) {
        return EXIT_FAILED;
    }
    struct artel_channel_box *box = artel_check_open_box(L, CHANNEL);
    lua_createtable(L, 0, 3);
    lua_pushstring(L, step);
    lua_setfield(L, -2, "step");
    lua_pushstring(L, sentence);
    lua_setfield(L, -2, "message");
    lua_pushstring(L, status < 0 ? artel_errno_name(-status) : NULL);
    lua_setfield(L, -2, "errno");
    artel_box_queue(L, CHANNEL, ARTEL_FRAME_FAILED, 0, lua_gettop(L));
    artel_channel_flush(box->channel);
    return EXIT_FAILED;
}

static int fail_with_code(lua_State *L, const char *step, int status, const char *what)
{
    const char *sentence = lua_pushfstring(L, "%s: %s", what, artel_error_text(status));
    return fail(L, step, status, sentence);
}

/* ---- the profile ---- */

/* memory_fd: the file that we share with our master; -1 when there is none. */
static int open_channel(lua_State *L, int memory_fd)
{
    int fd = ARTEL_CHILD_CHANNEL_FD;
    struct artel_channel_options options = {
        .encoding = ARTEL_MSGPACK,
        .start = ARTEL_START_HOST,
        .max_message_len = (size_t)UINT32_MAX,
        .max_queued_len = (size_t)1 << 30,
    };
    struct artel_channel_box *box = artel_channel_box_new(L, "artel.Channel");
    box->worker_end = true;
    int status = artel_box_open_worker(box, &fd, memory_fd, &options);
    if (status == 0) {
        artel_channel_flush(box->channel); /* the greeting */
    }
    return status;
}

/* Waits for the profile. 1 with the plan pushed, 0 when the master went before, -1 after
 * a complaint. */
static int read_plan(lua_State *L)
{
    struct artel_channel_box *box = artel_check_open_box(L, CHANNEL);
    struct artel_frame frame;
    int found;
    while ((found = artel_channel_next(box->channel, &frame)) == 0) {
        artel_channel_fill(box->channel, true);
    }
    if (found == ARTEL_E_EOF) {
        return 0;
    }
    if (found < 0) {
        fprintf(stderr, "artel worker: the profile cannot be received: %s\n",
                artel_error_text(found));
        return -1;
    }
    if (artel_box_take(L, CHANNEL, &frame) != 1 || !lua_istable(L, -1)) {
        fprintf(stderr, "artel worker: the profile cannot be read\n");
        return -1;
    }
    return 1;
}

/* The claim words of a pool's worker. 0, or the exit code after a report. */
static int open_claims(lua_State *L, int memory_fd)
{
    if (!has_field(L, "claims")) {
        return 0;
    }
    int status = artel_claims_map(&artel_check_open_box(L, CHANNEL)->claims, memory_fd);
    return status < 0 ? fail_with_code(L, "profile", status, "the claim words") : 0;
}

/*
 * Replaces the plan by what the bootstrap file holds, with the fields that only the
 * master knows (its process id, further arguments) laid over it. While we still are who
 * started us: the file need not be readable for the preferred identity. 0, or the exit
 * code after a report.
 */
static int load_bootstrap_file(lua_State *L, const char *path)
{
    int status = artel_bootstrap_file_load(L, path);
    if (status < 0) {
        return fail(L, "profile", status, lua_tostring(L, -1));
    }
    for (lua_pushnil(L); lua_next(L, PLAN) != 0;) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_settable(L, -4);
    }
    lua_replace(L, PLAN);
    lua_settop(L, PLAN);
    return 0;
}

static double field_number(lua_State *L, int index, const char *name)
{
    lua_getfield(L, index, name);
    double number = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return number;
}

/* Whether another artel has written the plan, which may mean something else by its
 * fields. 0, or the exit code after a report.
 */
static int check_version(lua_State *L)
{
    int version = (int)field_number(L, PLAN, "version");
    if (version == PLAN_VERSION || !has_field(L, "version")) {
        return 0;
    }
    const char *sentence = lua_pushfstring(
        L,
        "it is of version %d, and this host understands version %d: the Lua modules, the "
        "host and bootstrap files must come from the same artel",
        version, PLAN_VERSION);
    return fail(L, "profile", 0, sentence);
}

/* ---- the process, before any Lua code of the profile runs ---- */

static int apply_limits(lua_State *L)
{
    if (lua_getfield(L, PLAN, "limits") != LUA_TTABLE) {
        lua_pop(L, 1);
        return 0;
    }
    struct artel_resource_limits limits = {
        .memory_bytes = field_number(L, -1, "memory"),
        .cpu_seconds = field_number(L, -1, "cpu"),
        .open_files = field_number(L, -1, "openFiles"),
    };
    const char *which = "";
    int status = artel_resource_limits_apply(&limits, &which);
    if (status < 0) {
        return fail_with_code(L, "limits", status, which);
    }
    lua_pop(L, 1);
    return 0;
}

static int take_identity(lua_State *L)
{
    const char *name = field_string(L, "identity");
    if (name == NULL) {
        return 0;
    }
    struct artel_identity identity;
    int status = artel_identity_find(&identity, name);
    if (status < 0) {
        return fail_with_code(L, "identity", status, name);
    }
    if (!artel_identity_may_take(&identity)) {
        fprintf(stderr,
                "artel worker: cannot become the preferred user %s (uid %d may not); "
                "going on as it is\n",
                name, (int)geteuid());
        return 0;
    }
    char fault[200];
    status = artel_identity_take(&identity, fault, sizeof fault);
    return status < 0 ? fail(L, "identity", status, fault) : 0;
}

static int prepare_process(lua_State *L)
{
    int code = apply_limits(L);
    if (code == 0) {
        code = take_identity(L);
    }
    pid_t parent = (pid_t)field_number(L, PLAN, "parent");
    if (code == 0 && parent > 0) {
        artel_parent_death_watch(
            parent); /* where there is none, the channel's end does */
    }
    const char *output_path = field_string(L, "outputPath");
    if (output_path == NULL && has_field(L, "address") && !lua_isnil(L, CHANNEL)) {
        output_path = "/dev/null"; /* a daemon leaves the terminal of who has started it;
                                      a service manager keeps what its services print */
    }
    if (code == 0 && output_path != NULL) {
        int status = artel_output_redirect(output_path);
        if (status < 0) {
            code = fail_with_code(L, "output", status, output_path);
        }
    }
    return code;
}

/* ---- the implementation ---- */

static int message_handler(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    luaL_traceback(L, L, lua_tostring(L, -1), 1);
    return 1;
}

/* Calls what the module answers with channel, plan and claim, and leaves its answer on
 * the stack; what it should have caught itself becomes EXIT_FAILED there. */
static void call_module(lua_State *L, const char *name)
{
    int base = lua_gettop(L);
    lua_pushcfunction(L, message_handler);
    lua_getglobal(L, "require");
    lua_pushstring(L, name);
    int status = lua_pcall(L, 1, 1, base + 1);
    if (status == LUA_OK) {
        lua_pushvalue(L, CHANNEL);
        lua_pushvalue(L, PLAN);
        lua_pushvalue(L, CLAIM);
        status = lua_pcall(L, 3, 1, base + 1);
    }
    if (status != LUA_OK) {
        fprintf(stderr, "artel worker: %s\n", lua_tostring(L, -1));
        lua_pushinteger(L, EXIT_FAILED);
    }
    lua_replace(L, base + 1);
    lua_settop(L, base + 1);
}

/* Takes the address of a shared worker. True to go on; else the exit code is in *code. */
static bool claim_address(lua_State *L, int *code)
{
    lua_settop(L, CLAIM);
    if (field_string(L, "address") == NULL) {
        if (lua_isnil(L, CHANNEL)) {
            fprintf(stderr,
                    "artel host: the profile names no address, so it is that of a "
                    "dedicated worker, which only a master can start\n");
            *code = EXIT_USAGE;
            return false;
        }
        return true;
    }
    call_module(L, "artel.server_claim");
    lua_replace(L, CLAIM);
    *code = (int)lua_tointeger(L, CLAIM);
    return lua_istable(L, CLAIM);
}

/* From a profile on the stack to the end of the worker; answers the exit code. */
static int run_plan(lua_State *L, const char *bootstrap_file)
{
    int code = bootstrap_file != NULL ? load_bootstrap_file(L, bootstrap_file) : 0;
    if (code == 0) {
        code = check_version(L);
    }
    if (code != 0 || !claim_address(L, &code)) {
        return code;
    }
    code = prepare_process(L);
    if (code != 0) {
        return code;
    }
    call_module(L, "artel.bootstrap");
    return (int)lua_tointeger(L, -1);
}

/* A worker with a master, from its channel to its end; answers the exit code. */
static int run_dedicated(lua_State *L)
{
    int memory_fd = ARTEL_CHILD_MEMORY_FD;
    if (!artel_memory_file_is(memory_fd)) {
        memory_fd = -1;
    }
    int status = open_channel(L, memory_fd);
    if (status < 0) {
        fprintf(stderr, "artel worker: cannot open the channel to its master: %s\n",
                artel_error_text(status));
        return EXIT_FAILED;
    }
    int found = read_plan(L);
    if (found != 1) {
        return found < 0 ? EXIT_FAILED : 0;
    }
    int code = open_claims(L, memory_fd);
    artel_fd_close(&memory_fd); /* what is mapped stays */
    return code != 0 ? code : run_plan(L, field_string(L, "bootstrapFile"));
}

/* Protected by its caller; leaves the exit code on the stack. */
static int run(lua_State *L)
{
    const char *bootstrap_file = lua_touserdata(L, 1);
    luaL_requiref(L, "artel.core", luaopen_artel_core, 0);
    lua_pop(L, 1);
    int code = 0;
    if (bootstrap_file != NULL) {
        lua_pushnil(L);
        lua_newtable(L);
        code = run_plan(L, bootstrap_file);
    } else {
        code = run_dedicated(L);
    }
    lua_pushinteger(L, code);
    return 1;
}

/* Whether descriptor 3 leads to a master. */
static bool has_channel(void)
{
    int type = 0;
    socklen_t type_len = sizeof type;
    return getsockopt(ARTEL_CHILD_CHANNEL_FD, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0;
}

int artel_host_run(const char *bootstrap_file)
{
    if (bootstrap_file == NULL) {
        if (!has_channel()) {
            fprintf(
                stderr,
                "artel host: descriptor 3 is no channel to a master. Workers are started "
                "by a Lua program (artel.createWorker), not by hand.\n");
            return EXIT_USAGE;
        }
        artel_fd_set_cloexec(ARTEL_CHILD_CHANNEL_FD, true);
        if (artel_memory_file_is(ARTEL_CHILD_MEMORY_FD)) {
            artel_fd_set_cloexec(ARTEL_CHILD_MEMORY_FD, true);
        }
    }
    lua_State *L = artel_host_state_new(false);
    if (L == NULL) {
        fprintf(stderr, "artel host: not enough memory for a Lua state\n");
        return EXIT_FAILED;
    }
    lua_pushcfunction(L, run);
    lua_pushlightuserdata(L, (void *)bootstrap_file);
    int code = EXIT_FAILED;
    if (lua_pcall(L, 1, 1, 0) == LUA_OK) {
        code = (int)lua_tointeger(L, -1);
    } else {
        fprintf(stderr, "artel host: %s\n", lua_tostring(L, -1));
    }
    artel_host_state_leave(L, code);
}
