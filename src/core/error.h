/* SPDX-License-Identifier: Apache-2.0 */
/* What every core function answers when it fails: a negated errno, or one of these. */
#ifndef ARTEL_CORE_ERROR_H
#define ARTEL_CORE_ERROR_H

/* Own codes lie far below any negated errno (Linux ends at -4095). */
enum {
    ARTEL_E_EOF = -10001, /* the peer has ended the stream; nothing complete is left */
    ARTEL_E_PROTOCOL =
        -10002, /* the peer broke the rules of the wire; the stream is lost */
    ARTEL_E_OVERSIZE = -10003,  /* a frame or message is longer than the limit in force */
    ARTEL_E_ENCODE = -10004,    /* a value cannot be sent */
    ARTEL_E_DECODE = -10005,    /* a payload is not what its encoding allows */
    ARTEL_E_CLOSED = -10006,    /* this end was closed by its owner */
    ARTEL_E_OVERLOADED = -10007 /* the queue is full */
};

/*
 * The symbolic name of an errno ("ECONNREFUSED"), or NULL for one without a name.
 * errnum  positive. The string is static.
 */
const char *artel_errno_name(int errnum);

/* A sentence without a full stop for any code above or any negated errno. Static or
 * owned by the C library until the next call from the same thread. */
const char *artel_error_text(int code);

#endif
