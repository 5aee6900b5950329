/* SPDX-License-Identifier: Apache-2.0 */
/* Knows how a connection is made within a deadline without a signal or another thread. */
#include "connect.h"

#include "clock.h"
#include "fd.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

/* Abstract: leaves no file, and no path can begin so. */
#define PROBE_PREFIX "\0artel-probe-"
#define PROBE_PREFIX_LEN (sizeof PROBE_PREFIX - 1)

static bool is_unix(const struct artel_socket_address *address)
{
    return address->storage.ss_family == AF_UNIX;
}

static int open_socket(const struct artel_socket_address *address, int flags)
{
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (fd < 0) {
        return -errno;
    }
    int status = artel_fd_leave_standard(&fd);
    if (status < 0) {
        artel_fd_close(&fd);
        return status;
    }
    return fd;
}

static int start_connecting(int fd, const struct artel_socket_address *address)
{
    return connect(fd, (const struct sockaddr *)&address->storage, address->len) == 0
               ? 0
               : -errno;
}

/* ---- TCP ---- */

/*
 * A connection to a local port that nobody listens at may, if the kernel chose that very
 * port for our end, meet itself.
 */
static bool is_connected_to_itself(int fd)
{
    struct artel_socket_address ends[2];
    memset(ends, 0, sizeof ends);
    ends[0].len = ends[1].len = sizeof ends[0].storage;
    return getsockname(fd, (struct sockaddr *)&ends[0].storage, &ends[0].len) == 0 &&
           getpeername(fd, (struct sockaddr *)&ends[1].storage, &ends[1].len) == 0 &&
           artel_socket_address_equals(&ends[0], &ends[1]);
}

static int finish(int fd)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0) {
        return -errno;
    }
    if (error != 0) {
        return -error;
    }
    if (is_connected_to_itself(fd)) {
        return -ECONNREFUSED;
    }
    int on = 1; /* neither is worth failing for; unix sockets refuse the first */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    return artel_fd_set_nonblocking(fd, false);
}

int artel_connect_finish(int *fd)
{
    int status = finish(*fd);
    if (status < 0) {
        artel_fd_close(fd);
    }
    return status;
}

int artel_connect_begin(const struct artel_socket_address *address, int *fd)
{
    int fresh = open_socket(address, SOCK_NONBLOCK);
    if (fresh < 0) {
        return fresh;
    }
    int status = start_connecting(fresh, address);
    if (status == -EINTR) {
        status = -EINPROGRESS; /* goes on without us, as POSIX has it */
    }
    if (status == 0) {
        status = artel_connect_finish(&fresh);
    }
    if (status == 0 || status == -EINPROGRESS) {
        *fd = artel_fd_take(&fresh);
    }
    artel_fd_close(&fresh);
    return status;
}

int artel_connect_watch(int fd, int *watch)
{
    int fresh = epoll_create1(EPOLL_CLOEXEC);
    int status = fresh < 0 ? -errno : artel_fd_leave_standard(&fresh);
    struct epoll_event wanted = {.events = EPOLLOUT};
    if (status == 0 && epoll_ctl(fresh, EPOLL_CTL_ADD, fd, &wanted) < 0) {
        status = -errno;
    }
    if (status == 0) {
        *watch = artel_fd_take(&fresh);
    }
    artel_fd_close(&fresh);
    return status;
}

static int connect_tcp(const struct artel_socket_address *address, int64_t deadline_ms,
                       int *fd)
{
    int fresh = -1;
    int status = artel_connect_begin(address, &fresh);
    while (status == -EINPROGRESS) {
        int timeout_ms = artel_clock_poll_timeout(deadline_ms);
        struct pollfd decided = {fresh, POLLOUT, 0};
        int count = poll(&decided, 1, timeout_ms);
        if (count < 0) {
            status = -errno;
        } else if (count > 0) {
            status = artel_connect_finish(&fresh);
        } else if (timeout_ms >= 0 && artel_clock_poll_timeout(deadline_ms) == 0) {
            status = -ETIMEDOUT;
        }
    }
    if (status == 0) {
        *fd = artel_fd_take(&fresh);
    }
    artel_fd_close(&fresh);
    return status;
}

/* ---- unix ---- */

static int limit_sending(int fd, int timeout_ms)
{
    struct timeval limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
    return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0 ? 0
                                                                              : -errno;
}

/*
 * There is nothing to poll while a unix listener's backlog is full; but a connect that
 * blocks ends at the socket's send timeout.
 */
