/* SPDX-License-Identifier: Apache-2.0 */
/* Shows which quota counts, on trees of files made up like those of real machines. */
#include "processors.h"

#include "test.h"

#include <ftw.h>
#include <sched.h>
#include <sys/stat.h>

static char root[] = "/tmp/artel-processors-test-XXXXXX";
static char where[512];

/* Writes a file below the root, with the folders it needs. */
static void put(const char *path, const char *text)
{
    char name[1024];
    snprintf(name, sizeof name, "%s%s", root, path);
    for (char *slash = strchr(name + strlen(root) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(name, 0700);
        *slash = '/';
    }
    FILE *file = fopen(name, "w");
    CHECK(file != NULL);
    fputs(text, file);
    fclose(file);
}

static int remove_one(const char *path, const struct stat *facts, int type,
                      struct FTW *place)
{
    (void)facts, (void)type, (void)place;
    return remove(path);
}

static void begin(const char *groups, const char *mounts)
{
    nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    CHECK_INT(0, mkdir(root, 0700));
    put("/proc/self/cgroup", groups);
    put("/proc/self/mountinfo", mounts);
}

/* Hundredths of a processor; 0 when nothing limits. */
static int quota(void)
{
    double found = 0;
    where[0] = '\0';
    bool limited = artel_processors_quota(root, &found, where, sizeof where);
    CHECK(limited == (found > 0));
    return (int)(found * 100 + 0.5);
}

#define V2_MOUNT                                                                         \
    "35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MOUNTS                                                                        \
    "33 30 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"                  \
    "34 30 0:31 / /sys/fs/cgroup/cpu,cpuacct rw shared:3 - cgroup cgroup "               \
    "rw,cpu,cpuacct\n"

static void no_groups_limit_nothing(void)
{
    begin("", "");
    CHECK_INT(0, quota());
    begin("0::/a\n", V2_MOUNT);
    CHECK_INT(0, quota());
    begin("0::/a\n", "garbage\n1 2 3\n - \n1 2 3 4 5 6 - cgroup2\n");
    CHECK_INT(0, quota());
}

static void version_2_takes_the_tightest_of_nested_groups(void)
{
    begin("0::/a/b/c\n", "1 0 8:1 / / rw - ext4 /dev/sda rw\n" V2_MOUNT);
    put("/sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
    CHECK_INT(0, quota());
    put("/sys/fs/cgroup/a/b/cpu.max", "150000 100000\n");
    put("/sys/fs/cgroup/a/cpu.max", "800000 100000\n");
    CHECK_INT(150, quota());
    CHECK_STR("/sys/fs/cgroup/a/b/cpu.max", where);
    put("/sys/fs/cgroup/a/cpu.max", "50000 100000\n");
    CHECK_INT(50, quota());
    CHECK_STR("/sys/fs/cgroup/a/cpu.max", where);
}

static void other_groups_do_not_count(void)
{
    begin("0::/a/b\n", V2_MOUNT);
    put("/sys/fs/cgroup/a/c/cpu.max", "1000 100000\n");
    put("/sys/fs/cgroup/ab/cpu.max", "1000 100000\n");
    CHECK_INT(0, quota());
}

static void version_1_reads_its_own_files(void)
{
    begin("4:cpuset:/other\n3:cpu,cpuacct:/a/b\n0::/\n", V1_MOUNTS);
    put("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n");
    CHECK_INT(0, quota());
    put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "125000\n");
    CHECK_INT(0, quota()); /* a quota means nothing without its period */
    put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "50000\n");
    CHECK_INT(250, quota());
    CHECK_STR("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", where);
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "100000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    CHECK_INT(100, quota());
}

static void the_tighter_of_both_versions_counts(void)
{
    begin("3:cpu,cpuacct:/a\n0::/b\n", V1_MOUNTS V2_MOUNT);
    put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "300000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/b/cpu.max", "200000 100000\n");
    CHECK_INT(200, quota());
}

static void a_container_sees_its_group_as_the_root_of_the_mount(void)
{
    /* No namespace of its own: the name of the group is the machine's. */
    begin("0::/docker/123/sub\n",
          "35 24 0:30 /docker/123 /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n");
    put("/sys/fs/cgroup/cpu.max", "400000 100000\n");
    CHECK_INT(400, quota());
    put("/sys/fs/cgroup/sub/cpu.max", "300000 100000\n");
    CHECK_INT(300, quota());
    /* A namespace, but we were moved out of its root. */
    begin("0::/../elsewhere\n", V2_MOUNT);
    put("/sys/fs/cgroup/cpu.max", "200000 100000\n");
    CHECK_INT(200, quota());
}

static void mount_points_may_hold_spaces(void)
{
    begin("0::/a\n", "35 24 0:30 / /odd\\040place rw - cgroup2 cgroup2 rw\n");
    put("/odd place/a/cpu.max", "100000 100000\n");
    CHECK_INT(100, quota());
}

static void nonsense_in_a_quota_limits_nothing(void)
{
    static const char *const texts[] = {"",         "\n",         "max\n",
                                        "100000\n", "0 100000\n", "100000 0",
                                        "-5 10",    "x y",        "max max"};
    begin("0::/a\n", V2_MOUNT);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        put("/sys/fs/cgroup/a/cpu.max", texts[i]);
        CHECK_INT(0, quota());
    }
}

static void affinity_limits_the_count(void)
{
    cpu_set_t before, one;
    struct artel_processors processors;
    CHECK_INT(0, sched_getaffinity(0, sizeof before, &before));
    artel_processors_find(&processors);
    CHECK_INT(CPU_COUNT(&before), processors.allowed);
    CHECK(processors.count >= 1 && processors.count <= processors.allowed);
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++) {
        if (CPU_ISSET(cpu, &before)) {
            CPU_SET(cpu, &one);
        }
    }
    CHECK_INT(0, sched_setaffinity(0, sizeof one, &one));
    artel_processors_find(&processors);
    CHECK_INT(1, processors.count);
    CHECK(processors.how[0] != '\0');
    CHECK_INT(0, sched_setaffinity(0, sizeof before, &before));
}

int main(void)
{
    CHECK(mkdtemp(root) != NULL);
    RUN(no_groups_limit_nothing);
    RUN(version_2_takes_the_tightest_of_nested_groups);
    RUN(other_groups_do_not_count);
    RUN(version_1_reads_its_own_files);
    RUN(the_tighter_of_both_versions_counts);
    RUN(a_container_sees_its_group_as_the_root_of_the_mount);
    RUN(mount_points_may_hold_spaces);
    RUN(nonsense_in_a_quota_limits_nothing);
    RUN(affinity_limits_the_count);
    nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}
