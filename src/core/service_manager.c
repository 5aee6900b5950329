/* SPDX-License-Identifier: Apache-2.0 */
/* Knows the two protocols of sd_listen_fds(3) and sd_notify(3), which are stable. */
#include "service_manager.h"

#include "fd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A whole decimal number, or -1. */
static long parse_number(const char *text)
{
    char *end = NULL;
    errno = 0;
    long number = strtol(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' ? number : -1;
}

/* How many descriptors are meant for this process; -EINVAL. */
static int count_fds(char *fault, size_t fault_len)
{
    const char *pid_text = getenv("LISTEN_PID");
    const char *fds_text = getenv("LISTEN_FDS");
    if (pid_text == NULL || fds_text == NULL ||
        parse_number(pid_text) != (long)getpid()) {
        return 0;
    }
    long fds = parse_number(fds_text);
    if (fds < 0 || fds > ARTEL_SERVICE_FDS_MAX) {
        snprintf(fault, fault_len, "LISTEN_FDS is \"%s\", which is no number of sockets",
                 fds_text);
        return -EINVAL;
    }
    return (int)fds;
}

int artel_service_manager_take(struct artel_service_manager *manager, char *fault,
                               size_t fault_len)
{
    *manager = (struct artel_service_manager){0, NULL};
    int fds = count_fds(fault, fault_len);
    int status = fds < 0 ? fds : 0;
    const char *path = getenv("NOTIFY_SOCKET");
    if (status == 0 && path != NULL && (path[0] == '/' || path[0] == '@')) {
        manager->notify_path = strdup(path);
        if (manager->notify_path == NULL) {
            snprintf(fault, fault_len, "no memory");
            status = -ENOMEM;
        }
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    unsetenv("NOTIFY_SOCKET");
    for (int i = 0; status == 0 && i < fds; i++) {
        status = artel_fd_set_cloexec(ARTEL_SERVICE_FIRST_FD + i, true);
        if (status < 0) {
            snprintf(fault, fault_len, "descriptor %d of LISTEN_FDS: %s",
                     ARTEL_SERVICE_FIRST_FD + i, strerror(-status));
        }
    }
    if (status == 0) {
        manager->fds = fds;
    }
    return status;
}

int artel_service_manager_notify(const struct artel_service_manager *manager,
                                 const char *text)
{
    if (manager->notify_path == NULL) {
        return 0;
    }
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(manager->notify_path);
    if (len >= sizeof address.sun_path) {
        return -ENAMETOOLONG;
    }
    memcpy(address.sun_path, manager->notify_path, len);
    if (address.sun_path[0] == '@') {
        address.sun_path[0] = '\0'; /* Linux's abstract names are written so */
    }
    socklen_t address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    ssize_t sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL,
                          (const struct sockaddr *)&address, address_len);
    int status = sent < 0 ? -errno : 0;
    artel_fd_close(&fd);
    return status;
}

void artel_service_manager_fini(struct artel_service_manager *manager)
{
    free(manager->notify_path);
    *manager = (struct artel_service_manager){0, NULL};
}
