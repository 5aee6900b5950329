/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam between framing and the kernel: whoever moves bytes is behind this table, and
 * nothing above it may assume a socket.
 */
#ifndef ARTEL_CORE_TRANSPORT_H
#define ARTEL_CORE_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct artel_spin;      /* spin.h */
struct artel_transport; /* begins each transport's own struct */

struct artel_transport_ops {
    const char *name; /* "socket", "shared-memory": shown to users */

    /*
     * Takes bytes in. > 0: so many; ARTEL_E_EOF: the peer ended; -EAGAIN: none now;
     * -EINTR: a signal came while waiting; or another negated errno.
     * block: may wait, but for no longer than ARTEL_TRANSPORT_BLOCK_MS, then -EAGAIN.
     */
    ssize_t (*read)(struct artel_transport *self, void *into, size_t len, bool block);

    /* Sends what fits now, never waits, never raises SIGPIPE. >= 0: bytes taken
     * (0: no room now); or a negated errno (-EPIPE: the peer has gone). */
    ssize_t (*writev)(struct artel_transport *self, const struct iovec *parts, int count);

    /*
     * To be called before sleeping on fd: says which poll(2) events to wait for.
     * Returns true when there is something to do already: then do not sleep. Holds for
     * one sleep; see watchers for those who sleep without asking each time.
     */
    bool (*arm)(struct artel_transport *self, bool want_read, bool want_write,
                short *events);

    /* Whether there is something to do, as far as that can be seen without the kernel. */
    bool (*ready)(struct artel_transport *self, bool want_read, bool want_write);

    /* How long asking ready() again and again pays before a sleep; NULL: not at all.
     * resting: so many of this process's peers are known not to compute meanwhile. */
    struct artel_spin *(*spin)(struct artel_transport *self, unsigned resting);

    /* Whether the peer sleeps until we send something, as far as we know. */
    bool (*peer_rests)(struct artel_transport *self);

    /* Ends our sending direction; the peer sees the end after what was sent. */
    int (*shutdown_write)(struct artel_transport *self);

    /* Ends our receiving direction: nothing more will be read, as the peer learns when it
     * sends, over TCP apart. */
    int (*shutdown_read)(struct artel_transport *self);

    /* Releases everything including self. */
    void (*free)(struct artel_transport *self);
};

struct artel_transport {
    const struct artel_transport_ops *ops;
    int fd; /* pollable; owned; what getStream() answers */
    /* Set of those who sleep on fd for input whenever they like: while it is not empty,
     * fd is readable if input has come since the last read that found none. */
    unsigned watchers;
    /* The loop sleeps on fd until there is room. It is told of that also when others have
     * filled what there was meanwhile with all that was to be sent. */
    bool loop_awaits_room;
};

enum {
    ARTEL_WATCHER_LOOP = 1,  /* the scheduler's loop, while it wants to read */
    ARTEL_WATCHER_STREAM = 2 /* whoever asked for the descriptor: for good */
};

/* A blocked read looks up this often, so that a descriptor kept open by a grandchild
 * cannot hang anyone (milliseconds). */
#define ARTEL_TRANSPORT_BLOCK_MS 1000

/*
 * Bytes over a connected stream socket. Owns fd from success on; on failure (a negated
 * errno) fd stays the caller's. The socket is left blocking; non-blocking calls ask for
 * it one by one, so a descriptor that some event loop made non-blocking works too.
 */
int artel_socket_transport_new(struct artel_transport **transport, int fd);

struct artel_memory_rings; /* memory_file.h */

/*
 * Bytes over two rings in shared memory; the connected stream socket fd is the doorbell.
 * Owns fd and what *rings maps from success on (*rings is left without a mapping); on
 * failure, a negated errno, both stay the caller's.
 */
int artel_shared_transport_new(struct artel_transport **transport, int fd,
                               struct artel_memory_rings *rings, bool is_master);

#endif
