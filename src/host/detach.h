/* SPDX-License-Identifier: Apache-2.0 */
/* Leaving whoever has started us. */
#ifndef ARTEL_HOST_DETACH_H
#define ARTEL_HOST_DETACH_H

/*
 * Goes on in a child, while this process ends with status 0: who has started it can wait
 * for that, and has no child left. In a session that the starter has made, the child does
 * not lead it, so it can never get a terminal. 0, or a negated errno in the process
 * itself. For a process with one thread.
 */
int artel_host_detach(void);

#endif
