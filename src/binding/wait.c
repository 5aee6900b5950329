/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of waiting (docs/api.md, "Waiting") and the one place that blocks. */
#include "wait.h"

#include "../core/clock.h"
#include "../core/spin.h"
#include "channel.h"
#include "error.h"

#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <poll.h>
#include <string.h>

/* Registry key of the table coroutine → true: those a scheduler of ours resumes. */
static const char COROUTINES = 0;

/* Whether the running coroutine is one that a scheduler of ours resumes. */
static bool is_ours(lua_State *L)
{
    if (lua_pushthread(L) == 1) { /* the main thread never is */
        lua_pop(L, 1);
        return false;
    }
    lua_rawgetp(L, LUA_REGISTRYINDEX, &COROUTINES);
    lua_insert(L, -2);
    lua_rawget(L, -2);
    bool ours = lua_toboolean(L, -1);
    lua_pop(L, 2);
    return ours;
}

/* Whether we were called from inside uv.run(), if luv is loaded at all. */
static bool luv_loop_runs(lua_State *L)
{
    int top = lua_gettop(L);
    bool runs = false;
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, "luv") == LUA_TTABLE &&
        lua_getfield(L, -1, "loop_mode") == LUA_TFUNCTION) {
        lua_call(L, 0, 1);
        runs = !lua_isnil(L, -1);
    }
    lua_settop(L, top);
    return runs;
}

enum artel_wait_mode artel_wait_mode(lua_State *L)
{
    if (!is_ours(L)) {
        return luv_loop_runs(L) ? ARTEL_WAIT_FORBIDDEN : ARTEL_WAIT_BLOCK;
    }
    return lua_isyieldable(L) ? ARTEL_WAIT_SUSPEND : ARTEL_WAIT_UNYIELDABLE;
}

static int do_nothing(lua_State *L)
{
    (void)L;
    return 0;
}

void artel_run_hooks(lua_State *L)
{
    /* Any call runs a pending call hook, and lua.c's SIGINT handler sets one, but on the
     * main thread only: a coroutine that waits has to borrow it. */
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    lua_State *main_thread = lua_tothread(L, -1);
    lua_pop(L, 1);
    bool borrow =
        L != main_thread && lua_gethookmask(main_thread) != 0 && lua_gethookmask(L) == 0;
    if (borrow) {
        lua_sethook(L, lua_gethook(main_thread), lua_gethookmask(main_thread),
                    lua_gethookcount(main_thread));
    }
    lua_pushcfunction(L, do_nothing);
    lua_call(L, 0, 0);
    if (borrow) {
        lua_sethook(L, NULL, 0, 0);
    }
}

int64_t artel_check_deadline(lua_State *L, int index)
{
    if (lua_isnoneornil(L, index)) {
        return ARTEL_NO_DEADLINE;
    }
    lua_Number seconds = luaL_checknumber(L, index);
    luaL_argcheck(L, seconds >= 0, index, "a time-out is a number of seconds from 0 up");
    if (seconds > 1e12) { /* math.huge too */
        return ARTEL_NO_DEADLINE;
    }
    return artel_clock_deadline_ms((int64_t)ceil(seconds * 1000));
}

/* As poll(2), which is asked again until the deadline when that is later than it can
 * wait, or when the kernel has no memory for so many descriptors: neither must pass for a
 * time-out. */
static int poll_until(struct pollfd *wanted, nfds_t count, int64_t deadline_ms)
{
    for (;;) {
        int ready = poll(wanted, count, artel_clock_poll_timeout(deadline_ms));
        bool lacks = ready < 0 && (errno == ENOMEM || errno == EAGAIN);
        if ((ready != 0 && !lacks) || artel_clock_poll_timeout(deadline_ms) == 0) {
            return ready;
        }
        if (lacks) {
            (void)poll(NULL, 0, 1);
        }
    }
}

/* What a wait for one channel looks at, at most: the channel, its process, and what that
 * writes to its standard error. */
#define WAITED_MAX 3

/* Fills the entries; answers their count, or 0 when there is no need to sleep. */
static nfds_t arm(struct artel_channel_box *box, bool want_read, bool want_write,
                  struct pollfd wanted[WAITED_MAX])
{
    short events = 0;
    if (artel_channel_arm(box->channel, want_read, want_write, &events)) {
        return 0;
    }
    nfds_t count = 0;
    wanted[count++] =
        (struct pollfd){.fd = artel_channel_fd(box->channel), .events = events};
    if (box->process.pidfd >= 0 && !box->exit_noted) {
        wanted[count++] = (struct pollfd){.fd = box->process.pidfd, .events = POLLIN};
    }
    if (box->capture != NULL && !box->capture->ended) {
        wanted[count++] = (struct pollfd){.fd = box->capture->fd, .events = POLLIN};
    }
    return count;
}

