/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many clients of one server on a unix socket, in one process: each sends a message,
 * waits for its echo, checks it and sends the next. The same clients drive raw_epoll,
 * artel's shared worker and redis, so what differs is the server alone.
 *
 *   epoll_client PATH [--frames msgpack|json|resp] [--clients 64] [-n 200000]
 *                [--idle 0] [--serve PROGRAM | --pid PID]
 *
 * --frames   msgpack: artel's greeting and frames; json: one JSON text a line; resp: ECHO
 *            of redis.
 * --idle     so many more connections are opened first, echo once and then keep still.
 * --serve    start PROGRAM PATH as the server, wait until it says so, end it afterwards.
 * --pid      the server's process, for its memory (with --idle).
 *
 * Prints ns_per_op (over all clients), and with --idle bytes_per_connection: how much the
 * server's own memory grew for each; the kernel's share is not in it.
 */
#include "bench.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define FRAME_MAX 64
#define FIRST_NUMBER 1000000u /* large enough that every number has the same length */
#define HEADER 9              /* bytes of artel's msgpack header */

extern char **environ;

/* How one number looks on this wire, and its echo. */
struct format {
    const char *name;
    const char *greeting; /* sent first and expected back; "" for none */
    size_t (*request)(char *into, uint32_t number);
    size_t (*echo)(char *into, uint32_t number);
};

static size_t msgpack_frame(char *into, uint32_t number)
{
    const unsigned char frame[HEADER + 5] = {
        0,
        0,
        0,
        5, /* length of the body */
        0, /* kind: message */
        0,
        0,
        0,
        0,    /* id: none */
        0xce, /* uint32 */
        (unsigned char)(number >> 24),
        (unsigned char)(number >> 16),
        (unsigned char)(number >> 8),
        (unsigned char)number,
    };
    memcpy(into, frame, sizeof frame);
    return sizeof frame;
}

static size_t json_line(char *into, uint32_t number)
{
    return (size_t)snprintf(into, FRAME_MAX, "%u\n", number);
}

static size_t resp_request(char *into, uint32_t number)
{
    return (size_t)snprintf(into, FRAME_MAX, "*2\r\n$4\r\nECHO\r\n$7\r\n%07u\r\n",
                            number);
}

static size_t resp_reply(char *into, uint32_t number)
{
    return (size_t)snprintf(into, FRAME_MAX, "$7\r\n%07u\r\n", number);
}

static const struct format FORMATS[] = {
    {"msgpack", "ATL1", msgpack_frame, msgpack_frame},
    {"json", "", json_line, json_line},
    {"resp", "", resp_request, resp_reply},
};

struct client {
    int fd;
    uint32_t number; /* the one under way */
    size_t got_len;  /* bytes of its echo that have arrived */
    char got[FRAME_MAX];
};

static const struct format *find_format(const char *name)
{
    for (size_t i = 0; i < sizeof FORMATS / sizeof *FORMATS; i++) {
        if (strcmp(FORMATS[i].name, name) == 0) {
            return &FORMATS[i];
        }
    }
    errno = EINVAL;
    bench_die(name);
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        bench_die(path);
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        bench_die(path);
    }
    return fd;
}

static void send_next(struct client *client, const struct format *format)
{
    char bytes[FRAME_MAX];
    client->number++;
    client->got_len = 0;
    bench_send_all(client->fd, bytes, format->request(bytes, client->number));
}

/* Takes in what is there; true when the echo is complete, and it must be the right one.
 */
static bool receive_some(struct client *client, const struct format *format)
{
    char expected[FRAME_MAX];
    size_t expected_len = format->echo(expected, client->number);
    ssize_t got = recv(client->fd, client->got + client->got_len,
                       sizeof client->got - client->got_len, 0);
    if (got <= 0) {
        bench_die("the server closed a connection");
    }
    client->got_len += (size_t)got;
    if (client->got_len < expected_len) {
        return false;
    }
    if (client->got_len > expected_len ||
        memcmp(client->got, expected, expected_len) != 0) {
        fprintf(stderr, "this echo is not what was sent (%zu bytes, expected %zu)\n",
                client->got_len, expected_len);
        exit(1);
    }
    return true;
}

/* Connects, greets and has one message echoed. */
static void open_client(struct client *client, const char *path,
                        const struct format *format)
{
    char answer[FRAME_MAX];
    size_t greeting_len = strlen(format->greeting);
    client->fd = connect_to(path);
    client->number = FIRST_NUMBER;
    bench_send_all(client->fd, format->greeting, greeting_len);
    if (greeting_len > 0 && (!bench_recv_all(client->fd, answer, greeting_len) ||
                             memcmp(answer, format->greeting, greeting_len) != 0)) {
        fprintf(stderr, "the server does not greet back\n");
        exit(1);
    }
    send_next(client, format);
    while (!receive_some(client, format)) {
    }
}

