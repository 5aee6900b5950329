/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets: stale, busy and foreign files, modes, inheritance, exhaustion. */
#include "listen.h"

#include "clock.h"
#include "connect.h"
#include "fd.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define GENEROUS_MS 30000

static char folder[] = "/tmp/artel-listen-test-XXXXXX";
static char fault[400];
static struct artel_listen_options options;

static struct artel_address at(const char *name)
{
    struct artel_address address = {.is_unix = true};
    snprintf(address.path, sizeof address.path, "%s/%s", folder, name);
    return address;
}

static struct artel_address tcp(const char *host)
{
    struct artel_address address = {.is_unix = false}; /* port 0: any that is free */
    snprintf(address.host, sizeof address.host, "%s", host);
    return address;
}

static int open_listener(struct artel_listener *listener, struct artel_address address)
{
    fault[0] = '\0';
    int status = artel_listener_open(listener, &address, &options, fault, sizeof fault);
    CHECK((status == 0) == (fault[0] == '\0'));
    return status;
}

static int connect_to(struct artel_address address)
{
    int fd = -1;
    CHECK_INT(0, artel_connect(&address, artel_clock_deadline_ms(GENEROUS_MS), &fd, fault,
                               sizeof fault));
    return fd;
}

/* The address of a TCP listener whose port the kernel chose. */
static struct artel_address actual(const struct artel_listener *listener,
                                   const char *host)
{
    struct artel_address address = tcp(host);
    struct artel_socket_address bound;
    unsigned char number[16];
    unsigned port;
    memset(&bound, 0, sizeof bound);
    bound.len = sizeof bound.storage;
    CHECK_INT(0,
              getsockname(listener->fd, (struct sockaddr *)&bound.storage, &bound.len));
    CHECK(artel_socket_address_number(&bound, number, &port));
    address.port = (uint16_t)port;
    return address;
}

static mode_t mode_of(const char *name)
{
    struct stat facts;
    CHECK_INT(0, lstat(at(name).path, &facts));
    return facts.st_mode & 07777;
}

static bool exists(const char *name)
{
    struct stat facts;
    return lstat(at(name).path, &facts) == 0;
}

static void a_connection_is_accepted(void)
{
    struct artel_listener listener;
    CHECK_INT(0, open_listener(&listener, at("plain")));
    int accepted = -1;
    CHECK_INT(-EAGAIN, artel_listener_accept(&listener, &accepted));
    CHECK_INT(-1, accepted);
    int client = connect_to(at("plain"));
    CHECK_INT(0, artel_listener_accept(&listener, &accepted));
    CHECK_INT(FD_CLOEXEC, fcntl(accepted, F_GETFD));
    CHECK_INT(0, fcntl(accepted, F_GETFL) & O_NONBLOCK);
    CHECK_INT(1, write(client, "x", 1));
    char byte;
    CHECK_INT(1, read(accepted, &byte, 1));
    artel_fd_close(&client);
    artel_fd_close(&accepted);
    artel_listener_close(&listener);
    artel_listener_close(&listener);
    CHECK(!exists("plain"));
}

static void the_mode_is_exact_whatever_the_umask(void)
{
    struct artel_listener listener;
    mode_t before = umask(0);
    CHECK_INT(0, open_listener(&listener, at("mode")));
    CHECK_INT(0600, mode_of("mode"));
    artel_listener_close(&listener);
    umask(077);
    options.mode = 0666;
    CHECK_INT(0, open_listener(&listener, at("mode")));
    CHECK_INT(0666, mode_of("mode"));
    artel_listener_close(&listener);
    umask(before);
    artel_listen_options_init(&options);
}

static void the_file_can_be_given_away(void)
{
    if (geteuid() != 0) {
        return;
    }
    struct artel_listener listener;
    struct stat facts;
    options.owner = 65534;
    options.group = 7;
    options.mode = 0660;
    CHECK_INT(0, open_listener(&listener, at("owned")));
    CHECK_INT(0, lstat(at("owned").path, &facts));
    CHECK_INT(65534, facts.st_uid);
    CHECK_INT(7, facts.st_gid);
    CHECK_INT(0660, facts.st_mode & 07777);
    artel_listener_close(&listener);
    artel_listen_options_init(&options);
}