/* Deals with what a wait has found beside the channel itself, in the entries that arm()
 * has filled for it: by their descriptors, since a channel may have been waited for
 * twice, and then what is found in the first place changes what arm() would do for the
 * second. */
static void look_beside(struct artel_channel_box *box, const struct pollfd *wanted,
                        nfds_t count)
{
    for (nfds_t i = 1; i < count; i++) {
        if (wanted[i].revents == 0) {
            continue;
        }
        if (wanted[i].fd == box->process.pidfd) {
            box->exit_noted = true;
        } else if (box->capture != NULL && wanted[i].fd == box->capture->fd) {
            artel_capture_drain(box->capture);
        }
    }
}

/* The channels that are waited for, and what for. */
struct wishes {
    struct wish {
        struct artel_channel *channel;
        bool want_read;
        bool want_write;
        nfds_t entries; /* that poll(2) gets for it */
    } * of;
    size_t count;
};

static bool is_one_granted(void *wishes)
{
    const struct wishes *all = wishes;
    for (size_t i = 0; i < all->count; i++) {
        const struct wish *wish = &all->of[i];
        if (artel_channel_ready(wish->channel, wish->want_read, wish->want_write)) {
            return true;
        }
    }
    return false;
}

/* Who keeps the account of looking before a sleep: the first channel. NULL when one of
 * them does not allow it, or when every peer sleeps: who should end the wait? */
static struct artel_spin *account_of(const struct wishes *all)
{
    unsigned resting = 0;
    for (size_t i = 0; i < all->count; i++) {
        resting += artel_channel_peer_rests(all->of[i].channel) ? 1 : 0;
    }
    if (resting == all->count) {
        return NULL;
    }
    struct artel_spin *account = NULL;
    for (size_t i = all->count; i-- > 0;) {
        account = artel_channel_spin(all->of[i].channel, resting);
        if (account == NULL) {
            return NULL;
        }
    }
    return account;
}

/*
 * As poll_until(), and notes in the account how long it has slept. A signal ends the
 * sleep, and Lua's hooks, which run where there is L, may close what was waited for:
 * account and descriptors are not to be used after that.
 */
static int sleep_until(lua_State *L, struct artel_spin *account, struct pollfd *wanted,
                       nfds_t count, int64_t deadline_ms)
{
    int64_t began_ns = account != NULL ? artel_clock_now_ns() : 0;
    int ready = poll_until(wanted, count, deadline_ms);
    bool interrupted = ready < 0 && errno == EINTR;
    if (account != NULL) {
        artel_spin_slept(account, artel_clock_now_ns() - began_ns);
    }
    if (interrupted && L != NULL) {
        artel_run_hooks(L);
    }
    return ready;
}

/* As poll(2). */
static int wait_for_one(lua_State *L, struct artel_channel_box *box, bool want_read,
                        bool want_write, int64_t deadline_ms)
{
    struct wish wish = {box->channel, want_read, want_write, 0};
    struct wishes all = {&wish, 1};
    struct artel_spin *account = account_of(&all);
    if (account != NULL && artel_spin_until(account, is_one_granted, &all)) {
        return 1;
    }
    struct pollfd wanted[WAITED_MAX];
    nfds_t count = arm(box, want_read, want_write, wanted);
    if (count == 0) {
        return 1;
    }
    int ready = sleep_until(L, account, wanted, count, deadline_ms);
    if (ready > 0) {
        look_beside(box, wanted, count);
    }
    return ready;
}

bool artel_wait_channel(lua_State *L, struct artel_channel_box *box, bool want_read,
                        bool want_write, int64_t deadline_ms)
{
    return wait_for_one(L, box, want_read, want_write, deadline_ms) != 0;
}

bool artel_wait_once(struct artel_channel_box *box, bool want_read, bool want_write)
{
    return wait_for_one(NULL, box, want_read, want_write, ARTEL_NO_DEADLINE) > 0;
}

