/* SPDX-License-Identifier: Apache-2.0 */
/* Knows how a socket is made to listen, and which failures of accept mean what. */
#include "listen.h"

#include "connect.h"
#include "fd.h"
#include "socket_file.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

void artel_listen_options_init(struct artel_listen_options *options)
{
    *options = (struct artel_listen_options){.backlog = SOMAXCONN,
                                             .mode = 0600,
                                             .owner = (uid_t)-1,
                                             .group = (gid_t)-1,
                                             .keep_alive = true,
                                             .no_delay = true};
}

void artel_listener_init(struct artel_listener *listener)
{
    memset(listener, 0, sizeof *listener);
    listener->fd = -1;
}

static bool is_unix(const struct artel_socket_address *address)
{
    return address->storage.ss_family == AF_UNIX;
}

static const char *path_of(const struct artel_listener *listener)
{
    return ((const struct sockaddr_un *)(const void *)&listener->address.storage)
        ->sun_path;
}

/* ---- opening ---- */

static int set_option(int fd, int level, int name, bool on)
{
    int value = on ? 1 : 0;
    return setsockopt(fd, level, name, &value, sizeof value) == 0 ? 0 : -errno;
}

/* What connections are to have: on Linux they inherit it from the listening socket. */
static int set_connection_options(int fd, const struct artel_listen_options *options)
{
    int status = set_option(fd, SOL_SOCKET, SO_KEEPALIVE, options->keep_alive);
    if (status == 0) {
        status = set_option(fd, IPPROTO_TCP, TCP_NODELAY, options->no_delay);
    }
    return status;
}

static int bind_to(const struct artel_listener *listener)
{
    return bind(listener->fd, (const struct sockaddr *)&listener->address.storage,
                listener->address.len) == 0
               ? 0
               : -errno;
}

static int open_tcp(struct artel_listener *listener,
                    const struct artel_listen_options *options)
{
    int status = set_option(listener->fd, SOL_SOCKET, SO_REUSEADDR, true);
    if (status == 0 && options->reuse_port) {
        status = set_option(listener->fd, SOL_SOCKET, SO_REUSEPORT, true);
    }
    if (status == 0 && listener->address.storage.ss_family == AF_INET6) {
        status = set_option(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, options->ipv6_only);
    }
    if (status == 0) {
        status = set_connection_options(listener->fd, options);
    }
    return status == 0 ? bind_to(listener) : status;
}

static int open_unix(struct artel_listener *listener,
                     const struct artel_listen_options *options)
{
    int status = artel_socket_file_clear(&listener->address);
    if (status == 0) {
        status = artel_socket_file_make_folders(path_of(listener), (uid_t)-1, (gid_t)-1);
    }
    /* Before bind: so there is no moment at which others may connect. */
    if (status == 0 && fchmod(listener->fd, options->mode) < 0) {
        status = -errno;
    }
    if (status == 0) {
        status = bind_to(listener);
    }
    if (status == 0) {
        status =
            artel_socket_file_guard(path_of(listener), options->owner, options->group,
                                    options->mode, &listener->device, &listener->inode);
        if (status < 0) {
            (void)unlink(path_of(listener)); /* bound this instant, so it is ours */
        }
        listener->owns_file = status == 0;
    }
    return status;
}

static const char *sentence(int status)
{
    switch (status) {
    case -EADDRINUSE:
        return "somebody else listens there";
    case -ENOTSOCK:
        return "there is a file that is no socket";
    default:
        return strerror(-status);
    }
}