/* As a worker leaves it that was killed: the file is there and nobody listens. */
static void leave_stale(const char *name)
{
    struct sockaddr_un form = {.sun_family = AF_UNIX};
    snprintf(form.sun_path, sizeof form.sun_path, "%s", at(name).path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(0, bind(fd, (struct sockaddr *)&form, sizeof form));
    CHECK_INT(0, listen(fd, 1));
    close(fd);
    CHECK(exists(name));
}

static void a_stale_file_is_replaced(void)
{
    struct artel_listener listener;
    leave_stale("stale");
    CHECK_INT(0, open_listener(&listener, at("stale")));
    int client = connect_to(at("stale"));
    artel_fd_close(&client);
    artel_listener_close(&listener);
}

static void a_served_file_is_not(void)
{
    struct artel_listener first;
    struct artel_listener second;
    CHECK_INT(0, open_listener(&first, at("served")));
    CHECK_INT(-EADDRINUSE, open_listener(&second, at("served")));
    CHECK(strstr(fault, "/served: somebody else listens there") != NULL);
    CHECK(exists("served"));
    int accepted = -1;
    CHECK_INT(-EAGAIN,
              artel_listener_accept(&first, &accepted)); /* the probe is unseen */
    artel_listener_close(&first);
}

static void a_busy_worker_is_not_taken_for_dead(void)
{
    struct artel_listener first;
    struct artel_listener second;
    options.backlog = 0;
    CHECK_INT(0, open_listener(&first, at("busy")));
    int client = connect_to(at("busy")); /* the only one that finds room */
    CHECK_INT(-EADDRINUSE, open_listener(&second, at("busy")));
    CHECK(exists("busy"));
    artel_fd_close(&client);
    artel_listener_close(&first);
    artel_listen_options_init(&options);
}

static void other_files_are_left_alone(void)
{
    struct artel_listener listener;
    int fd = open(at("file").path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    close(fd);
    CHECK_INT(-ENOTSOCK, open_listener(&listener, at("file")));
    CHECK(strstr(fault, "/file: there is a file that is no socket") != NULL);
    CHECK(exists("file"));
    leave_stale("behind");
    CHECK_INT(0, symlink("behind", at("link").path));
    CHECK_INT(-ENOTSOCK, open_listener(&listener, at("link")));
    CHECK(exists("link") && exists("behind"));
    CHECK_INT(0, unlink(at("file").path));
    CHECK_INT(0, unlink(at("link").path));
    CHECK_INT(0, unlink(at("behind").path));
}

static void missing_folders_are_made_private(void)
{
    struct artel_listener listener;
    mode_t before = umask(0);
    CHECK_INT(0, open_listener(&listener, at("a/b/socket")));
    umask(before);
    CHECK_INT(0700, mode_of("a"));
    CHECK_INT(0700, mode_of("a/b"));
    artel_listener_close(&listener);
    CHECK_INT(0, rmdir(at("a/b").path));
    CHECK_INT(0, rmdir(at("a").path));
    CHECK_INT(-ENOTDIR,
              open_listener(&listener, (struct artel_address){.is_unix = true,
                                                              .path = "/dev/null/a/b"}));
}

static void a_successors_file_is_not_removed(void)
{
    struct artel_listener first;
    struct artel_listener second;
    CHECK_INT(0, open_listener(&first, at("successor")));
    CHECK_INT(0, unlink(at("successor").path));
    CHECK_INT(0, open_listener(&second, at("successor")));
    artel_listener_close(&first);
    CHECK(exists("successor"));
    artel_listener_close(&second);
    CHECK(!exists("successor"));
}

static void a_forked_copy_removes_nothing(void)
{
    struct artel_listener listener;
    CHECK_INT(0, open_listener(&listener, at("forked")));
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        artel_listener_close(&listener);
        _exit(0);
    }
    CHECK_INT(pid, waitpid(pid, NULL, 0));
    CHECK(exists("forked"));
    artel_listener_close(&listener);
}

static void a_failure_leaves_neither_file_nor_descriptor(void)
{
    struct artel_listener listener;
    if (geteuid() == 0) {
        return; /* root may give a file to anybody */
    }
    options.owner = 0;
    CHECK_INT(-EPERM, open_listener(&listener, at("failed")));
    CHECK(!exists("failed"));
    CHECK_INT(-1, listener.fd);
    artel_listen_options_init(&options);
}

static void running_out_of_descriptors_is_told(void)
{
    struct artel_listener listener;
    CHECK_INT(0, open_listener(&listener, at("full")));
    int client = connect_to(at("full"));
    struct rlimit before;
    CHECK_INT(0, getrlimit(RLIMIT_NOFILE, &before));
    struct rlimit low = {3, before.rlim_max};
    CHECK_INT(0, setrlimit(RLIMIT_NOFILE, &low));
    int accepted = -1;
    CHECK_INT(-EMFILE, artel_listener_accept(&listener, &accepted));
    CHECK_INT(0, setrlimit(RLIMIT_NOFILE, &before));
    CHECK_INT(0, artel_listener_accept(&listener, &accepted)); /* it has waited */
    artel_fd_close(&accepted);
    artel_fd_close(&client);
    artel_listener_close(&listener);
}

static void probes_are_passed_over(void)
{
    struct artel_listener listener;
    CHECK_INT(0, open_listener(&listener, at("probed")));
    int probe = -1;
    CHECK_INT(0, artel_connect_probe(&listener.address, ARTEL_NO_DEADLINE, &probe));
    int client = connect_to(at("probed"));
    int accepted = -1;
    CHECK_INT(0, artel_listener_accept(&listener, &accepted));
    CHECK_INT(1, write(client, "x", 1));
    char byte;
    CHECK_INT(1, read(accepted, &byte, 1)); /* it is the client's, not the probe's */
    CHECK_INT(0, read(probe, &byte, 1));    /* which was closed */
    artel_fd_close(&accepted);
    artel_fd_close(&client);
    artel_fd_close(&probe);
    artel_listener_close(&listener);
}

static void no_number_of_probes_holds_us(void)
{
    enum { PROBES = 200 };
    struct artel_listener listener;
    int probes[PROBES];
    int accepted = -1;
    CHECK_INT(0, open_listener(&listener, at("flooded")));
    for (int i = 0; i < PROBES; i++) {
        CHECK_INT(0,
                  artel_connect_probe(&listener.address, ARTEL_NO_DEADLINE, &probes[i]));
    }
    int client = connect_to(at("flooded"));
    struct pollfd readable = {listener.fd, POLLIN, 0};
    int breaks = 0; /* in which others are served */
    while (artel_listener_accept(&listener, &accepted) == -EAGAIN) {
        CHECK_INT(1, poll(&readable, 1, 0));
        breaks++;
    }
    CHECK(accepted >= 0 && breaks > 0);
    for (int i = 0; i < PROBES; i++) {
        artel_fd_close(&probes[i]);
    }
    artel_fd_close(&accepted);
    artel_fd_close(&client);
    artel_listener_close(&listener);
}

static int option_of(int fd, int level, int name)
{
    int value = 0;
    socklen_t len = sizeof value;
    CHECK_INT(0, getsockopt(fd, level, name, &value, &len));
    return value;
}

static void tcp_connections_have_the_options(void)
{
    struct artel_listener listener;
    CHECK_INT(0, open_listener(&listener, tcp("127.0.0.1")));
    struct artel_address address = actual(&listener, "127.0.0.1");
    int client = connect_to(address);
    struct pollfd waiting = {listener.fd, POLLIN, 0};
    CHECK_INT(1, poll(&waiting, 1, GENEROUS_MS));
    int accepted = -1;
    CHECK_INT(0, artel_listener_accept(&listener, &accepted));
    CHECK(option_of(accepted, IPPROTO_TCP, TCP_NODELAY) != 0);
    CHECK(option_of(accepted, SOL_SOCKET, SO_KEEPALIVE) != 0);
    struct artel_listener second;
    CHECK_INT(-EADDRINUSE, open_listener(&second, address));
    artel_fd_close(&client);
    artel_fd_close(&accepted);
    artel_listener_close(&listener);
}

static void a_port_can_be_shared(void)
{
    struct artel_listener first;
    struct artel_listener second;
    options.reuse_port = true;
    CHECK_INT(0, open_listener(&first, tcp("127.0.0.1")));
    CHECK_INT(0, open_listener(&second, actual(&first, "127.0.0.1")));
    artel_listener_close(&first);
    artel_listener_close(&second);
    artel_listen_options_init(&options);
}

static void ipv6_takes_ipv4_unless_told_not_to(void)
{
    struct artel_listener listener;
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0) {
        return; /* a kernel without IPv6 */
    }
    close(probe);
    CHECK_INT(0, open_listener(&listener, tcp("::")));
    CHECK_INT(0, option_of(listener.fd, IPPROTO_IPV6, IPV6_V6ONLY));
    int client = connect_to(actual(&listener, "127.0.0.1"));
    artel_fd_close(&client);
    artel_listener_close(&listener);
    options.ipv6_only = true;
    CHECK_INT(0, open_listener(&listener, tcp("::")));
    CHECK_INT(1, option_of(listener.fd, IPPROTO_IPV6, IPV6_V6ONLY));
    artel_listener_close(&listener);
    artel_listen_options_init(&options);
}

