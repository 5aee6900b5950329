/* SPDX-License-Identifier: Apache-2.0 */
/* Checks numbers as text: round trips, the fewest digits, and no trace of the locale. */
#undef NDEBUG
#include "number_text.h"

#include <assert.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_state = 88172645463325252U;

static uint64_t random64(void) /* xorshift: the same numbers in every run */
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void put_float(char *text, double value)
{
    size_t len = artel_number_put_float((uint8_t *)text, value);
    assert(len < ARTEL_NUMBER_LEN_MAX);
    text[len] = '\0';
}

static bool float_is(double value, const char *expected)
{
    char text[ARTEL_NUMBER_LEN_MAX + 1];
    put_float(text, value);
    return strcmp(text, expected) == 0;
}

static double parsed(const char *text)
{
    double value;
    assert(artel_number_parse_float((const uint8_t *)text, strlen(text), &value) == 0);
    return value;
}

static void integers_are_exact(void)
{
    static const int64_t values[] = {0,     1,         9,         10,           99,
                                     100,   12345,     -1,        -10,          -100,
                                     65536, INT64_MAX, INT64_MIN, INT64_MIN + 1};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char expected[32];
        char text[ARTEL_NUMBER_LEN_MAX + 1];
        snprintf(expected, sizeof expected, "%lld", (long long)values[i]);
        text[artel_number_put_integer((uint8_t *)text, values[i])] = '\0';
        assert(strcmp(text, expected) == 0);
    }
}

static void floats_stay_floats_and_are_short(void)
{
    assert(float_is(0.0, "0.0"));
    assert(float_is(-0.0, "-0.0"));
    assert(float_is(1.0, "1.0"));
    assert(float_is(-2.5, "-2.5"));
    assert(float_is(0.1, "0.1"));
    assert(float_is(0.3, "0.3"));
    assert(float_is(0.1 + 0.2, "0.30000000000000004"));
    assert(float_is(1e-5, "0.00001"));
    assert(float_is(123456789.125, "123456789.125"));
    assert(float_is(1.0 / 3, "0.3333333333333333"));
    assert(float_is(1e15, "1e+15"));
    assert(float_is(1234567890123456.0, "1234567890123456.0"));
    assert(float_is(9007199254740993.0, "9007199254740992.0"));
    assert(float_is(1e300, "1e+300"));
    assert(float_is(5e-324, "4.94065645841247e-324"));
    assert(float_is(-1.7976931348623157e308, "-1.7976931348623157e+308"));
}

/* The digits of %.15g, %.16g or %.17g, whichever is the first to read back the same. */
static int digits_needed(double value)
{
    int digits = 15;
    char text[40];
    do {
        snprintf(text, sizeof text, "%.*g", digits, value);
    } while (strtod(text, NULL) != value && ++digits < 17);
    return digits;
}

static int significant_digits(const char *text)
{
    int count = 0;
    int zeros = 0;
    for (; *text != '\0' && *text != 'e'; text++) {
        if (*text >= '1' && *text <= '9') {
            count += zeros + 1;
            zeros = 0;
        } else if (*text == '0' && count > 0) {
            zeros++;
        }
    }
    return count;
}

static void check_round_trip(double value)
{
    char text[ARTEL_NUMBER_LEN_MAX + 1];
    put_float(text, value);
    assert(strpbrk(text, ".e") != NULL);
    assert(significant_digits(text) <= digits_needed(value));
    double library = strtod(text, NULL);
    double own = parsed(text);
    assert(memcmp(&library, &value, sizeof value) == 0);
    assert(memcmp(&own, &value, sizeof value) == 0);
}

static double random_power_of_ten(void)
{
    double power = 1;
    for (uint64_t i = random64() % 20; i > 0; i--) {
        power *= 10;
    }
    return power;
}

static void random_floats_come_back(void)
{
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = random64();
        double any;
        memcpy(&any, &bits, sizeof any);
        if (isfinite(any)) {
            check_round_trip(any);
        }
        double power = random_power_of_ten();
        check_round_trip((double)(random64() % 1000000) / power);
        check_round_trip((double)(int64_t)random64() / power);
        check_round_trip((double)(random64() >> 11) * 0x1p-53);
    }
}

/* Texts of all lengths, against the C library: both paths, and the border between. */
static void random_texts_are_read_correctly(void)
{
    for (int i = 0; i < 200000; i++) {
        char text[64];
        unsigned long long mantissa = random64() >> random64() % 64;
        int exponent = (int)(random64() % 640) - 320;
        if (i % 2 == 0) {
            exponent /= 12;
        }
        snprintf(text, sizeof text, "%s%llu.%lluE%d", i % 3 ? "" : "-", mantissa,
                 mantissa >> 40, exponent);
        double expected = strtod(text, NULL);
        double value = 0;
        int status =
            artel_number_parse_float((const uint8_t *)text, strlen(text), &value);
        assert(status == (isinf(expected) ? -ERANGE : 0));
        assert(status != 0 || memcmp(&value, &expected, sizeof value) == 0);
    }
}

static void the_ends_of_the_range_are_known(void)
{
    double value;
    assert(artel_number_parse_float((const uint8_t *)"1e309", 5, &value) == -ERANGE);
    assert(artel_number_parse_float((const uint8_t *)"-1e99999999999", 14, &value) ==
           -ERANGE);
    assert(parsed("1e-400") == 0.0);
    assert(signbit(parsed("-0.0")) && signbit(parsed("-0e5")));
    assert(parsed("0e99999999999") == 0.0);
    size_t len = 5000;
    char *text = malloc(len);
    assert(text != NULL);
    memset(text, '9', len);
    text[1] = '.';
    assert(artel_number_parse_float((uint8_t *)text, len, &value) == 0 && value == 10.0);
    free(text);
}

static void the_locale_makes_no_difference(void)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8",
                                        "de_DE"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (setlocale(LC_ALL, names[i]) != NULL) {
            assert(float_is(1.0 / 3, "0.3333333333333333"));
            assert(float_is(2.5, "2.5"));
            assert(parsed("0.33333333333333331") == 1.0 / 3);
            setlocale(LC_ALL, "C");
        }
    }
}

int main(void)
{
    integers_are_exact();
    floats_stay_floats_and_are_short();
    random_floats_come_back();
    random_texts_are_read_correctly();
    the_ends_of_the_range_are_known();
    the_locale_makes_no_difference();
    return 0;
}
