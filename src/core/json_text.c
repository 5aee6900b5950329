/* SPDX-License-Identifier: Apache-2.0 */
/* Knows where a JSON text ends in a stream: brackets and strings, and nothing of values.
 */
#include "json_text.h"

#include "error.h"
#include "json_bytes.h"

enum scan_state {
    STATE_BLANK,   /* before the first byte of the text; the zeroed state */
    STATE_BETWEEN, /* inside brackets, outside strings */
    STATE_STRING,
    STATE_ESCAPE, /* in a string, behind a backslash */
    STATE_NUMBER, /* a bare number: only what follows it shows its end */
    STATE_LITERAL /* STATE_LITERAL + n: a bare literal; byte n of LITERALS comes next */
};

static const char LITERALS[] = "truefalsenull";
enum { TRUE_AT = 0, FALSE_AT = 4, NULL_AT = 9, LITERALS_END = 13 };

/* What a byte is between brackets, outside strings. 0 is what JSON never has there. */
enum { ALIEN, PLAIN, OPEN, CLOSE, QUOTE };
static const uint8_t CLASS[256] = {
    ['\t'] = PLAIN, ['\n'] = PLAIN, ['\r'] = PLAIN, [' '] = PLAIN, [','] = PLAIN,
    [':'] = PLAIN,  ['+'] = PLAIN,  ['-'] = PLAIN,  ['.'] = PLAIN, ['e'] = PLAIN,
    ['E'] = PLAIN,  ['0'] = PLAIN,  ['1'] = PLAIN,  ['2'] = PLAIN, ['3'] = PLAIN,
    ['4'] = PLAIN,  ['5'] = PLAIN,  ['6'] = PLAIN,  ['7'] = PLAIN, ['8'] = PLAIN,
    ['9'] = PLAIN,  ['t'] = PLAIN,  ['r'] = PLAIN,  ['u'] = PLAIN, ['f'] = PLAIN,
    ['a'] = PLAIN,  ['l'] = PLAIN,  ['s'] = PLAIN,  ['n'] = PLAIN, ['['] = OPEN,
    ['{'] = OPEN,   [']'] = CLOSE,  ['}'] = CLOSE,  ['"'] = QUOTE,
};

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* The state behind the first byte of a text; STATE_BLANK when no text begins so. */
static uint8_t first_state(struct artel_json_scan *scan, uint8_t byte)
{
    switch (byte) {
    case '{':
    case '[':
        scan->depth = 1;
        return STATE_BETWEEN;
    case '"':
        return STATE_STRING;
    case 't':
        return STATE_LITERAL + TRUE_AT + 1;
    case 'f':
        return STATE_LITERAL + FALSE_AT + 1;
    case 'n':
        return STATE_LITERAL + NULL_AT + 1;
    default:
        return byte == '-' || is_digit(byte) ? STATE_NUMBER : STATE_BLANK;
    }
}

/*
 * Each of the following passes over bytes of its state, from *at. Answers 1 at the end of
 * the text, 0 when the state changed or the bytes ran out, or ARTEL_E_PROTOCOL.
 */

static int scan_blank(struct artel_json_scan *scan, const uint8_t **at,
                      const uint8_t *end)
{
    *at = artel_json_skip_blank(*at, end);
    if (*at == end) {
        return 0;
    }
    scan->state = first_state(scan, *(*at)++);
    return scan->state == STATE_BLANK ? ARTEL_E_PROTOCOL : 0;
}

static int scan_between(struct artel_json_scan *scan, const uint8_t **at,
                        const uint8_t *end)
{
    while (*at < end) {
        switch (CLASS[*(*at)++]) {
        case PLAIN:
            break;
        case OPEN:
            if (scan->depth == ARTEL_JSON_MAX_DEPTH) {
                return ARTEL_E_PROTOCOL;
            }
            scan->depth++;
            break;
        case CLOSE:
            scan->depth--;
            if (scan->depth == 0) {
                return 1;
            }
            break;
        case QUOTE:
            scan->state = STATE_STRING;
            return 0;
        default:
            return ARTEL_E_PROTOCOL;
        }
    }
    return 0;
}

static int scan_string(struct artel_json_scan *scan, const uint8_t **at,
                       const uint8_t *end)
{
    *at = artel_json_skip_plain(*at, end, false);
    if (*at == end) {
        return 0;
    }
    uint8_t byte = *(*at)++;
    if (byte == '\\') {
        scan->state = STATE_ESCAPE;
        return 0;
    }
    scan->state = STATE_BETWEEN;
    if (byte != '"') {
        return ARTEL_E_PROTOCOL; /* a control character */
    }
    return scan->depth == 0 ? 1 : 0;
}

static int scan_escape(struct artel_json_scan *scan, const uint8_t **at)
{
    uint8_t byte = *(*at)++;
    scan->state = STATE_STRING; /* the digits of \u are plain bytes */
    return byte < 0x20 ? ARTEL_E_PROTOCOL : 0;
}

static int scan_number(const uint8_t **at, const uint8_t *end)
{
    while (*at < end) {
        uint8_t byte = **at;
        if (!is_digit(byte) && byte != '.' && byte != '-' && byte != '+' && byte != 'e' &&
            byte != 'E') {
            return 1;
        }
        (*at)++;
    }
    return 0;
}

static int scan_literal(struct artel_json_scan *scan, const uint8_t **at)
{
    int next = scan->state - STATE_LITERAL;
    if (*(*at)++ != (uint8_t)LITERALS[next]) {
        return ARTEL_E_PROTOCOL;
    }
    next++;
    scan->state = (uint8_t)(STATE_LITERAL + next);
    return next == FALSE_AT || next == NULL_AT || next == LITERALS_END;
}

int artel_json_scan_feed(struct artel_json_scan *scan, const uint8_t *data, size_t len,
                         size_t *used)
{
    const uint8_t *at = data;
    const uint8_t *end = data + len;
    int found = 0;
    while (found == 0 && at < end) {
        switch (scan->state) {
        case STATE_BLANK:
            found = scan_blank(scan, &at, end);
            break;
        case STATE_BETWEEN:
            found = scan_between(scan, &at, end);
            break;
        case STATE_STRING:
            found = scan_string(scan, &at, end);
            break;
        case STATE_ESCAPE:
            found = scan_escape(scan, &at);
            break;
        case STATE_NUMBER:
            found = scan_number(&at, end);
            break;
        default:
            found = scan_literal(scan, &at);
            break;
        }
    }
    *used = (size_t)(at - data);
    return found;
}

bool artel_json_scan_complete_at_end(const struct artel_json_scan *scan)
{
    return scan->state == STATE_NUMBER;
}

bool artel_json_scan_is_blank(const struct artel_json_scan *scan)
{
    return scan->state == STATE_BLANK;
}