/* waitMode() → "block" | "suspend" | "forbidden" | "unyieldable" */
static int wait_mode(lua_State *L)
{
    static const char *const NAMES[] = {"block", "suspend", "forbidden", "unyieldable"};
    lua_pushstring(L, NAMES[artel_wait_mode(L)]);
    return 1;
}

/* now() → seconds of a monotonic clock */
static int now(lua_State *L)
{
    /* Not in milliseconds: who counts from one that has begun waits for less than asked.
     */
    lua_pushnumber(L, (lua_Number)artel_clock_now_ns() / 1e9);
    return 1;
}

/* waitChannel(channel, wantRead, wantWrite, timeout) → boolean: false at the time-out */
static int wait_channel(lua_State *L)
{
    struct artel_channel_box *box = artel_check_open_box(L, 1);
    int64_t deadline = artel_check_deadline(L, 4);
    lua_pushboolean(L, artel_wait_channel(L, box, lua_toboolean(L, 2),
                                          lua_toboolean(L, 3), deadline));
    return 1;
}

/* waitMany({channel, ...}, timeout) → boolean: until one can be read; false at the
 * time-out */
static int wait_many(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    int64_t deadline = artel_check_deadline(L, 2);
    size_t channels = lua_rawlen(L, 1);
    struct wishes all = {lua_newuserdatauv(L, (channels + 1) * sizeof *all.of, 0),
                         channels};
    struct pollfd *wanted =
        lua_newuserdatauv(L, (WAITED_MAX * channels + 1) * sizeof *wanted, 0);
    for (size_t i = 0; i < channels; i++) {
        lua_rawgeti(L, 1, (lua_Integer)i + 1);
        struct artel_channel *channel = artel_check_open_box(L, -1)->channel;
        bool want_write = artel_channel_pending_len(channel) > 0;
        all.of[i] = (struct wish){channel, true, want_write, 0};
        lua_pop(L, 1);
    }
    struct artel_spin *account = account_of(&all);
    if (account != NULL && artel_spin_until(account, is_one_granted, &all)) {
        lua_pushboolean(L, true);
        return 1;
    }
    nfds_t used = 0;
    for (size_t i = 0; i < channels; i++) {
        lua_rawgeti(L, 1, (lua_Integer)i + 1);
        nfds_t count =
            arm(artel_check_box(L, -1), true, all.of[i].want_write, wanted + used);
        if (count == 0) {
            lua_pushboolean(L, true);
            return 1;
        }
        all.of[i].entries = count;
        used += count;
        lua_pop(L, 1);
    }
    int ready = sleep_until(L, account, wanted, used, deadline);
    const struct pollfd *looked = wanted;
    for (size_t i = 0; i < channels && ready > 0; i++) {
        lua_rawgeti(L, 1, (lua_Integer)i + 1);
        look_beside(artel_check_box(L, -1), looked, all.of[i].entries);
        looked += all.of[i].entries;
        lua_pop(L, 1);
    }
    lua_pushboolean(L, ready != 0);
    return 1;
}

/* pollStreams({descriptor, ...}, {events, ...}, timeout) → {index of a ready one, ...} */
static int poll_streams(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 2, LUA_TTABLE);
    int64_t deadline = artel_check_deadline(L, 3);
    size_t count = lua_rawlen(L, 1);
    struct pollfd *wanted = lua_newuserdatauv(L, (count + 1) * sizeof *wanted, 0);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 1, (lua_Integer)i + 1);
        lua_rawgeti(L, 2, (lua_Integer)i + 1);
        wanted[i] = (struct pollfd){.fd = (int)lua_tointeger(L, -2),
                                    .events = (short)lua_tointeger(L, -1)};
        lua_pop(L, 2);
    }
    while (poll_until(wanted, count, deadline) < 0 && errno == EINTR) {
        artel_run_hooks(L);
    }
    lua_newtable(L);
    lua_Integer ready = 0;
    for (size_t i = 0; i < count; i++) {
        if (wanted[i].revents != 0) {
            lua_pushinteger(L, (lua_Integer)i + 1);
            lua_rawseti(L, -2, ++ready);
        }
    }
    return 1;
}

void artel_wait_register(lua_State *L)
{
    static const luaL_Reg FUNCTIONS[] = {
        {"waitMode", wait_mode},       {"now", now},
        {"waitChannel", wait_channel}, {"waitMany", wait_many},
        {"pollStreams", poll_streams}, {NULL, NULL}};
    luaL_setfuncs(L, FUNCTIONS, 0);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &COROUTINES);
    lua_setfield(L, -2, "coroutines");
}
