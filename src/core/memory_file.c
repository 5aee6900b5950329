/* SPDX-License-Identifier: Apache-2.0 */
/* Makes, seals, checks and maps the memory file of a worker. */
#include "memory_file.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define RINGS_AT ARTEL_MEMORY_BLOCK
#define BYTES_AT (2 * ARTEL_MEMORY_BLOCK)
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

struct control_block {
    struct artel_ring_control to_worker;
    struct artel_ring_control to_master;
    _Atomic uint32_t crowd;
};

_Static_assert(sizeof(struct control_block) <= ARTEL_MEMORY_BLOCK,
               "the control parts fit into their block");
_Static_assert(sizeof(_Atomic uint32_t) == sizeof(uint32_t),
               "positions are plain words: no lock of one process's own");

int artel_memory_file_create(int *fd, uint32_t ring_size)
{
    int file = memfd_create("artel-worker", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0) {
        return -errno;
    }
    off_t len = ring_size == 0 ? ARTEL_MEMORY_BLOCK : BYTES_AT + 2 * (off_t)ring_size;
    if (ftruncate(file, len) < 0 || fcntl(file, F_ADD_SEALS, SEALS) < 0) {
        int status = -errno;
        artel_fd_close(&file);
        return status;
    }
    *fd = file;
    return 0;
}

bool artel_memory_file_is(int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & SEALS) == SEALS;
}

static bool is_ring_size(off_t size)
{
    return size >= ARTEL_RING_SIZE_MIN && size <= ARTEL_RING_SIZE_MAX &&
           (size & (size - 1)) == 0;
}

int artel_memory_rings_map(struct artel_memory_rings *rings, int fd)
{
    *rings = (struct artel_memory_rings){.mapping = NULL};
    struct stat file;
    if (fstat(fd, &file) < 0) {
        return -errno;
    }
    if (file.st_size == ARTEL_MEMORY_BLOCK) {
        return 0;
    }
    off_t size = (file.st_size - BYTES_AT) / 2;
    if (!artel_memory_file_is(fd) || !is_ring_size(size) ||
        file.st_size != BYTES_AT + 2 * size) {
        return -EINVAL;
    }
    size_t len = (size_t)(file.st_size - RINGS_AT);
    void *mapping = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, RINGS_AT);
    if (mapping == MAP_FAILED) {
        return -errno;
    }
    struct control_block *control = mapping;
    uint8_t *bytes = (uint8_t *)mapping + (BYTES_AT - RINGS_AT);
    rings->mapping = mapping;
    rings->mapping_len = len;
    rings->crowd = &control->crowd;
    rings->to_worker = (struct artel_ring){&control->to_worker, bytes, (uint32_t)size};
    rings->to_master =
        (struct artel_ring){&control->to_master, bytes + size, (uint32_t)size};
    return 0;
}

void artel_memory_rings_unmap(struct artel_memory_rings *rings)
{
    if (rings->mapping != NULL) {
        munmap(rings->mapping, rings->mapping_len);
        rings->mapping = NULL;
    }
}
