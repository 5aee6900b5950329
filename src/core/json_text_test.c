/* SPDX-License-Identifier: Apache-2.0 */
/* Checks where JSON texts end, however they are cut, and which reserved keys they have.
 */
#undef NDEBUG
#include "json_text.h"

#include "error.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Feeds the bytes in pieces; answers as artel_json_scan_feed(), with *used the total. */
static int feed(struct artel_json_scan *scan, const char *bytes, size_t len, size_t piece,
                size_t *used)
{
    *scan = (struct artel_json_scan){0};
    *used = 0;
    int found = 0;
    while (found == 0 && *used < len) {
        size_t rest = len - *used;
        size_t step = rest < piece ? rest : piece;
        uint8_t *copy = malloc(step); /* its own block: the sanitizer sees its end */
        assert(copy != NULL);
        memcpy(copy, bytes + *used, step);
        size_t step_used = 0;
        found = artel_json_scan_feed(scan, copy, step, &step_used);
        free(copy);
        assert(step_used <= step && (found != 0 || step_used == step));
        *used += step_used;
    }
    return found;
}

/* The text is complete after so many bytes, cut anywhere. */
static void ends_after(const char *bytes, size_t expected)
{
    size_t len = strlen(bytes);
    for (size_t piece = 1; piece <= len; piece++) {
        struct artel_json_scan scan;
        size_t used;
        assert(feed(&scan, bytes, len, piece, &used) == 1);
        assert(used == expected);
    }
}

static void is_refused(const char *bytes)
{
    size_t len = strlen(bytes);
    for (size_t piece = 1; piece <= len; piece++) {
        struct artel_json_scan scan;
        size_t used;
        assert(feed(&scan, bytes, len, piece, &used) == ARTEL_E_PROTOCOL);
    }
}

static void needs_more(const char *bytes, bool complete_at_end, bool blank)
{
    size_t len = strlen(bytes);
    for (size_t piece = 1; piece <= len; piece++) {
        struct artel_json_scan scan;
        size_t used;
        assert(feed(&scan, bytes, len, piece, &used) == 0);
        assert(artel_json_scan_complete_at_end(&scan) == complete_at_end);
        assert(artel_json_scan_is_blank(&scan) == blank);
    }
}

static void a_text_ends_where_it_is_complete(void)
{
    ends_after("{}", 2);
    ends_after("{}{}", 2);
    ends_after(" \r\n\t[1, {\"a\": [true]}]\n", 22);
    ends_after("\"a\"", 3);
    ends_after("\"a\\\"]}\\\\\" 1", 9);
    ends_after("[\"}\", \"\\\"]\"]x", 12);
    ends_after("true", 4);
    ends_after("false,", 5);
    ends_after("nullnull", 4);
    ends_after("12 ", 2);
    ends_after("-1.5e+3\n", 7);
    ends_after("1[", 1);
    ends_after("\"a long string of plain bytes, \xC3\xA4, and \\u00e4\" ", 46);
}

static void an_unfinished_text_needs_more(void)
{
    needs_more(" \n\r\t ", false, true);
    needs_more("[1,2", false, false);
    needs_more("{\"a\":\"]", false, false);
    needs_more("\"a\\", false, false);
    needs_more("tru", false, false);
    needs_more("12", true, false);
    needs_more("  -", true, false); /* the decoder refuses it */
}

static void what_json_never_has_is_refused(void)
{
    is_refused("x");
    is_refused("]");
    is_refused(",");
    is_refused("GET / HTTP/1.0\r\n");
    is_refused("ATL1");
    is_refused("[1, 2; 3]");
    is_refused("{'a': 1}");
    is_refused("[\x80]");
    is_refused("trve");
    is_refused("nulL");
    is_refused("\"a\nb\"");
    is_refused("[\"a string that is long enough\x01\"]");
    is_refused("\"\\\n\"");
}

static void depth_is_limited(void)
{
    char brackets[ARTEL_JSON_MAX_DEPTH + 2];
    memset(brackets, '[', sizeof brackets);
    brackets[ARTEL_JSON_MAX_DEPTH] = '\0';
    needs_more(brackets, false, false);
    brackets[ARTEL_JSON_MAX_DEPTH] = '[';
    brackets[ARTEL_JSON_MAX_DEPTH + 1] = '\0';
    is_refused(brackets);
}

