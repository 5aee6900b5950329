/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the JSON scan: the end it finds must not depend on how the bytes are cut. */
#include "json_text.h"

#include "error.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static int feed_bytewise(const uint8_t *data, size_t size, size_t *used,
                         struct artel_json_scan *scan)
{
    int found = 0;
    *used = 0;
    while (found == 0 && *used < size) {
        size_t one = 0;
        found = artel_json_scan_feed(scan, data + *used, 1, &one);
        *used += one;
    }
    return found;
}

static void require_inside(struct artel_json_slice slice, const uint8_t *text, size_t len)
{
    if (slice.data != NULL) {
        require(slice.data >= text && slice.len <= len);
        require((size_t)(slice.data - text) <= len - slice.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct artel_json_scan whole = {0};
    struct artel_json_scan bytewise = {0};
    size_t used = 0;
    size_t used_bytewise = 0;
    int found = artel_json_scan_feed(&whole, data, size, &used);
    require(feed_bytewise(data, size, &used_bytewise, &bytewise) == found);
    require(used == used_bytewise && used <= size);
    require(whole.state == bytewise.state && whole.depth == bytewise.depth);
    require(found != 0 || used == size);
    require(whole.depth <= ARTEL_JSON_MAX_DEPTH);

    /* Not only what the scan accepts: the search itself must stay inside anything. */
    struct artel_json_envelope envelope;
    artel_json_envelope_find(data, size, &envelope);
    require_inside(envelope.request, data, size);
    require_inside(envelope.response, data, size);
    require_inside(envelope.error, data, size);
    require_inside(envelope.cancel, data, size);
    require_inside(envelope.stop, data, size);
    require_inside(envelope.query, data, size);
    require_inside(envelope.status, data, size);
    require_inside(envelope.body, data, size);
    return 0;
}
