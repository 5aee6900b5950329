/* SPDX-License-Identifier: Apache-2.0 */
/* Who is at the other end, and which process is behind an address. */
#include "peer.h"

#include "clock.h"
#include "connect.h"
#include "fd.h"
#include "identity.h"
#include "listen.h"
#include "tcp_listeners.h"
#include "test.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#define GENEROUS_MS 30000

static char folder[] = "/tmp/artel-peer-test-XXXXXX";
static char fault[400];

static struct artel_address tcp(const char *host, unsigned port)
{
    struct artel_address address = {.is_unix = false, .port = (uint16_t)port};
    snprintf(address.host, sizeof address.host, "%s", host);
    return address;
}

static struct artel_address at(const char *name)
{
    struct artel_address address = {.is_unix = true};
    snprintf(address.path, sizeof address.path, "%s/%s", folder, name);
    return address;
}

static struct artel_socket_address form_of(struct artel_address address)
{
    struct artel_socket_address form;
    const char *reason;
    CHECK_INT(1, artel_socket_address_resolve(&address, &form, 1, &reason));
    return form;
}

static unsigned port_of(int fd)
{
    struct artel_socket_address bound;
    unsigned char number[16];
    unsigned port;
    memset(&bound, 0, sizeof bound);
    bound.len = sizeof bound.storage;
    CHECK_INT(0, getsockname(fd, (struct sockaddr *)&bound.storage, &bound.len));
    CHECK(artel_socket_address_number(&bound, number, &port));
    return port;
}

static int try_listen(struct artel_listener *listener, struct artel_address address)
{
    struct artel_listen_options options;
    artel_listen_options_init(&options);
    return artel_listener_open(listener, &address, &options, fault, sizeof fault);
}

static bool has_ipv6(void)
{
    struct artel_listener listener;
    bool found = try_listen(&listener, tcp("::1", 0)) == 0;
    artel_listener_close(&listener);
    return found;
}

/* A child that listens until it is killed; answers its pid, and the port for TCP. */
static pid_t start_listening(struct artel_address address, unsigned *port)
{
    int report[2];
    CHECK_INT(0, pipe(report));
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(TEST_TIMEOUT_S);
        struct artel_listener listener;
        CHECK_INT(0, try_listen(&listener, address));
        unsigned chosen = address.is_unix ? 0 : port_of(listener.fd);
        CHECK_INT(sizeof chosen, write(report[1], &chosen, sizeof chosen));
        for (;;) {
            pause();
        }
    }
    close(report[1]);
    unsigned chosen;
    CHECK_INT(sizeof chosen, read(report[0], &chosen, sizeof chosen));
    close(report[0]);
    *port = chosen;
    return pid;
}

static void end(pid_t pid)
{
    CHECK_INT(0, kill(pid, SIGKILL));
    CHECK_INT(pid, waitpid(pid, NULL, 0));
}

static pid_t process_at(struct artel_address address)
{
    struct artel_socket_address form = form_of(address);
    pid_t pid = 0;
    CHECK_INT(0, artel_peer_listening_process(&form, artel_clock_deadline_ms(GENEROUS_MS),
                                              &pid));
    return pid;
}

static void a_unix_peer_is_named_by_process_and_user(void)
{
    int ends[2];
    char name[ARTEL_SOCKET_ADDRESS_TEXT_LEN];
    char expected[80];
    CHECK_INT(0, artel_fd_pair(ends));
    CHECK_INT(0, artel_peer_name(ends[0], name));
    snprintf(expected, sizeof expected, "pid:%ld uid:%lu", (long)getpid(),
             (unsigned long)geteuid());
    CHECK_STR(expected, name);
    struct artel_peer_credentials credentials;
    CHECK_INT(0, artel_peer_credentials(ends[1], &credentials));
    CHECK_INT(getpid(), credentials.pid);
    CHECK_INT(geteuid(), credentials.uid);
    CHECK_INT(getegid(), credentials.gid);
    artel_fd_close(&ends[0]);
    artel_fd_close(&ends[1]);
}

static void check_tcp_name(const char *host, const char *format)
{
    struct artel_listener listener;
    CHECK_INT(0, try_listen(&listener, tcp(host, 0)));
    struct artel_address address = tcp(host, port_of(listener.fd));
    int client = -1;
    CHECK_INT(0,
              artel_connect(&address, ARTEL_NO_DEADLINE, &client, fault, sizeof fault));
    struct pollfd waiting = {listener.fd, POLLIN, 0};
    CHECK_INT(1, poll(&waiting, 1, GENEROUS_MS));
    int accepted = -1;
    CHECK_INT(0, artel_listener_accept(&listener, &accepted));
    char name[ARTEL_SOCKET_ADDRESS_TEXT_LEN];
    char expected[80];
    CHECK_INT(0, artel_peer_name(accepted, name));
    snprintf(expected, sizeof expected, format, port_of(client));
    CHECK_STR(expected, name);
    struct artel_peer_credentials credentials;
    CHECK(artel_peer_credentials(accepted, &credentials) < 0);
    artel_fd_close(&client);
    artel_fd_close(&accepted);
    artel_listener_close(&listener);
}

