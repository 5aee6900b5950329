/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes JSON: what can be decoded is the same after another encode and decode, and the
 * scan for frames in the core finds the same end of the text as the decoder.
 */
#include "codec_fuzz.h"

#include "../core/json_bytes.h"
#include "../core/json_text.h"

static void require_same_end(const uint8_t *data, size_t size)
{
    struct artel_json_scan scan = {0};
    size_t used = 0;
    int found = artel_json_scan_feed(&scan, data, size, &used);
    fuzz_require(found == 1 || (found == 0 && artel_json_scan_complete_at_end(&scan)));
    fuzz_require(artel_json_skip_blank(data + used, data + size) == data + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (fuzz_round_trip(data, size, artel_json_encode, artel_json_decode)) {
        require_same_end(data, size);
    }
    return 0;
}
