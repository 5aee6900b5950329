/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's forms of addresses, and back to text. */
#include "socket_address.h"
#include "test.h"

#include <errno.h>
#include <sys/un.h>

/* The forms of a written address; answers how many. */
static int resolve(const char *text, struct artel_socket_address *list)
{
    struct artel_address address;
    const char *fault = NULL;
    CHECK_INT(0, artel_address_parse(&address, text, strlen(text), &fault));
    return artel_socket_address_resolve(&address, list, ARTEL_SOCKET_ADDRESS_MAX, &fault);
}

static void check_text(const char *address, const char *expected)
{
    struct artel_socket_address list[ARTEL_SOCKET_ADDRESS_MAX];
    char text[ARTEL_SOCKET_ADDRESS_TEXT_LEN];
    CHECK(resolve(address, list) >= 1);
    artel_socket_address_text(&list[0], text);
    CHECK_STR(expected, text);
}

static void numbers_come_back_as_text(void)
{
    check_text("tcp://127.0.0.1:4000", "127.0.0.1:4000");
    check_text("tcp://0.0.0.0:1", "0.0.0.0:1");
    check_text("tcp://[::1]:65535", "[::1]:65535");
    check_text("tcp://[0:0::1]:80", "[::1]:80");
    check_text("tcp://[::ffff:10.1.2.3]:80", "10.1.2.3:80");
}

static void paths_come_back_as_text(void)
{
    check_text("unix:///run/a.sock", "/run/a.sock");
    check_text("unix://a.sock", "a.sock");
}

static void the_longest_path_fits(void)
{
    char text[7 + ARTEL_ADDRESS_PATH_MAX_LEN + 1] = "unix://";
    memset(text + 7, 'x', ARTEL_ADDRESS_PATH_MAX_LEN);
    text[sizeof text - 1] = '\0';
    struct artel_socket_address list[ARTEL_SOCKET_ADDRESS_MAX];
    CHECK_INT(1, resolve(text, list));
    CHECK_INT(sizeof(struct sockaddr_un), list[0].len);
    check_text(text, text + 7);
}

static void localhost_asks_nobody(void)
{
    struct artel_socket_address list[ARTEL_SOCKET_ADDRESS_MAX];
    char text[ARTEL_SOCKET_ADDRESS_TEXT_LEN];
    int count = resolve("tcp://LocalHost:4000", list);
    CHECK(count >= 1);
    artel_socket_address_text(&list[0], text);
    CHECK_STR("127.0.0.1:4000", text);
    if (count > 1) {
        artel_socket_address_text(&list[1], text);
        CHECK_STR("[::1]:4000", text);
    }
}

static void a_list_of_one_is_not_overrun(void)
{
    struct artel_address address;
    struct artel_socket_address only;
    const char *fault;
    const char *text = "tcp://localhost:4000";
    CHECK_INT(0, artel_address_parse(&address, text, strlen(text), &fault));
    CHECK_INT(1, artel_socket_address_resolve(&address, &only, 1, &fault));
}

static bool equal(const char *left, const char *right)
{
    struct artel_socket_address a[ARTEL_SOCKET_ADDRESS_MAX];
    struct artel_socket_address b[ARTEL_SOCKET_ADDRESS_MAX];
    CHECK(resolve(left, a) >= 1 && resolve(right, b) >= 1);
    return artel_socket_address_equals(&a[0], &b[0]);
}

static void addresses_are_compared_by_what_they_mean(void)
{
    CHECK(equal("tcp://127.0.0.1:80", "tcp://[::ffff:127.0.0.1]:80"));
    CHECK(equal("tcp://[::1]:80", "tcp://[0:0:0:0:0:0:0:1]:80"));
    CHECK(equal("tcp://localhost:80", "tcp://127.0.0.1:80"));
    CHECK(equal("unix:///a", "unix:///a"));
    CHECK(!equal("tcp://127.0.0.1:80", "tcp://127.0.0.1:81"));
    CHECK(!equal("tcp://127.0.0.1:80", "tcp://127.0.0.2:80"));
    CHECK(!equal("tcp://0.0.0.0:80", "tcp://[::]:80"));
    CHECK(!equal("unix:///a", "unix:///b"));
    CHECK(!equal("unix:///a", "tcp://127.0.0.1:80"));
}

static void a_nameless_socket_has_no_text_and_equals_nothing(void)
{
    struct artel_socket_address none;
    char text[ARTEL_SOCKET_ADDRESS_TEXT_LEN] = "something";
    memset(&none, 0, sizeof none);
    none.storage.ss_family = AF_UNIX;
    none.len = sizeof(sa_family_t);
    artel_socket_address_text(&none, text);
    CHECK_STR("", text);
    CHECK(!artel_socket_address_equals(&none, &none));
}

int main(void)
{
    RUN(numbers_come_back_as_text);
    RUN(paths_come_back_as_text);
    RUN(the_longest_path_fits);
    RUN(localhost_asks_nobody);
    RUN(a_list_of_one_is_not_overrun);
    RUN(addresses_are_compared_by_what_they_mean);
    RUN(a_nameless_socket_has_no_text_and_equals_nothing);
    return 0;
}
