/* SPDX-License-Identifier: Apache-2.0 */
/* Lock files: contended for by forked processes, and offered forged ones. */
#include "lock.h"

#include "clock.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define GENEROUS_MS 60000

static char folder[] = "/tmp/artel-lock-test-XXXXXX";
static char fault[400];

/* Four names at a time; the test folder is removed whole at the end. */
static const char *in_folder(const char *name)
{
    static char paths[4][sizeof folder + 40];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int take(struct artel_lock *lock, const char *name, enum artel_lock_mode mode,
                int64_t timeout_ms)
{
    fault[0] = '\0';
    int status =
        artel_lock_take(lock, in_folder(name), mode, NULL,
                        artel_clock_deadline_ms(timeout_ms), fault, sizeof fault);
    CHECK((status == 0) == (fault[0] == '\0'));
    return status;
}

static pid_t in_background(void (*body)(int fd), int fd)
{
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(TEST_TIMEOUT_S);
        body(fd);
        _exit(0);
    }
    return pid;
}

static void check_ended_well(pid_t pid)
{
    int status;
    CHECK_INT(pid, waitpid(pid, &status, 0));
    CHECK_INT(0, status);
}

static void a_lock_file_is_private(void)
{
    mode_t before = umask(0);
    struct artel_lock lock;
    CHECK_INT(0, take(&lock, "private", ARTEL_LOCK_EXCLUSIVE, 0));
    umask(before);
    struct stat facts;
    CHECK_INT(0, stat(in_folder("private"), &facts));
    CHECK_INT(0600, facts.st_mode & 07777);
    CHECK_INT(FD_CLOEXEC, fcntl(lock.fd, F_GETFD));
    artel_lock_release(&lock);
    artel_lock_release(&lock);
    CHECK_INT(0, access(in_folder("private"), F_OK)); /* releasing leaves the file */
    CHECK_INT(0, take(&lock, "private", ARTEL_LOCK_EXCLUSIVE, 0));
    artel_lock_remove(&lock);
    CHECK_INT(-1, access(in_folder("private"), F_OK));
}

static void readers_share_and_a_writer_waits(void)
{
    struct artel_lock first;
    struct artel_lock second;
    struct artel_lock writer;
    CHECK_INT(0, take(&first, "shared", ARTEL_LOCK_SHARED, 0));
    CHECK_INT(0, take(&second, "shared", ARTEL_LOCK_SHARED, 0));
    int64_t began = artel_clock_now_ms();
    CHECK_INT(-ETIMEDOUT, take(&writer, "shared", ARTEL_LOCK_EXCLUSIVE, 20));
    CHECK(artel_clock_now_ms() - began >= 20);
    CHECK(strstr(fault, "/shared is held by another process") != NULL);
    CHECK_INT(-1, writer.fd);
    artel_lock_remove(&first); /* shared: others hold it, so the file must stay */
    CHECK_INT(0, access(in_folder("shared"), F_OK));
    artel_lock_release(&second);
    CHECK_INT(0, take(&writer, "shared", ARTEL_LOCK_EXCLUSIVE, 0));
    CHECK_INT(-ETIMEDOUT, take(&first, "shared", ARTEL_LOCK_SHARED, 0));
    artel_lock_remove(&writer);
}

#define CONTENDERS 8
#define ROUNDS 100

/* Adds one to a number in a file, in two steps that only exclusion makes one. */
static void count_up(int removes)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct artel_lock lock;
        CHECK_INT(0, take(&lock, "contended", ARTEL_LOCK_EXCLUSIVE, GENEROUS_MS));
        int fd = open(in_folder("count"), O_RDWR | O_CREAT, 0600);
        CHECK(fd >= 0);
        int count = 0;
        CHECK(pread(fd, &count, sizeof count, 0) >= 0);
        count++;
        CHECK_INT(sizeof count, pwrite(fd, &count, sizeof count, 0));
        close(fd);
        if (removes) {
            artel_lock_remove(&lock);
        } else {
            artel_lock_release(&lock);
        }
    }
}

