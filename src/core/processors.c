/* SPDX-License-Identifier: Apache-2.0 */
/* Knows where Linux keeps the CPU quotas of control groups, of version 1 and 2. */
#include "processors.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_LEN 4096
#define MOUNT_FIELDS                                                                     \
    6 /* before the optional ones: id, parent, device, root, point, options */

/* One hierarchy of groups, and our place in it. */
struct hierarchy {
    const char *root; /* see artel_processors_quota() */
    bool version2;
    char group[PATH_LEN];  /* our group, as the kernel calls it; "" when we are in none */
    char folder[PATH_LEN]; /* where the hierarchy, or the part below mount_root, is
                              mounted */
    char mount_root[PATH_LEN];
};

/* Whether a word stands in a list that is separated by commas. */
static bool list_has(const char *list, const char *word)
{
    size_t word_len = strlen(word);
    while (*list != '\0') {
        size_t len = strcspn(list, ",");
        if (len == word_len && memcmp(list, word, len) == 0) {
            return true;
        }
        list += len + (list[len] == ',');
    }
    return false;
}

static FILE *open_below(const char *root, const char *path)
{
    char name[2 * PATH_LEN];
    int len = snprintf(name, sizeof name, "%s%s", root, path);
    return len < (int)sizeof name ? fopen(name, "re") : NULL;
}

static void keep(char destination[PATH_LEN], const char *text)
{
    size_t len = strlen(text);
    destination[0] = '\0';
    if (len < PATH_LEN) {
        memcpy(destination, text, len + 1);
    }
}

/* Lines of /proc/self/cgroup: "4:cpu,cpuacct:/group" and, for version 2, "0::/group". */
static void find_group(struct hierarchy *hierarchy)
{
    FILE *file = open_below(hierarchy->root, "/proc/self/cgroup");
    char *line = NULL;
    size_t size = 0;
    while (file != NULL && getline(&line, &size, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL) {
            continue;
        }
        *group++ = '\0';
        controllers++;
        bool ours =
            hierarchy->version2 ? controllers[0] == '\0' : list_has(controllers, "cpu");
        if (ours) {
            keep(hierarchy->group, group);
            break;
        }
    }
    free(line);
    if (file != NULL) {
        fclose(file);
    }
}

/* The kernel writes a space in a path as \040. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; to++) {
        bool octal = from[0] == '\\' && from[1] >= '0' && from[1] <= '3' &&
                     from[2] >= '0' && from[2] <= '7' && from[3] >= '0' && from[3] <= '7';
        *to = octal ? (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + from[3] - '0')
                    : *from;
        from += octal ? 4 : 1;
    }
    *to = '\0';
}

/* A line of /proc/self/mountinfo: "36 30 0:28 /root /point options... - type source
 * flags". */
static bool read_mount(struct hierarchy *hierarchy, char *line)
{
    char *tail = strstr(line, " - ");
    if (tail == NULL) {
        return false;
    }
    *tail = '\0';
    char *rest = NULL, *fields[MOUNT_FIELDS] = {NULL};
    fields[0] = strtok_r(line, " ", &rest);
    for (size_t i = 1; i < MOUNT_FIELDS; i++) {
        fields[i] = strtok_r(NULL, " ", &rest);
    }
    char *type = strtok_r(tail + 3, " \n", &rest);
    strtok_r(NULL, " \n", &rest); /* the source means nothing here */
    char *flags = strtok_r(NULL, " \n", &rest);
    if (fields[4] == NULL || type == NULL || flags == NULL) {
        return false;
    }
    bool ours = hierarchy->version2
                    ? strcmp(type, "cgroup2") == 0
                    : strcmp(type, "cgroup") == 0 && list_has(flags, "cpu");
    if (ours) {
        unescape(fields[3]);
        unescape(fields[4]);
        keep(hierarchy->mount_root, fields[3]);
        keep(hierarchy->folder, fields[4]);
    }
    return ours;
}

