/* SPDX-License-Identifier: Apache-2.0 */
/* Knows the names of signals. */
#include "process.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>

#define NAME(symbol)                                                                     \
    {                                                                                    \
        symbol, #symbol                                                                  \
    }
static const struct {
    int number;
    const char *name;
} signals[] = {
    NAME(SIGHUP),    NAME(SIGINT),   NAME(SIGQUIT), NAME(SIGILL),  NAME(SIGTRAP),
    NAME(SIGABRT),   NAME(SIGBUS),   NAME(SIGFPE),  NAME(SIGKILL), NAME(SIGUSR1),
    NAME(SIGSEGV),   NAME(SIGUSR2),  NAME(SIGPIPE), NAME(SIGALRM), NAME(SIGTERM),
    NAME(SIGCHLD),   NAME(SIGCONT),  NAME(SIGSTOP), NAME(SIGTSTP), NAME(SIGTTIN),
    NAME(SIGTTOU),   NAME(SIGURG),   NAME(SIGXCPU), NAME(SIGXFSZ), NAME(SIGVTALRM),
    NAME(SIGPROF),   NAME(SIGWINCH), NAME(SIGSYS),
#ifdef SIGSTKFLT
    NAME(SIGSTKFLT),
#endif
#ifdef SIGPWR
    NAME(SIGPWR),
#endif
#ifdef SIGPOLL
    NAME(SIGPOLL),
#endif
    NAME(SIGIO), /* after SIGPOLL: the same number on Linux, whose name is then SIGPOLL */
};
#undef NAME

#define SIGNAL_COUNT (sizeof signals / sizeof signals[0])

const char *artel_signal_name(int signal_number)
{
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        if (signals[i].number == signal_number) {
            return signals[i].name;
        }
    }
    return NULL;
}

int artel_signal_number(const char *name)
{
    const char *prefix = "SIG";
    if (strncmp(name, prefix, strlen(prefix)) == 0) {
        name += strlen(prefix);
    }
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        if (strcmp(signals[i].name + strlen(prefix), name) == 0) {
            return signals[i].number;
        }
    }
    return 0;
}
