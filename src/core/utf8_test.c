/* SPDX-License-Identifier: Apache-2.0 */
/* Checks UTF-8 validation against every code point and the well-known wrong forms. */
#undef NDEBUG
#include "utf8.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static bool valid(const char *bytes, size_t len)
{
    return artel_utf8_is_valid((const uint8_t *)bytes, len);
}

static void every_code_point_but_surrogates_is_valid(void)
{
    for (uint32_t code = 0; code <= 0x10FFFF; code++) {
        uint8_t bytes[4];
        size_t len = artel_utf8_put(bytes, code);
        bool surrogate = code >= 0xD800 && code <= 0xDFFF;
        assert(artel_utf8_is_valid(bytes, len) == !surrogate);
        assert(artel_utf8_sequence_len(bytes, len) == (surrogate ? 0 : len));
        for (size_t cut = 1; cut < len; cut++) {
            assert(!artel_utf8_is_valid(bytes, cut));
            assert(!artel_utf8_is_valid(bytes + cut, len - cut));
        }
    }
}

static void wrong_forms_are_refused(void)
{
    assert(!valid("\xC0\x80", 2));         /* overlong NUL */
    assert(!valid("\xC1\xBF", 2));         /* overlong */
    assert(!valid("\xE0\x9F\xBF", 3));     /* overlong */
    assert(!valid("\xF0\x8F\xBF\xBF", 4)); /* overlong */
    assert(!valid("\xF4\x90\x80\x80", 4)); /* U+110000 */
    assert(!valid("\xF8\x88\x80\x80\x80", 5));
    assert(!valid("\xFF", 1));
    assert(!valid("\xC3(", 2));
    assert(!valid("\xE2\x82(", 3));
    assert(!valid("\xF0\x9F\x98(", 4));
}

/* The fast path must not overlook anything, wherever it starts and stops. */
static void a_wrong_byte_is_found_at_every_place(void)
{
    for (size_t len = 0; len < 80; len++) {
        uint8_t *bytes = malloc(len + 1); /* its own block: the sanitizer sees its end */
        assert(bytes != NULL);
        memset(bytes, 'a', len);
        assert(artel_utf8_is_valid(bytes, len));
        for (size_t i = 0; i < len; i++) {
            bytes[i] = 0x80;
            assert(!artel_utf8_is_valid(bytes, len));
            bytes[i] = 0xC3;
            if (i + 1 < len) {
                bytes[i + 1] = 0xA4;
                assert(artel_utf8_is_valid(bytes, len));
                bytes[i + 1] = 'a';
            }
            assert(!artel_utf8_is_valid(bytes, len));
            bytes[i] = 'a';
        }
        free(bytes);
    }
}

int main(void)
{
    every_code_point_but_surrogates_is_valid();
    wrong_forms_are_refused();
    a_wrong_byte_is_found_at_every_place();
    return 0;
}
