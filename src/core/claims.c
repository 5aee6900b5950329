/* SPDX-License-Identifier: Apache-2.0 */
/* The page of claim words and the moves on it. */
#include "claims.h"

#include "clock.h"
#include "memory_file.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define STATE_BITS 8

struct artel_claims {
    /* id << STATE_BITS | state. Release on every change, acquire on every look: who sees
     * a state also sees the times that were written before it. */
    _Atomic uint64_t words[ARTEL_CLAIM_SLOTS];
    _Atomic int64_t begun_ns[ARTEL_CLAIM_SLOTS];
    _Atomic int64_t run_ns[ARTEL_CLAIM_SLOTS];
};

_Static_assert(sizeof(struct artel_claims) <= ARTEL_MEMORY_BLOCK,
               "the claim words fit into their block");

static uint64_t word_of(uint32_t id, enum artel_claim_state state)
{
    return (uint64_t)id << STATE_BITS | (uint64_t)state;
}

/* One step from a state that is certain; false when the word says something else. */
static bool move(struct artel_claims *claims, uint32_t id, enum artel_claim_state from,
                 enum artel_claim_state to)
{
    uint64_t expected = word_of(id, from);
    return atomic_compare_exchange_strong_explicit(
        &claims->words[id % ARTEL_CLAIM_SLOTS], &expected, word_of(id, to),
        memory_order_acq_rel, memory_order_acquire);
}

int artel_claims_map(struct artel_claims **claims, int fd)
{
    struct stat file;
    if (fstat(fd, &file) < 0) {
        return -errno;
    }
    if ((size_t)file.st_size <
        sizeof **claims) { /* touching past its end would kill us */
        return -EINVAL;
    }
    void *page = mmap(NULL, sizeof **claims, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                      ARTEL_MEMORY_CLAIMS_AT);
    if (page == MAP_FAILED) {
        return -errno;
    }
    *claims = page;
    return 0;
}

void artel_claims_unmap(struct artel_claims *claims)
{
    if (claims != NULL) {
        munmap(claims, sizeof *claims);
    }
}

void artel_claims_queue(struct artel_claims *claims, uint32_t id)
{
    uint32_t slot = id % ARTEL_CLAIM_SLOTS;
    atomic_store_explicit(&claims->begun_ns[slot], 0, memory_order_relaxed);
    atomic_store_explicit(&claims->run_ns[slot], 0, memory_order_relaxed);
    atomic_store_explicit(&claims->words[slot], word_of(id, ARTEL_CLAIM_QUEUED),
                          memory_order_release);
}

bool artel_claims_recall(struct artel_claims *claims, uint32_t id)
{
    return move(claims, id, ARTEL_CLAIM_QUEUED, ARTEL_CLAIM_RECALLED);
}

void artel_claims_cancel(struct artel_claims *claims, uint32_t id)
{
    move(claims, id, ARTEL_CLAIM_BEGUN, ARTEL_CLAIM_CANCELLED);
}

enum artel_claim_state artel_claims_state(const struct artel_claims *claims, uint32_t id)
{
    uint64_t word = atomic_load_explicit(&claims->words[id % ARTEL_CLAIM_SLOTS],
                                         memory_order_acquire);
    if (word >> STATE_BITS != id) {
        return ARTEL_CLAIM_NONE;
    }
    /* Anything a worker may have scribbled counts as begun: then nothing runs twice. */
    uint64_t state = word & (((uint64_t)1 << STATE_BITS) - 1);
    return state <= ARTEL_CLAIM_RECALLED ? (enum artel_claim_state)state
                                         : ARTEL_CLAIM_BEGUN;
}

int64_t artel_claims_begun_ms(const struct artel_claims *claims, uint32_t id)
{
    return atomic_load_explicit(&claims->begun_ns[id % ARTEL_CLAIM_SLOTS],
                                memory_order_relaxed) /
           1000000;
}

int64_t artel_claims_run_ns(const struct artel_claims *claims, uint32_t id)
{
    return id > ARTEL_CLAIM_ID_MAX
               ? 0
               : atomic_load_explicit(&claims->run_ns[id % ARTEL_CLAIM_SLOTS],
                                      memory_order_relaxed);
}

bool artel_claims_begin(struct artel_claims *claims, uint32_t id)
{
    if (id > ARTEL_CLAIM_ID_MAX) {
        return true;
    }
    /* The time first: who sees "begun" must find it. A lost race leaves a time behind
     * that nobody reads. */
    atomic_store_explicit(&claims->begun_ns[id % ARTEL_CLAIM_SLOTS], artel_clock_now_ns(),
                          memory_order_relaxed);
    return move(claims, id, ARTEL_CLAIM_QUEUED, ARTEL_CLAIM_BEGUN);
}

void artel_claims_finish(struct artel_claims *claims, uint32_t id)
{
    if (id > ARTEL_CLAIM_ID_MAX) {
        return;
    }
    uint32_t slot = id % ARTEL_CLAIM_SLOTS;
    int64_t begun = atomic_load_explicit(&claims->begun_ns[slot], memory_order_relaxed);
    atomic_store_explicit(&claims->run_ns[slot], artel_clock_now_ns() - begun,
                          memory_order_relaxed);
    if (!move(claims, id, ARTEL_CLAIM_BEGUN, ARTEL_CLAIM_DONE)) {
        move(claims, id, ARTEL_CLAIM_CANCELLED, ARTEL_CLAIM_DONE);
    }
}
