/* SPDX-License-Identifier: Apache-2.0 */
/* Where standard output and error go. */
#ifndef ARTEL_CORE_OUTPUT_H
#define ARTEL_CORE_OUTPUT_H

/*
 * Makes path (appended, created with mode 0640, no symbolic link followed) standard
 * output and error. Never waits: a pipe that nobody reads is -ENXIO. 0 or a negated errno
 * with both as they were.
 */
int artel_output_redirect(const char *path);

#endif