int artel_listener_open(struct artel_listener *listener,
                        const struct artel_address *address,
                        const struct artel_listen_options *options, char *fault,
                        size_t fault_len)
{
    artel_listener_init(listener);
    const char *reason = "";
    int status = artel_socket_address_resolve(address, &listener->address, 1, &reason);
    if (status < 0) {
        snprintf(fault, fault_len, "cannot resolve %s: %s", address->host, reason);
        return status;
    }
    listener->owner = getpid();
    listener->fd = socket(listener->address.storage.ss_family,
                          SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    status = listener->fd < 0 ? -errno : artel_fd_leave_standard(&listener->fd);
    if (status == 0) {
        status = is_unix(&listener->address) ? open_unix(listener, options)
                                             : open_tcp(listener, options);
    }
    if (status == 0 && listen(listener->fd, options->backlog) < 0) {
        status = -errno;
    }
    if (status < 0) {
        char text[ARTEL_SOCKET_ADDRESS_TEXT_LEN];
        artel_socket_address_text(&listener->address, text);
        snprintf(fault, fault_len, "cannot listen at %s: %s", text, sentence(status));
        artel_listener_close(listener);
    }
    return status;
}

/* ---- inherited sockets ---- */

static int get_option(int fd, int name, int *value)
{
    socklen_t len = sizeof *value;
    return getsockopt(fd, SOL_SOCKET, name, value, &len) == 0 ? 0 : -errno;
}

int artel_listener_adopt(struct artel_listener *listener, int fd,
                         const struct artel_listen_options *options)
{
    artel_listener_init(listener);
    int listening = 0;
    int type = 0;
    int status = get_option(fd, SO_ACCEPTCONN, &listening);
    if (status == 0) {
        status = get_option(fd, SO_TYPE, &type);
    }
    if (status < 0) {
        return status == -ENOTSOCK ? -EINVAL : status;
    }
    if (listening == 0 || type != SOCK_STREAM) {
        return -EINVAL;
    }
    struct artel_socket_address address;
    memset(&address, 0, sizeof address);
    address.len = sizeof address.storage;
    if (getsockname(fd, (struct sockaddr *)&address.storage, &address.len) < 0) {
        return -errno;
    }
    status = is_unix(&address) ? 0 : set_connection_options(fd, options);
    if (status == 0) {
        status = artel_fd_set_nonblocking(fd, true);
    }
    if (status == 0) {
        status = artel_fd_set_cloexec(fd, true);
    }
    if (status == 0 && listen(fd, options->backlog) < 0) {
        status = -errno;
    }
    if (status == 0) {
        listener->fd = fd;
        listener->address = address;
        listener->owner = getpid();
    }
    return status;
}

bool artel_listener_serves(const struct artel_listener *listener,
                           const struct artel_address *address)
{
    struct artel_socket_address list[ARTEL_SOCKET_ADDRESS_MAX];
    const char *reason;
    int count =
        artel_socket_address_resolve(address, list, ARTEL_SOCKET_ADDRESS_MAX, &reason);
    for (int i = 0; i < count; i++) {
        if (artel_socket_address_equals(&list[i], &listener->address)) {
            return true;
        }
    }
    return false;
}

/* ---- accepting and closing ---- */

/* Whether the failure is that of one connection, with others perhaps behind it: Linux
 * hands out here what the network had to say about it. */
static bool concerns_one_connection(int error)
{
    switch (error) {
    case EINTR:
    case ECONNABORTED:
    case ENETDOWN:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
        return true;
    default:
        return false;
    }
}

/* Who makes probes faster than they are passed over must not hold us. */
#define PASSED_OVER_MAX 64

int artel_listener_accept(struct artel_listener *listener, int *fd)
{
    for (int i = 0; i < PASSED_OVER_MAX; i++) {
        struct artel_socket_address peer;
        memset(&peer, 0, sizeof peer);
        peer.len = sizeof peer.storage;
        int fresh = accept4(listener->fd, (struct sockaddr *)&peer.storage, &peer.len,
                            SOCK_CLOEXEC);
        if (fresh < 0) {
            if (concerns_one_connection(errno)) {
                continue;
            }
            return -errno;
        }
        if (artel_connect_is_probe(&peer)) {
            artel_fd_close(&fresh);
            continue;
        }
        int status = artel_fd_leave_standard(&fresh);
        if (status < 0) {
            artel_fd_close(&fresh);
            return status;
        }
        *fd = fresh;
        return 0;
    }
    return -EAGAIN; /* the listener stays readable */
}

void artel_listener_close(struct artel_listener *listener)
{
    /* First the file, so that nobody finds one that refuses; then what it led to. */
    if (listener->owns_file && listener->owner == getpid()) {
        artel_socket_file_remove(path_of(listener), listener->device, listener->inode);
    }
    listener->owns_file = false;
    artel_fd_close(&listener->fd);
}
