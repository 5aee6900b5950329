/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transport of workers on the same machine: bytes over two rings in shared memory,
 * and a socket as doorbell, which carries nothing but wake-ups and the peer's end.
 *
 * Sleeping. Who wants to sleep says so in the ring (`reader_sleeps`, or `writer_sleeps`
 * when it is full), then looks at the ring once more, then sleeps on the doorbell. Who
 * has moved a position looks whether the other end sleeps, and if so takes that back and
 * sends one byte. Each side stores first and looks second, in one order for all
 * (seq_cst), so at least one of them sees the other: either the sleeper finds something
 * to do, or it is rung. A writer that sleeps is rung when half of the ring is free, not
 * for every few bytes.
 *
 * Bytes of the doorbell. A taken-back `sleeps` is the sender's receipt for one byte, so
 * this end always knows how many bytes it may still take out (`owed`) without taking one
 * that belongs to a sleep it has not begun yet. That makes fd as good as a socket for
 * those who watch it: as long as one of base.watchers is set, "sleeps" stays said, and
 * there is a byte whenever there is input behind the last empty read. Each is 0: other
 * bytes come from a program that was started in the worker's place and takes the
 * doorbell for the channel.
 */
#include "transport.h"

#include "clock.h"
#include "error.h"
#include "fd.h"
#include "memory_file.h"
#include "processors.h"
#include "self.h"
#include "spin.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>

/* Reads that find nothing look at the doorbell for the peer's end this often: the kernel
 * is asked only now and then by who asks us all the time. */
#define READS_PER_LOOK 16

/* One end's own sleeping: what it has said in the ring. */
struct sleep {
    _Atomic uint32_t *sleeps; /* set by us; taken back by us, or by the peer, who rings */
    bool said;                /* set, and not taken back by us */
};

struct shared_transport {
    struct artel_transport base; /* fd is the doorbell */
    struct artel_memory_rings rings;
    struct artel_ring_reader in;
    struct artel_ring_writer out;
    struct sleep for_input;
    struct sleep for_room;
    int owed; /* bytes that the peer has sent, or will, for sleeps that ended; -1: the one
                 for room was taken before that sleep's end was noted */
    unsigned empty_reads; /* since the last look at the doorbell */
    bool ended;           /* the doorbell is at its end: the peer closed it or died */
    int fault;            /* ARTEL_E_PROTOCOL once the peer was caught lying */
    struct artel_spin spin;
    unsigned processors; /* that this process may use */
    bool is_master;
    pid_t owner; /* a forked copy must not tell the peer that we have gone */
};

/* How many such transports this process has: about as many peers as could spin. */
static _Atomic uint32_t alive;

static struct shared_transport *shared_of(struct artel_transport *base)
{
    return (struct shared_transport *)base;
}

static int note_fault(struct shared_transport *self)
{
    return self->fault = ARTEL_E_PROTOCOL;
}

/* ---- the doorbell ---- */

#define DOORBELL_BYTE 0

static void ring_doorbell(struct shared_transport *self)
{
    static const uint8_t BYTE = DOORBELL_BYTE;
    ssize_t sent;
    do {
        sent = send(self->base.fd, &BYTE, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN && errno != ENOBUFS) {
        self->ended = true;
    } /* EAGAIN: it has not taken thousands of bytes, so there is what wakes it */
}

/* To be called after a position was stored. */
static void wake(struct shared_transport *self, _Atomic uint32_t *sleeps)
{
    if (atomic_load(sleeps) != 0 && atomic_exchange(sleeps, 0) != 0) {
        ring_doorbell(self);
    }
}

/* To be called before the last look at the ring. */
static void say(struct shared_transport *self, struct sleep *sleep)
{
    if (sleep->said) {
        if (atomic_load(sleep->sleeps) != 0) {
            return;
        }
        self->owed++;
    }
    sleep->said = true;
    atomic_store(sleep->sleeps, 1);
}

static void unsay(struct shared_transport *self, struct sleep *sleep)
{
    if (sleep->said && atomic_exchange(sleep->sleeps, 0) == 0) {
        self->owed++;
    }
    sleep->said = false;
}

static bool is_rung_for(const struct sleep *sleep)
{
    return sleep->said && atomic_load(sleep->sleeps) == 0;
}

/* Reads bytes of the doorbell, and looks who sent them. */
static ssize_t receive(struct shared_transport *self, size_t len, int flags)
{
    uint8_t bytes[64];
    ssize_t got =
        recv(self->base.fd, bytes, len < sizeof bytes ? len : sizeof bytes, flags);
    for (ssize_t i = 0; i < got; i++) {
        if (bytes[i] != DOORBELL_BYTE) {
            note_fault(self);
        }
    }
    return got;
}

/* Takes from the doorbell what is owed; without that, looks whether it is at its end.
 * Never waits. */
static void look_at_doorbell(struct shared_transport *self)
{
    self->empty_reads = 0;
    bool peek = self->owed <= 0;
    ssize_t got = receive(self, peek ? 1 : (size_t)self->owed,
                          peek ? MSG_DONTWAIT | MSG_PEEK : MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno == ECONNRESET)) {
        self->ended = true;
    } else if (got > 0 && !peek) {
        self->owed -= (int)got;
    } else if (got > 0 && !is_rung_for(&self->for_input) &&
               !is_rung_for(&self->for_room)) {
        /* Nobody has rung: something else holds the descriptor and writes into it. */
        (void)!receive(self, SIZE_MAX, MSG_DONTWAIT);
    }
}

