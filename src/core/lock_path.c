/* SPDX-License-Identifier: Apache-2.0 */
/* Knows where the lock of an address lies, so that all who want it look there. */
#include "file.h"
#include "lock.h"
#include "socket_address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Joins three pieces; NULL when there is no memory. */
static char *join(const char *first, const char *second, const char *third)
{
    size_t len = strlen(first) + strlen(second) + strlen(third) + 1;
    char *joined = malloc(len);
    if (joined != NULL) {
        snprintf(joined, len, "%s%s%s", first, second, third);
    }
    return joined;
}

/* A folder from the environment of who we run as; one given to a program that has more
 * rights than its caller is not believed. */
static const char *folder_from(const char *variable)
{
    const char *folder = secure_getenv(variable);
    return folder != NULL && folder[0] == '/' ? folder : NULL;
}

/* Takes the candidate over: the folder made or accepted, or freed. */
static int try_folder(char *candidate, uid_t user, char **folder, char *fault,
                      size_t fault_len)
{
    if (candidate == NULL) {
        snprintf(fault, fault_len, "no memory");
        return -ENOMEM;
    }
    int status = artel_file_make_private_folder(candidate, user, fault, fault_len);
    if (status == 0) {
        *folder = candidate;
    } else {
        free(candidate);
    }
    return status;
}

static int find_folder(uid_t user, char **folder, char *fault, size_t fault_len)
{
    char uid[24];
    snprintf(uid, sizeof uid, "%llu", (unsigned long long)user);
    /* That of this process; another user could not enter it. */
    const char *runtime = user == geteuid() ? folder_from("XDG_RUNTIME_DIR") : NULL;
    if (runtime != NULL &&
        try_folder(join(runtime, "/artel", ""), user, folder, fault, fault_len) == 0) {
        return 0;
    }
    if (try_folder(join("/run", "/artel-", uid), user, folder, fault, fault_len) == 0) {
        return 0;
    }
    const char *temporary = folder_from("TMPDIR");
    return try_folder(join(temporary != NULL ? temporary : "/tmp", "/artel-", uid), user,
                      folder, fault, fault_len);
}

int artel_lock_path_of_address(char **path, const struct artel_address *address,
                               uid_t user, char *fault, size_t fault_len)
{
    char *made;
    if (address->is_unix) {
        made = join(address->path, ".lock", "");
    } else {
        /* The number, so that "localhost" and 127.0.0.1 exclude each other. */
        struct artel_socket_address number;
        const char *reason = "";
        int status = artel_socket_address_resolve(address, &number, 1, &reason);
        char *folder = NULL;
        if (status < 0) {
            snprintf(fault, fault_len, "cannot resolve %s: %s", address->host, reason);
        } else {
            status = find_folder(user, &folder, fault, fault_len);
        }
        if (folder == NULL) {
            return status;
        }
        char text[ARTEL_SOCKET_ADDRESS_TEXT_LEN];
        char name[ARTEL_SOCKET_ADDRESS_TEXT_LEN + 8];
        artel_socket_address_text(&number, text);
        snprintf(name, sizeof name, "/tcp-%s", text);
        made = join(folder, name, ".lock");
        free(folder);
    }
    if (made == NULL) {
        snprintf(fault, fault_len, "no memory");
        return -ENOMEM;
    }
    *path = made;
    return 0;
}
