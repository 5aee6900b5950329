/* SPDX-License-Identifier: Apache-2.0 */
/* The host: one worker from its profile to its end. */
#ifndef ARTEL_HOST_HOST_H
#define ARTEL_HOST_HOST_H

/*
 * Runs the worker whose master is at the other end of descriptor 3. bootstrap_file is
 * NULL, or a file that holds the profile. Answers the exit code of the process.
 */
int artel_host_run(const char *bootstrap_file);

#endif
