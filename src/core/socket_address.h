/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as the kernel wants them, and how those are written for people. */
#ifndef ARTEL_CORE_SOCKET_ADDRESS_H
#define ARTEL_CORE_SOCKET_ADDRESS_H

#include "address.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct artel_socket_address {
    struct sockaddr_storage storage;
    socklen_t len;
};

/* Room for the longest text: a path, or "[IPv6%zone]:port". */
#define ARTEL_SOCKET_ADDRESS_TEXT_LEN 160

/* No name needs more; further answers of a name server are not tried. */
#define ARTEL_SOCKET_ADDRESS_MAX 8

/*
 * Answers what an address stands for, the best first: 1 to max of them in list. Numbers,
 * unix paths and "localhost" (which is 127.0.0.1, then ::1) ask nobody; any other host
 * asks the system's resolver, which may wait for a name server.
 * The count; or a negated errno (-EHOSTUNREACH for a name nobody knows) with the reason
 * as a static phrase in *fault.
 */
int artel_socket_address_resolve(const struct artel_address *address,
                                 struct artel_socket_address *list, size_t max,
                                 const char **fault);

/* The same, but never asks a name server: -EAGAIN when one would have to be asked. */
int artel_socket_address_resolve_here(const struct artel_address *address,
                                      struct artel_socket_address *list, size_t max);

/* "127.0.0.1:4000", "[::1]:4000" or a path; an IPv4 address in IPv6 clothes as IPv4.
 * "" for anything else, also for a socket without a name. */
void artel_socket_address_text(const struct artel_socket_address *address,
                               char text[ARTEL_SOCKET_ADDRESS_TEXT_LEN]);

/* Whether both name the same place; an IPv4 address in IPv6 clothes equals the plain one.
 */
bool artel_socket_address_equals(const struct artel_socket_address *left,
                                 const struct artel_socket_address *right);

/*
 * TCP only: the number in IPv6 form, IPv4 mapped, so that all compare alike; with the
 * port in host order. False for other families.
 */
bool artel_socket_address_number(const struct artel_socket_address *address,
                                 unsigned char number[16], unsigned *port);

#endif
