/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of shared workers: unix://PATH, tcp://HOST:PORT, tcp://[IPV6]:PORT. */
#ifndef ARTEL_CORE_ADDRESS_H
#define ARTEL_CORE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What fits a socket address of the kernel, without the zero byte at the end. */
#define ARTEL_ADDRESS_PATH_MAX_LEN 107
#define ARTEL_ADDRESS_HOST_MAX_LEN 253

struct artel_address {
    bool is_unix;
    char path[ARTEL_ADDRESS_PATH_MAX_LEN + 1]; /* unix: as written, perhaps relative */
    char host[ARTEL_ADDRESS_HOST_MAX_LEN +
              1];  /* tcp: a name or number, without brackets */
    uint16_t port; /* tcp: 1 to 65535 */
};

/*
 * Takes an address apart. text need not end in a zero byte. 0; or -EINVAL, or
 * -ENAMETOOLONG for a path the kernel cannot hold, with *address untouched and the reason
 * as a static phrase ("has no port") in *fault.
 */
int artel_address_parse(struct artel_address *address, const char *text, size_t len,
                        const char **fault);

/*
 * Whether a worker at the address would run on this machine: unix, localhost, loopback,
 * the wildcard, or the number of one of our interfaces. Never asks a name server, so any
 * other name counts as remote.
 */
bool artel_address_is_local(const struct artel_address *address);

/* Whether another machine may reach it: anything but unix, localhost and loopback. */
bool artel_address_is_network_exposed(const struct artel_address *address);

#endif
