/* SPDX-License-Identifier: Apache-2.0 */
/* Connecting: refusals, deadlines, and what a connection is like. */
#include "connect.h"

#include "clock.h"
#include "fd.h"
#include "listen.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

#define GENEROUS_MS 30000

static char folder[] = "/tmp/artel-connect-test-XXXXXX";
static char fault[400];

static struct artel_address at(const char *name)
{
    struct artel_address address = {.is_unix = true};
    snprintf(address.path, sizeof address.path, "%s/%s", folder, name);
    return address;
}

static struct artel_address tcp(const char *host, unsigned port)
{
    struct artel_address address = {.is_unix = false, .port = (uint16_t)port};
    snprintf(address.host, sizeof address.host, "%s", host);
    return address;
}

static void listen_at(struct artel_listener *listener, struct artel_address address,
                      int backlog)
{
    struct artel_listen_options options;
    artel_listen_options_init(&options);
    options.backlog = backlog;
    CHECK_INT(0, artel_listener_open(listener, &address, &options, fault, sizeof fault));
}

static unsigned port_of(int fd)
{
    struct artel_socket_address bound;
    unsigned char number[16];
    unsigned port;
    memset(&bound, 0, sizeof bound);
    bound.len = sizeof bound.storage;
    CHECK_INT(0, getsockname(fd, (struct sockaddr *)&bound.storage, &bound.len));
    CHECK(artel_socket_address_number(&bound, number, &port));
    return port;
}

static int connect_within(struct artel_address address, int64_t timeout_ms, int *fd)
{
    *fd = -1;
    fault[0] = '\0';
    int status = artel_connect(&address, artel_clock_deadline_ms(timeout_ms), fd, fault,
                               sizeof fault);
    CHECK((status == 0) == (*fd >= 0) && (status == 0) == (fault[0] == '\0'));
    return status;
}

static void check_plain(int fd)
{
    CHECK_INT(FD_CLOEXEC, fcntl(fd, F_GETFD));
    CHECK_INT(0, fcntl(fd, F_GETFL) & O_NONBLOCK);
    struct timeval limit = {1, 1};
    socklen_t len = sizeof limit;
    CHECK_INT(0, getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, &len));
    CHECK_INT(0, limit.tv_sec + limit.tv_usec); /* ours, and taken back */
}

static void a_unix_connection_is_blocking_and_close_on_exec(void)
{
    struct artel_listener listener;
    int fd;
    listen_at(&listener, at("plain"), 5);
    static const int64_t timeouts[] = {0, GENEROUS_MS, -1};
    for (size_t i = 0; i < 3; i++) {
        CHECK_INT(0, connect_within(at("plain"), timeouts[i], &fd));
        check_plain(fd);
        artel_fd_close(&fd);
    }
    artel_listener_close(&listener);
}

static void a_missing_listener_is_told(void)
{
    struct artel_listener listener;
    int fd;
    CHECK_INT(-ENOENT, connect_within(at("missing"), GENEROUS_MS, &fd));
    CHECK(strstr(fault, "cannot connect to /tmp/") != NULL);
    listen_at(&listener, at("gone"), 5);
    CHECK_INT(0, link(at("gone").path, at("left").path));
    artel_listener_close(&listener);
    CHECK_INT(-ECONNREFUSED, connect_within(at("left"), GENEROUS_MS, &fd));
    CHECK_INT(0, unlink(at("left").path));
}

static void a_full_backlog_is_waited_for_until_the_deadline(void)
{
    struct artel_listener listener;
    int first;
    int second;
    listen_at(&listener, at("full"), 0);
    CHECK_INT(0, connect_within(at("full"), 0, &first));
    CHECK_INT(-ETIMEDOUT, connect_within(at("full"), 0, &second));
    int64_t began = artel_clock_now_ms();
    CHECK_INT(-ETIMEDOUT, connect_within(at("full"), 30, &second));
    CHECK(artel_clock_now_ms() - began >= 25); /* the kernel counts in its own ticks */

    /* A child waits; as soon as one is accepted it gets in. */
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(TEST_TIMEOUT_S);
        _exit(connect_within(at("full"), GENEROUS_MS, &second) == 0 ? 0 : 1);
    }
    for (int count = 0; count < 2;) {
        struct pollfd waiting = {listener.fd, POLLIN, 0};
        CHECK_INT(1, poll(&waiting, 1, GENEROUS_MS));
        int accepted;
        CHECK_INT(0, artel_listener_accept(&listener, &accepted));
        artel_fd_close(&accepted);
        count++;
    }
    int status;
    CHECK_INT(pid, waitpid(pid, &status, 0));
    CHECK_INT(0, status);
    artel_fd_close(&first);
    artel_listener_close(&listener);
}

static void a_tcp_connection_sends_without_delay(void)
{
    struct artel_listener listener;
    int fd;
    listen_at(&listener, tcp("127.0.0.1", 0), 5);
    unsigned port = port_of(listener.fd);
    CHECK_INT(0, connect_within(tcp("127.0.0.1", port), GENEROUS_MS, &fd));
    check_plain(fd);
    int value = 0;
    socklen_t len = sizeof value;
    CHECK_INT(0, getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &len));
    CHECK(value != 0);
    artel_fd_close(&fd);
    CHECK_INT(0, connect_within(tcp("localhost", port), -1, &fd));
    artel_fd_close(&fd);
    artel_listener_close(&listener);
    CHECK_INT(-ECONNREFUSED, connect_within(tcp("127.0.0.1", port), GENEROUS_MS, &fd));
    char expected[100];
    snprintf(expected, sizeof expected,
             "cannot connect to 127.0.0.1:%u: Connection refused", port);
    CHECK_STR(expected, fault);
    CHECK_INT(-ECONNREFUSED, connect_within(tcp("localhost", port), GENEROUS_MS, &fd));
}

