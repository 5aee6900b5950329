/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that a program finds its own file, and when ARTEL_HOST is believed. */
#include "self.h"

#include "test.h"

#include <sys/wait.h>

static void a_program_finds_its_own_file(void)
{
    char *path = NULL;
    bool is_program = false;
    CHECK_INT(0, artel_self_code_path(&path, &is_program));
    CHECK(is_program);
    CHECK(path[0] == '/');
    CHECK_INT(0, access(path, X_OK));
    free(path);
}

static void an_empty_override_counts_as_none(void)
{
    CHECK_INT(0, setenv("ARTEL_HOST", "", 1));
    CHECK_STR(NULL, artel_self_host_override());
    CHECK_INT(0, setenv("ARTEL_HOST", "/opt/artel", 1));
    CHECK_STR("/opt/artel", artel_self_host_override());
    CHECK_INT(0, unsetenv("ARTEL_HOST"));
    CHECK_STR(NULL, artel_self_host_override());
}

static void it_knows_who_it_is(void)
{
    CHECK_INT(getpid(), artel_self_process_id());
    CHECK_INT(geteuid(), artel_self_effective_user());
}

static void a_forked_copy_knows_that_it_is_another(void)
{
    CHECK_INT(getpid(), artel_self_process_id());
    pid_t child = fork();
    if (child == 0) {
        _exit(artel_self_process_id() == getpid() ? 0 : 1);
    }
    int status = -1;
    CHECK_INT(child, waitpid(child, &status, 0));
    CHECK_INT(0, status);
}

int main(void)
{
    RUN(a_program_finds_its_own_file);
    RUN(an_empty_override_counts_as_none);
    RUN(it_knows_who_it_is);
    RUN(a_forked_copy_knows_that_it_is_another);
    return 0;
}
