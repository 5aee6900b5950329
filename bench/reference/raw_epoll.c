/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plainest server there can be: an epoll loop on a unix socket that sends back
 * whatever bytes come in. Since it echoes the greeting too, the clients that drive
 * artel's shared worker can drive it as they are.
 *
 *   raw_epoll PATH      prints "ready" when it listens; ends on SIGTERM
 */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define EVENTS 256

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        bench_die(path);
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, SOMAXCONN) < 0) {
        bench_die(path);
    }
    return fd;
}

static void watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        bench_die("epoll_ctl");
    }
}

static void accept_one(int epoll, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        watch(epoll, fd);
    } else if (errno != EAGAIN && errno != ECONNABORTED) {
        bench_die("accept");
    }
}

/* Small messages that are answered at once never fill the socket: a short send is fatal.
 */
static void echo(int fd)
{
    char bytes[65536];
    ssize_t got = recv(fd, bytes, sizeof bytes, 0);
    if (got > 0) {
        bench_send_all(fd, bytes, (size_t)got);
    } else if (got == 0 || errno != EAGAIN) {
        close(fd);
    }
}

int main(int argc, char *argv[])
{
    if (argc != 2) {
        fprintf(stderr, "usage: raw_epoll PATH\n");
        return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    int listener = listen_at(argv[1]);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) {
        bench_die("epoll_create1");
    }
    watch(epoll, listener);
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener) {
                accept_one(epoll, listener);
            } else {
                echo(events[i].data.fd);
            }
        }
    }
}
