/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Knows how numbers turn into decimal digits and back. The C library is asked only where
 * its exactness is needed, since it is slow and follows the program's locale.
 */
#include "number_text.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every one of these is a double exactly, and so is every integer up to MAX_EXACT: one
 * multiplication or division of such two is rounded once, hence correctly. */
static const double POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
#define MAX_POWER 22
#define MAX_EXACT (UINT64_C(1) << 53)

static const char DIGIT_PAIRS[] = "00010203040506070809"
                                  "10111213141516171819"
                                  "20212223242526272829"
                                  "30313233343536373839"
                                  "40414243444546474849"
                                  "50515253545556575859"
                                  "60616263646566676869"
                                  "70717273747576777879"
                                  "80818283848586878889"
                                  "90919293949596979899";

static size_t put_unsigned(uint8_t *out, uint64_t value)
{
    uint8_t digits[20]; /* filled from its end */
    size_t at = sizeof digits;
    while (value >= 100) {
        at -= 2;
        memcpy(digits + at, DIGIT_PAIRS + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        at -= 2;
        memcpy(digits + at, DIGIT_PAIRS + value * 2, 2);
    } else {
        digits[--at] = (uint8_t)('0' + value);
    }
    memcpy(out, digits + at, sizeof digits - at);
    return sizeof digits - at;
}

size_t artel_number_put_integer(uint8_t *out, int64_t value)
{
    if (value >= 0) {
        return put_unsigned(out, (uint64_t)value);
    }
    *out = '-';
    return 1 + put_unsigned(out + 1, 0 - (uint64_t)value); /* also right for INT64_MIN */
}

/* The locale "C", made once and kept; the value 0 when there is no memory for it. */
static locale_t c_locale(void)
{
    static _Atomic(locale_t) kept;
    locale_t locale = atomic_load(&kept);
    if (locale == (locale_t)0) {
        locale_t none = (locale_t)0;
        locale = newlocale(LC_ALL_MASK, "C", none);
        if (locale != (locale_t)0 &&
            !atomic_compare_exchange_strong(&kept, &none, locale)) {
            freelocale(locale); /* another thread was first */
            locale = none;
        }
    }
    return locale;
}

/* value is mantissa / 10^decimals: writes it in fixed notation. */
static size_t put_decimal(uint8_t *out, uint64_t mantissa, size_t decimals)
{
    if (decimals == 0) {
        size_t len = put_unsigned(out, mantissa);
        memcpy(out + len, ".0", 2);
        return len + 2;
    }
    uint8_t digits[20];
    size_t count = put_unsigned(digits, mantissa);
    size_t zeros =
        decimals >= count ? decimals - count + 1 : 0; /* one before the point */
    uint8_t padded[20 + MAX_POWER + 1];
    memset(padded, '0', zeros);
    memcpy(padded + zeros, digits, count);
    size_t whole = zeros + count - decimals;
    memcpy(out, padded, whole);
    out[whole] = '.';
    memcpy(out + whole + 1, padded + whole, decimals);
    return whole + 1 + decimals;
}

#define SHORT_MIN 1e-5
#define SHORT_MAX 1e15

/*
 * Finds the number as mantissa / 10^decimals with at most 15 digits, for SHORT_MIN <=
 * value < SHORT_MAX. Fewest decimals first, so there are no zeros at its end. In that
 * range a false says that 15 digits do not do: the product is off by less than half a
 * unit, so rounding it meets the right mantissa if there is one.
 */
static bool find_short(double value, uint64_t *mantissa, size_t *decimals)
{
    for (size_t i = 0; i <= MAX_POWER; i++) {
        double scaled = value * POWERS[i];
        if (scaled >= SHORT_MAX) {
            return false;
        }
        uint64_t rounded = (uint64_t)(scaled + 0.5);
        double off = fabs(scaled - (double)rounded);
        if (off <= scaled * 0x1p-51 && (double)rounded / POWERS[i] == value) {
            *mantissa = rounded;
            *decimals = i;
            return true;
        }
    }
    return false;
}

static size_t print_shortest(uint8_t *out, double value, int digits)
{
    char text[ARTEL_NUMBER_LEN_MAX];
    int len = 0;
    for (; digits <= 17; digits++) {
        len = snprintf(text, sizeof text, "%.*g", digits, value);
        if (digits == 17 || strtod(text, NULL) == value) {
            break;
        }
    }
    if (strpbrk(text, ".e") == NULL) { /* a whole number of up to 17 digits */
        memcpy(text + len, ".0", 2);
        len += 2;
    }
    memcpy(out, text, (size_t)len);
    return (size_t)len;
}

size_t artel_number_put_float(uint8_t *out, double value)
{
    size_t sign = signbit(value) ? 1 : 0;
    double size = fabs(value);
    *out = '-'; /* overwritten when there is none */
    if (size == 0) {
        return sign + put_decimal(out + sign, 0, 0);
    }
    int digits = 15;
    if (size >= SHORT_MIN && size < SHORT_MAX) {
        uint64_t mantissa;
        size_t decimals;
        if (find_short(size, &mantissa, &decimals)) {
            return sign + put_decimal(out + sign, mantissa, decimals);
        }
        digits = 16;
    }
    locale_t before = uselocale(c_locale());
    size_t len = print_shortest(out, value, digits);
    uselocale(before);
    return len;
}

static int parse_slowly(const char *text, double *value)
{
    locale_t before = uselocale(c_locale());
    double result = strtod(text, NULL);
    uselocale(before);
    if (isinf(result)) {
        return -ERANGE;
    }
    *value = result;
    return 0;
}

/* The digits of a JSON number as one integer, and the power of ten it is multiplied by;
 * false when they do not fit. */
static bool read_decimal(const uint8_t *text, const uint8_t *end, uint64_t *mantissa,
                         int *power)
{
    int exponent = 0;
    bool behind_point = false;
    *mantissa = 0;
    *power = 0;
    for (; text < end && *text != 'e' && *text != 'E'; text++) {
        if (*text == '.') {
            behind_point = true;
            continue;
        }
        *mantissa = *mantissa * 10 + (uint64_t)(*text - '0');
        *power -= behind_point;
        if (*mantissa > MAX_EXACT) {
            return false;
        }
    }
    if (text == end) {
        return true;
    }
    text++; /* the e */
    bool negative = *text == '-';
    text += *text == '-' || *text == '+';
    for (; text < end; text++) {
        exponent = exponent * 10 + (*text - '0');
        if (exponent > 1000) {
            return false;
        }
    }
    *power += negative ? -exponent : exponent;
    return true;
}

int artel_number_parse_float(const uint8_t *text, size_t len, double *value)
{
    uint64_t mantissa;
    int power;
    size_t sign = *text == '-';
    if (read_decimal(text + sign, text + len, &mantissa, &power) && power <= MAX_POWER &&
        power >= -MAX_POWER) {
        double size = (double)mantissa;
        size = power < 0 ? size / POWERS[-power] : size * POWERS[power];
        *value = sign ? -size : size;
        return 0;
    }
    char small[64];
    char *copy = len < sizeof small ? small : malloc(len + 1); /* strtod wants its NUL */
    if (copy == NULL) {
        return -ENOMEM;
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    int status = parse_slowly(copy, value);
    if (copy != small) {
        free(copy);
    }
    return status;
}