static bool find_mount(struct hierarchy *hierarchy)
{
    FILE *file = open_below(hierarchy->root, "/proc/self/mountinfo");
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    while (file != NULL && !found && getline(&line, &size, file) > 0) {
        found = read_mount(hierarchy, line);
    }
    free(line);
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

/* Reads at most `most` numbers; "max" counts as -1. Answers how many there were. */
static int read_numbers(const char *root, const char *path, long long *numbers, int most)
{
    FILE *file = open_below(root, path);
    char line[100];
    int count = 0;
    if (file == NULL) {
        return 0;
    }
    if (fgets(line, sizeof line, file) != NULL) {
        char *rest = NULL;
        for (char *word = strtok_r(line, " \n", &rest); word != NULL && count < most;
             word = strtok_r(NULL, " \n", &rest)) {
            numbers[count++] = strcmp(word, "max") == 0 ? -1 : strtoll(word, NULL, 10);
        }
    }
    fclose(file);
    return count;
}

/* The quota that stands in one folder, 0 for none; where gets its file. */
static double quota_in(const struct hierarchy *hierarchy, const char *folder, char *where,
                       size_t where_len)
{
    long long numbers[2] = {-1, 0};
    char period[PATH_LEN + 32];
    snprintf(where, where_len, "%s/%s", folder,
             hierarchy->version2 ? "cpu.max" : "cpu.cfs_quota_us");
    int count = read_numbers(hierarchy->root, where, numbers, 2);
    if (!hierarchy->version2 && count == 1) {
        snprintf(period, sizeof period, "%s/cpu.cfs_period_us", folder);
        count += read_numbers(hierarchy->root, period, numbers + 1, 1);
    }
    return count == 2 && numbers[0] > 0 && numbers[1] > 0
               ? (double)numbers[0] / (double)numbers[1]
               : 0;
}

/* Our group's folder: what is left of its name below the root of the mount. A name that
 * does not lie there (another namespace's) leaves the mount itself. */
static void find_folder(const struct hierarchy *hierarchy, char *folder,
                        size_t folder_len)
{
    const char *group = hierarchy->group;
    size_t root_len =
        strcmp(hierarchy->mount_root, "/") == 0 ? 0 : strlen(hierarchy->mount_root);
    bool below = strncmp(group, hierarchy->mount_root, root_len) == 0 &&
                 (group[root_len] == '/' || group[root_len] == '\0') &&
                 strstr(group, "/..") == NULL;
    snprintf(folder, folder_len, "%s%s", hierarchy->folder,
             below ? group + root_len : "");
    size_t len = strlen(folder);
    if (len > 0 && folder[len - 1] == '/') {
        folder[len - 1] = '\0';
    }
}

/* Lowers *quota to the tightest one from our group up to the top of the hierarchy. */
static void walk_up(struct hierarchy *hierarchy, double *quota, char *where,
                    size_t where_len)
{
    char folder[2 * PATH_LEN], file[2 * PATH_LEN + 32];
    find_group(hierarchy);
    if (hierarchy->group[0] == '\0' || !find_mount(hierarchy)) {
        return;
    }
    find_folder(hierarchy, folder, sizeof folder);
    size_t top = strlen(hierarchy->folder);
    for (;;) {
        double found = quota_in(hierarchy, folder, file, sizeof file);
        if (found > 0 && (*quota <= 0 || found < *quota)) {
            *quota = found;
            snprintf(where, where_len, "%s", file);
        }
        char *slash = strrchr(folder, '/');
        if (slash == NULL || (size_t)(slash - folder) < top) {
            return;
        }
        *slash = '\0';
    }
}

bool artel_processors_quota(const char *root, double *quota, char *where,
                            size_t where_len)
{
    double tightest = 0;
    for (int version = 1; version <= 2; version++) {
        struct hierarchy hierarchy = {.root = root, .version2 = version == 2};
        walk_up(&hierarchy, &tightest, where, where_len);
    }
    if (tightest > 0) {
        *quota = tightest;
    }
    return tightest > 0;
}

static unsigned count_online(void)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

#ifdef __linux__
/* The kernel wants a mask for as many processors as it could have: grow until it fits. */
unsigned artel_processors_allowed(void)
{
    for (size_t most = 1024; most <= 1024 * 1024; most *= 4) {
        cpu_set_t *mask = CPU_ALLOC(most);
        if (mask == NULL) {
            break;
        }
        size_t size = CPU_ALLOC_SIZE(most);
        int status = sched_getaffinity(0, size, mask) < 0 ? errno : 0;
        int count = status == 0 ? CPU_COUNT_S(size, mask) : 0;
        CPU_FREE(mask);
        if (status == 0 && count > 0) {
            return (unsigned)count;
        }
        if (status != EINVAL) {
            break;
        }
    }
    return count_online();
}
#else
unsigned artel_processors_allowed(void)
{
    return count_online();
}
#endif

static unsigned round_up(double quota)
{
    if (quota >= UINT_MAX) {
        return UINT_MAX;
    }
    unsigned whole = (unsigned)quota;
    return whole + ((double)whole < quota);
}

void artel_processors_find(struct artel_processors *processors)
{
    char where[ARTEL_PROCESSORS_HOW_LEN - 64];
    double quota = 0;
    bool limited = artel_processors_quota("", &quota, where, sizeof where);
    processors->allowed = artel_processors_allowed();
    processors->count = processors->allowed;
    processors->quota = quota;
    if (limited && round_up(quota) < processors->allowed) {
        processors->count = round_up(quota);
        snprintf(processors->how, sizeof processors->how,
                 "quota of %.2f processors in %s", quota, where);
    } else {
        snprintf(processors->how, sizeof processors->how,
                 "affinity to %u processors, and no tighter quota", processors->allowed);
    }
}
