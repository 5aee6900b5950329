/* SPDX-License-Identifier: Apache-2.0 */
/* Knows the kernel's forms of an address, and which host names need no name server. */
#include "socket_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

_Static_assert(ARTEL_ADDRESS_PATH_MAX_LEN + 1 <=
                   sizeof((struct sockaddr_un *)0)->sun_path,
               "the longest path fits a socket address");

/* ---- making ---- */

static void make_unix(const char *path, struct artel_socket_address *made)
{
    struct sockaddr_un form = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    memcpy(form.sun_path, path, len + 1);
    memset(made, 0, sizeof *made);
    memcpy(&made->storage, &form, sizeof form);
    made->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
}

/* Asks the C library; a host that is a number is answered without asking anybody else.
 * flags  AI_NUMERICHOST to have nothing but numbers answered, or 0. */
static int ask_resolver(const char *host, uint16_t port, int flags,
                        struct artel_socket_address *list, size_t max, const char **fault)
{
    char service[8];
    snprintf(service, sizeof service, "%u", (unsigned)port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICSERV | flags};
    struct addrinfo *found = NULL;
    int status = getaddrinfo(host, service, &hints, &found);
    if (status != 0) {
        *fault = gai_strerror(status);
        return status == EAI_SYSTEM   ? -errno
               : status == EAI_MEMORY ? -ENOMEM
                                      : -EHOSTUNREACH;
    }
    size_t count = 0;
    for (struct addrinfo *each = found; each != NULL && count < max;
         each = each->ai_next) {
        if (each->ai_addrlen <= sizeof list[count].storage) {
            memset(&list[count], 0, sizeof list[count]);
            memcpy(&list[count].storage, each->ai_addr, each->ai_addrlen);
            list[count].len = each->ai_addrlen;
            count++;
        }
    }
    freeaddrinfo(found);
    *fault = "the host has no address";
    return count > 0 ? (int)count : -EHOSTUNREACH;
}

static int resolve(const struct artel_address *address, int flags,
                   struct artel_socket_address *list, size_t max, const char **fault)
{
    if (address->is_unix) {
        make_unix(address->path, &list[0]);
        return 1;
    }
    if (strcasecmp(address->host, "localhost") != 0) {
        return ask_resolver(address->host, address->port, flags, list, max, fault);
    }
    int status = ask_resolver("127.0.0.1", address->port, flags, list, 1, fault);
    if (status == 1 && max > 1 &&
        ask_resolver("::1", address->port, flags, list + 1, 1, fault) == 1) {
        status = 2;
    }
    return status;
}

int artel_socket_address_resolve(const struct artel_address *address,
                                 struct artel_socket_address *list, size_t max,
                                 const char **fault)
{
    return resolve(address, 0, list, max, fault);
}

int artel_socket_address_resolve_here(const struct artel_address *address,
                                      struct artel_socket_address *list, size_t max)
{
    const char *fault;
    int count = resolve(address, AI_NUMERICHOST, list, max, &fault);
    return count == -EHOSTUNREACH ? -EAGAIN : count;
}

/* ---- reading ---- */

bool artel_socket_address_number(const struct artel_socket_address *address,
                                 unsigned char number[16], unsigned *port)
{
    if (address->storage.ss_family == AF_INET6) {
        struct sockaddr_in6 form;
        memcpy(&form, &address->storage, sizeof form);
        memcpy(number, &form.sin6_addr, 16);
        *port = ntohs(form.sin6_port);
        return true;
    }
    if (address->storage.ss_family == AF_INET) {
        struct sockaddr_in form;
        memcpy(&form, &address->storage, sizeof form);
        memset(number, 0, 10);
        memset(number + 10, 0xff, 2);
        memcpy(number + 12, &form.sin_addr, 4);
        *port = ntohs(form.sin_port);
        return true;
    }
    return false;
}

/* The path, or NULL for a socket without one (also for Linux's abstract names). */
static const char *path_of(const struct artel_socket_address *address)
{
    size_t start = offsetof(struct sockaddr_un, sun_path);
    const struct sockaddr_un *form = (const void *)&address->storage;
    if (address->storage.ss_family != AF_UNIX || address->len <= start ||
        form->sun_path[0] == '\0') {
        return NULL;
    }
    return form->sun_path; /* storage is larger and zeroed, so a zero byte follows */
}

void artel_socket_address_text(const struct artel_socket_address *address,
                               char text[ARTEL_SOCKET_ADDRESS_TEXT_LEN])
{
    char host[INET6_ADDRSTRLEN + 20]; /* with the number of a zone */
    unsigned char number[16];
    unsigned port;
    text[0] = '\0';
    if (!artel_socket_address_number(address, number, &port)) {
        const char *path = path_of(address);
        snprintf(text, ARTEL_SOCKET_ADDRESS_TEXT_LEN, "%s", path != NULL ? path : "");
        return;
    }
    struct in6_addr wide;
    memcpy(&wide, number, sizeof wide);
    if (IN6_IS_ADDR_V4MAPPED(&wide)) {
        inet_ntop(AF_INET, number + 12, host, sizeof host);
        snprintf(text, ARTEL_SOCKET_ADDRESS_TEXT_LEN, "%s:%u", host, port);
        return;
    }
    inet_ntop(AF_INET6, &wide, host, sizeof host);
    struct sockaddr_in6 form;
    memcpy(&form, &address->storage, sizeof form);
    if (form.sin6_scope_id != 0) { /* link-local: without its link it leads nowhere */
        size_t len = strlen(host);
        snprintf(host + len, sizeof host - len, "%%%u", (unsigned)form.sin6_scope_id);
    }
    snprintf(text, ARTEL_SOCKET_ADDRESS_TEXT_LEN, "[%s]:%u", host, port);
}

bool artel_socket_address_equals(const struct artel_socket_address *left,
                                 const struct artel_socket_address *right)
{
    unsigned char numbers[2][16];
    unsigned ports[2];
    if (artel_socket_address_number(left, numbers[0], &ports[0]) &&
        artel_socket_address_number(right, numbers[1], &ports[1])) {
        return ports[0] == ports[1] && memcmp(numbers[0], numbers[1], 16) == 0;
    }
    const char *left_path = path_of(left);
    const char *right_path = path_of(right);
    return left_path != NULL && right_path != NULL && strcmp(left_path, right_path) == 0;
}