/* ---- what there is to do ---- */

/* Nothing will come or go any more. */
static bool is_over(const struct shared_transport *self)
{
    return self->ended || self->fault != 0;
}

/* The end of input counts, and so does a lie. */
static bool has_input(struct shared_transport *self)
{
    return artel_ring_unread(&self->in) != 0 ||
           atomic_load(&self->in.ring.control->closed) != 0 || is_over(self);
}

/* Enough of it to go on with writing; or nobody will ever make any. */
static bool has_room(struct shared_transport *self)
{
    ssize_t room = artel_ring_room(&self->out);
    return room < 0 || room >= (ssize_t)(self->out.ring.size / 2) ||
           atomic_load(&self->out.ring.control->gone) != 0 || is_over(self);
}

static bool shared_ready(struct artel_transport *base, bool want_read, bool want_write)
{
    struct shared_transport *self = shared_of(base);
    return (want_read && has_input(self)) || (want_write && has_room(self));
}

static bool shared_peer_rests(struct artel_transport *base)
{
    return atomic_load(&shared_of(base)->out.ring.control->reader_sleeps) != 0;
}

/* No more processes may look for messages than there are processors, or they keep those
 * waiting that they look for. */
static struct artel_spin *shared_spin(struct artel_transport *base, unsigned resting)
{
    struct shared_transport *self = shared_of(base);
    uint32_t crowd = atomic_load_explicit(&alive, memory_order_relaxed) + 1;
    uint32_t told = atomic_load_explicit(self->rings.crowd, memory_order_relaxed);
    if (!self->is_master) {
        crowd = told > crowd ? told : crowd;
    } else if (told != crowd) {
        atomic_store_explicit(self->rings.crowd, crowd, memory_order_relaxed);
    }
    return crowd <= self->processors + resting ? &self->spin : NULL;
}

/* ---- reading ---- */

/* The writer that sleeps on a full ring is woken once half of it is free; the rest of
 * what it waits for is read before we could ever sleep ourselves. */
static void wake_writer(struct shared_transport *self)
{
    if (atomic_load(&self->in.ring.control->writer_sleeps) != 0) {
        ssize_t unread = artel_ring_unread(&self->in);
        if (unread >= 0 && unread <= (ssize_t)(self->in.ring.size / 2)) {
            wake(self, &self->in.ring.control->writer_sleeps);
        }
    }
}

/* As read of the table, from the ring alone. */
static ssize_t take_input(struct shared_transport *self, uint8_t *into, size_t len)
{
    if (self->fault != 0) {
        return self->fault;
    }
    /* Looked at first: what was written before the end came is here by now. */
    bool at_end = self->ended || atomic_load(&self->in.ring.control->closed) != 0;
    size_t portion = self->in.ring.size / 4; /* meanwhile the writer fills the rest */
    size_t taken = 0;
    while (taken < len) {
        size_t wanted = len - taken < portion ? len - taken : portion;
        ssize_t got = artel_ring_read(&self->in, into + taken, wanted);
        if (got < 0) {
            return note_fault(self);
        }
        if (got == 0) {
            break;
        }
        taken += (size_t)got;
        wake_writer(self);
    }
    if (taken > 0) {
        return (ssize_t)taken;
    }
    return at_end ? ARTEL_E_EOF : -EAGAIN;
}

