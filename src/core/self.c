/* SPDX-License-Identifier: Apache-2.0 */
/* Knows how to ask the loader and the kernel where our own code came from. */
#include "self.h"

#include "file.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/auxv.h>
#endif

#define PROGRAM_LINK "/proc/self/exe"

/* Asked for with every message, where a system call would be felt. 0: not known yet. */
static _Atomic pid_t own_pid;

static void learn_own_pid(void)
{
    atomic_store_explicit(&own_pid, getpid(), memory_order_relaxed);
}

pid_t artel_self_process_id(void)
{
    pid_t pid = atomic_load_explicit(&own_pid, memory_order_relaxed);
    if (pid == 0) {
        pid = getpid();
        if (pthread_atfork(NULL, NULL, learn_own_pid) == 0) {
            atomic_store_explicit(&own_pid, pid, memory_order_relaxed);
        }
    }
    return pid;
}

uid_t artel_self_effective_user(void)
{
    return geteuid();
}

bool artel_self_is_terminal(int fd)
{
    return isatty(fd) == 1;
}

/* Whether an object of the loader is the program: the program's own headers lie in it. */
static bool is_main_object(const Dl_info *object)
{
#ifdef __linux__
    Dl_info program;
    void *headers = (void *)getauxval(AT_PHDR);
    return headers != NULL && dladdr(headers, &program) != 0 &&
           program.dli_fbase == object->dli_fbase;
#else
    (void)object;
    return false;
#endif
}

static int read_program_link(char **path)
{
    char target[4096]; /* PATH_MAX on Linux, which alone has this link */
    ssize_t len = readlink(PROGRAM_LINK, target, sizeof target - 1);
    if (len < 0) {
        return -errno;
    }
    target[len] = '\0';
    return artel_file_absolute_path(target, path);
}

int artel_self_code_path(char **path, bool *is_program)
{
    static const char anchor = 0; /* an object of ours, wherever it was linked into */
    Dl_info object;
    if (dladdr(&anchor, &object) == 0 || object.dli_fname == NULL) {
        *is_program = true; /* no loader was at work: a static program */
        return read_program_link(path);
    }
    *is_program = is_main_object(&object);
    return *is_program ? read_program_link(path)
                       : artel_file_absolute_path(object.dli_fname, path);
}

const char *artel_self_host_override(void)
{
    const char *value = secure_getenv("ARTEL_HOST");
    return value != NULL && value[0] != '\0' ? value : NULL;
}
