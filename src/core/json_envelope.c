/* SPDX-License-Identifier: Apache-2.0 */
/* Knows the reserved keys of JSON Lines, and how to find them without decoding a value.
 */
#include "json_text.h"

#include "json_bytes.h"

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

static const struct {
    const char *name;
    size_t offset; /* of the slice in struct artel_json_envelope */
} KEYS[] = {
    {"_request_", offsetof(struct artel_json_envelope, request)},
    {"_response_", offsetof(struct artel_json_envelope, response)},
    {"_error_", offsetof(struct artel_json_envelope, error)},
    {"_cancel_", offsetof(struct artel_json_envelope, cancel)},
    {"_stop_", offsetof(struct artel_json_envelope, stop)},
    {"_query_", offsetof(struct artel_json_envelope, query)},
    {"_status_", offsetof(struct artel_json_envelope, status)},
    {"body", offsetof(struct artel_json_envelope, body)},
};

/* Takes the byte if it comes next. */
static bool take(struct cursor *cursor, char byte)
{
    if (cursor->at == cursor->end || *cursor->at != (uint8_t)byte) {
        return false;
    }
    cursor->at++;
    return true;
}

/* As take(), with white space before the byte. */
static bool take_token(struct cursor *cursor, char byte)
{
    cursor->at = artel_json_skip_blank(cursor->at, cursor->end);
    return take(cursor, byte);
}

/* Passes over a string whose quote was taken; false when it has no end. */
static bool skip_string(struct cursor *cursor)
{
    for (;;) {
        cursor->at = artel_json_skip_plain(cursor->at, cursor->end, false);
        if (take(cursor, '"')) {
            return true;
        }
        if (!take(cursor, '\\') || cursor->at == cursor->end) {
            return false;
        }
        cursor->at++;
    }
}

/* Passes over what is inside brackets, the first of which was taken, and the last one. */
static bool skip_brackets(struct cursor *cursor)
{
    size_t depth = 1;
    while (cursor->at < cursor->end) {
        switch (*cursor->at++) {
        case '[':
        case '{':
            depth++;
            break;
        case ']':
        case '}':
            depth--;
            if (depth == 0) {
                return true;
            }
            break;
        case '"':
            if (!skip_string(cursor)) {
                return false;
            }
            break;
        default:
            break;
        }
    }
    return false;
}

static bool ends_scalar(uint8_t byte)
{
    return artel_json_is_blank(byte) || byte == ',' || byte == '}' || byte == ']';
}

static bool skip_value(struct cursor *cursor)
{
    if (take(cursor, '"')) {
        return skip_string(cursor);
    }
    if (take(cursor, '{') || take(cursor, '[')) {
        return skip_brackets(cursor);
    }
    const uint8_t *begin = cursor->at;
    while (cursor->at < cursor->end && !ends_scalar(*cursor->at)) {
        cursor->at++;
    }
    return cursor->at > begin;
}

/*
 * Takes one character of a key as it is meant, escapes undone; -1 at a wrong escape.
 * Surrogates stay halves: no reserved key has any.
 */
static int32_t take_character(struct cursor *key)
{
    uint8_t byte = *key->at++;
    if (byte != '\\') {
        return byte;
    }
    if (key->at == key->end) {
        return -1;
    }
    byte = *key->at++;
    if (byte != 'u') { /* \n and its like are in no reserved key either */
        return byte == '"' || byte == '\\' || byte == '/' ? byte : -1;
    }
    int32_t code = 0;
    for (int i = 0; i < 4; i++) {
        int digit = key->at < key->end ? artel_hex_digit(*key->at) : -1;
        if (digit < 0) {
            return -1;
        }
        key->at++;
        code = code * 16 + digit;
    }
    return code;
}

static bool key_is(struct cursor key, const char *name)
{
    while (key.at < key.end) {
        if (*name == '\0' || take_character(&key) != *name) {
            return false;
        }
        name++;
    }
    return *name == '\0';
}

/* The slice that belongs to a key, or NULL when the key is not reserved. */
static struct artel_json_slice *find_slice(struct artel_json_envelope *envelope,
                                           struct cursor key)
{
    if (key.at == key.end || (*key.at != '_' && *key.at != 'b' && *key.at != '\\')) {
        return NULL; /* nearly every key of nearly every message */
    }
    for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; i++) {
        if (key_is(key, KEYS[i].name)) {
            return (struct artel_json_slice *)((char *)envelope + KEYS[i].offset);
        }
    }
    return NULL;
}

/* One `"key": value`; false when it is none. */
static bool read_member(struct cursor *cursor, struct artel_json_envelope *envelope)
{
    if (!take_token(cursor, '"')) {
        return false;
    }
    struct cursor key = {cursor->at, cursor->at};
    if (!skip_string(cursor)) {
        return false;
    }
    key.end = cursor->at - 1; /* without the quote */
    if (!take_token(cursor, ':')) {
        return false;
    }
    cursor->at = artel_json_skip_blank(cursor->at, cursor->end);
    const uint8_t *value = cursor->at;
    if (!skip_value(cursor)) {
        return false;
    }
    struct artel_json_slice *slice = find_slice(envelope, key);
    if (slice != NULL) {
        /* A key that comes twice is an error: an empty slice, which no decoder accepts.
         */
        slice->len = slice->data == NULL ? (size_t)(cursor->at - value) : 0;
        slice->data = value;
    }
    return true;
}

static bool read_members(struct cursor *cursor, struct artel_json_envelope *envelope)
{
    if (!take_token(cursor, '{')) {
        return false;
    }
    if (take_token(cursor, '}')) {
        return true;
    }
    do {
        if (!read_member(cursor, envelope)) {
            return false;
        }
    } while (take_token(cursor, ','));
    return take_token(cursor, '}');
}

bool artel_json_envelope_find(const uint8_t *text, size_t len,
                              struct artel_json_envelope *envelope)
{
    *envelope = (struct artel_json_envelope){0};
    struct cursor cursor = {text, text + len};
    if (!read_members(&cursor, envelope) ||
        artel_json_skip_blank(cursor.at, cursor.end) != cursor.end) {
        return false; /* broken inside: the decoder of the whole text will say how */
    }
    return envelope->request.data != NULL || envelope->response.data != NULL ||
           envelope->error.data != NULL || envelope->cancel.data != NULL ||
           envelope->stop.data != NULL || envelope->query.data != NULL ||
           envelope->status.data != NULL;
}
