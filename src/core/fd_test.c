/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors: born close-on-exec, never a standard stream, closed once. */
#include "fd.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void a_pair_is_connected_and_close_on_exec(void)
{
    int ends[2] = {-1, -1};
    CHECK_INT(0, artel_fd_pair(ends));
    CHECK_INT(FD_CLOEXEC, fcntl(ends[0], F_GETFD));
    CHECK_INT(FD_CLOEXEC, fcntl(ends[1], F_GETFD));
    char byte = 0;
    CHECK_INT(1, write(ends[0], "x", 1));
    CHECK_INT(1, read(ends[1], &byte, 1));
    CHECK_INT('x', byte);
    artel_fd_close(&ends[0]);
    CHECK_INT(0, read(ends[1], &byte, 1));
    artel_fd_close(&ends[1]);
}

static void a_pair_that_cannot_be_made_leaves_ends_alone(void)
{
    struct rlimit before;
    CHECK_INT(0, getrlimit(RLIMIT_NOFILE, &before));
    struct rlimit low = {3, before.rlim_max};
    CHECK_INT(0, setrlimit(RLIMIT_NOFILE, &low));
    int ends[2] = {-7, -8};
    CHECK_INT(-EMFILE, artel_fd_pair(ends));
    CHECK_INT(0, setrlimit(RLIMIT_NOFILE, &before));
    CHECK_INT(-7, ends[0]);
    CHECK_INT(-8, ends[1]);
}

/* In a child, whose standard streams may be closed. */
static void a_pair_is_never_on_a_standard_stream(void)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close(0);
        close(1);
        close(2);
        int ends[2];
        bool good = artel_fd_pair(ends) == 0 && ends[0] > 2 && ends[1] > 2;
        good = good && !is_open(0) && !is_open(1) && !is_open(2);
        good = good && fcntl(ends[0], F_GETFD) == FD_CLOEXEC;
        _exit(good ? 0 : 1);
    }
    int status;
    CHECK_INT(pid, waitpid(pid, &status, 0));
    CHECK_INT(0, status);
}

/* In a child too. */
static void free_standard_streams_are_filled_and_fail_as_before(void)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        int ends[2];
        bool good = artel_fd_pair(ends) == 0 && dup2(ends[1], 1) == 1;
        close(0);
        close(2);
        artel_fd_fill_standard();
        char byte;
        good = good && is_open(0) && is_open(2);
        good = good && read(0, &byte, 1) == -1 && errno == EBADF;
        good = good && write(2, "x", 1) == -1 && errno == EBADF;
        good = good && write(1, "x", 1) == 1 && read(ends[0], &byte, 1) == 1;
        _exit(good ? 0 : 1);
    }
    int status;
    CHECK_INT(pid, waitpid(pid, &status, 0));
    CHECK_INT(0, status);
}

static void taking_leaves_nothing_to_close(void)
{
    int ends[2];
    CHECK_INT(0, artel_fd_pair(ends));
    int held = artel_fd_take(&ends[0]);
    CHECK_INT(-1, ends[0]);
    artel_fd_close(&ends[0]);
    CHECK(is_open(held));
    artel_fd_close(&held);
    artel_fd_close(&ends[1]);
}

static void closing_keeps_errno_and_may_be_repeated(void)
{
    int ends[2];
    CHECK_INT(0, artel_fd_pair(ends));
    int number = ends[0];
    errno = ENOTTY;
    artel_fd_close(&ends[0]);
    CHECK_INT(ENOTTY, errno);
    CHECK_INT(-1, ends[0]);
    CHECK(!is_open(number));
    artel_fd_close(&ends[0]);
    artel_fd_close(&ends[1]);
}

static void flags_are_set_and_cleared(void)
{
    int ends[2];
    CHECK_INT(0, artel_fd_pair(ends));
    CHECK_INT(0, artel_fd_set_cloexec(ends[0], false));
    CHECK_INT(0, fcntl(ends[0], F_GETFD));
    CHECK_INT(0, artel_fd_set_cloexec(ends[0], true));
    CHECK_INT(FD_CLOEXEC, fcntl(ends[0], F_GETFD));
    CHECK_INT(0, artel_fd_set_nonblocking(ends[0], true));
    char byte;
    CHECK_INT(-1, read(ends[0], &byte, 1));
    CHECK_INT(EAGAIN, errno);
    CHECK_INT(0, artel_fd_set_nonblocking(ends[0], false));
    CHECK_INT(0, fcntl(ends[0], F_GETFL) & O_NONBLOCK);
    artel_fd_close(&ends[0]);
    artel_fd_close(&ends[1]);
    CHECK_INT(-EBADF, artel_fd_set_cloexec(-1, true));
}

static void room_for_descriptors_is_looked_for_and_given_back(void)
{
    struct rlimit before;
    CHECK_INT(0, getrlimit(RLIMIT_NOFILE, &before));
    int ends[2];
    CHECK_INT(0, artel_fd_pair(ends));
    struct rlimit low = {(rlim_t)ends[1] + 5, before.rlim_max};
    CHECK_INT(0, setrlimit(RLIMIT_NOFILE, &low));
    CHECK_INT(0, artel_fd_look_for_room(4));
    CHECK_INT(0, artel_fd_look_for_room(4));
    CHECK_INT(-EMFILE, artel_fd_look_for_room(6));
    CHECK_INT(0, artel_fd_look_for_room(0));
    CHECK_INT(0, setrlimit(RLIMIT_NOFILE, &before));
    CHECK(!is_open(ends[1] + 1));
    artel_fd_close(&ends[0]);
    artel_fd_close(&ends[1]);
}

int main(void)
{
    for (int fd = STDERR_FILENO + 1; fd < 256; fd++) {
        close(fd); /* whoever has started us may have left it open */
    }
    RUN(a_pair_is_connected_and_close_on_exec);
    RUN(a_pair_that_cannot_be_made_leaves_ends_alone);
    RUN(a_pair_is_never_on_a_standard_stream);
    RUN(free_standard_streams_are_filled_and_fail_as_before);
    RUN(taking_leaves_nothing_to_close);
    RUN(closing_keeps_errno_and_may_be_repeated);
    RUN(flags_are_set_and_cleared);
    RUN(room_for_descriptors_is_looked_for_and_given_back);
    return 0;
}
