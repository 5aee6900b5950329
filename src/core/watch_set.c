/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's set of watched descriptors. */
#include "watch_set.h"

#include "fd.h"
#include "self.h"

#include <errno.h>
#include <sys/epoll.h>

#define TAKEN_MAX 64 /* in one go */

int artel_watch_set_open(struct artel_watch_set *set)
{
    set->owner = artel_self_process_id();
    set->fd = epoll_create1(EPOLL_CLOEXEC);
    if (set->fd < 0) {
        return -errno;
    }
    int status = artel_fd_leave_standard(&set->fd);
    if (status < 0) {
        artel_fd_close(&set->fd);
    }
    return status;
}

void artel_watch_set_close(struct artel_watch_set *set)
{
    artel_fd_close(&set->fd);
}

static bool is_ours(const struct artel_watch_set *set)
{
    return set->owner == artel_self_process_id();
}

int artel_watch_set_put(struct artel_watch_set *set, int fd, uint64_t id, bool want_read,
                        bool want_write, bool is_new)
{
    if (!is_ours(set)) {
        return 0;
    }
    struct epoll_event event = {.data.u64 = id};
    event.events =
        (want_read ? (uint32_t)EPOLLIN : 0) | (want_write ? (uint32_t)EPOLLOUT : 0);
    int status = epoll_ctl(set->fd, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event);
    return status < 0 ? -errno : 0;
}

void artel_watch_set_remove(struct artel_watch_set *set, int fd)
{
    if (is_ours(set)) {
        (void)epoll_ctl(set->fd, EPOLL_CTL_DEL, fd, NULL);
    }
}

size_t artel_watch_set_take(struct artel_watch_set *set, uint64_t *ids, size_t count)
{
    struct epoll_event events[TAKEN_MAX];
    int most = count < TAKEN_MAX ? (int)count : TAKEN_MAX;
    int found = is_ours(set) ? epoll_wait(set->fd, events, most, 0) : 0;
    for (int i = 0; i < found; i++) {
        ids[i] = events[i].data.u64;
    }
    return found > 0 ? (size_t)found : 0;
}
