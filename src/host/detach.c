/* SPDX-License-Identifier: Apache-2.0 */
/* Knows the one fork that makes a daemon out of what a master has started. */
#include "detach.h"

#include <errno.h>
#include <sys/types.h>
#include <unistd.h>

int artel_host_detach(void)
{
    pid_t child = fork();
    if (child < 0) {
        return -errno;
    }
    if (child > 0) {
        _exit(0); /* nothing was opened or buffered yet that could be flushed twice */
    }
    return 0;
}
