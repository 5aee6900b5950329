/* SPDX-License-Identifier: Apache-2.0 */
/* The Lua modules compiled into the host (written at build time by embed.c). */
#ifndef ARTEL_HOST_MODULES_H
#define ARTEL_HOST_MODULES_H

#include <stddef.h>

struct artel_host_module {
    const char *name; /* as for require; NULL ends the list */
    const unsigned char *code;
    size_t code_len; /* bytes */
};

extern const struct artel_host_module ARTEL_HOST_MODULES[];

#endif
