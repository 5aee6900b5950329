/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes MessagePack: what can be decoded is the same after another encode and decode. */
#include "codec_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_round_trip(data, size, artel_msgpack_encode, artel_msgpack_decode);
    return 0;
}
