/* SPDX-License-Identifier: Apache-2.0 */
/* Knows how Linux is asked about its sockets (sock_diag(7)), and where it lists who has
 * them. */
#include "tcp_listeners.h"

#include "fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TCP_LISTEN_STATE 10 /* the kernel's number; its header is not for programs */

/* How well a listener fits: the kernel prefers an exact address to a wildcard. */
enum { FITS_NOT, FITS_BY_WILDCARD, FITS_EXACTLY };

struct search {
    unsigned char number[16];
    unsigned port;
    int best;
    struct artel_tcp_listener *found;
};

/* ---- what fits ---- */

static bool is_mapped(const unsigned char number[16])
{
    static const unsigned char prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return memcmp(number, prefix, sizeof prefix) == 0;
}

static bool is_wildcard(const unsigned char number[16])
{
    static const unsigned char none[16];
    return memcmp(number + (is_mapped(number) ? 12 : 0), none,
                  is_mapped(number) ? 4 : 16) == 0;
}

/* A connection to the wildcard goes to loopback. */
static void replace_wildcard(unsigned char number[16])
{
    if (is_wildcard(number) && is_mapped(number)) {
        number[12] = 127;
        number[15] = 1;
    } else if (is_wildcard(number)) {
        number[15] = 1;
    }
}

/* The kernel's address of a socket, in the form that all compare in. */
static void widen(const struct inet_diag_msg *message, unsigned char number[16])
{
    const unsigned char *source = (const void *)message->id.idiag_src;
    if (message->idiag_family == AF_INET) {
        memset(number, 0, 10);
        memset(number + 10, 0xff, 2);
        memcpy(number + 12, source, 4);
    } else {
        memcpy(number, source, 16);
    }
}

static int fit(const struct search *search, const struct inet_diag_msg *message)
{
    if (message->idiag_state != TCP_LISTEN_STATE ||
        ntohs(message->id.idiag_sport) != search->port) {
        return FITS_NOT;
    }
    unsigned char number[16];
    widen(message, number);
    if (memcmp(number, search->number, 16) == 0) {
        return FITS_EXACTLY;
    }
    if (!is_wildcard(number)) {
        return FITS_NOT;
    }
    /* An IPv6 wildcard usually takes IPv4 too; what it refuses nobody else then has. */
    bool same_family = is_mapped(number) == is_mapped(search->number);
    return same_family || !is_mapped(number) ? FITS_BY_WILDCARD : FITS_NOT;
}

/* ---- asking the kernel ---- */

static int send_request(int fd, int family)
{
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 body;
    } request = {
        .header = {.nlmsg_len = sizeof request,
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .body = {.sdiag_family = (__u8)family,
                 .sdiag_protocol = IPPROTO_TCP,
                 .idiag_states = 1u << TCP_LISTEN_STATE},
    };
    ssize_t sent;
    do {
        sent = send(fd, &request, sizeof request, 0);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

/* Looks through one packet of answers: 1 at the end of them, 0 if more come, or a
 * negated errno. */
static int read_answers(struct search *search, const char *packet, size_t len)
{
    size_t used = 0; /* a multiple of the alignment */
    while (used < len && len - used >= sizeof(struct nlmsghdr)) {
        const struct nlmsghdr *header = (const void *)(packet + used);
        size_t header_len = NLMSG_HDRLEN;
        if (header->nlmsg_len < header_len || header->nlmsg_len > len - used) {
            return -EPROTO;
        }
        size_t body_len = header->nlmsg_len - header_len;
        const void *body = packet + used + header_len;
        if (header->nlmsg_type == NLMSG_DONE) {
            return 1;
        }
        if (header->nlmsg_type == NLMSG_ERROR) {
            const struct nlmsgerr *error = body;
            return body_len >= sizeof *error && error->error < 0 ? error->error : 1;
        }
        if (body_len >= sizeof(struct inet_diag_msg)) {
            const struct inet_diag_msg *message = body;
            int how = fit(search, message);
            if (how > search->best) {
                search->best = how;
                search->found->inode = message->idiag_inode;
                search->found->uid = message->idiag_uid;
            }
        }
        used += NLMSG_ALIGN(header->nlmsg_len);
    }
    return 0;
}

static int search_family(struct search *search, int family)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0) {
        return -errno;
    }
    _Alignas(struct nlmsghdr) char packet[32768]; /* the kernel never sends larger ones */
    int status = send_request(fd, family);
    while (status == 0) {
        ssize_t len = recv(fd, packet, sizeof packet, 0);
        if (len < 0 && errno == EINTR) {
            continue;
        }
        status = len < 0 ? -errno : read_answers(search, packet, (size_t)len);
    }
    artel_fd_close(&fd);
    return status < 0 ? status : 0;
}

int artel_tcp_listener_find(const struct artel_socket_address *address,
                            struct artel_tcp_listener *listener)
{
    struct artel_tcp_listener found = {0};
    struct search search = {.best = FITS_NOT, .found = &found};
    if (!artel_socket_address_number(address, search.number, &search.port)) {
        return -EINVAL;
    }
    replace_wildcard(search.number);
    int status = search_family(&search, AF_INET);
    if (status == 0) {
        status = search_family(&search, AF_INET6);
    }
    if (status == -ENOENT) {
        status = 0; /* a kernel without IPv6 */
    }
    if (status == 0 && search.best == FITS_NOT) {
        status = -ECONNREFUSED;
    }
    if (status == 0) {
        *listener = found;
    }
    return status;
}

/* ---- who has it open ---- */

static bool process_holds(const char *pid, const char *wanted)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return false; /* gone, or another user's */
    }
    bool found = false;
    struct dirent *entry;
    while (!found && (entry = readdir(folder)) != NULL) {
        char target[64];
        ssize_t len = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);
        if (len > 0) {
            target[len] = '\0';
            found = strcmp(target, wanted) == 0;
        }
    }
    closedir(folder);
    return found;
}

int artel_tcp_listener_process(const struct artel_tcp_listener *listener, pid_t *pid)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, "socket:[%llu]", (unsigned long long)listener->inode);
    DIR *processes = opendir("/proc");
    if (processes == NULL) {
        return -errno;
    }
    long found = 0;
    struct dirent *entry;
    while (found <= 1 && (entry = readdir(processes)) != NULL) {
        char *end;
        long number = strtol(entry->d_name, &end, 10);
        if (*end == '\0' && number > 0 && process_holds(entry->d_name, wanted)) {
            found = number;
        }
    }
    closedir(processes);
    if (found == 0) {
        return -EACCES;
    }
    *pid = (pid_t)found;
    return 0;
}