static void a_tcp_peer_is_named_by_its_address(void)
{
    check_tcp_name("127.0.0.1", "127.0.0.1:%u");
    if (has_ipv6()) {
        check_tcp_name("::1", "[::1]:%u");
    }
}

static void what_is_not_connected_has_no_name(void)
{
    struct artel_listener listener;
    char name[ARTEL_SOCKET_ADDRESS_TEXT_LEN];
    CHECK_INT(0, try_listen(&listener, tcp("127.0.0.1", 0)));
    CHECK_INT(-ENOTCONN, artel_peer_name(listener.fd, name));
    artel_listener_close(&listener);
    CHECK_INT(-EBADF, artel_peer_name(-1, name));
}

static void the_process_behind_a_unix_socket_is_found(void)
{
    unsigned none;
    pid_t pid = start_listening(at("unix"), &none);
    CHECK_INT(pid, process_at(at("unix")));
    end(pid);
    struct artel_socket_address form = form_of(at("unix"));
    CHECK_INT(-ECONNREFUSED, artel_peer_listening_process(&form, 0, &pid));
    CHECK_INT(0, unlink(at("unix").path));
    CHECK_INT(-ENOENT, artel_peer_listening_process(&form, 0, &pid));
}

static void the_process_behind_a_port_is_found(void)
{
    unsigned port;
    pid_t pid = start_listening(tcp("127.0.0.1", 0), &port);
    CHECK_INT(pid, process_at(tcp("127.0.0.1", port)));
    CHECK_INT(pid, process_at(tcp("localhost", port)));
    CHECK_INT(pid, process_at(tcp("0.0.0.0", port))); /* connecting there is loopback */
    end(pid);
    struct artel_socket_address form = form_of(tcp("127.0.0.1", port));
    CHECK_INT(-ECONNREFUSED, artel_peer_listening_process(&form, 0, &pid));

    pid = start_listening(tcp("0.0.0.0", 0), &port);
    CHECK_INT(pid, process_at(tcp("127.0.0.1", port)));
    end(pid);
    if (has_ipv6()) {
        pid = start_listening(tcp("::", 0), &port);
        CHECK_INT(pid, process_at(tcp("127.0.0.1", port)));
        CHECK_INT(pid, process_at(tcp("::1", port)));
        end(pid);
        pid = start_listening(tcp("::1", 0), &port);
        CHECK_INT(pid, process_at(tcp("::1", port)));
        form = form_of(tcp("127.0.0.1", port));
        pid_t other;
        CHECK_INT(-ECONNREFUSED, artel_peer_listening_process(&form, 0, &other));
        end(pid);
    }
}

/* One that listens everywhere and one at a single address: connections go to the latter.
 */
static void the_closer_listener_is_meant(void)
{
    unsigned port;
    pid_t special = start_listening(tcp("127.0.0.2", 0), &port);
    pid_t general = start_listening(tcp("127.0.0.1", port), &port);
    CHECK_INT(special, process_at(tcp("127.0.0.2", port)));
    CHECK_INT(general, process_at(tcp("127.0.0.1", port)));
    end(special);
    end(general);
}

static void anothers_process_is_not_seen(void)
{
    if (geteuid() != 0) {
        return;
    }
    unsigned port;
    pid_t listening = start_listening(tcp("127.0.0.1", 0), &port);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        struct artel_identity nobody;
        CHECK_INT(0, artel_identity_find(&nobody, "nobody"));
        CHECK_INT(0, artel_identity_take(&nobody, fault, sizeof fault));
        struct artel_socket_address form = form_of(tcp("127.0.0.1", port));
        struct artel_tcp_listener listener;
        CHECK_INT(0, artel_tcp_listener_find(&form, &listener));
        CHECK_INT(0, listener.uid); /* whose it is can be known */
        pid_t other;
        CHECK_INT(-EACCES, artel_peer_listening_process(&form, 0, &other));
        _exit(0);
    }
    int status;
    CHECK_INT(pid, waitpid(pid, &status, 0));
    CHECK_INT(0, status);
    end(listening);
}

int main(void)
{
    CHECK(mkdtemp(folder) != NULL);
    RUN(a_unix_peer_is_named_by_process_and_user);
    RUN(a_tcp_peer_is_named_by_its_address);
    RUN(what_is_not_connected_has_no_name);
    RUN(the_process_behind_a_unix_socket_is_found);
    RUN(the_process_behind_a_port_is_found);
    RUN(the_closer_listener_is_meant);
    RUN(anothers_process_is_not_seen);
    CHECK_INT(0, rmdir(folder));
    return 0;
}
