/* SPDX-License-Identifier: Apache-2.0 */
/* Knows how the process at the other end is found out. */
#include "peer.h"

#include "connect.h"
#include "fd.h"
#include "tcp_listeners.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int artel_peer_credentials(int fd, struct artel_peer_credentials *credentials)
{
    struct ucred found;
    socklen_t len = sizeof found;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &found, &len) < 0) {
        return -errno;
    }
    if (found.uid == (uid_t)-1) {
        return -ENOTCONN; /* not a unix socket */
    }
    credentials->pid = found.pid;
    credentials->uid = found.uid;
    credentials->gid = found.gid;
    return 0;
}

int artel_peer_name(int fd, char name[ARTEL_SOCKET_ADDRESS_TEXT_LEN])
{
    struct artel_socket_address address;
    memset(&address, 0, sizeof address);
    address.len = sizeof address.storage;
    if (getpeername(fd, (struct sockaddr *)&address.storage, &address.len) < 0) {
        return -errno;
    }
    if (address.storage.ss_family != AF_UNIX) {
        artel_socket_address_text(&address, name);
        return 0;
    }
    struct artel_peer_credentials credentials = {0};
    int status = artel_peer_credentials(fd, &credentials);
    if (status == 0) {
        snprintf(name, ARTEL_SOCKET_ADDRESS_TEXT_LEN, "pid:%ld uid:%lu",
                 (long)credentials.pid, (unsigned long)credentials.uid);
    }
    return status;
}

int artel_peer_listening_process(const struct artel_socket_address *address,
                                 int64_t deadline_ms, pid_t *pid)
{
    if (address->storage.ss_family != AF_UNIX) {
        struct artel_tcp_listener listener;
        int status = artel_tcp_listener_find(address, &listener);
        return status < 0 ? status : artel_tcp_listener_process(&listener, pid);
    }
    int fd = -1;
    int status = artel_connect_probe(address, deadline_ms, &fd);
    struct artel_peer_credentials credentials = {0};
    if (status == 0) {
        status = artel_peer_credentials(fd, &credentials);
    }
    if (status == 0 && credentials.pid == 0) {
        status = -EACCES;
    }
    if (status == 0) {
        *pid = credentials.pid;
    }
    artel_fd_close(&fd);
    return status;
}

int artel_peer_watch(pid_t pid, int *fd)
{
    int fresh = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fresh < 0) {
        return -errno;
    }
    int status = artel_fd_leave_standard(&fresh);
    if (status < 0) {
        artel_fd_close(&fresh);
        return status;
    }
    *fd = fresh;
    return 0;
}

size_t artel_peer_unsent_len(int fd)
{
    int len = 0;
    return ioctl(fd, SIOCOUTQ, &len) == 0 && len > 0 ? (size_t)len : 0;
}