static void localhost_is_tried_as_both(void)
{
    struct artel_listener listener;
    struct artel_listen_options options;
    struct artel_address address = tcp("::1", 0);
    artel_listen_options_init(&options);
    if (artel_listener_open(&listener, &address, &options, fault, sizeof fault) != 0) {
        return; /* no IPv6 here */
    }
    int fd;
    CHECK_INT(0,
              connect_within(tcp("localhost", port_of(listener.fd)), GENEROUS_MS, &fd));
    artel_fd_close(&fd);
    artel_listener_close(&listener);
}

/* Linux does not answer when the backlog is full, so this hangs like a far machine. */
static void a_silent_tcp_listener_times_out(void)
{
    struct artel_listener listener;
    int fds[4] = {-1, -1, -1, -1};
    listen_at(&listener, tcp("127.0.0.1", 0), 0);
    unsigned port = port_of(listener.fd);
    int status = 0;
    for (int i = 0; i < 4 && status == 0; i++) {
        int64_t began = artel_clock_now_ms();
        status = connect_within(tcp("127.0.0.1", port), 50, &fds[i]);
        CHECK(status == 0 || artel_clock_now_ms() - began >= 50);
    }
    CHECK_INT(-ETIMEDOUT, status);
    for (int i = 0; i < 4; i++) {
        artel_fd_close(&fds[i]);
    }
    artel_listener_close(&listener);
}

static void connecting_can_be_done_in_two_steps(void)
{
    struct artel_listener listener;
    struct artel_socket_address form;
    const char *reason;
    listen_at(&listener, tcp("127.0.0.1", 0), 5);
    struct artel_address address = tcp("127.0.0.1", port_of(listener.fd));
    CHECK_INT(1, artel_socket_address_resolve(&address, &form, 1, &reason));
    for (int round = 0; round < 2; round++) {
        int fd = -1;
        int status = artel_connect_begin(&form, &fd);
        if (status == -EINPROGRESS) {
            struct pollfd decided = {fd, POLLOUT, 0};
            CHECK_INT(1, poll(&decided, 1, GENEROUS_MS));
            status = artel_connect_finish(&fd);
        }
        CHECK_INT(round == 0 ? 0 : -ECONNREFUSED, status);
        CHECK((fd >= 0) == (round == 0));
        artel_fd_close(&fd);
        artel_listener_close(&listener); /* in the second round nobody is there */
    }
}

static void note_signal(int number)
{
    (void)number;
}

static void a_signal_interrupts_connecting(void)
{
    struct artel_listener listener;
    int first;
    int second;
    listen_at(&listener, at("interrupted"), 0);
    CHECK_INT(0, connect_within(at("interrupted"), 0, &first));
    struct sigaction action = {.sa_handler = note_signal};
    struct sigaction before;
    sigemptyset(&action.sa_mask);
    CHECK_INT(0, sigaction(SIGVTALRM, &action, &before));
    /* Sent again and again by a child, so the wait cannot miss it. */
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        while (kill(getppid(), SIGVTALRM) == 0) {
        }
        _exit(0);
    }
    int status = connect_within(at("interrupted"), GENEROUS_MS, &second);
    CHECK_INT(0, kill(pid, SIGKILL));
    while (waitpid(pid, NULL, 0) < 0) {
    }
    CHECK_INT(0, sigaction(SIGVTALRM, &before, NULL));
    CHECK_INT(-EINTR, status);
    artel_fd_close(&first);
    artel_listener_close(&listener);
}

static void only_probes_look_like_probes(void)
{
    struct artel_address address = at("artel-probe-x");
    struct artel_socket_address form;
    const char *reason;
    CHECK_INT(1, artel_socket_address_resolve(&address, &form, 1, &reason));
    CHECK(!artel_connect_is_probe(&form));
    memset(&form, 0, sizeof form);
    form.storage.ss_family = AF_UNIX;
    form.len = sizeof(sa_family_t);
    CHECK(!artel_connect_is_probe(&form));
    int fd = -1;
    address = tcp("127.0.0.1", 1);
    CHECK_INT(1, artel_socket_address_resolve(&address, &form, 1, &reason));
    CHECK_INT(-EAFNOSUPPORT, artel_connect_probe(&form, 0, &fd));
}

int main(void)
{
    CHECK(mkdtemp(folder) != NULL);
    RUN(a_unix_connection_is_blocking_and_close_on_exec);
    RUN(a_missing_listener_is_told);
    RUN(a_full_backlog_is_waited_for_until_the_deadline);
    RUN(a_tcp_connection_sends_without_delay);
    RUN(localhost_is_tried_as_both);
    RUN(a_silent_tcp_listener_times_out);
    RUN(connecting_can_be_done_in_two_steps);
    RUN(a_signal_interrupts_connecting);
    RUN(only_probes_look_like_probes);
    CHECK_INT(0, rmdir(folder));
    return 0;
}
