/* SPDX-License-Identifier: Apache-2.0 */
/* Knows in which order a process gives its rights away, and how to be sure it did. */
#include "identity.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Where getpwnam_r() stops asking for more room: an entry of this size is a fault. */
#define ENTRY_MAX_LEN ((size_t)1 << 20)

/* ---- looking up ---- */

/* One of getpwnam_r() and getgrnam_r(): 0, -ENOENT, -ERANGE for more room, or another. */
typedef int find_entry(void *into, const char *name, char *room, size_t len);

static int find_user(void *into, const char *name, char *room, size_t len)
{
    struct artel_identity *identity = into;
    struct passwd entry;
    struct passwd *found = NULL;
    int status = getpwnam_r(name, &entry, room, len, &found);
    if (found == NULL) {
        return status == 0 ? -ENOENT : -status;
    }
    identity->uid = found->pw_uid;
    identity->gid = found->pw_gid;
    return 0;
}

static int find_group(void *into, const char *name, char *room, size_t len)
{
    struct group entry;
    struct group *found = NULL;
    int status = getgrnam_r(name, &entry, room, len, &found);
    if (found == NULL) {
        return status == 0 ? -ENOENT : -status;
    }
    *(gid_t *)into = found->gr_gid;
    return 0;
}

static int find(find_entry *find_one, void *into, const char *name)
{
    int status = -ERANGE;
    for (size_t len = 1024; status == -ERANGE && len <= ENTRY_MAX_LEN; len *= 2) {
        char *room = malloc(len);
        if (room == NULL) {
            return -ENOMEM;
        }
        do {
            status = find_one(into, name, room, len);
        } while (status == -EINTR);
        free(room);
    }
    return status;
}

int artel_identity_find(struct artel_identity *identity, const char *name)
{
    struct artel_identity found;
    size_t len = strlen(name);
    if (len >= sizeof found.name) {
        return -ENOENT;
    }
    int status = find(find_user, &found, name);
    if (status == 0) {
        memcpy(found.name, name, len + 1);
        *identity = found;
    }
    return status;
}

int artel_identity_find_group(gid_t *gid, const char *name)
{
    return find(find_group, gid, name);
}

/* ---- what this process may ---- */

/* The C library has no wrapper for these two. */
static int get_capabilities(struct __user_cap_data_struct data[2])
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    return syscall(SYS_capget, &header, data) == 0 ? 0 : -errno;
}

static int clear_capabilities(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
    return syscall(SYS_capset, &header, none) == 0 ? 0 : -errno;
}

static bool has_capability(unsigned capability)
{
    struct __user_cap_data_struct data[2];
    return get_capabilities(data) == 0 &&
           (data[capability / 32].effective >> (capability % 32) & 1) != 0;
}

static bool is_user(uid_t uid)
{
    uid_t real;
    uid_t effective;
    uid_t saved;
    return getresuid(&real, &effective, &saved) == 0 && real == uid && effective == uid &&
           saved == uid;
}

static bool is_group(gid_t gid)
{
    gid_t real;
    gid_t effective;
    gid_t saved;
    return getresgid(&real, &effective, &saved) == 0 && real == gid && effective == gid &&
           saved == gid;
}

bool artel_identity_may_take(const struct artel_identity *identity)
{
    return geteuid() == 0 || is_user(identity->uid) ||
           (has_capability(CAP_SETUID) && has_capability(CAP_SETGID));
}

/* ---- changing ---- */

static int failed(const char *step, int error, char *fault, size_t fault_len)
{
    snprintf(fault, fault_len, "%s: %s", step, strerror(error));
    return -error;
}

static int change_groups(const struct artel_identity *identity, char *fault,
                         size_t fault_len)
{
    if (initgroups(identity->name, identity->gid) < 0) {
        return failed("cannot set the supplementary groups", errno, fault, fault_len);
    }
    if (setresgid(identity->gid, identity->gid, identity->gid) < 0) {
        return failed("cannot set the group ids", errno, fault, fault_len);
    }
    return 0;
}

