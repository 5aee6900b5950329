/* SPDX-License-Identifier: Apache-2.0 */
/* Shows what a set of watched descriptors tells, and that a forked copy leaves it alone.
 */
#include "watch_set.h"

#include "fd.h"
#include "test.h"

#include <errno.h>
#include <sys/wait.h>

static size_t take(struct artel_watch_set *set, uint64_t *ids)
{
    return artel_watch_set_take(set, ids, 4);
}

static void it_tells_who_is_ready_until_it_is_not(void)
{
    struct artel_watch_set set;
    uint64_t ids[4] = {0};
    int ends[2], others[2];
    CHECK_INT(0, artel_watch_set_open(&set));
    CHECK_INT(0, artel_fd_pair(ends));
    CHECK_INT(0, artel_fd_pair(others));
    CHECK_INT(0, artel_watch_set_put(&set, ends[0], 7, true, false, true));
    CHECK_INT(0, artel_watch_set_put(&set, others[0], 8, true, false, true));
    CHECK_INT(0, take(&set, ids));
    CHECK_INT(1, write(ends[1], "x", 1));
    CHECK_INT(1, take(&set, ids));
    CHECK_INT(7, ids[0]);
    CHECK_INT(1, take(&set, ids));
    CHECK_INT(0, artel_watch_set_put(&set, ends[0], 9, false, true, false));
    CHECK_INT(1, take(&set, ids));
    CHECK_INT(9, ids[0]);
    artel_watch_set_remove(&set, ends[0]);
    CHECK_INT(0, take(&set, ids));
    CHECK_INT(-EBADF, artel_watch_set_put(&set, 100000, 1, true, false, true));
    for (int i = 0; i < 2; i++) {
        artel_fd_close(&ends[i]);
        artel_fd_close(&others[i]);
    }
    artel_watch_set_close(&set);
    artel_watch_set_close(&set);
}

static void it_tells_of_a_peer_that_died_with_unread_input(void)
{
    struct artel_watch_set set;
    uint64_t ids[4] = {0};
    int ends[2];
    CHECK_INT(0, artel_watch_set_open(&set));
    CHECK_INT(0, artel_fd_pair(ends));
    CHECK_INT(0, artel_watch_set_put(&set, ends[0], 7, true, false, true));
    CHECK_INT(1, write(ends[0], "x", 1));
    artel_fd_close(&ends[1]);
    CHECK_INT(1, take(&set, ids));
    CHECK_INT(7, ids[0]);
    artel_fd_close(&ends[0]);
    artel_watch_set_close(&set);
}

static void a_forked_copy_leaves_it_alone(void)
{
    struct artel_watch_set set;
    uint64_t ids[4] = {0};
    int ends[2];
    CHECK_INT(0, artel_watch_set_open(&set));
    CHECK_INT(0, artel_fd_pair(ends));
    CHECK_INT(0, artel_watch_set_put(&set, ends[0], 7, true, false, true));
    CHECK_INT(1, write(ends[1], "x", 1));
    pid_t child = fork();
    if (child == 0) {
        artel_watch_set_remove(&set, ends[0]);
        _exit((int)take(&set, ids));
    }
    int status = -1;
    CHECK_INT(child, waitpid(child, &status, 0));
    CHECK_INT(0, status);
    CHECK_INT(1, take(&set, ids));
    artel_fd_close(&ends[0]);
    artel_fd_close(&ends[1]);
    artel_watch_set_close(&set);
}

int main(void)
{
    RUN(it_tells_who_is_ready_until_it_is_not);
    RUN(it_tells_of_a_peer_that_died_with_unread_input);
    RUN(a_forked_copy_leaves_it_alone);
    return 0;
}
