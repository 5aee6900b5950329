/* SPDX-License-Identifier: Apache-2.0 */
/* Becoming another user, really, in forked copies. Needs root for the most of it. */
#include "identity.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void take(const char *name)
{
    struct artel_identity identity;
    char fault[200] = "";
    CHECK_INT(0, artel_identity_find(&identity, name));
    CHECK(artel_identity_may_take(&identity));
    int status = artel_identity_take(&identity, fault, sizeof fault);
    CHECK_STR("", fault);
    CHECK_INT(0, status);
}

/* The value of a line of /proc/self/status, tabs as blanks. */
static const char *status_line(const char *key)
{
    static char line[400];
    FILE *file = fopen("/proc/self/status", "re");
    CHECK(file != NULL);
    size_t key_len = strlen(key);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, key, key_len) == 0 && line[key_len] == ':') {
            fclose(file);
            line[strcspn(line, "\n")] = '\0';
            for (char *c = line; *c != '\0'; c++) {
                *c = *c == '\t' ? ' ' : *c;
            }
            return line + key_len + 2;
        }
    }
    fclose(file);
    return NULL;
}

static void users_are_found_by_name(void)
{
    struct artel_identity identity;
    CHECK_INT(0, artel_identity_find(&identity, "root"));
    CHECK_INT(0, identity.uid);
    CHECK_INT(0, identity.gid);
    CHECK_STR("root", identity.name);
}

static void unknown_users_are_enoent(void)
{
    struct artel_identity identity = {.uid = 7};
    char endless[500];
    memset(endless, 'a', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    CHECK_INT(-ENOENT, artel_identity_find(&identity, "no-such-user-here"));
    CHECK_INT(-ENOENT, artel_identity_find(&identity, ""));
    CHECK_INT(-ENOENT, artel_identity_find(&identity, endless));
    CHECK_INT(7, identity.uid);
}

static void groups_are_found_by_name(void)
{
    gid_t gid = 7;
    CHECK_INT(-ENOENT, artel_identity_find_group(&gid, "no-such-group-here"));
    CHECK_INT(7, gid);
    CHECK_INT(0, artel_identity_find_group(&gid, "root"));
    CHECK_INT(0, gid);
}

static void become_nobody(void)
{
    gid_t extra[] = {1, 2, 3};
    CHECK_INT(0, setgroups(3, extra));
    take("nobody");
    CHECK_STR("65534 65534 65534 65534", status_line("Uid"));
    CHECK_STR("65534 65534 65534 65534", status_line("Gid"));
    gid_t left[8];
    CHECK_INT(1, getgroups(8, left));
    CHECK_INT(65534, left[0]);
    static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapAmb"};
    for (size_t i = 0; i < 4; i++) {
        CHECK_STR("0000000000000000", status_line(sets[i]));
    }
    CHECK_STR("1", status_line("NoNewPrivs"));
    CHECK_INT(-1, setuid(0));
    CHECK_INT(-1, setresuid(0, 0, 0));
    CHECK_INT(-1, setegid(0));
    CHECK_INT(-1, open("/etc/shadow", O_RDONLY));
}

/* Capabilities that a plain setuid() would leave: ambient ones and kept ones. */
static void become_nobody_with_ambient_capabilities(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    CHECK_INT(0, syscall(SYS_capget, &header, data));
    data[0].inheritable = data[0].permitted;
    data[1].inheritable = data[1].permitted;
    CHECK_INT(0, syscall(SYS_capset, &header, data));
    CHECK_INT(0, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SETUID, 0, 0));
    CHECK_INT(0, prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
    become_nobody();
}

/* Not root, but may change ids by capability: the other way to have the right. */
static void become_nobody_by_capability(void)
{
    CHECK_INT(0, prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
    CHECK_INT(0, setresgid(1, 1, 1));
    CHECK_INT(0, setresuid(1, 1, 1));
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0, 0, 0}, {0, 0, 0}};
    data[0].permitted = 1u << CAP_SETUID | 1u << CAP_SETGID;
    data[0].effective = data[0].permitted;
    CHECK_INT(0, syscall(SYS_capset, &header, data));
    become_nobody();
}

static void be_nobody_already(void)
{
    take("nobody");
    take("nobody"); /* may not change groups any more, and need not */
    CHECK_STR("65534 65534 65534 65534", status_line("Uid"));
}

static void nobody_cannot_become_root(void)
{
    take("nobody");
    struct artel_identity root;
    char fault[200] = "";
    CHECK_INT(0, artel_identity_find(&root, "root"));
    CHECK(!artel_identity_may_take(&root));
    CHECK_INT(-EPERM, artel_identity_take(&root, fault, sizeof fault));
    CHECK_STR("cannot set the user ids: Operation not permitted", fault);
}

/* Half root: effective ids changed only, so root could come back. */
static void drop_a_saved_root(void)
{
    struct artel_identity nobody;
    char fault[200] = "";
    CHECK_INT(0, artel_identity_find(&nobody, "nobody"));
    CHECK_INT(0, setresuid(65534, 65534, 0));
    CHECK(!artel_identity_may_take(&nobody)); /* it is not that user already */
    CHECK_INT(0, artel_identity_take(&nobody, fault, sizeof fault));
    CHECK_STR("65534 65534 65534 65534", status_line("Uid"));
}

static void becoming_nobody_leaves_nothing(void)
{
    CHECK_INT(0, test_in_a_fork(become_nobody));
}

static void ambient_capabilities_go_too(void)
{
    CHECK_INT(0, test_in_a_fork(become_nobody_with_ambient_capabilities));
}

static void capabilities_are_enough(void)
{
    CHECK_INT(0, test_in_a_fork(become_nobody_by_capability));
}

static void being_that_user_already_is_enough(void)
{
    CHECK_INT(0, test_in_a_fork(be_nobody_already));
}

static void there_is_no_way_back(void)
{
    CHECK_INT(0, test_in_a_fork(nobody_cannot_become_root));
}

static void saved_ids_count(void)
{
    CHECK_INT(0, test_in_a_fork(drop_a_saved_root));
}

int main(void)
{
    RUN(users_are_found_by_name);
    RUN(unknown_users_are_enoent);
    RUN(groups_are_found_by_name);
    if (geteuid() != 0) {
        printf("the rest needs root\n");
        return TEST_SKIPPED;
    }
    RUN(becoming_nobody_leaves_nothing);
    RUN(ambient_capabilities_go_too);
    RUN(capabilities_are_enough);
    RUN(being_that_user_already_is_enough);
    RUN(there_is_no_way_back);
    RUN(saved_ids_count);
    return 0;
}