/* Half of them remove the file, so others wait for one that is no longer the lock. */
static void contenders_exclude_each_other(void)
{
    pid_t pids[CONTENDERS];
    for (int i = 0; i < CONTENDERS; i++) {
        pids[i] = in_background(count_up, i % 2);
    }
    for (int i = 0; i < CONTENDERS; i++) {
        check_ended_well(pids[i]);
    }
    int fd = open(in_folder("count"), O_RDONLY);
    int count = 0;
    CHECK_INT(sizeof count, read(fd, &count, sizeof count));
    close(fd);
    CHECK_INT(CONTENDERS * ROUNDS, count);
}

static void hold_until_killed(int fd)
{
    struct artel_lock lock;
    CHECK_INT(0, take(&lock, "killed", ARTEL_LOCK_EXCLUSIVE, 0));
    CHECK_INT(1, write(fd, "x", 1));
    for (;;) {
        pause();
    }
}

static void a_killed_holder_holds_no_longer(void)
{
    int ready[2];
    CHECK_INT(0, pipe(ready));
    pid_t pid = in_background(hold_until_killed, ready[1]);
    char byte;
    CHECK_INT(1, read(ready[0], &byte, 1));
    struct artel_lock lock;
    CHECK_INT(-ETIMEDOUT, take(&lock, "killed", ARTEL_LOCK_EXCLUSIVE, 0));
    CHECK_INT(0, kill(pid, SIGKILL));
    CHECK_INT(0, take(&lock, "killed", ARTEL_LOCK_EXCLUSIVE, GENEROUS_MS));
    artel_lock_release(&lock);
    CHECK_INT(pid, waitpid(pid, NULL, 0));
    close(ready[0]);
    close(ready[1]);
}

static struct artel_lock inherited;

static void drop_inherited(int fd)
{
    (void)fd;
    artel_lock_remove(&inherited);
}

static void a_forked_copy_holds_nothing(void)
{
    CHECK_INT(0, take(&inherited, "forked", ARTEL_LOCK_EXCLUSIVE, 0));
    check_ended_well(in_background(drop_inherited, -1));
    CHECK_INT(0, access(in_folder("forked"), F_OK));
    struct artel_lock other;
    CHECK_INT(-ETIMEDOUT, take(&other, "forked", ARTEL_LOCK_EXCLUSIVE, 0));
    artel_lock_remove(&inherited);
}

