/* SPDX-License-Identifier: Apache-2.0 */
/* Shows which addresses are understood, and which of them mean this machine. */
#include "address.h"

#include "test.h"

#include <errno.h>

static int parse(struct artel_address *address, const char *text)
{
    const char *fault = NULL;
    int status = artel_address_parse(address, text, strlen(text), &fault);
    CHECK(status == 0 || fault != NULL);
    return status;
}

static void addresses_are_taken_apart(void)
{
    struct artel_address address;
    CHECK_INT(0, parse(&address, "unix:///run/x.sock"));
    CHECK(address.is_unix);
    CHECK_STR("/run/x.sock", address.path);
    CHECK_INT(0, parse(&address, "unix://x.sock"));
    CHECK_STR("x.sock", address.path);
    CHECK_INT(0, parse(&address, "tcp://127.0.0.1:4000"));
    CHECK(!address.is_unix);
    CHECK_STR("127.0.0.1", address.host);
    CHECK_INT(4000, address.port);
    CHECK_INT(0, parse(&address, "tcp://[::1]:65535"));
    CHECK_STR("::1", address.host);
    CHECK_INT(65535, address.port);
    CHECK_INT(0, parse(&address, "tcp://[fe80::1%eth0]:1"));
    CHECK_STR("fe80::1%eth0", address.host);
    CHECK_INT(0, parse(&address, "tcp://db-1.example.org:5432"));
    CHECK_STR("db-1.example.org", address.host);
}

static void everything_else_is_refused(void)
{
    static const char *const bad[] = {
        "",
        "unix:",
        "unix://",
        "unix:///run/",
        "UNIX:///x",
        "http://x:80",
        "tcp://",
        "tcp://x",
        "tcp://x:",
        "tcp://x:0",
        "tcp://x:65536",
        "tcp://x:+80",
        "tcp://x: 80",
        "tcp://x:80/",
        "tcp://:80",
        "tcp://[]:80",
        "tcp://[::1]",
        "tcp://[::1]80",
        "tcp://[::1%]:80",
        "tcp://[localhost]:80",
        "tcp://::1:80",
        "tcp://a b:80",
        "tcp://user@x:80",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct artel_address address;
        CHECK_INT(-EINVAL, parse(&address, bad[i]));
    }
    const char *fault = NULL;
    struct artel_address address;
    CHECK_INT(-EINVAL, artel_address_parse(&address, "unix:///a\0b", 11, &fault));
}

static void a_path_may_have_107_bytes(void)
{
    char text[200] = "unix:///";
    struct artel_address address;
    memset(text + 8, 'x', ARTEL_ADDRESS_PATH_MAX_LEN - 1);
    CHECK_INT(0, parse(&address, text));
    CHECK_INT(ARTEL_ADDRESS_PATH_MAX_LEN, strlen(address.path));
    text[8 + ARTEL_ADDRESS_PATH_MAX_LEN - 1] = 'x';
    CHECK_INT(-ENAMETOOLONG, parse(&address, text));
}

static void hosts_are_compared_as_numbers(void)
{
    static const struct {
        const char *text;
        bool local, exposed;
    } cases[] = {
        {"unix:///x", true, false},
        {"tcp://localhost:1", true, false},
        {"tcp://LocalHost:1", true, false},
        {"tcp://127.0.0.1:1", true, false},
        {"tcp://127.8.9.1:1", true, false},
        {"tcp://[::1]:1", true, false},
        {"tcp://[0:0:0:0:0:0:0:1]:1", true, false},
        {"tcp://[::ffff:127.0.0.1]:1", true, false},
        {"tcp://0.0.0.0:1", true, true},
        {"tcp://[::]:1", true, true},
        {"tcp://[::ffff:0.0.0.0]:1", true, true},
        {"tcp://192.0.2.1:1", false, true},
        {"tcp://[2001:db8::1]:1", false, true},
        {"tcp://example.org:1", false, true},
        {"tcp://127.1:1", false, true}, /* a shorthand that inet_pton does not know */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct artel_address address;
        CHECK_INT(0, parse(&address, cases[i].text));
        CHECK_INT(cases[i].local, artel_address_is_local(&address));
        CHECK_INT(cases[i].exposed, artel_address_is_network_exposed(&address));
    }
}

int main(void)
{
    RUN(addresses_are_taken_apart);
    RUN(everything_else_is_refused);
    RUN(a_path_may_have_107_bytes);
    RUN(hosts_are_compared_as_numbers);
    return 0;
}
