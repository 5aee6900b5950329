/* SPDX-License-Identifier: Apache-2.0 */
/* What this process knows about itself: who it is and where its code was loaded from. */
#ifndef ARTEL_CORE_SELF_H
#define ARTEL_CORE_SELF_H

#include <stdbool.h>
#include <sys/types.h>

/* Costs nothing, and is true in a copy that fork(2) has made, too. */
pid_t artel_self_process_id(void);
uid_t artel_self_effective_user(void);

/* Whether a person may be reading what is written to fd. */
bool artel_self_is_terminal(int fd);

/*
 * The absolute path of the file that holds this code: a shared library, or the program
 * itself (*is_program). Ask early: a relative path is completed with the current folder.
 * 0 with a heap block in *path that the caller frees, or a negated errno.
 */
int artel_self_code_path(char **path, bool *is_program);

/* The environment variable ARTEL_HOST, or NULL when it is unset, empty, or not to be
 * believed because this process runs with more rights than who started it. */
const char *artel_self_host_override(void);

#endif