static bool has_input_of(void *self)
{
    return has_input(self);
}

static int poll_doorbell(struct shared_transport *self)
{
    struct pollfd wanted = {.fd = self->base.fd, .events = POLLIN};
    return poll(&wanted, 1, ARTEL_TRANSPORT_BLOCK_MS) < 0 ? -errno : 0;
}

/* Whether some event loop has made the doorbell so: then a recv does not wait. */
static bool is_nonblocking(const struct shared_transport *self)
{
    int flags = fcntl(self->base.fd, F_GETFL);
    return flags >= 0 && (flags & O_NONBLOCK) != 0;
}

/* Until the doorbell rings, or for as long as a blocked read may take. 0 or -EINTR. */
static int sleep_on_doorbell(struct shared_transport *self)
{
    if (self->base.watchers != 0) {
        return poll_doorbell(self); /* the byte that others watch for stays where it is */
    }
    ssize_t got = receive(self, SIZE_MAX, 0);
    if (got > 0) {
        unsay(self, &self->for_input);
        int least = is_rung_for(&self->for_room) ? -1 : 0; /* more is nobody's */
        self->owed = self->owed - (int)got > least ? self->owed - (int)got : least;
        return 0;
    }
    if (got == 0 || errno == ECONNRESET) {
        self->ended = true;
        return 0;
    }
    if (errno == EAGAIN) {
        return is_nonblocking(self) ? poll_doorbell(self) : 0;
    }
    return errno == EINTR ? -EINTR : 0;
}

/* Waits for input. 0, or -EINTR. */
static int wait_for_input(struct shared_transport *self)
{
    struct artel_spin *spin = shared_spin(&self->base, 0);
    if (spin != NULL && artel_spin_until(spin, has_input_of, self)) {
        return 0;
    }
    say(self, &self->for_input);
    if (has_input(self)) {
        return 0;
    }
    if (self->owed > 0) {
        look_at_doorbell(self);
        if (is_over(self)) {
            return 0;
        }
    }
    int64_t began_ns = spin != NULL ? artel_clock_now_ns() : 0;
    int status = sleep_on_doorbell(self);
    if (spin != NULL) {
        artel_spin_slept(spin, artel_clock_now_ns() - began_ns);
    }
    return status;
}

static ssize_t shared_read(struct artel_transport *base, void *into, size_t len,
                           bool block)
{
    struct shared_transport *self = shared_of(base);
    ssize_t got = take_input(self, into, len);
    if (got == -EAGAIN && block) {
        int status = wait_for_input(self);
        if (status < 0) {
            return status;
        }
        got = take_input(self, into, len);
    } else if (got == -EAGAIN) {
        if (base->watchers != 0) {
            say(self, &self->for_input);
        }
        if (self->for_input.said || ++self->empty_reads >= READS_PER_LOOK) {
            /* What is here now is taken before any byte: for what then stays in the ring
             * the doorbell must go on ringing. */
            got = take_input(self, into, len);
            if (got == -EAGAIN) {
                look_at_doorbell(self);
                got = take_input(self, into, len);
            }
        }
    }
    if (got != -EAGAIN && base->watchers == 0) {
        unsay(self, &self->for_input);
    }
    return got;
}

/* ---- writing ---- */

/* Puts in what fits: so many bytes, or ARTEL_E_PROTOCOL. */
static ssize_t give_output(struct shared_transport *self, const struct iovec *parts,
                           int count)
{
    size_t portion = self->out.ring.size / 4; /* meanwhile the reader takes the rest */
    size_t sent = 0;
    for (int i = 0; i < count; i++) {
        const uint8_t *bytes = parts[i].iov_base;
        for (size_t at = 0; at < parts[i].iov_len;) {
            size_t left = parts[i].iov_len - at;
            size_t wanted = left < portion ? left : portion;
            ssize_t put = artel_ring_write(&self->out, bytes + at, wanted);
            if (put < 0) {
                return note_fault(self);
            }
            at += (size_t)put;
            sent += (size_t)put;
            if (put > 0) {
                wake(self, &self->out.ring.control->reader_sleeps);
            }
            if ((size_t)put < wanted) {
                return (ssize_t)sent;
            }
        }
    }
    unsay(self, &self->for_room); /* nothing is left that would wait for it */
    return (ssize_t)sent;
}

