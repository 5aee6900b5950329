/* SPDX-License-Identifier: Apache-2.0 */
/* What a service manager (systemd) tells a process at its start, and wants to hear. */
#ifndef ARTEL_CORE_SERVICE_MANAGER_H
#define ARTEL_CORE_SERVICE_MANAGER_H

#include <stddef.h>

/* The first descriptor that is handed over; further ones follow it. */
#define ARTEL_SERVICE_FIRST_FD 3

/* More sockets than this are no sensible configuration. */
#define ARTEL_SERVICE_FDS_MAX 256

struct artel_service_manager {
    int fds;           /* descriptors handed over to this very process; 0: none */
    char *notify_path; /* where it wants to hear from us; owned; NULL: nowhere */
};

/*
 * Takes LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES and NOTIFY_SOCKET out of the environment,
 * so that no child believes they were meant for it, and makes the descriptors
 * close-on-exec. 0, or a negated errno with a sentence in fault: -EINVAL for what cannot
 * be understood, -ENOMEM.
 */
int artel_service_manager_take(struct artel_service_manager *manager, char *fault,
                               size_t fault_len);

/* Sends a line such as "READY=1". 0 also when nobody wants to hear; or a negated errno.
 */
int artel_service_manager_notify(const struct artel_service_manager *manager,
                                 const char *text);

void artel_service_manager_fini(struct artel_service_manager *manager);

#endif
