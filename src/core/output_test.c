/* SPDX-License-Identifier: Apache-2.0 */
/* Standard output and error into a file, in forked copies. */
#include "output.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char folder[] = "/tmp/artel-output-test-XXXXXX";
static char path[sizeof folder + 20];

static const char *in_folder(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* Redirects in a fork, prints there, and answers what redirecting answered. */
static int print_into(const char *name, const char *to_stdout, const char *to_stderr,
                      int closed_fd)
{
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        umask(0);
        if (closed_fd >= 0) {
            close(closed_fd);
        }
        int status = artel_output_redirect(name);
        if (status == 0) {
            printf("%s", to_stdout);
            fflush(stdout);
            fprintf(stderr, "%s", to_stderr);
            int flags = fcntl(1, F_GETFD) | fcntl(2, F_GETFD);
            _exit(flags == 0 ? 0 : 99); /* what exec would close is no standard stream */
        }
        _exit(-status);
    }
    int status;
    CHECK_INT(pid, waitpid(pid, &status, 0));
    CHECK(WIFEXITED(status));
    return -WEXITSTATUS(status);
}

static const char *content_of(const char *name)
{
    static char text[200];
    int fd = open(name, O_RDONLY);
    CHECK(fd >= 0);
    ssize_t len = read(fd, text, sizeof text - 1);
    CHECK(len >= 0);
    text[len] = '\0';
    close(fd);
    return text;
}

static void both_streams_are_appended(void)
{
    in_folder("log");
    CHECK_INT(0, print_into(path, "one\n", "two\n", -1));
    CHECK_INT(0, print_into(path, "three\n", "four\n", -1));
    CHECK_STR("one\ntwo\nthree\nfour\n", content_of(path));
    struct stat facts;
    CHECK_INT(0, stat(path, &facts));
    CHECK_INT(0640, facts.st_mode & 07777);
}

static void closed_streams_may_be_replaced(void)
{
    in_folder("closed");
    CHECK_INT(0, print_into(path, "one\n", "two\n", 1));
    CHECK_INT(0, print_into(path, "one\n", "two\n", 2));
    CHECK_STR("one\ntwo\none\ntwo\n", content_of(path));
}

static void symbolic_links_are_not_followed(void)
{
    in_folder("link");
    CHECK_INT(0, symlink("target", path));
    CHECK_INT(-ELOOP, print_into(path, "x", "x", -1));
    CHECK_INT(-1, access(in_folder("target"), F_OK));
}

static void another_files_second_name_is_refused(void)
{
    CHECK_INT(0, print_into(in_folder("log"), "one\n", "two\n", -1));
    char first[sizeof path];
    memcpy(first, path, sizeof first);
    CHECK_INT(0, link(first, in_folder("second")));
    CHECK_INT(-EMLINK, print_into(path, "x", "x", -1));
    CHECK_INT(0, unlink(path));
}

static void a_pipe_without_a_reader_does_not_block(void)
{
    in_folder("fifo");
    CHECK_INT(0, mkfifo(path, 0600));
    CHECK_INT(-ENXIO, print_into(path, "x", "x", -1));
}

static void a_failure_leaves_the_streams(void)
{
    int before = fcntl(STDOUT_FILENO, F_GETFL);
    struct stat facts_before;
    struct stat facts_after;
    CHECK_INT(0, fstat(STDOUT_FILENO, &facts_before));
    CHECK_INT(-ENOENT, artel_output_redirect(in_folder("no/such/folder")));
    CHECK_INT(before, fcntl(STDOUT_FILENO, F_GETFL));
    CHECK_INT(0, fstat(STDOUT_FILENO, &facts_after));
    CHECK_INT(facts_before.st_ino, facts_after.st_ino);
}

static void a_device_is_fine(void)
{
    CHECK_INT(0, print_into("/dev/null", "x", "x", -1));
    CHECK_INT(0, print_into("/dev/full", "x", "x", -1)); /* lost, but nobody dies of it */
}

int main(void)
{
    CHECK(mkdtemp(folder) != NULL);
    RUN(both_streams_are_appended);
    RUN(closed_streams_may_be_replaced);
    RUN(symbolic_links_are_not_followed);
    RUN(another_files_second_name_is_refused);
    RUN(a_pipe_without_a_reader_does_not_block);
    RUN(a_failure_leaves_the_streams);
    RUN(a_device_is_fine);
    static const char *const names[] = {"log", "closed", "link", "fifo"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        CHECK_INT(0, unlink(in_folder(names[i])));
    }
    CHECK_INT(0, rmdir(folder));
    return 0;
}