static int drop_privileges(char *fault, size_t fault_len)
{
    /* Changing from one user to another, neither of them root, keeps capabilities. The
     * bounding set stays: no_new_privs leaves nothing through which it would matter. */
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL) {
        return failed("cannot clear the ambient capabilities", errno, fault, fault_len);
    }
    int status = clear_capabilities();
    if (status < 0) {
        return failed("cannot clear the capabilities", -status, fault, fault_len);
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return failed("cannot set no_new_privs", errno, fault, fault_len);
    }
    return 0;
}

/* ---- checking ---- */

static int by_number(const void *left, const void *right)
{
    gid_t a = *(const gid_t *)left;
    gid_t b = *(const gid_t *)right;
    return (a > b) - (a < b);
}

/* Sorts, takes doubles out; answers how many are left. */
static size_t tidy(gid_t *groups, size_t count)
{
    size_t kept = 0;
    qsort(groups, count, sizeof *groups, by_number);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || groups[kept - 1] != groups[i]) {
            groups[kept++] = groups[i];
        }
    }
    return kept;
}

/* Whether the kernel's list of our groups is the one that the user database has. */
static bool groups_match(const struct artel_identity *identity)
{
    int wanted_count = 0;
    (void)getgrouplist(identity->name, identity->gid, NULL, &wanted_count);
    int count = getgroups(0, NULL);
    if (wanted_count < 1 || count < 0) {
        return false;
    }
    gid_t *wanted = calloc((size_t)wanted_count, sizeof *wanted);
    gid_t *present = calloc((size_t)count + 1, sizeof *present);
    bool same = false;
    if (wanted != NULL && present != NULL &&
        getgrouplist(identity->name, identity->gid, wanted, &wanted_count) >= 0 &&
        getgroups(count, present) == count) {
        size_t wanted_kept = tidy(wanted, (size_t)wanted_count);
        size_t present_kept = tidy(present, (size_t)count);
        same = wanted_kept == present_kept &&
               memcmp(wanted, present, present_kept * sizeof *present) == 0;
    }
    free(wanted);
    free(present);
    return same;
}

static bool has_no_capability(void)
{
    struct __user_cap_data_struct data[2];
    if (get_capabilities(data) < 0) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        if ((data[i].effective | data[i].permitted | data[i].inheritable) != 0) {
            return false;
        }
    }
    for (unsigned long capability = 0; capability < 64; capability++) {
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, 0, 0) > 0) {
            return false;
        }
    }
    return true;
}

/* Tries, and must not get it. A group that was not ours to change may be root's. */
static bool can_regain_root(const struct artel_identity *identity, bool groups_changed)
{
    if (identity->uid != 0 &&
        (setresuid(0, 0, 0) == 0 || seteuid(0) == 0 || setuid(0) == 0)) {
        return true;
    }
    return groups_changed && identity->uid != 0 && identity->gid != 0 && setegid(0) == 0;
}

static int verify(const struct artel_identity *identity, bool groups_changed, char *fault,
                  size_t fault_len)
{
    const char *wrong = NULL;
    if (!is_user(identity->uid)) {
        wrong = "the user ids are not those that were set";
    } else if (groups_changed && !is_group(identity->gid)) {
        wrong = "the group ids are not those that were set";
    } else if (groups_changed && !groups_match(identity)) {
        wrong = "the supplementary groups are not those of the user";
    } else if (!has_no_capability()) {
        wrong = "capabilities are left";
    } else if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) {
        wrong = "no_new_privs is not set";
    } else if (can_regain_root(identity, groups_changed)) {
        wrong = "root can be regained";
    }
    if (wrong != NULL) {
        snprintf(fault, fault_len, "%s", wrong);
        return -EPERM;
    }
    return 0;
}

int artel_identity_take(const struct artel_identity *identity, char *fault,
                        size_t fault_len)
{
    bool changes_groups = geteuid() == 0 || has_capability(CAP_SETGID);
    if (changes_groups) {
        int status = change_groups(identity, fault, fault_len);
        if (status < 0) {
            return status;
        }
    }
    if (setresuid(identity->uid, identity->uid, identity->uid) < 0) {
        return failed("cannot set the user ids", errno, fault, fault_len);
    }
    int status = drop_privileges(fault, fault_len);
    return status < 0 ? status : verify(identity, changes_groups, fault, fault_len);
}
