/* SPDX-License-Identifier: Apache-2.0 */
/* Ringing, and sleeping until it rings: the calls of the kernel. */
#include "doorbell.h"

#include "error.h"
#include "transport.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#define DOORBELL_BYTE 0

/* How often, 1 ms apart, a byte is sent again for which the kernel had no memory. */
#define TRIES_MAX 1000

void artel_doorbell_init(struct artel_doorbell *bell, int fd,
                         _Atomic uint32_t *sleeps_for_input,
                         _Atomic uint32_t *sleeps_for_room)
{
    *bell = (struct artel_doorbell){.fd = fd,
                                    .for_input.sleeps = sleeps_for_input,
                                    .for_room.sleeps = sleeps_for_room};
}

/* 0, or a negated errno. */
static int send_byte(struct artel_doorbell *bell)
{
    static const uint8_t BYTE = DOORBELL_BYTE;
    ssize_t sent;
    do {
        sent = send(bell->fd, &BYTE, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

void artel_doorbell_ring(struct artel_doorbell *bell)
{
    int status = send_byte(bell);
    for (int i = 0; i < TRIES_MAX && (status == -ENOBUFS || status == -ENOMEM); i++) {
        (void)poll(NULL, 0, 1);
        status = send_byte(bell);
    }
    if (status < 0 && status != -EAGAIN) {
        bell->ended = true;
        /* The peer's sleep is taken back already: this wakes it in the byte's place. */
        (void)shutdown(bell->fd, SHUT_RDWR);
    } /* EAGAIN: it has not taken thousands of bytes, so there is what wakes it */
}

/* As recv; *are_ours: whether all were a doorbell's. */
static ssize_t receive(struct artel_doorbell *bell, size_t len, int flags, bool *are_ours)
{
    uint8_t bytes[64];
    ssize_t got = recv(bell->fd, bytes, len < sizeof bytes ? len : sizeof bytes, flags);
    *are_ours = true;
    for (ssize_t i = 0; i < got; i++) {
        *are_ours = *are_ours && bytes[i] == DOORBELL_BYTE;
    }
    return got;
}

int artel_doorbell_look(struct artel_doorbell *bell)
{
    bool peek = bell->owed <= 0;
    bool are_ours;
    ssize_t got = receive(bell, peek ? 1 : (size_t)bell->owed,
                          peek ? MSG_DONTWAIT | MSG_PEEK : MSG_DONTWAIT, &are_ours);
    if (got == 0 || (got < 0 && errno == ECONNRESET)) {
        bell->ended = true;
    } else if (got > 0 && !peek) {
        bell->owed -= (int)got;
    } else if (got > 0 && !artel_doorbell_has_rung_for(&bell->for_input) &&
               !artel_doorbell_has_rung_for(&bell->for_room)) {
        /* Nobody has rung: something else holds the descriptor and writes into it. */
        bool are_too;
        (void)!receive(bell, SIZE_MAX, MSG_DONTWAIT, &are_too);
        are_ours = are_ours && are_too;
    }
    return are_ours ? 0 : ARTEL_E_PROTOCOL;
}

static int poll_only(const struct artel_doorbell *bell)
{
    struct pollfd wanted = {.fd = bell->fd, .events = POLLIN};
    return poll(&wanted, 1, ARTEL_TRANSPORT_BLOCK_MS) < 0 ? -errno : 0;
}

/* Whether some event loop has made it so: then a recv does not wait. */
static bool is_nonblocking(const struct artel_doorbell *bell)
{
    int flags = fcntl(bell->fd, F_GETFL);
    return flags >= 0 && (flags & O_NONBLOCK) != 0;
}

int artel_doorbell_sleep(struct artel_doorbell *bell, bool watched)
{
    if (watched) {
        return poll_only(bell);
    }
    bool are_ours;
    ssize_t got = receive(bell, SIZE_MAX, 0, &are_ours);
    if (got > 0) {
        artel_doorbell_unsay(bell, &bell->for_input);
        int least = artel_doorbell_has_rung_for(&bell->for_room) ? -1 : 0;
        int owed = bell->owed - (int)got;
        bell->owed = owed > least ? owed : least; /* more is nobody's */
        return are_ours ? 0 : ARTEL_E_PROTOCOL;
    }
    if (got == 0 || errno == ECONNRESET) {
        bell->ended = true;
        return 0;
    }
    if (errno == EAGAIN) {
        return is_nonblocking(bell) ? poll_only(bell) : 0;
    }
    return errno == EINTR ? -EINTR : 0;
}