static void inherited_sockets_are_served_and_never_removed(void)
{
    struct artel_listener original;
    struct artel_listener adopted;
    CHECK_INT(0, open_listener(&original, at("inherited")));
    int fd = dup(original.fd); /* as a service manager hands it over: not close-on-exec */
    CHECK_INT(0, artel_listener_adopt(&adopted, fd, &options));
    CHECK_INT(FD_CLOEXEC, fcntl(adopted.fd, F_GETFD));
    struct artel_address address = at("inherited");
    CHECK(artel_listener_serves(&adopted, &address));
    address = at("other");
    CHECK(!artel_listener_serves(&adopted, &address));
    int client = connect_to(at("inherited"));
    int accepted = -1;
    CHECK_INT(0, artel_listener_accept(&adopted, &accepted));
    artel_fd_close(&accepted);
    artel_fd_close(&client);
    artel_listener_close(&adopted);
    CHECK(exists("inherited"));
    artel_listener_close(&original);

    CHECK_INT(0, open_listener(&original, tcp("127.0.0.1")));
    CHECK_INT(0, artel_listener_adopt(&adopted, dup(original.fd), &options));
    address = actual(&original, "localhost");
    CHECK(artel_listener_serves(&adopted, &address));
    address.port++;
    CHECK(!artel_listener_serves(&adopted, &address));
    artel_listener_close(&adopted);
    artel_listener_close(&original);
}