static int connect_unix_socket(int fd, const struct artel_socket_address *address,
                               int64_t deadline_ms)
{
    int timeout_ms = artel_clock_poll_timeout(deadline_ms);
    if (timeout_ms == 0) {
        int status = artel_fd_set_nonblocking(fd, true);
        if (status == 0) {
            status = start_connecting(fd, address);
        }
        return status == 0 ? artel_fd_set_nonblocking(fd, false) : status;
    }
    int status = timeout_ms > 0 ? limit_sending(fd, timeout_ms) : 0;
    if (status == 0) {
        status = start_connecting(fd, address);
    }
    return status == 0 && timeout_ms > 0 ? limit_sending(fd, 0) : status;
}

/* name: what our own end is called, or NULL for nothing. */
static int connect_unix(const struct artel_socket_address *address,
                        const struct artel_socket_address *name, int64_t deadline_ms,
                        int *fd)
{
    int fresh = open_socket(address, 0);
    if (fresh < 0) {
        return fresh;
    }
    int status = 0;
    if (name != NULL &&
        bind(fresh, (const struct sockaddr *)&name->storage, name->len) < 0) {
        status = -errno;
    }
    if (status == 0) {
        status = connect_unix_socket(fresh, address, deadline_ms);
    }
    if (status == 0) {
        *fd = artel_fd_take(&fresh);
    }
    artel_fd_close(&fresh);
    return status == -EAGAIN ? -ETIMEDOUT : status;
}

/* ---- probes ---- */

int artel_connect_probe(const struct artel_socket_address *address, int64_t deadline_ms,
                        int *fd)
{
    if (!is_unix(address)) {
        return -EAFNOSUPPORT;
    }
    unsigned long long chance = 0; /* so that two probes do not want one name */
    while (getrandom(&chance, sizeof chance, 0) < 0) { /* so few bytes come whole */
        if (errno != EINTR) {
            return -errno;
        }
    }
    struct sockaddr_un form = {.sun_family = AF_UNIX};
    memcpy(form.sun_path, PROBE_PREFIX, PROBE_PREFIX_LEN);
    int len = snprintf(form.sun_path + PROBE_PREFIX_LEN,
                       sizeof form.sun_path - PROBE_PREFIX_LEN, "%016llx", chance);
    struct artel_socket_address name;
    memset(&name, 0, sizeof name);
    memcpy(&name.storage, &form, sizeof form);
    name.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + PROBE_PREFIX_LEN +
                           (size_t)len);
    return connect_unix(address, &name, deadline_ms, fd);
}

bool artel_connect_is_probe(const struct artel_socket_address *address)
{
    size_t start = offsetof(struct sockaddr_un, sun_path);
    const struct sockaddr_un *form = (const void *)&address->storage;
    return is_unix(address) && address->len > start + PROBE_PREFIX_LEN &&
           memcmp(form->sun_path, PROBE_PREFIX, PROBE_PREFIX_LEN) == 0;
}

/* ---- both ---- */

/* The time for one of several tries: half of what is left, unless it is the last. */
static int64_t share_of(int64_t deadline_ms, bool is_last)
{
    if (is_last || deadline_ms == ARTEL_NO_DEADLINE) {
        return deadline_ms;
    }
    int64_t now = artel_clock_now_ms();
    return deadline_ms <= now ? deadline_ms : now + (deadline_ms - now + 1) / 2;
}

int artel_connect(const struct artel_address *address, int64_t deadline_ms, int *fd,
                  char *fault, size_t fault_len)
{
    struct artel_socket_address list[ARTEL_SOCKET_ADDRESS_MAX];
    const char *reason = "";
    int count =
        artel_socket_address_resolve(address, list, ARTEL_SOCKET_ADDRESS_MAX, &reason);
    if (count < 0) {
        snprintf(fault, fault_len, "cannot resolve %s: %s", address->host, reason);
        return count;
    }
    int first_failure = 0; /* the best address's: what is told when all fail */
    for (int i = 0; i < count; i++) {
        int status =
            is_unix(&list[i])
                ? connect_unix(&list[i], NULL, deadline_ms, fd)
                : connect_tcp(&list[i], share_of(deadline_ms, i + 1 == count), fd);
        if (status == 0) {
            snprintf(fault, fault_len, "%s", ""); /* an earlier try may have failed */
            return 0;
        }
        if (first_failure == 0 || status == -EINTR) {
            char text[ARTEL_SOCKET_ADDRESS_TEXT_LEN];
            artel_socket_address_text(&list[i], text);
            snprintf(fault, fault_len, "cannot connect to %s: %s", text,
                     strerror(-status));
            first_failure = status;
        }
        if (status == -EINTR) {
            break;
        }
    }
    return first_failure;
}
