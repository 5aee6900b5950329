/* SPDX-License-Identifier: Apache-2.0 */
/* The host: one worker from its profile to its end. */
#ifndef ARTEL_HOST_HOST_H
#define ARTEL_HOST_HOST_H

/*
 * Runs the worker whose master is at the other end of descriptor 3; or, with
 * bootstrap_file, the shared worker whose profile is in that file, for a service manager.
 * Ends the process, or answers its exit code.
 */
int artel_host_run(const char *bootstrap_file);

#endif
