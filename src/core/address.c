/* SPDX-License-Identifier: Apache-2.0 */
/* Knows how addresses are written, and which numbers mean this machine. */
#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#define UNIX_SCHEME "unix://"
#define TCP_SCHEME "tcp://"

static bool begins_with(const char *text, size_t len, const char *start)
{
    return len >= strlen(start) && memcmp(text, start, strlen(start)) == 0;
}

static bool is_name_character(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           c == '.' || c == '-' || c == '_';
}

/* Reads an IPv6 number; a zone ("fe80::1%eth0") names a link, not another address. */
static bool read_ipv6(const char *host, struct in6_addr *number)
{
    char bare[INET6_ADDRSTRLEN];
    size_t len = strcspn(host, "%");
    if (len >= sizeof bare || (host[len] == '%' && host[len + 1] == '\0')) {
        return false;
    }
    memcpy(bare, host, len);
    bare[len] = '\0';
    return inet_pton(AF_INET6, bare, number) == 1;
}

/* digits only, so that "+80" and " 80" are no ports; 0 when it is none */
static uint16_t read_port(const char *digits, size_t len)
{
    uint32_t port = 0;
    if (len == 0 || len > 5) {
        return 0;
    }
    for (size_t i = 0; i < len; i++) {
        if (digits[i] < '0' || digits[i] > '9') {
            return 0;
        }
        port = port * 10 + (uint32_t)(digits[i] - '0');
    }
    return port <= UINT16_MAX ? (uint16_t)port : 0;
}

static int parse_path(struct artel_address *parsed, const char *path, size_t len,
                      const char **fault)
{
    if (len == 0 || path[len - 1] == '/') {
        *fault = "names no socket file";
        return -EINVAL;
    }
    if (len > ARTEL_ADDRESS_PATH_MAX_LEN) {
        *fault = "has a path of more than 107 bytes";
        return -ENAMETOOLONG;
    }
    parsed->is_unix = true;
    memcpy(parsed->path, path, len);
    return 0;
}

static int parse_host(struct artel_address *parsed, const char *host, size_t len,
                      bool bracketed, const char **fault)
{
    if (len == 0 || len > ARTEL_ADDRESS_HOST_MAX_LEN) {
        *fault = len == 0 ? "has no host" : "has too long a host";
        return -EINVAL;
    }
    memcpy(parsed->host, host, len);
    if (bracketed) {
        struct in6_addr ignored;
        *fault = "has no IPv6 address between its brackets";
        return read_ipv6(parsed->host, &ignored) ? 0 : -EINVAL;
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_name_character(host[i])) {
            *fault = host[i] == ':' ? "has an IPv6 address without brackets"
                                    : "has a host with characters that no host has";
            return -EINVAL;
        }
    }
    return 0;
}

static int parse_tcp(struct artel_address *parsed, const char *text, size_t len,
                     const char **fault)
{
    size_t end = len; /* where ":PORT" begins */
    while (end > 0 && text[end - 1] != ':' && text[end - 1] != ']') {
        end--;
    }
    if (end == 0 || text[end - 1] != ':') {
        *fault = "has no port";
        return -EINVAL;
    }
    parsed->port = read_port(text + end, len - end);
    if (parsed->port == 0) {
        *fault = "has a port that is not a number from 1 to 65535";
        return -EINVAL;
    }
    end--;
    bool bracketed = end >= 2 && text[0] == '[' && text[end - 1] == ']';
    return bracketed ? parse_host(parsed, text + 1, end - 2, true, fault)
                     : parse_host(parsed, text, end, false, fault);
}

int artel_address_parse(struct artel_address *address, const char *text, size_t len,
                        const char **fault)
{
    struct artel_address parsed = {0};
    int status = -EINVAL;
    if (memchr(text, '\0', len) != NULL) {
        *fault = "holds a zero byte";
    } else if (begins_with(text, len, UNIX_SCHEME)) {
        size_t scheme_len = strlen(UNIX_SCHEME);
        status = parse_path(&parsed, text + scheme_len, len - scheme_len, fault);
    } else if (begins_with(text, len, TCP_SCHEME)) {
        size_t scheme_len = strlen(TCP_SCHEME);
        status = parse_tcp(&parsed, text + scheme_len, len - scheme_len, fault);
    } else {
        *fault = "begins with neither unix:// nor tcp://";
    }
    if (status == 0) {
        *address = parsed;
    }
    return status;
}

/* A host as a number: always IPv6, an IPv4 one in its mapped form, so that both compare.
 */
static bool read_number(const char *host, struct in6_addr *number)
{
    struct in_addr ipv4;
    if (inet_pton(AF_INET, host, &ipv4) != 1) {
        return read_ipv6(host, number);
    }
    memset(number, 0, sizeof *number);
    number->s6_addr[10] = number->s6_addr[11] = 0xff;
    memcpy(&number->s6_addr[12], &ipv4, sizeof ipv4);
    return true;
}

static bool is_loopback(const struct in6_addr *number)
{
    return IN6_IS_ADDR_V4MAPPED(number) ? number->s6_addr[12] == 127
                                        : IN6_IS_ADDR_LOOPBACK(number);
}

static bool is_wildcard(const struct in6_addr *number)
{
    static const uint8_t none[4];
    return IN6_IS_ADDR_V4MAPPED(number) ? memcmp(&number->s6_addr[12], none, 4) == 0
                                        : IN6_IS_ADDR_UNSPECIFIED(number);
}

static bool belongs_to_interface(const struct in6_addr *number)
{
    struct ifaddrs *interfaces;
    if (getifaddrs(&interfaces) < 0) {
        return false;
    }
    bool found = false;
    for (struct ifaddrs *each = interfaces; each != NULL && !found;
         each = each->ifa_next) {
        if (each->ifa_addr == NULL) {
            continue;
        }
        if (each->ifa_addr->sa_family == AF_INET6) {
            const struct sockaddr_in6 *own = (const void *)each->ifa_addr;
            found = memcmp(&own->sin6_addr, number, sizeof *number) == 0;
        } else if (each->ifa_addr->sa_family == AF_INET && IN6_IS_ADDR_V4MAPPED(number)) {
            const struct sockaddr_in *own = (const void *)each->ifa_addr;
            found = memcmp(&own->sin_addr, &number->s6_addr[12], 4) == 0;
        }
    }
    freeifaddrs(interfaces);
    return found;
}

static bool is_localhost(const char *host)
{
    return strcasecmp(host, "localhost") == 0;
}

bool artel_address_is_local(const struct artel_address *address)
{
    struct in6_addr number;
    if (address->is_unix || is_localhost(address->host)) {
        return true;
    }
    return read_number(address->host, &number) &&
           (is_loopback(&number) || is_wildcard(&number) ||
            belongs_to_interface(&number));
}

bool artel_address_is_network_exposed(const struct artel_address *address)
{
    struct in6_addr number;
    if (address->is_unix || is_localhost(address->host)) {
        return false;
    }
    return !(read_number(address->host, &number) && is_loopback(&number));
}
