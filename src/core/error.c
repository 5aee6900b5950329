/* SPDX-License-Identifier: Apache-2.0 */
/* Knows the names and sentences of everything that a core function answers on failure. */
#include "error.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 32)
#define HAVE_STRERRORNAME 1
#endif

#ifndef HAVE_STRERRORNAME
/* The ones that sockets, processes and files really answer. */
#define NAME(symbol)                                                                     \
    {                                                                                    \
        symbol, #symbol                                                                  \
    }
static const struct {
    int number;
    const char *name;
} errno_names[] = {
    NAME(E2BIG),        NAME(EACCES),       NAME(EADDRINUSE),   NAME(EADDRNOTAVAIL),
    NAME(EAFNOSUPPORT), NAME(EAGAIN),       NAME(EALREADY),     NAME(EBADF),
    NAME(EBUSY),        NAME(ECHILD),       NAME(ECONNABORTED), NAME(ECONNREFUSED),
    NAME(ECONNRESET),   NAME(EDQUOT),       NAME(EEXIST),       NAME(EFAULT),
    NAME(EFBIG),        NAME(EHOSTUNREACH), NAME(EINPROGRESS),  NAME(EINTR),
    NAME(EINVAL),       NAME(EIO),          NAME(EISCONN),      NAME(EISDIR),
    NAME(ELOOP),        NAME(EMFILE),       NAME(EMLINK),       NAME(EMSGSIZE),
    NAME(ENAMETOOLONG), NAME(ENETDOWN),     NAME(ENETUNREACH),  NAME(ENFILE),
    NAME(ENOBUFS),      NAME(ENODEV),       NAME(ENOENT),       NAME(ENOEXEC),
    NAME(ENOLCK),       NAME(ENOMEM),       NAME(ENOPROTOOPT),  NAME(ENOSPC),
    NAME(ENOSYS),       NAME(ENOTCONN),     NAME(ENOTDIR),      NAME(ENOTEMPTY),
    NAME(ENOTSOCK),     NAME(ENOTSUP),      NAME(ENOTTY),       NAME(ENXIO),
    NAME(EOVERFLOW),    NAME(EPERM),        NAME(EPIPE),        NAME(EPROTO),
    NAME(ERANGE),       NAME(EROFS),        NAME(ESPIPE),       NAME(ESRCH),
    NAME(ETIMEDOUT),    NAME(ETXTBSY),      NAME(EXDEV),
};
#undef NAME
#endif

static const struct {
    int code;
    const char *text;
} own_texts[] = {
    {ARTEL_E_EOF, "the other end has closed the connection"},
    {ARTEL_E_PROTOCOL, "the other end broke the rules of the protocol"},
    {ARTEL_E_OVERSIZE, "a message is longer than the limit"},
    {ARTEL_E_ENCODE, "a value cannot be sent"},
    {ARTEL_E_DECODE, "a message cannot be decoded"},
    {ARTEL_E_CLOSED, "the channel is closed"},
    {ARTEL_E_OVERLOADED, "the queue is full"},
};

const char *artel_errno_name(int errnum)
{
    if (errnum <= 0) {
        return NULL; /* strerrorname_np(0) answers "0" */
    }
#ifdef HAVE_STRERRORNAME
    return strerrorname_np(errnum);
#else
    for (size_t i = 0; i < sizeof errno_names / sizeof errno_names[0]; i++) {
        if (errno_names[i].number == errnum) {
            return errno_names[i].name;
        }
    }
    return NULL;
#endif
}

const char *artel_error_text(int code)
{
    for (size_t i = 0; i < sizeof own_texts / sizeof own_texts[0]; i++) {
        if (own_texts[i].code == code) {
            return own_texts[i].text;
        }
    }
    if (code >= 0) {
        return "no error";
    }
    /* -INT_MIN would overflow; no errno is anywhere near it. */
    return code < -10000 ? "unknown error" : strerror(-code);
}