static ssize_t shared_writev(struct artel_transport *base, const struct iovec *parts,
                             int count)
{
    struct shared_transport *self = shared_of(base);
    if (self->fault != 0) {
        return self->fault;
    }
    if (self->ended || atomic_load(&self->out.ring.control->gone) != 0) {
        return -EPIPE;
    }
    ssize_t sent = give_output(self, parts, count);
    if (sent == 0) {
        if (is_rung_for(&self->for_room)) { /* for nothing, or others were faster */
            say(self, &self->for_room);
            sent = has_room(self) ? give_output(self, parts, count) : 0;
        }
        look_at_doorbell(self); /* nobody may be left who makes room */
    }
    return sent >= 0 && self->ended ? -EPIPE : sent;
}

static bool shared_arm(struct artel_transport *base, bool want_read, bool want_write,
                       short *events)
{
    struct shared_transport *self = shared_of(base);
    *events = want_read || want_write ? POLLIN : 0; /* the doorbell tells of both */
    if (want_read) {
        say(self, &self->for_input);
    } else {
        /* Also with watchers: what has rung for input would end a sleep that is not for
         * it at once, again and again. The next empty read says it anew. */
        unsay(self, &self->for_input);
    }
    if (want_write) {
        say(self, &self->for_room);
    } else {
        unsay(self, &self->for_room);
    }
    if (shared_ready(base, want_read, want_write)) {
        return true;
    }
    if (self->owed > 0) {
        look_at_doorbell(self);
    }
    return is_over(self) && (want_read || want_write);
}

static int shared_shutdown_write(struct artel_transport *base)
{
    struct artel_ring_control *control = shared_of(base)->out.ring.control;
    atomic_store(&control->closed, 1);
    wake(shared_of(base), &control->reader_sleeps);
    return 0;
}

static void shared_free(struct artel_transport *base)
{
    struct shared_transport *self = shared_of(base);
    if (self->owner == artel_self_process_id()) {
        /* The end of the doorbell tells the same, but not while somebody else holds it.
         */
        shared_shutdown_write(base);
        atomic_store(&self->in.ring.control->gone, 1);
        wake(self, &self->in.ring.control->writer_sleeps);
    }
    atomic_fetch_sub_explicit(&alive, 1, memory_order_relaxed);
    artel_memory_rings_unmap(&self->rings);
    artel_fd_close(&base->fd);
    free(self);
}

static const struct artel_transport_ops SHARED_OPS = {
    .name = "shared-memory",
    .read = shared_read,
    .writev = shared_writev,
    .arm = shared_arm,
    .ready = shared_ready,
    .spin = shared_spin,
    .peer_rests = shared_peer_rests,
    .shutdown_write = shared_shutdown_write,
    .free = shared_free,
};

int artel_shared_transport_new(struct artel_transport **transport, int fd,
                               struct artel_memory_rings *rings, bool is_master)
{
    struct timeval limit = {.tv_sec = ARTEL_TRANSPORT_BLOCK_MS / 1000};
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0) {
        return -errno;
    }
    struct shared_transport *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return -ENOMEM;
    }
    self->base = (struct artel_transport){.ops = &SHARED_OPS, .fd = fd};
    self->rings = *rings;
    artel_ring_reader_init(&self->in, is_master ? &rings->to_master : &rings->to_worker);
    artel_ring_writer_init(&self->out, is_master ? &rings->to_worker : &rings->to_master);
    self->for_input.sleeps = &self->in.ring.control->reader_sleeps;
    self->for_room.sleeps = &self->out.ring.control->writer_sleeps;
    artel_spin_init(&self->spin);
    self->processors = artel_processors_allowed();
    self->is_master = is_master;
    self->owner = artel_self_process_id();
    atomic_fetch_add_explicit(&alive, 1, memory_order_relaxed);
    rings->mapping = NULL; /* ours now */
    *transport = &self->base;
    return 0;
}
