/* SPDX-License-Identifier: Apache-2.0 */
/* Checks what no spec can see: that a wait over several channels looks at all of them for
 * a while before it sleeps, and when it does not; and what a wait does with channels that
 * a hook has closed.
 */
#include "channel.h"
#include "core.h"

#include "../core/spin.h"
#include "../core/test.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>

/* A transport that has something to read from a certain look on. */
struct looked_at {
    struct artel_transport base;
    int looks;        /* so often somebody has asked */
    int ready_after;  /* so many looks that find nothing; -1: all do */
    int sleeps;       /* so often somebody was about to sleep */
    bool rests;       /* the peer does */
    bool may_look;    /* by what the transport knows of processors */
    unsigned resting; /* what it was told of the peers that rest */
    struct artel_spin spin;
};

static struct looked_at *looked_at_of(struct artel_transport *base)
{
    return (struct looked_at *)base;
}

static ssize_t read_nothing(struct artel_transport *self, void *into, size_t len,
                            bool block)
{
    (void)self, (void)into, (void)len, (void)block;
    return -EAGAIN;
}

static bool count_sleep(struct artel_transport *self, bool want_read, bool want_write,
                        short *events)
{
    (void)want_read, (void)want_write;
    looked_at_of(self)->sleeps++;
    *events = POLLIN;
    return false;
}

static bool count_look(struct artel_transport *base, bool want_read, bool want_write)
{
    (void)want_write;
    CHECK(want_read);
    struct looked_at *self = looked_at_of(base);
    return self->ready_after >= 0 && self->looks++ >= self->ready_after;
}

static struct artel_spin *spin_of(struct artel_transport *base, unsigned resting)
{
    struct looked_at *self = looked_at_of(base);
    self->resting = resting;
    return self->may_look ? &self->spin : NULL;
}

static bool peer_rests(struct artel_transport *self)
{
    return looked_at_of(self)->rests;
}

/* The test's own variable: what was its account shows whether it is still kept. */
static void forget_account(struct artel_transport *self)
{
    artel_spin_init(&looked_at_of(self)->spin);
}

static const struct artel_transport_ops OPS = {
    .name = "looked at",
    .read = read_nothing,
    .arm = count_sleep,
    .ready = count_look,
    .spin = spin_of,
    .peer_rests = peer_rests,
    .free = forget_account,
};

#define CHANNELS 2

static struct looked_at ends[CHANNELS];
static struct artel_channel_box *boxes[CHANNELS];
static int descriptors[2]; /* nothing ever comes out of the first */
static lua_State *L;

/* Two channels in a list, whose peers compute and answer never. */
static void start(void)
{
    CHECK_INT(0, pipe(descriptors));
    L = luaL_newstate();
    luaL_openlibs(L);
    luaL_requiref(L, "artel.core", luaopen_artel_core, 0);
    lua_createtable(L, CHANNELS, 0);
    for (int i = 0; i < CHANNELS; i++) {
        ends[i] = (struct looked_at){.base = {.ops = &OPS, .fd = descriptors[0]},
                                     .ready_after = -1,
                                     .may_look = true};
        artel_spin_init(&ends[i].spin);
        struct artel_channel_options options = {.encoding = ARTEL_JSON,
                                                .start = ARTEL_START_PLAIN,
                                                .max_message_len = 100,
                                                .max_queued_len = 100};
        boxes[i] = artel_channel_box_new(L, "artel.Channel");
        CHECK_INT(0, artel_channel_new(&boxes[i]->channel, &ends[i].base, &options));
        lua_seti(L, -2, i + 1);
    }
}

static void stop(void)
{
    lua_close(L);
    close(descriptors[0]);
    close(descriptors[1]);
}

/* waitMany; what it answers. */
static bool wait_for_both_until(double timeout)
{
    lua_getfield(L, 1, "waitMany");
    lua_pushvalue(L, 2);
    lua_pushnumber(L, timeout);
    CHECK_INT(LUA_OK, lua_pcall(L, 2, 1, 0));
    bool found = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return found;
}

/* With hardly any time-out. */
static bool wait_for_both(void)
{
    return wait_for_both_until(0.001);
}

static int sleeps(void)
{
    return ends[0].sleeps + ends[1].sleeps;
}

