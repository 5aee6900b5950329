/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256, and why two secrets are compared by their digests. */
#include "digest.h"

#include <string.h>

#define BLOCK_LEN 64

struct sha256 {
    uint32_t state[8];
    uint64_t total_len; /* bytes taken in */
    uint8_t block[BLOCK_LEN];
    size_t block_len; /* bytes waiting in block; < BLOCK_LEN between calls */
};

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t ROUND_CONSTANTS[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
    0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
    0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
    0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
    0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
    0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
    0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
    0xc67178f2};

static uint32_t rotate_right(uint32_t word, int bits)
{
    return word >> bits | word << (32 - bits);
}

static void spread(const uint8_t block[BLOCK_LEN], uint32_t words[64])
{
    for (size_t i = 0; i < 16; i++) {
        words[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
                   (uint32_t)block[4 * i + 2] << 8 | (uint32_t)block[4 * i + 3];
    }
    for (size_t i = 16; i < 64; i++) {
        uint32_t early = words[i - 15];
        uint32_t late = words[i - 2];
        words[i] = words[i - 16] + words[i - 7] +
                   (rotate_right(early, 7) ^ rotate_right(early, 18) ^ early >> 3) +
                   (rotate_right(late, 17) ^ rotate_right(late, 19) ^ late >> 10);
    }
}

static void take_block(struct sha256 *sha)
{
    uint32_t words[64];
    spread(sha->block, words);
    uint32_t v[8];
    memcpy(v, sha->state, sizeof v);
    for (size_t i = 0; i < 64; i++) {
        uint32_t first =
            v[7] +
            (rotate_right(v[4], 6) ^ rotate_right(v[4], 11) ^ rotate_right(v[4], 25)) +
            ((v[4] & v[5]) ^ (~v[4] & v[6])) + ROUND_CONSTANTS[i] + words[i];
        uint32_t second =
            (rotate_right(v[0], 2) ^ rotate_right(v[0], 13) ^ rotate_right(v[0], 22)) +
            ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += first;
        v[0] = first + second;
    }
    for (size_t i = 0; i < 8; i++) {
        sha->state[i] += v[i];
    }
    sha->block_len = 0;
}

static void take(struct sha256 *sha, const uint8_t *bytes, size_t len)
{
    sha->total_len += len;
    while (len > 0) {
        size_t room = BLOCK_LEN - sha->block_len;
        size_t part = len < room ? len : room;
        memcpy(sha->block + sha->block_len, bytes, part);
        sha->block_len += part;
        bytes += part;
        len -= part;
        if (sha->block_len == BLOCK_LEN) {
            take_block(sha);
        }
    }
}

void artel_digest(const void *bytes, size_t len, uint8_t digest[ARTEL_DIGEST_LEN])
{
    struct sha256 sha = {.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
    static const uint8_t END[BLOCK_LEN] = {0x80};
    if (len > 0) {
        take(&sha, bytes, len);
    }
    uint64_t bits = sha.total_len * 8;
    /* A one bit, then zeros until 8 bytes of the block are left for the length. */
    take(&sha, END, 1 + (2 * BLOCK_LEN - 9 - sha.block_len) % BLOCK_LEN);
    uint8_t count[8];
    for (size_t i = 0; i < 8; i++) {
        count[i] = (uint8_t)(bits >> (56 - 8 * i));
    }
    take(&sha, count, sizeof count);
    for (size_t i = 0; i < ARTEL_DIGEST_LEN; i++) {
        digest[i] = (uint8_t)(sha.state[i / 4] >> (24 - 8 * (i % 4)));
    }
}

bool artel_secret_equals(const void *left, size_t left_len, const void *right,
                         size_t right_len)
{
    /* Digests have one length and no bytes that an attacker could choose one by one. */
    uint8_t digests[2][ARTEL_DIGEST_LEN];
    artel_digest(left, left_len, digests[0]);
    artel_digest(right, right_len, digests[1]);
    volatile uint8_t differences = 0;
    for (size_t i = 0; i < ARTEL_DIGEST_LEN; i++) {
        differences |= digests[0][i] ^ digests[1][i];
    }
    return differences == 0;
}