static void forged_files_are_refused(void)
{
    struct artel_lock lock;
    CHECK_INT(0, symlink("target", in_folder("link")));
    CHECK_INT(-EPERM, take(&lock, "link", ARTEL_LOCK_EXCLUSIVE, 0));
    CHECK(strstr(fault, "/link is a symbolic link") != NULL);
    CHECK_INT(-1, access(in_folder("target"), F_OK));

    int fd = open(in_folder("one"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    close(fd);
    CHECK_INT(0, link(in_folder("one"), in_folder("two")));
    CHECK_INT(-EPERM, take(&lock, "one", ARTEL_LOCK_EXCLUSIVE, 0));
    CHECK(strstr(fault, "/one has more than one link") != NULL);

    CHECK_INT(0, mkfifo(in_folder("pipe"), 0600));
    CHECK_INT(-EPERM, take(&lock, "pipe", ARTEL_LOCK_EXCLUSIVE, 0));
    CHECK(strstr(fault, "/pipe is not a regular file") != NULL);
    CHECK_INT(-EPERM, take(&lock, "", ARTEL_LOCK_EXCLUSIVE, 0)); /* the folder itself */
    CHECK_INT(-ENOENT, take(&lock, "no/folder", ARTEL_LOCK_EXCLUSIVE, GENEROUS_MS));
}

static void the_owner_counts(void)
{
    if (geteuid() != 0) {
        return;
    }
    int fd = open(in_folder("foreign"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    CHECK_INT(0, fchown(fd, 65534, 65534));
    close(fd);
    struct artel_lock lock;
    CHECK_INT(-EPERM, take(&lock, "foreign", ARTEL_LOCK_SHARED, 0));
    CHECK(strstr(fault, "/foreign belongs to another user") != NULL);
    struct artel_lock_owner nobody = {65534, 65534, 0640};
    CHECK_INT(0, artel_lock_take(&lock, in_folder("foreign"), ARTEL_LOCK_SHARED, &nobody,
                                 0, fault, sizeof fault));
    artel_lock_release(&lock);
    CHECK_INT(0, artel_lock_take(&lock, in_folder("made"), ARTEL_LOCK_SHARED, &nobody, 0,
                                 fault, sizeof fault));
    struct stat facts;
    CHECK_INT(0, fstat(lock.fd, &facts));
    CHECK_INT(65534, facts.st_uid);
    CHECK_INT(65534, facts.st_gid);
    CHECK_INT(0640, facts.st_mode & 07777);
    artel_lock_release(&lock);
}

static void a_paused_lock_is_free_and_can_be_resumed(void)
{
    struct artel_lock lock;
    struct artel_lock other;
    CHECK_INT(0, take(&lock, "paused", ARTEL_LOCK_EXCLUSIVE, 0));
    artel_lock_pause(&lock);
    CHECK_INT(0, take(&other, "paused", ARTEL_LOCK_EXCLUSIVE, 0));
    CHECK_INT(-ETIMEDOUT,
              artel_lock_resume(&lock, artel_clock_deadline_ms(5), fault, sizeof fault));
    artel_lock_release(&other);
    CHECK_INT(0, artel_lock_resume(&lock, 0, fault, sizeof fault));
    CHECK_INT(-ETIMEDOUT, take(&other, "paused", ARTEL_LOCK_SHARED, 0));

    artel_lock_pause(&lock);
    CHECK_INT(0, take(&other, "paused", ARTEL_LOCK_EXCLUSIVE, 0));
    artel_lock_remove(&other); /* so resuming must find that its file is gone */
    CHECK_INT(0, artel_lock_resume(&lock, 0, fault, sizeof fault));
    CHECK_INT(0, access(in_folder("paused"), F_OK));
    CHECK_INT(-ETIMEDOUT, take(&other, "paused", ARTEL_LOCK_SHARED, 0));
    artel_lock_pause(&lock);
    artel_lock_remove(&lock); /* not held: the file may be somebody's lock */
    CHECK_INT(0, access(in_folder("paused"), F_OK));
}

static char *lock_path(const char *text)
{
    struct artel_address address;
    const char *reason;
    char *path = NULL;
    CHECK_INT(0, artel_address_parse(&address, text, strlen(text), &reason));
    CHECK_INT(
        0, artel_lock_path_of_address(&path, &address, geteuid(), fault, sizeof fault));
    return path;
}

static void an_address_has_one_lock(void)
{
    CHECK_INT(0, setenv("XDG_RUNTIME_DIR", folder, 1));
    char *path = lock_path("unix:///run/a.sock");
    CHECK_STR("/run/a.sock.lock", path);
    free(path);
    path = lock_path("tcp://localhost:4000");
    CHECK_STR(in_folder("artel/tcp-127.0.0.1:4000.lock"), path);
    free(path);
    path = lock_path("tcp://[::1]:4000");
    CHECK_STR(in_folder("artel/tcp-[::1]:4000.lock"), path);
    free(path);
    struct stat facts;
    CHECK_INT(0, stat(in_folder("artel"), &facts));
    CHECK_INT(0700, facts.st_mode & 07777);
}

int main(void)
{
    CHECK(mkdtemp(folder) != NULL);
    RUN(a_lock_file_is_private);
    RUN(readers_share_and_a_writer_waits);
    RUN(contenders_exclude_each_other);
    RUN(a_killed_holder_holds_no_longer);
    RUN(a_forked_copy_holds_nothing);
    RUN(forged_files_are_refused);
    RUN(the_owner_counts);
    RUN(a_paused_lock_is_free_and_can_be_resumed);
    RUN(an_address_has_one_lock);
    static const char *const left[] = {"contended", "count",  "killed", "link",
                                       "one",       "two",    "pipe",   "foreign",
                                       "made",      "paused", "artel"};
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        (void)remove(in_folder(left[i]));
    }
    CHECK_INT(0, rmdir(folder)); /* nothing else was left behind */
    return 0;
}
