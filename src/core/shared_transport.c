/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transport of workers on the same machine: bytes over two rings in shared memory,
 * and a doorbell for those who have nothing to read, or no room to write.
 */
#include "transport.h"

#include "clock.h"
#include "doorbell.h"
#include "error.h"
#include "fd.h"
#include "memory_file.h"
#include "processors.h"
#include "self.h"
#include "spin.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>

/* Reads that find nothing look at the doorbell for the peer's end this often: the kernel
 * is asked only now and then by who asks us all the time. */
#define READS_PER_LOOK 16

struct shared_transport {
    struct artel_transport base; /* fd is the doorbell */
    struct artel_memory_rings rings;
    struct artel_ring_reader in;
    struct artel_ring_writer out;
    struct artel_doorbell bell;
    unsigned empty_reads; /* since the last look at the doorbell */
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

/* Takes what there is to take, and looks whether the peer has gone. Never waits. */
static void look_at_doorbell(struct shared_transport *self)
{
    self->empty_reads = 0;
    if (artel_doorbell_look(&self->bell) < 0) {
        note_fault(self);
    }
}

/* ---- what there is to do ---- */

/* Nothing will come or go any more. */
static bool is_over(const struct shared_transport *self)
{
    return self->bell.ended || self->fault != 0;
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
            artel_doorbell_wake(&self->bell, &self->in.ring.control->writer_sleeps);
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
    bool at_end = self->bell.ended || atomic_load(&self->in.ring.control->closed) != 0;
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

/* Waits for input. 0, or -EINTR. */
static int wait_for_input(struct shared_transport *self)
{
    struct artel_spin *spin = shared_spin(&self->base, 0);
    if (spin != NULL && artel_spin_until(spin, has_input_of, self)) {
        return 0;
    }
    artel_doorbell_say(&self->bell, &self->bell.for_input);
    if (has_input(self)) {
        return 0;
    }
    if (self->bell.owed > 0) {
        look_at_doorbell(self);
        if (is_over(self)) {
            return 0;
        }
    }
    int64_t began_ns = spin != NULL ? artel_clock_now_ns() : 0;
    int status = artel_doorbell_sleep(&self->bell, self->base.watchers != 0);
    if (status == ARTEL_E_PROTOCOL) {
        note_fault(self);
    }
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
            artel_doorbell_say(&self->bell, &self->bell.for_input);
        }
        if (self->bell.for_input.said || ++self->empty_reads >= READS_PER_LOOK) {
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
        artel_doorbell_unsay(&self->bell, &self->bell.for_input);
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
                artel_doorbell_wake(&self->bell, &self->out.ring.control->reader_sleeps);
            }
            if ((size_t)put < wanted) {
                return (ssize_t)sent;
            }
        }
    }
    if (!self->base.loop_awaits_room) { /* nothing is left that would */
        artel_doorbell_unsay(&self->bell, &self->bell.for_room);
    }
    return (ssize_t)sent;
}

static ssize_t shared_writev(struct artel_transport *base, const struct iovec *parts,
                             int count)
{
    struct shared_transport *self = shared_of(base);
    if (self->fault != 0) {
        return self->fault;
    }
    if (self->bell.ended || atomic_load(&self->out.ring.control->gone) != 0) {
        return -EPIPE;
    }
    ssize_t sent = give_output(self, parts, count);
    if (sent == 0) {
        if (artel_doorbell_has_rung_for(&self->bell.for_room)) {
            /* For nothing, or others were faster. */
            artel_doorbell_say(&self->bell, &self->bell.for_room);
            sent = has_room(self) ? give_output(self, parts, count) : 0;
        }
        look_at_doorbell(self); /* nobody may be left who makes room */
    }
    return sent >= 0 && self->bell.ended ? -EPIPE : sent;
}

static bool shared_arm(struct artel_transport *base, bool want_read, bool want_write,
                       short *events)
{
    struct shared_transport *self = shared_of(base);
    *events = want_read || want_write ? POLLIN : 0; /* the doorbell tells of both */
    if (want_read) {
        artel_doorbell_say(&self->bell, &self->bell.for_input);
    } else {
        /* Also with watchers: what has rung for input would end a sleep that is not for
         * it at once, again and again. The next empty read says it anew. */
        artel_doorbell_unsay(&self->bell, &self->bell.for_input);
    }
    if (want_write) {
        artel_doorbell_say(&self->bell, &self->bell.for_room);
    } else {
        artel_doorbell_unsay(&self->bell, &self->bell.for_room);
    }
    if (shared_ready(base, want_read, want_write)) {
        return true;
    }
    if (self->bell.owed > 0) {
        look_at_doorbell(self);
    }
    return is_over(self) && (want_read || want_write);
}

static int shared_shutdown_write(struct artel_transport *base)
{
    struct artel_ring_control *control = shared_of(base)->out.ring.control;
    atomic_store(&control->closed, 1);
    artel_doorbell_wake(&shared_of(base)->bell, &control->reader_sleeps);
    return 0;
}

static int shared_shutdown_read(struct artel_transport *base)
{
    struct artel_ring_control *control = shared_of(base)->in.ring.control;
    atomic_store(&control->gone, 1);
    artel_doorbell_wake(&shared_of(base)->bell, &control->writer_sleeps);
    return 0;
}

static void shared_free(struct artel_transport *base)
{
    struct shared_transport *self = shared_of(base);
    if (self->owner == artel_self_process_id()) {
        /* The end of the doorbell tells the same, but not while somebody else holds it.
         */
        shared_shutdown_write(base);
        shared_shutdown_read(base);
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
    .shutdown_read = shared_shutdown_read,
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
    artel_doorbell_init(&self->bell, fd, &self->in.ring.control->reader_sleeps,
                        &self->out.ring.control->writer_sleeps);
    artel_spin_init(&self->spin);
    self->processors = artel_processors_allowed();
    self->is_master = is_master;
    self->owner = artel_self_process_id();
    atomic_fetch_add_explicit(&alive, 1, memory_order_relaxed);
    rings->mapping = NULL; /* ours now */
    *transport = &self->base;
    return 0;
}
