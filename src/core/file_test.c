/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that files are replaced whole, and that planted ones are refused. */
#include "file.h"

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static char folder[] = "/tmp/artel-file-test-XXXXXX";
static char fault[ARTEL_FILE_FAULT_LEN];

static const char *in_folder(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void put(const char *path, const char *text, mode_t mode)
{
    CHECK_INT(0, artel_file_write_atomically(path, text, strlen(text), mode, false, fault,
                                             sizeof fault));
}

static int get(const char *path, size_t max_len, char **text)
{
    size_t len = 0;
    return artel_file_read_trusted(path, max_len, text, &len, fault, sizeof fault);
}

static void a_file_is_replaced_with_the_mode_asked_for(void)
{
    const char *path = in_folder("replaced");
    put(path, "one", 0600);
    put(path, "two, and longer", 0600);
    struct artel_file_facts facts;
    CHECK_INT(0, artel_file_stat(path, &facts));
    CHECK_STR("file", facts.type);
    CHECK_INT(0600, facts.mode);
    CHECK_INT(15, facts.size);
    CHECK_INT(1, facts.links);
    char *text = NULL;
    CHECK_INT(0, get(path, 100, &text));
    CHECK_STR("two, and longer", text);
    free(text);
}

static void owner_and_mode_are_kept_when_asked(void)
{
    const char *path = in_folder("kept");
    put(path, "one", 0644);
    bool root = geteuid() == 0;
    if (root) {
        CHECK_INT(0, chown(path, 0, 1));
    }
    CHECK_INT(
        0, artel_file_write_atomically(path, "two", 3, 0600, true, fault, sizeof fault));
    struct artel_file_facts facts;
    CHECK_INT(0, artel_file_stat(path, &facts));
    CHECK_INT(0644, facts.mode);
    CHECK_INT(root ? 1 : getegid(), facts.gid);
    CHECK_INT(-EINVAL, artel_file_write_atomically(folder, "two", 3, 0600, true, fault,
                                                   sizeof fault));
}

static void a_failed_write_leaves_no_temporary_file(void)
{
    CHECK_INT(0, mkdir(in_folder("sub"), 0700));
    CHECK(artel_file_write_atomically(in_folder("sub"), "x", 1, 0600, false, fault,
                                      sizeof fault) < 0);
    CHECK_INT(0, rmdir(in_folder("sub")));
    CHECK_INT(-ENOENT, artel_file_write_atomically(in_folder("none/x"), "x", 1, 0600,
                                                   false, fault, sizeof fault));
    CHECK(strstr(fault, "none/x: No such file") != NULL);
}

static void planted_files_are_refused(void)
{
    char *text = NULL;
    put(in_folder("open"), "x", 0620);
    CHECK_INT(-EPERM, get(in_folder("open"), 100, &text));
    CHECK(strstr(fault, "others may write") != NULL);
    CHECK_INT(0, symlink(in_folder("replaced"), in_folder("link")));
    CHECK_INT(-EPERM, get(in_folder("link"), 100, &text));
    CHECK(strstr(fault, "symbolic link") != NULL);
    CHECK_INT(0, mkfifo(in_folder("pipe"), 0600));
    CHECK_INT(-EPERM, get(in_folder("pipe"), 100, &text));
    CHECK_INT(-EPERM, get(folder, 100, &text));
    CHECK_INT(-ENOENT, get(in_folder("missing"), 100, &text));
    if (geteuid() == 0) {
        put(in_folder("foreign"), "x", 0600);
        CHECK_INT(0, chown(in_folder("foreign"), 1, 1));
        CHECK_INT(-EPERM, get(in_folder("foreign"), 100, &text));
        CHECK(strstr(fault, "another user") != NULL);
    }
}

static void the_limit_on_length_is_exact(void)
{
    char *text = NULL;
    put(in_folder("sized"), "12345", 0600);
    CHECK_INT(-EFBIG, get(in_folder("sized"), 4, &text));
    CHECK_INT(0, get(in_folder("sized"), 5, &text));
    free(text);
    put(in_folder("empty"), "", 0600);
    char *empty = NULL;
    CHECK_INT(0, get(in_folder("empty"), 0, &empty));
    CHECK_STR("", empty);
    free(empty);
}

static void a_regular_file_may_be_anybodys(void)
{
    const char *path = in_folder("open");
    put(path, "text", 0666);
    char *text = NULL;
    size_t len = 0;
    CHECK_INT(-EPERM, get(path, 100, &text));
    CHECK_INT(0, artel_file_read_regular(path, 4, &text, &len, fault, sizeof fault));
    CHECK_STR("text", text);
    free(text);
    CHECK_INT(-EFBIG, artel_file_read_regular(path, 3, &text, &len, fault, sizeof fault));
    CHECK_INT(-EPERM, artel_file_read_regular(in_folder("link"), 9, &text, &len, fault,
                                              sizeof fault));
    CHECK_INT(-EPERM, artel_file_read_regular(in_folder("pipe"), 9, &text, &len, fault,
                                              sizeof fault));
}

static void private_folders_are_closed_to_others(void)
{
    const char *path = in_folder("private");
    CHECK_INT(0, artel_file_make_private_folder(path, geteuid(), fault, sizeof fault));
    CHECK_INT(0, artel_file_make_private_folder(path, geteuid(), fault, sizeof fault));
    CHECK_INT(0, chmod(path, 0750));
    CHECK_INT(-EPERM,
              artel_file_make_private_folder(path, geteuid(), fault, sizeof fault));
    CHECK_INT(-EPERM, artel_file_make_private_folder(in_folder("replaced"), geteuid(),
                                                     fault, sizeof fault));
    char *temporary = NULL;
    CHECK_INT(0, artel_file_make_temporary_folder(&temporary, fault, sizeof fault));
    struct artel_file_facts facts;
    CHECK_INT(0, artel_file_stat(temporary, &facts));
    CHECK_INT(0700, facts.mode);
    CHECK_INT(0, artel_file_remove(temporary));
    free(temporary);
}

static void relative_paths_begin_at_the_current_folder(void)
{
    static const char *const cases[][2] = {
        {"/a/../b", "/a/../b"},  {"x", "/x"}, {"././/x/y", "/x/y"},
        {"../x", "/../x"},       {".", ""},   {"./", ""},
        {".hidden", "/.hidden"},
    };
    char here[4096];
    CHECK(getcwd(here, sizeof here) != NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char expected[8192], *absolute = NULL;
        snprintf(expected, sizeof expected, "%s%s", i == 0 ? "" : here, cases[i][1]);
        CHECK_INT(0, artel_file_absolute_path(cases[i][0], &absolute));
        CHECK_STR(expected, absolute);
        free(absolute);
    }
}

static void clean_up(void)
{
    static const char *const names[] = {"replaced", "kept",  "open",  "link",   "pipe",
                                        "foreign",  "sized", "empty", "private"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        remove(in_folder(names[i]));
    }
    CHECK_INT(0, rmdir(folder)); /* nothing temporary is left */
}

int main(void)
{
    CHECK(mkdtemp(folder) != NULL);
    RUN(a_file_is_replaced_with_the_mode_asked_for);
    RUN(owner_and_mode_are_kept_when_asked);
    RUN(a_failed_write_leaves_no_temporary_file);
    RUN(planted_files_are_refused);
    RUN(the_limit_on_length_is_exact);
    RUN(a_regular_file_may_be_anybodys);
    RUN(private_folders_are_closed_to_others);
    RUN(relative_paths_begin_at_the_current_folder);
    clean_up();
    return 0;
}