static bool find(const char *text, struct artel_json_envelope *envelope)
{
    return artel_json_envelope_find((const uint8_t *)text, strlen(text), envelope);
}

static bool slice_is(struct artel_json_slice slice, const char *expected)
{
    return slice.data != NULL && slice.len == strlen(expected) &&
           memcmp(slice.data, expected, slice.len) == 0;
}

static void reserved_keys_are_found(void)
{
    struct artel_json_envelope envelope;
    assert(find("{\"_request_\":7,\"body\":{\"_stop_\":1}}", &envelope));
    assert(slice_is(envelope.request, "7"));
    assert(slice_is(envelope.body, "{\"_stop_\":1}"));
    assert(envelope.stop.data == NULL);
    assert(find(" { \"body\" : \"}\\\"\" , \"more\":[1,[2]], \"_response_\" : 1 } ",
                &envelope));
    assert(slice_is(envelope.response, "1"));
    assert(slice_is(envelope.body, "\"}\\\"\""));
    assert(find("{\"_error_\":0,\"kind\":\"protocol\"}", &envelope));
    assert(slice_is(envelope.error, "0"));
    assert(find("{\"_cancel_\":3}", &envelope) && slice_is(envelope.cancel, "3"));
    assert(find("{\"_stop_\":\"c\",\"_query_\":null}", &envelope));
    assert(slice_is(envelope.stop, "\"c\"") && slice_is(envelope.query, "null"));
    assert(find("{\"_status_\":{\"counters\":[]}}", &envelope));
    assert(slice_is(envelope.status, "{\"counters\":[]}"));
}

static void escaped_reserved_keys_are_found(void)
{
    struct artel_json_envelope envelope;
    assert(find("{\"\\u005fstop\\u005F\":false}", &envelope));
    assert(slice_is(envelope.stop, "false"));
    assert(find("{\"_qu\\u0065ry_\":1,\"b\\u006fdy\":2}", &envelope));
    assert(slice_is(envelope.query, "1") && slice_is(envelope.body, "2"));
}

static void other_texts_have_no_envelope(void)
{
    struct artel_json_envelope envelope;
    static const char *const texts[] = {
        "",
        " ",
        "1",
        "[{\"_stop_\":1}]",
        "\"_stop_\"",
        "{}",
        "{\"body\":1}",
        "{\"stop\":1}",
        "{\"_stop\":1}",
        "{\"_stop__\":1}",
        "{\"\":1}",
        "{\"_\":1}",
        "{\"a\":{\"_stop_\":1}}",
        "{\"\\u005fstop\":1}",
        "{\"\\u00\":1}",
        "{\"\\n\":1}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert(!find(texts[i], &envelope));
    }
}

static void broken_objects_are_left_to_the_decoder(void)
{
    struct artel_json_envelope envelope;
    static const char *const texts[] = {
        "{",
        "{\"_stop_\"",
        "{\"_stop_\":",
        "{\"_stop_\":1",
        "{\"_stop_\":1,",
        "{\"_stop_\":1]",
        "{\"_stop_\":1,}",
        "{\"_stop_\" 1}",
        "{_stop_:1}",
        "{\"_stop_\":,\"a\":1}",
        "{\"_stop_\":1}}",
        "{\"_stop_\":[1}",
        "{\"_stop_\":\"1}",
        "{\"_stop_\":\"\\",
        "{\"_stop_\":\"\\\"}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert(!find(texts[i], &envelope));
    }
}

static void a_reserved_key_that_comes_twice_is_empty(void)
{
    struct artel_json_envelope envelope;
    assert(find("{\"_stop_\":1,\"_stop_\":2,\"\\u005fstop_\":3}", &envelope));
    assert(envelope.stop.data != NULL && envelope.stop.len == 0);
}

int main(void)
{
    a_text_ends_where_it_is_complete();
    an_unfinished_text_needs_more();
    what_json_never_has_is_refused();
    depth_is_limited();
    reserved_keys_are_found();
    escaped_reserved_keys_are_found();
    other_texts_have_no_envelope();
    broken_objects_are_left_to_the_decoder();
    a_reserved_key_that_comes_twice_is_empty();
    return 0;
}
