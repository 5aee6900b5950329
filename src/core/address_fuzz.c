/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text is either refused with a reason, or an address that stays the same when it is
 * written out again and that the kernel's form can be made of.
 */
#include "address.h"
#include "socket_address.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void check_same(const struct artel_address *left,
                       const struct artel_address *right)
{
    require(left->is_unix == right->is_unix && left->port == right->port);
    require(strcmp(left->path, right->path) == 0 && strcmp(left->host, right->host) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct artel_address address;
    const char *fault = NULL;
    char *text = malloc(len); /* of the exact length, so that a read past it is caught */
    require(text != NULL || len == 0);
    if (len > 0) {
        memcpy(text, data, len);
    }
    int status = artel_address_parse(&address, text != NULL ? text : "", len, &fault);
    free(text);
    if (status < 0) {
        require(fault != NULL && fault[0] != '\0');
        return 0;
    }
    char again[400];
    bool bracketed = !address.is_unix && strchr(address.host, ':') != NULL;
    if (address.is_unix) {
        snprintf(again, sizeof again, "unix://%s", address.path);
    } else {
        snprintf(again, sizeof again, bracketed ? "tcp://[%s]:%u" : "tcp://%s:%u",
                 address.host, (unsigned)address.port);
    }
    struct artel_address second;
    require(artel_address_parse(&second, again, strlen(again), &fault) == 0);
    check_same(&address, &second);

    struct artel_socket_address list[ARTEL_SOCKET_ADDRESS_MAX];
    char form[ARTEL_SOCKET_ADDRESS_TEXT_LEN];
    /* Only these ask no name server; a zone may name a link that is not here. */
    if (bracketed || address.is_unix) {
        int count = artel_socket_address_resolve(&address, list, 1, &fault);
        require(count == 1 || (bracketed && strchr(address.host, '%') != NULL));
        if (count == 1) {
            artel_socket_address_text(&list[0], form);
            require(form[0] != '\0');
        }
    }
    /* What no other machine reaches is on this one. */
    require(artel_address_is_network_exposed(&address) ||
            artel_address_is_local(&address));
    return 0;
}