static void what_comes_soon_ends_the_wait_without_a_sleep(void)
{
    for (int which = 0; which < CHANNELS; which++) {
        start();
        ends[which].ready_after = 5;
        CHECK(wait_for_both());
        CHECK_INT(6, ends[which].looks);
        CHECK_INT(0, sleeps());
        CHECK_INT(1, ends[0].spin.hits);
        stop();
    }
}

static void what_does_not_come_is_slept_for(void)
{
    start();
    CHECK(!wait_for_both());
    CHECK_INT(CHANNELS, sleeps());
    CHECK_INT(1, ends[0].spin.misses); /* the first one keeps the account of all */
    CHECK_INT(0, ends[1].spin.misses);
    stop();
}

static void nobody_looks_while_every_peer_rests(void)
{
    start();
    ends[0].ready_after = 5;
    ends[0].rests = true;
    CHECK(wait_for_both());
    CHECK_INT(0, sleeps());
    CHECK_INT(1, ends[0].resting); /* who rests leaves its processor to us */
    CHECK_INT(1, ends[1].resting);
    stop();
    start();
    ends[0].ready_after = 5;
    ends[0].rests = ends[1].rests = true;
    CHECK(!wait_for_both());
    CHECK_INT(0, ends[0].looks);
    CHECK_INT(CHANNELS, sleeps());
    stop();
}

static void nobody_looks_where_one_transport_forbids_it(void)
{
    for (int which = 0; which < CHANNELS; which++) {
        start();
        ends[0].ready_after = 5;
        ends[which].may_look = false;
        CHECK(!wait_for_both());
        CHECK_INT(0, ends[0].looks);
        CHECK_INT(CHANNELS, sleeps());
        stop();
    }
}

/* As libraries that run Lua's signal handlers do, and lua5.4 itself for Ctrl-C. */
static void close_all(lua_State *state, lua_Debug *call)
{
    (void)call;
    lua_sethook(state, NULL, 0, 0);
    for (int i = 0; i < CHANNELS; i++) {
        artel_box_close_channel(boxes[i]);
    }
}

/* Not before there is a wait to interrupt. */
static void set_hook(int signal_number)
{
    (void)signal_number;
    if (ends[0].sleeps > 0) {
        lua_sethook(L, close_all, LUA_MASKCALL, 0);
    }
}

static void a_hook_may_close_what_is_waited_for(void)
{
    start();
    struct sigaction action = {.sa_handler = set_hook};
    /* Again and again: one may come between count_sleep() and poll(2). */
    struct itimerval often = {.it_value = {.tv_usec = 20000},
                              .it_interval = {.tv_usec = 20000}};
    struct itimerval never = {0};
    CHECK_INT(0, sigaction(SIGALRM, &action, NULL));
    CHECK_INT(0, setitimer(ITIMER_REAL, &often, NULL));
    CHECK(wait_for_both_until(60)); /* whoever waits looks what there is */
    CHECK_INT(0, setitimer(ITIMER_REAL, &never, NULL));
    lua_sethook(L, NULL, 0, 0);
    CHECK(boxes[0]->channel == NULL);
    CHECK_INT(0, ends[0].spin.misses);
    stop();
}

/* So often a wait for as long as poll can wait has ended early. */
static int long_polls;

/* The linker's names. */
/* NOLINTBEGIN(bugprone-reserved-identifier) */

int __real_poll(struct pollfd *wanted, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *wanted, nfds_t count, int timeout_ms);

/* Lets three weeks pass at once. */
int __wrap_poll(struct pollfd *wanted, nfds_t count, int timeout_ms)
{
    if (timeout_ms < INT_MAX) {
        return __real_poll(wanted, count, timeout_ms);
    }
    return long_polls++ < 2 ? 0 : 1;
}

/* NOLINTEND(bugprone-reserved-identifier) */

static void a_time_limit_may_be_later_than_poll_can_wait(void)
{
    start();
    ends[0].ready_after = ends[1].ready_after = -1;
    CHECK(wait_for_both_until(60 * 86400));
    CHECK_INT(3, long_polls);
    stop();
}

int main(void)
{
    RUN(what_comes_soon_ends_the_wait_without_a_sleep);
    RUN(what_does_not_come_is_slept_for);
    RUN(nobody_looks_while_every_peer_rests);
    RUN(nobody_looks_where_one_transport_forbids_it);
    RUN(a_hook_may_close_what_is_waited_for);
    RUN(a_time_limit_may_be_later_than_poll_can_wait);
    return 0;
}
