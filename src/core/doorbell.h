/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end of the socket beside two shared rings, which carries nothing but wake-ups and
 * the peer's end.
 *
 * Sleeping. Who wants to sleep says so in the ring (`reader_sleeps`, or `writer_sleeps`
 * when it is full), then looks at the ring once more, then sleeps on the doorbell. Who
 * has moved a position looks whether the other end sleeps, and if so takes that back and
 * sends one byte. Each side stores first and looks second, in one order for all
 * (seq_cst), so at least one of them sees the other: either the sleeper finds something
 * to do, or it is rung. A writer that sleeps is rung when half of the ring is free, not
 * for every few bytes.
 *
 * Bytes. A taken-back `sleeps` is the sender's receipt for one byte, so this end always
 * knows how many bytes it may still take out (`owed`) without taking one that belongs to
 * a sleep it has not begun yet. That makes the descriptor as good as a socket for those
 * who watch it: as long as the transport has a watcher, "sleeps" stays said, and there is
 * a byte whenever there is input behind the last empty read. Each is 0: other bytes come
 * from a program that was started in the worker's place and takes the doorbell for the
 * channel.
 */
#ifndef ARTEL_CORE_DOORBELL_H
#define ARTEL_CORE_DOORBELL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* This end's sleeping for one thing: what it has said in the ring. */
struct artel_sleep {
    _Atomic uint32_t *sleeps; /* set by us; taken back by us, or by the peer, who rings */
    bool said;                /* set, and not taken back by us */
};

struct artel_doorbell {
    int fd; /* not owned */
    struct artel_sleep for_input;
    struct artel_sleep for_room;
    int owed; /* bytes that the peer has sent, or will, for sleeps that ended; -1: the one
                 for room was taken before that sleep's end was noted */
    bool ended; /* the peer closed it or died */
};

/* Not asleep. Both words lie in the rings and must outlive the doorbell. */
void artel_doorbell_init(struct artel_doorbell *bell, int fd,
                         _Atomic uint32_t *sleeps_for_input,
                         _Atomic uint32_t *sleeps_for_room);

/* Sends one byte, if there is room for it; waits a second at most for the memory that it
 * takes. When it cannot be sent at all the end is noted, at the other end too. */
void artel_doorbell_ring(struct artel_doorbell *bell);

/* Takes out what is owed; when nothing is, looks whether the peer has gone. Never waits.
 * 0, or ARTEL_E_PROTOCOL when other bytes came than a doorbell's. */
int artel_doorbell_look(struct artel_doorbell *bell);

/*
 * Sleeps until it rings, for ARTEL_TRANSPORT_BLOCK_MS at most; to be called after
 * artel_doorbell_say and a last look at the ring. watched: the bytes stay where they are,
 * for those who watch the descriptor. 0, -EINTR, or ARTEL_E_PROTOCOL as above.
 */
int artel_doorbell_sleep(struct artel_doorbell *bell, bool watched);

/* The others are called for every message, hence here. */

/* Wakes the peer if it sleeps; to be called after a position was stored. */
static inline void artel_doorbell_wake(struct artel_doorbell *bell,
                                       _Atomic uint32_t *peer_sleeps)
{
    if (atomic_load(peer_sleeps) != 0 && atomic_exchange(peer_sleeps, 0) != 0) {
        artel_doorbell_ring(bell);
    }
}

/* To be called before the last look at the ring. */
static inline void artel_doorbell_say(struct artel_doorbell *bell,
                                      struct artel_sleep *sleep)
{
    if (sleep->said) {
        if (atomic_load(sleep->sleeps) != 0) {
            return;
        }
        bell->owed++;
    }
    sleep->said = true;
    atomic_store(sleep->sleeps, 1);
}

/* Wide awake again, or not interested. */
static inline void artel_doorbell_unsay(struct artel_doorbell *bell,
                                        struct artel_sleep *sleep)
{
    if (sleep->said && atomic_exchange(sleep->sleeps, 0) == 0) {
        bell->owed++;
    }
    sleep->said = false;
}

/* Whether the peer has taken back what we have said. */
static inline bool artel_doorbell_has_rung_for(const struct artel_sleep *sleep)
{
    return sleep->said && atomic_load(sleep->sleeps) == 0;
}

#endif