static void open_clients(struct client *clients, long count, const char *path,
                         const struct format *format)
{
    for (long i = 0; i < count; i++) {
        open_client(&clients[i], path, format);
    }
}

/* One message under way for each client until `count` echoes are in. */
static double drive(struct client *clients, long clients_count, long count,
                    const struct format *format)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (long i = 0; i < clients_count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &event) < 0) {
            bench_die("epoll_ctl");
        }
    }
    uint64_t start = bench_now_ns();
    long sent = 0;
    for (long i = 0; i < clients_count && sent < count; i++, sent++) {
        send_next(&clients[i], format);
    }
    for (long done = 0; done < count;) {
        struct epoll_event events[64];
        int ready = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < ready; i++) {
            struct client *client = events[i].data.ptr;
            if (receive_some(client, format)) {
                done++;
                if (sent < count) {
                    send_next(client, format);
                    sent++;
                }
            }
        }
    }
    double elapsed = (double)(bench_now_ns() - start);
    close(epoll);
    return elapsed / (double)count;
}

/* The one client alone, blocking, as a master that asks for one thing. */
static double drive_one(struct client *client, long count, const struct format *format)
{
    uint64_t start = bench_now_ns();
    for (long i = 0; i < count; i++) {
        send_next(client, format);
        while (!receive_some(client, format)) {
        }
    }
    return (double)(bench_now_ns() - start) / (double)count;
}

/* Private memory of a process in bytes, a shared page counted by its share. */
static double memory_of(pid_t pid)
{
    char path[64];
    char line[256];
    long kibibytes = 0;
    snprintf(path, sizeof path, "/proc/%ld/smaps_rollup", (long)pid);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        bench_die(path);
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "Pss: %ld kB", &kibibytes) == 1) {
            break;
        }
    }
    fclose(file);
    return (double)kibibytes * 1024.0;
}

static pid_t serve(const char *program, const char *path)
{
    int ends[2];
    if (pipe(ends) < 0) {
        bench_die("pipe");
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    char *argv[] = {(char *)(uintptr_t)program, (char *)(uintptr_t)path, NULL};
    pid_t pid;
    unlink(path);
    errno = posix_spawn(&pid, bench_beside(program), &actions, NULL, argv, environ);
    if (errno != 0) {
        bench_die(program);
    }
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    char ready;
    if (read(ends[0], &ready, 1) != 1) {
        fprintf(stderr, "%s did not come up\n", program);
        exit(1);
    }
    close(ends[0]);
    return pid;
}

int main(int argc, char *argv[])
{
    if (argc < 2) {
        fprintf(stderr, "usage: epoll_client PATH [options]\n");
        return 2;
    }
    const char *path = argv[1];
    const struct format *format =
        find_format(bench_text_option(argc, argv, "--frames", "msgpack"));
    long clients_count = bench_option(argc, argv, "--clients", 64);
    long count = bench_option(argc, argv, "-n", 200000);
    long idle_count = bench_option(argc, argv, "--idle", 0);
    const char *server = bench_text_option(argc, argv, "--serve", NULL);
    pid_t pid = (pid_t)bench_option(argc, argv, "--pid", 0);
    if (server != NULL) {
        pid = serve(server, path);
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    struct client *clients = bench_alloc((size_t)clients_count * sizeof *clients);
    struct client *idle = bench_alloc((size_t)idle_count * sizeof *idle);
    open_clients(clients, clients_count, path, format);
    double before = pid > 0 ? memory_of(pid) : 0;
    open_clients(idle, idle_count, path, format);
    double grown = pid > 0 ? memory_of(pid) - before : 0;

    if (clients_count == 1) {
        drive_one(clients, count / 10 + 1, format);
        bench_print("ns_per_op", drive_one(clients, count, format));
    } else {
        drive(clients, clients_count, count / 10 + 1, format);
        bench_print("ns_per_op", drive(clients, clients_count, count, format));
    }
    if (idle_count > 0 && pid > 0) {
        bench_print("bytes_per_connection", grown / (double)idle_count);
    }
    if (server != NULL) {
        int status;
        kill(pid, SIGTERM);
        waitpid(pid, &status, 0);
        unlink(path);
    }
    free(idle);
    free(clients);
    return 0;
}
