/* SPDX-License-Identifier: Apache-2.0 */
/* The first transport: bytes over a connected stream socket. */
#include "error.h"
#include "fd.h"
#include "transport.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>

/* Whether some event loop has made the descriptor so. A blocking recv that answers EAGAIN
 * has otherwise waited as long as it may. */
static bool is_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && (flags & O_NONBLOCK) != 0;
}

/* Waits as the receive timeout would have. */
static ssize_t wait_and_receive(int fd, void *into, size_t len)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    if (poll(&wanted, 1, ARTEL_TRANSPORT_BLOCK_MS) < 0) {
        return -errno;
    }
    ssize_t got = recv(fd, into, len, MSG_DONTWAIT);
    return got < 0 ? -errno : got;
}

static ssize_t socket_read(struct artel_transport *self, void *into, size_t len,
                           bool block)
{
    ssize_t got = recv(self->fd, into, len, block ? 0 : MSG_DONTWAIT);
    if (got < 0) {
        got = -errno;
        if (got == -EINTR && !block) {
            return -EAGAIN;
        }
        if (got == -EAGAIN && block && is_nonblocking(self->fd)) {
            got = wait_and_receive(self->fd, into, len);
        }
    }
    /* A reset is what an end looks like when the peer left bytes of ours unread. */
    return got == 0 || got == -ECONNRESET ? ARTEL_E_EOF : got;
}

static ssize_t send_parts(int fd, const struct iovec *parts, int count)
{
    static const int FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL;
    if (count == 1) { /* nearly always, and to the kernel the simpler question */
        return send(fd, parts->iov_base, parts->iov_len, FLAGS);
    }
    struct msghdr message = {.msg_iov = (struct iovec *)parts,
                             .msg_iovlen = (size_t)count};
    return sendmsg(fd, &message, FLAGS);
}

static ssize_t socket_writev(struct artel_transport *self, const struct iovec *parts,
                             int count)
{
    ssize_t sent;
    do {
        sent = send_parts(self->fd, parts, count);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) {
        return sent;
    }
    int status = -errno;
    if (status == -EAGAIN || status == -ENOBUFS || status == -ENOMEM) {
        return 0;
    }
    if (status != -EPIPE && status != -ECONNRESET) {
        /* Only we know: without the end nobody would ever answer what has not left. */
        (void)shutdown(self->fd, SHUT_RDWR);
    }
    return status;
}

static bool socket_arm(struct artel_transport *self, bool want_read, bool want_write,
                       short *events)
{
    (void)self;
    *events = (short)((want_read ? POLLIN : 0) | (want_write ? POLLOUT : 0));
    return false;
}

static bool socket_ready(struct artel_transport *self, bool want_read, bool want_write)
{
    (void)self, (void)want_read, (void)want_write;
    return false; /* only the kernel knows */
}

static struct artel_spin *socket_spin(struct artel_transport *self, unsigned resting)
{
    (void)self;
    (void)resting;
    return NULL;
}

static bool socket_peer_rests(struct artel_transport *self)
{
    (void)self;
    return false;
}

static int socket_shutdown_write(struct artel_transport *self)
{
    return shutdown(self->fd, SHUT_WR) < 0 ? -errno : 0;
}

static int socket_shutdown_read(struct artel_transport *self)
{
    return shutdown(self->fd, SHUT_RD) < 0 ? -errno : 0;
}

static void socket_free(struct artel_transport *self)
{
    artel_fd_close(&self->fd);
    free(self);
}

static const struct artel_transport_ops SOCKET_OPS = {
    .name = "socket",
    .read = socket_read,
    .writev = socket_writev,
    .arm = socket_arm,
    .ready = socket_ready,
    .spin = socket_spin,
    .peer_rests = socket_peer_rests,
    .shutdown_write = socket_shutdown_write,
    .shutdown_read = socket_shutdown_read,
    .free = socket_free,
};

int artel_socket_transport_new(struct artel_transport **transport, int fd)
{
    struct artel_transport *self = malloc(sizeof *self);
    if (self == NULL) {
        return -ENOMEM;
    }
    /* With a receive timeout a blocked recv also answers EINTR after a signal, whatever
     * SA_RESTART says (signal(7)): that is how Ctrl-C gets through. */
    struct timeval limit = {.tv_sec = ARTEL_TRANSPORT_BLOCK_MS / 1000};
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0) {
        int status = -errno;
        free(self);
        return status;
    }
    *self = (struct artel_transport){.ops = &SOCKET_OPS, .fd = fd};
    *transport = self;
    return 0;
}
