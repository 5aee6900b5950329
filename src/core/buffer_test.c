/* SPDX-License-Identifier: Apache-2.0 */
/* Checks that a byte queue keeps what it was given through moves, growth and refusals. */
#undef NDEBUG
#include "buffer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void an_empty_queue_owns_nothing(void)
{
    struct artel_buffer buffer;
    artel_buffer_init(&buffer);
    assert(artel_buffer_len(&buffer) == 0 && artel_buffer_room(&buffer) == 0);
    assert(artel_buffer_reserve(&buffer, 0) == 0 && buffer.data == NULL);
    assert(artel_buffer_append(&buffer, NULL, 0) == 0 && buffer.data == NULL);
    artel_buffer_consume(&buffer, 0);
    artel_buffer_trim(&buffer, 0);
    artel_buffer_fini(&buffer);
    artel_buffer_fini(&buffer); /* harmless when repeated */
}

static void an_impossible_request_changes_nothing(void)
{
    struct artel_buffer buffer;
    artel_buffer_init(&buffer);
    assert(artel_buffer_append(&buffer, "abc", 3) == 0);
    struct artel_buffer before = buffer;
    assert(artel_buffer_reserve(&buffer, SIZE_MAX) == -ENOMEM);
    assert(artel_buffer_reserve(&buffer, SIZE_MAX - 3) == -ENOMEM);
    assert(memcmp(&before, &buffer, sizeof buffer) == 0);
    artel_buffer_fini(&buffer);
}

static void room_is_won_by_moving_when_most_was_taken(void)
{
    struct artel_buffer buffer;
    artel_buffer_init(&buffer);
    assert(artel_buffer_reserve(&buffer, 1000) == 0);
    size_t capacity = buffer.capacity;
    memset(artel_buffer_tail(&buffer), 'x', capacity);
    artel_buffer_commit(&buffer, capacity);
    artel_buffer_consume(&buffer, capacity - 2);
    assert(artel_buffer_append(&buffer, "yz", 2) == 0);
    assert(buffer.capacity == capacity && buffer.start == 0);
    assert(artel_buffer_len(&buffer) == 4);
    assert(memcmp(artel_buffer_head(&buffer), "xxyz", 4) == 0);
    artel_buffer_fini(&buffer);
}

static void what_goes_in_comes_out_in_order(void)
{
    struct artel_buffer buffer;
    artel_buffer_init(&buffer);
    uint8_t in = 0;
    uint8_t out = 0;
    for (int round = 0; round < 20000; round++) {
        size_t len = (size_t)(rand() % 97);
        for (size_t i = 0; i < len; i++) {
            assert(artel_buffer_append(&buffer, &in, 1) == 0);
            in++;
        }
        size_t left = artel_buffer_len(&buffer);
        size_t taken = left == 0 ? 0 : (size_t)rand() % (left + 1);
        for (size_t i = 0; i < taken; i++) {
            assert(artel_buffer_head(&buffer)[i] == out);
            out++;
        }
        artel_buffer_consume(&buffer, taken);
        assert(buffer.start <= buffer.end && buffer.end <= buffer.capacity);
    }
    assert(buffer.capacity < 65536); /* room in front was used again */
    artel_buffer_fini(&buffer);
}

static void a_block_that_is_too_large_is_given_back(void)
{
    struct artel_buffer buffer;
    artel_buffer_init(&buffer);
    assert(artel_buffer_reserve(&buffer, 20000) == 0);
    memset(artel_buffer_tail(&buffer), 'x', 20000);
    artel_buffer_commit(&buffer, 20000);
    artel_buffer_consume(&buffer, 14000);
    artel_buffer_trim(&buffer, 0); /* more than a quarter of it is in use */
    assert(buffer.capacity == 20000 && artel_buffer_len(&buffer) == 6000);
    artel_buffer_consume(&buffer, 1000);
    memcpy(artel_buffer_head(&buffer), "head", 4);
    artel_buffer_trim(&buffer, 20000);
    assert(buffer.capacity == 20000);
    artel_buffer_trim(&buffer, 19999);
    assert(buffer.capacity == 5000 && artel_buffer_len(&buffer) == 5000);
    assert(memcmp(artel_buffer_head(&buffer), "headx", 5) == 0);
    artel_buffer_consume(&buffer, 4999);
    artel_buffer_trim(&buffer, 0);
    artel_buffer_trim(&buffer, 0);
    assert(artel_buffer_len(&buffer) == 1 && *artel_buffer_head(&buffer) == 'x');
    artel_buffer_consume(&buffer, 1);
    assert(artel_buffer_reserve(&buffer, 5000) == 0);
    artel_buffer_trim(&buffer, 5000);
    assert(buffer.data != NULL);
    artel_buffer_trim(&buffer, 4999);
    assert(buffer.data == NULL && buffer.capacity == 0);
}

int main(void)
{
    srand(1);
    an_empty_queue_owns_nothing();
    an_impossible_request_changes_nothing();
    room_is_won_by_moving_when_most_was_taken();
    what_goes_in_comes_out_in_order();
    a_block_that_is_too_large_is_given_back();
    return 0;
}
