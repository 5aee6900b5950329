/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claim words: how far each request in flight has come, in a page that master and worker
 * share. A busy worker cannot give a request back, but its master can take back one that
 * has not begun, and after a death it knows which ones had.
 *
 * Only two moves race: the worker's queued -> begun and the master's queued -> recalled.
 * Both are one compare-and-swap on the same word, so exactly one of them wins.
 */
#ifndef ARTEL_CORE_CLAIMS_H
#define ARTEL_CORE_CLAIMS_H

#include <stdbool.h>
#include <stdint.h>

/* Requests in flight at most; the slot of an id is its remainder. Two ids in flight never
 * share a slot: the master skips ids whose slot is taken. */
#define ARTEL_CLAIM_SLOTS 64

/* Requests with a greater id have no word: their master does not take them back. So a
 * user's own request to one worker of a pool needs no slot among those of the pool. */
#define ARTEL_CLAIM_ID_MAX 0x7FFFFFFFu

enum artel_claim_state {
    ARTEL_CLAIM_NONE, /* the slot belongs to another id: that request was given up */
    ARTEL_CLAIM_QUEUED,
    ARTEL_CLAIM_BEGUN,
    ARTEL_CLAIM_CANCELLED, /* begun, and nobody waits for the answer any more */
    ARTEL_CLAIM_DONE,
    ARTEL_CLAIM_RECALLED
};

struct artel_claims; /* the shared page */

/* Maps the claim words of a memory file (memory_file.h), which stays the caller's. 0 or a
 * negated errno. */
int artel_claims_map(struct artel_claims **claims, int fd);

/* NULL is fine. */
void artel_claims_unmap(struct artel_claims *claims);

/* ---- the master's moves ---- */

/* To be called before the request is sent. */
void artel_claims_queue(struct artel_claims *claims, uint32_t id);

/* True: the request has not begun and never will. */
bool artel_claims_recall(struct artel_claims *claims, uint32_t id);

/* Lets the handler know, if it has begun and is not done. */
void artel_claims_cancel(struct artel_claims *claims, uint32_t id);

enum artel_claim_state artel_claims_state(const struct artel_claims *claims, uint32_t id);

/* When it began, on the clock of artel_clock_now_ms(); 0 when it has not. */
int64_t artel_claims_begun_ms(const struct artel_claims *claims, uint32_t id);

/* How long it ran, nanoseconds; 0 until it is done, and when it has no word. */
int64_t artel_claims_run_ns(const struct artel_claims *claims, uint32_t id);

/* ---- the worker's moves ---- */

/* False: it was recalled; forget the request. True, too, for an id that has no word. */
bool artel_claims_begin(struct artel_claims *claims, uint32_t id);

/* To be called before the answer is queued, whether the id has a word or not. */
void artel_claims_finish(struct artel_claims *claims, uint32_t id);

#endif
