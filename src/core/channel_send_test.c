/* SPDX-License-Identifier: Apache-2.0 */
/* Channels that send: frames, queues and their limits, lent bytes. */
#include "script_transport.h"

static void every_kind_is_written_in_both_encodings(void)
{
    struct script script;
    script_init(&script, "", 0);
    struct artel_channel *channel =
        script_channel(&script, ARTEL_JSON, ARTEL_START_PLAIN);
    CHECK_INT(0, script_put(channel, ARTEL_FRAME_MESSAGE, "1", 1));
    CHECK_INT(0, script_put(channel, ARTEL_FRAME_REQUEST, "2", 1));
    CHECK_INT(0, script_put(channel, ARTEL_FRAME_RESPONSE, "3", 1));
    CHECK_INT(0, script_put(channel, ARTEL_FRAME_ERROR, "{\"kind\":\"remote\"}", 17));
    CHECK_INT(0, script_put(channel, ARTEL_FRAME_CANCEL, "", 0));
    CHECK_INT(1, artel_channel_flush(channel));
    CHECK_STR("1\n{\"_request_\":7,\"body\":2}\n{\"_response_\":7,\"body\":3}\n"
              "{\"_error_\":7,\"kind\":\"remote\"}\n{\"_cancel_\":7}\n",
              (const char *)script.sent);
    artel_channel_free(channel);

    script_init(&script, "", 0);
    channel = script_channel(&script, ARTEL_MSGPACK, ARTEL_START_PLAIN);
    CHECK_INT(0, script_put(channel, ARTEL_FRAME_REQUEST, "\2", 1));
    CHECK_INT(0, script_put(channel, ARTEL_FRAME_CANCEL, "", 0));
    CHECK_INT(1, artel_channel_flush(channel));
    static const char EXPECTED[] = "\0\0\0\1\1\0\0\0\7\2\0\0\0\1\11\0\0\0\7\xc0";
    CHECK_INT(sizeof EXPECTED - 1, script.sent_len);
    CHECK(memcmp(script.sent, EXPECTED, script.sent_len) == 0);
    artel_channel_free(channel);
}

static void a_frame_that_is_given_up_leaves_no_byte(void)
{
    struct script script;
    script_init(&script, "", 0);
    struct artel_channel *channel =
        script_channel(&script, ARTEL_JSON, ARTEL_START_PLAIN);
    CHECK_INT(0, script_put(channel, ARTEL_FRAME_MESSAGE, "1", 1));
    struct artel_buffer *out = artel_channel_frame_begin(channel, ARTEL_FRAME_REQUEST, 1);
    CHECK_INT(0, artel_buffer_append(out, "half", 4));
    CHECK_INT(2, artel_channel_pending_len(channel));
    CHECK_INT(1, artel_channel_flush(channel));
    CHECK_INT(0, script_put(channel, ARTEL_FRAME_MESSAGE, "2", 1));
    CHECK_INT(1, artel_channel_flush(channel));
    CHECK_STR("1\n2\n", (const char *)script.sent);
    artel_channel_free(channel);
}

static void a_peer_that_takes_little_gets_all_of_it_in_the_end(void)
{
    struct script script;
    script_init(&script, "", 0);
    struct artel_channel *channel =
        script_channel(&script, ARTEL_JSON, ARTEL_START_PLAIN);
    CHECK_INT(0, script_put(channel, ARTEL_FRAME_MESSAGE, "12345", 5));
    CHECK_INT(0, script_put(channel, ARTEL_FRAME_MESSAGE, "67890", 5));
    for (size_t left = 12; left > 0; left--) {
        CHECK_INT((long long)left, (long long)artel_channel_pending_len(channel));
        script.room = 1;
        CHECK_INT(left > 1 ? 0 : 1, artel_channel_flush(channel));
    }
    CHECK_STR("12345\n67890\n", (const char *)script.sent);
    artel_channel_free(channel);
}

static void a_queue_has_room_for_one_frame_and_then_up_to_its_limit(void)
{
    struct script script;
    script_init(&script, "", 0);
    script.room = 0;
    struct artel_channel *channel =
        script_channel(&script, ARTEL_MSGPACK, ARTEL_START_PLAIN);
    char body[100] = {0};
    int frames = 0;
    int status;
    while ((status = script_put(channel, ARTEL_FRAME_MESSAGE, body, sizeof body)) == 0) {
        frames++;
    }
    CHECK_INT(ARTEL_E_OVERLOADED, status);
    CHECK_INT(9, frames); /* of 109 bytes, in 1,000 */
    CHECK_INT(981, artel_channel_pending_len(channel));
    CHECK_INT(0, script_put(channel, ARTEL_FRAME_MESSAGE, body, 10));
    CHECK_INT(ARTEL_E_OVERLOADED, script_put(channel, ARTEL_FRAME_MESSAGE, body, 1));
    artel_channel_free(channel);
}

