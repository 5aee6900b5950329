/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory file of a worker: what lies where in the memory that it shares with its
 * master. One file for all, made by the master and inherited by the worker:
 *
 *   0                      claim words (claims.h), used by pools
 *   one block              the control parts of two rings (ring.h), and the crowd
 *   two blocks             bytes of the ring from master to worker
 *   two blocks + size      bytes of the ring from worker to master
 *
 * A file of one block has no rings; of any other length the size of a ring follows. It is
 * sealed: neither side can shorten it under the other's feet. No page exists before it is
 * touched.
 */
#ifndef ARTEL_CORE_MEMORY_FILE_H
#define ARTEL_CORE_MEMORY_FILE_H

#include "ring.h"

#include <stdbool.h>
#include <stddef.h>

/* A multiple of every page size there is, so that each block can be mapped by itself;
 * what is not touched of it costs nothing. */
#define ARTEL_MEMORY_BLOCK 65536
#define ARTEL_MEMORY_CLAIMS_AT 0

/* ring_size: a power of two from ARTEL_RING_SIZE_MIN to ARTEL_RING_SIZE_MAX, or 0 for a
 * file without rings. *fd, close-on-exec, is the caller's. 0 or a negated errno. */
int artel_memory_file_create(int *fd, uint32_t ring_size);

/* Whether fd is such a file: a worker may have been given something else. */
bool artel_memory_file_is(int fd);

/* The rings of a file, mapped. */
struct artel_memory_rings {
    void *mapping; /* NULL when there are none */
    size_t mapping_len;
    struct artel_ring to_worker;
    struct artel_ring to_master;
    /* Written by the master, for its worker: how many processes would look for messages
     * instead of sleeping (shared_transport.c). */
    _Atomic uint32_t *crowd;
};

/* Maps the rings of the file, which stays the caller's; a file without rings has a NULL
 * mapping. 0, or a negated errno (-EINVAL: it is no such file). */
int artel_memory_rings_map(struct artel_memory_rings *rings, int fd);
void artel_memory_rings_unmap(struct artel_memory_rings *rings);

#endif