static void what_does_not_listen_is_not_adopted(void)
{
    struct artel_listener listener;
    int ends[2];
    CHECK_INT(0, artel_fd_pair(ends));
    CHECK_INT(-EINVAL, artel_listener_adopt(&listener, ends[0], &options));
    CHECK_INT(-1, listener.fd);
    CHECK(fcntl(ends[0], F_GETFD) >= 0); /* still ours */
    artel_fd_close(&ends[0]);
    artel_fd_close(&ends[1]);
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK_INT(-EINVAL, artel_listener_adopt(&listener, file, &options));
    artel_fd_close(&file);
}

int main(void)
{
    CHECK(mkdtemp(folder) != NULL);
    artel_listen_options_init(&options);
    RUN(a_connection_is_accepted);
    RUN(the_mode_is_exact_whatever_the_umask);
    RUN(the_file_can_be_given_away);
    RUN(a_stale_file_is_replaced);
    RUN(a_served_file_is_not);
    RUN(a_busy_worker_is_not_taken_for_dead);
    RUN(other_files_are_left_alone);
    RUN(missing_folders_are_made_private);
    RUN(a_successors_file_is_not_removed);
    RUN(a_forked_copy_removes_nothing);
    RUN(a_failure_leaves_neither_file_nor_descriptor);
    RUN(running_out_of_descriptors_is_told);
    RUN(probes_are_passed_over);
    RUN(no_number_of_probes_holds_us);
    RUN(tcp_connections_have_the_options);
    RUN(a_port_can_be_shared);
    RUN(ipv6_takes_ipv4_unless_told_not_to);
    RUN(inherited_sockets_are_served_and_never_removed);
    RUN(what_does_not_listen_is_not_adopted);
    CHECK_INT(0, rmdir(folder)); /* nothing was left behind */
    return 0;
}