/* Lends the second half of a text whose first half is in the queue. */
static int lend(struct artel_channel *channel, const char *text, size_t len)
{
    struct artel_buffer *out = artel_channel_frame_begin(channel, ARTEL_FRAME_MESSAGE, 0);
    CHECK_INT(0, artel_buffer_append(out, text, len / 2));
    return artel_channel_frame_end_lent(channel, text + len / 2, len - len / 2);
}

static void lent_bytes_are_sent_and_may_be_kept_at_any_moment(void)
{
    char text[] = "\"twelve bytes\"";
    size_t len = strlen(text);
    for (size_t taken = 0; taken < ARTEL_FRAME_HEADER_LEN + len; taken++) {
        struct script script;
        script_init(&script, "", 0);
        script.room = taken;
        struct artel_channel *channel =
            script_channel(&script, ARTEL_MSGPACK, ARTEL_START_PLAIN);
        char lent[sizeof text];
        memcpy(lent, text, sizeof text);
        CHECK_INT(0, lend(channel, lent, len));
        CHECK_INT(ARTEL_FRAME_HEADER_LEN + len, artel_channel_pending_len(channel));
        CHECK_INT(0, artel_channel_flush(channel));
        CHECK_INT(ARTEL_FRAME_HEADER_LEN + len - taken,
                  artel_channel_pending_len(channel));
        CHECK_INT(0, artel_channel_keep_lent(channel));
        memset(lent, '?', sizeof lent);
        script.room = SIZE_MAX;
        CHECK_INT(
            0, script_put(channel, ARTEL_FRAME_MESSAGE, "x", 1)); /* behind it, whole */
        CHECK_INT(1, artel_channel_flush(channel));
        CHECK_INT(2 * ARTEL_FRAME_HEADER_LEN + len + 1, script.sent_len);
        CHECK(memcmp(script.sent + ARTEL_FRAME_HEADER_LEN, text, len) == 0);
        CHECK_INT(len, script.sent[3]);
        artel_channel_free(channel);
    }
}

static void lent_bytes_count_as_others_do(void)
{
    struct script script;
    script_init(&script, "", 0);
    script.room = 0;
    struct artel_channel *channel =
        script_channel(&script, ARTEL_MSGPACK, ARTEL_START_PLAIN);
    char text[1200] = "";
    CHECK_INT(ARTEL_E_OVERSIZE, lend(channel, text, 101));
    CHECK_INT(0, artel_channel_pending_len(channel));
    artel_channel_set_limits(channel, 1200, 1000);
    CHECK_INT(0, lend(channel, text, 1200)); /* one always fits */
    CHECK_INT(0, artel_channel_keep_lent(channel));
    CHECK_INT(ARTEL_E_OVERLOADED, lend(channel, text, 10));
    script.write_error = -EPIPE;
    CHECK_INT(-EPIPE, artel_channel_flush(channel));
    CHECK_INT(0, lend(channel, text, 10));
    CHECK_INT(-EPIPE, artel_channel_flush(channel));
    CHECK_INT(0, artel_channel_pending_len(channel));
    artel_channel_free(channel);
}

static void a_peer_that_has_gone_is_told_at_every_flush(void)
{
    struct script script;
    script_init(&script, "", 0);
    script.write_error = -EPIPE;
    struct artel_channel *channel =
        script_channel(&script, ARTEL_JSON, ARTEL_START_PLAIN);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(0, script_put(channel, ARTEL_FRAME_MESSAGE, "1", 1));
        CHECK_INT(-EPIPE, artel_channel_flush(channel));
        CHECK_INT(0, artel_channel_pending_len(channel));
    }
    short events = 0;
    CHECK(!artel_channel_arm(channel, true, true, &events));
    CHECK_INT(POLLIN, events);
    artel_channel_free(channel);
}

int main(void)
{
    RUN(every_kind_is_written_in_both_encodings);
    RUN(a_frame_that_is_given_up_leaves_no_byte);
    RUN(a_peer_that_takes_little_gets_all_of_it_in_the_end);
    RUN(a_queue_has_room_for_one_frame_and_then_up_to_its_limit);
    RUN(lent_bytes_are_sent_and_may_be_kept_at_any_moment);
    RUN(lent_bytes_count_as_others_do);
    RUN(a_peer_that_has_gone_is_told_at_every_flush);
    return 0;
}
