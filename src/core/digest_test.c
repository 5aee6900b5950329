/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 by the standard's examples, and that equality of secrets is equality. */
#include "digest.h"
#include "test.h"

static void check_digest(const char *expected, const void *bytes, size_t len)
{
    uint8_t digest[ARTEL_DIGEST_LEN];
    char text[2 * ARTEL_DIGEST_LEN + 1];
    artel_digest(bytes, len, digest);
    for (size_t i = 0; i < ARTEL_DIGEST_LEN; i++) {
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    }
    CHECK_STR(expected, text);
}

static void the_examples_of_the_standard_hold(void)
{
    check_digest("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "",
                 0);
    check_digest("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                 "abc", 3);
    check_digest("248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
                 "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56);
}

static void a_million_letters_go_through_many_blocks(void)
{
    static char letters[1000000];
    memset(letters, 'a', sizeof letters);
    check_digest("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
                 letters, sizeof letters);
}

static void every_length_around_a_block_pads_right(void)
{
    static const char *const EXPECTED[] = {
        "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318",  /* 55 */
        "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a",  /* 56 */
        "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34",  /* 63 */
        "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"}; /* 64 */
    static const size_t LENGTHS[] = {55, 56, 63, 64};
    char letters[64];
    memset(letters, 'a', sizeof letters);
    for (size_t i = 0; i < 4; i++) {
        check_digest(EXPECTED[i], letters, LENGTHS[i]);
    }
}

static void secrets_are_equal_when_all_their_bytes_are(void)
{
    CHECK(artel_secret_equals("secret", 6, "secret", 6));
    CHECK(artel_secret_equals("", 0, "", 0));
    CHECK(!artel_secret_equals("secret", 6, "secret", 5));
    CHECK(!artel_secret_equals("secret", 6, "secreT", 6));
    CHECK(!artel_secret_equals("secret", 6, "secret\0", 7));
    CHECK(!artel_secret_equals("secret", 6, "", 0));
}

int main(void)
{
    RUN(the_examples_of_the_standard_hold);
    RUN(a_million_letters_go_through_many_blocks);
    RUN(every_length_around_a_block_pads_right);
    RUN(secrets_are_equal_when_all_their_bytes_are);
    return 0;
}
