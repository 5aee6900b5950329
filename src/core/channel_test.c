/* SPDX-License-Identifier: Apache-2.0 */
/* Channels that receive: bytes in whatever portions, what must not come, the start-up. */
#include "script_transport.h"

/* Reads until a frame is there (1), or the input is silent (0), or the stream ends. */
static int next(struct artel_channel *channel, struct artel_frame *frame)
{
    for (;;) {
        int found = artel_channel_next(channel, frame);
        if (found != 0) {
            return found;
        }
        if (artel_channel_fill(channel, false) == 0) {
            return 0;
        }
    }
}

static void check_body(const struct artel_frame *frame, const char *expected)
{
    CHECK_INT((long long)strlen(expected), (long long)frame->body_len);
    CHECK(memcmp(frame->body, expected, frame->body_len) == 0);
}

/* ---- both encodings, however the bytes are cut ---- */

/* Three frames: "one", a request 7 with "two", and "three". */
static const char PACKED[] = "\0\0\0\4\0\0\0\0\0\xa3one"
                             "\0\0\0\4\1\0\0\0\7\xa3two"
                             "\0\0\0\6\0\0\0\0\0\xa5three";
static const char LINES[] =
    "\"one\"\n {\"_request_\":7,\n\"body\":\"two\"}\r\n\n\"three\"";

struct stream {
    enum artel_encoding encoding;
    const char *bytes;
    size_t len;
    const char *bodies[3];
};

static const struct stream STREAMS[] = {
    {ARTEL_MSGPACK, PACKED, sizeof PACKED - 1, {"\xa3one", "\xa3two", "\xa5three"}},
    {ARTEL_JSON, LINES, sizeof LINES - 1, {"\"one\"", "\"two\"", "\"three\""}},
};
#define STREAM_COUNT (sizeof STREAMS / sizeof *STREAMS)

static void check_frames(struct artel_channel *channel, const struct stream *stream)
{
    static const enum artel_frame_kind KINDS[] = {
        ARTEL_FRAME_MESSAGE, ARTEL_FRAME_REQUEST, ARTEL_FRAME_MESSAGE};
    for (int i = 0; i < 3; i++) {
        struct artel_frame frame;
        CHECK_INT(1, next(channel, &frame));
        CHECK_INT(KINDS[i], frame.kind);
        CHECK_INT(i == 1 ? 7 : 0, frame.id);
        check_body(&frame, stream->bodies[i]);
        CHECK_INT(1, artel_channel_next(channel, &frame)); /* the same until consumed */
        check_body(&frame, stream->bodies[i]);
        artel_channel_consume(channel);
    }
    struct artel_frame frame;
    CHECK_INT(ARTEL_E_EOF, next(channel, &frame));
    CHECK_INT(ARTEL_E_EOF, next(channel, &frame)); /* sticks */
}

static void any_portion_gives_the_same_frames(void)
{
    for (size_t i = 0; i < STREAM_COUNT; i++) {
        for (size_t portion = 1; portion <= STREAMS[i].len; portion++) {
            struct script script;
            script_init(&script, STREAMS[i].bytes, STREAMS[i].len);
            script.portion = portion;
            struct artel_channel *channel =
                script_channel(&script, STREAMS[i].encoding, ARTEL_START_PLAIN);
            check_frames(channel, &STREAMS[i]);
            artel_channel_free(channel);
        }
    }
}

/* How many of the three frames are complete within so many bytes, at the end of input. */
static int frames_within(const struct stream *stream, size_t cut)
{
    struct script script;
    script_init(&script, stream->bytes, cut);
    struct artel_channel *channel =
        script_channel(&script, stream->encoding, ARTEL_START_PLAIN);
    struct artel_frame frame;
    int count = 0;
    int found;
    while ((found = next(channel, &frame)) == 1) {
        check_body(&frame, stream->bodies[count++]);
        artel_channel_consume(channel);
    }
    CHECK_INT(ARTEL_E_EOF, found);
    artel_channel_free(channel);
    return count;
}

static void a_cut_at_any_offset_gives_whole_frames_and_the_end(void)
{
    for (size_t i = 0; i < STREAM_COUNT; i++) {
        int before = 0;
        for (size_t cut = 0; cut <= STREAMS[i].len; cut++) {
            int count = frames_within(&STREAMS[i], cut);
            CHECK(count == before || count == before + 1);
            before = count;
        }
        CHECK_INT(3, before);
    }
}

static void silence_in_the_middle_is_no_end(void)
{
    for (size_t i = 0; i < STREAM_COUNT; i++) {
        for (size_t stop = 0; stop < STREAMS[i].len; stop++) {
            struct script script;
            script_init(&script, STREAMS[i].bytes, STREAMS[i].len);
            script.available = stop;
            struct artel_channel *channel =
                script_channel(&script, STREAMS[i].encoding, ARTEL_START_PLAIN);
            struct artel_frame frame;
            (void)next(channel, &frame);
            script.available = SIZE_MAX;
            check_frames(channel, &STREAMS[i]);
            artel_channel_free(channel);
        }
    }
}

static void white_space_between_texts_is_forgotten(void)
{
    struct script script;
    char blanks[1000];
    memset(blanks, ' ', sizeof blanks);
    memcpy(blanks + 990, "\"one\"", 5);
    script_init(&script, blanks, sizeof blanks);
    script.portion = 100;
    struct artel_channel *channel =
        script_channel(&script, ARTEL_JSON, ARTEL_START_PLAIN);
    struct artel_frame frame;
    while (script.at < 900) {
        CHECK_INT(0, artel_channel_next(channel, &frame));
        CHECK_INT(0, artel_channel_unread_len(channel));
        CHECK_INT(100, artel_channel_fill(channel, false));
    }
    CHECK_INT(1, next(channel, &frame));
    check_body(&frame, "\"one\"");
    artel_channel_free(channel);
}

static void a_bare_number_is_whole_at_the_end(void)
{
    struct script script;
    script_init(&script, "12", 2);
    struct artel_channel *channel =
        script_channel(&script, ARTEL_JSON, ARTEL_START_PLAIN);
    struct artel_frame frame;
    CHECK_INT(1, next(channel, &frame));
    check_body(&frame, "12");
    artel_channel_free(channel);
}

static void one_read_is_short_whatever_room_there_is(void)
{
    enum { LEN = 16 * 1024 * 1024, SHORT = 1024 * 1024 };
    char *text = malloc(LEN);
    CHECK(text != NULL);
    memset(text, 'x', LEN);
    text[0] = '"';
    struct script script;
    script_init(&script, text, LEN);
    struct artel_channel *channel =
        script_channel(&script, ARTEL_JSON, ARTEL_START_PLAIN);
    ssize_t longest = 0;
    ssize_t got;
    while ((got = artel_channel_fill(channel, false)) > 0) {
        longest = got > longest ? got : longest;
    }
    CHECK_INT(SHORT, longest);
    CHECK_INT(LEN, artel_channel_unread_len(channel));
    artel_channel_free(channel);
    free(text);
}

/* ---- what must not come ---- */

/* The answer for input that is no stream of frames; the fault must quote `shown`. */
static void check_fault(enum artel_encoding encoding, enum artel_channel_start start,
                        const char *input, size_t len, int expected, const char *shown)
{
    struct script script;
    script_init(&script, input, len);
    script.ends = false;
    struct artel_channel *channel = script_channel(&script, encoding, start);
    struct artel_frame frame;
    CHECK_INT(expected, next(channel, &frame));
    CHECK_INT(expected, next(channel, &frame));
    if (shown != NULL) {
        CHECK(strstr(artel_channel_fault(channel), shown) != NULL);
    }
    artel_channel_free(channel);
}

#define FAULT(encoding, start, input, expected, shown)                                   \
    check_fault(encoding, start, input, sizeof(input) - 1, expected, shown)

static void garbage_is_refused_and_quoted(void)
{
    FAULT(ARTEL_MSGPACK, ARTEL_START_PLAIN, "a print that went wrong\n", ARTEL_E_PROTOCOL,
          "got \"a pri\"...");
    FAULT(ARTEL_JSON, ARTEL_START_PLAIN, "oh\n", ARTEL_E_PROTOCOL, "got \"oh\\x0a\"");
    FAULT(ARTEL_MSGPACK, ARTEL_START_PLAIN, "\0\0\0\1\13\0\0\0\0", ARTEL_E_PROTOCOL,
          "\\x0b"); /* a kind that does not exist */
    FAULT(ARTEL_MSGPACK, ARTEL_START_PLAIN, "\0\0\0\1\7\0\0\0\0", ARTEL_E_PROTOCOL,
          NULL); /* one that may not come in this direction */
    FAULT(ARTEL_MSGPACK, ARTEL_START_PLAIN, "\0\0\0\1\11\0\0\0\1\1", ARTEL_E_PROTOCOL,
          NULL); /* cancel carries nil and nothing else */
    FAULT(ARTEL_JSON, ARTEL_START_PLAIN, "{\"_request_\":-1,\"body\":1}",
          ARTEL_E_PROTOCOL, "expected an id");
    FAULT(ARTEL_JSON, ARTEL_START_PLAIN, "{\"_request_\":1}", ARTEL_E_PROTOCOL, NULL);
    FAULT(ARTEL_JSON, ARTEL_START_PLAIN, "{\"_request_\":1,\"_request_\":1,\"body\":1}",
          ARTEL_E_PROTOCOL, NULL);
}

static void a_wrong_greeting_is_refused_at_its_first_wrong_byte(void)
{
    static const enum artel_channel_start STARTS[] = {
        ARTEL_START_MASTER, ARTEL_START_HOST, ARTEL_START_CLIENT, ARTEL_START_SERVER};
    for (size_t i = 0; i < sizeof STARTS / sizeof *STARTS; i++) {
        FAULT(ARTEL_MSGPACK, STARTS[i], "ATL", 0, NULL);
        FAULT(ARTEL_MSGPACK, STARTS[i], "ATL2", ARTEL_E_PROTOCOL, "ATL2");
        FAULT(ARTEL_MSGPACK, STARTS[i], "B", ARTEL_E_PROTOCOL, "B");
        FAULT(ARTEL_MSGPACK, STARTS[i], "{\"a\":1}\n", ARTEL_E_PROTOCOL, "{");
    }
}

/* Input in which a secret stands, "=%=%=%": the fault must show nothing of that. */
static void check_hidden(enum artel_encoding encoding, enum artel_channel_start start,
                         const char *input, size_t len)
{
    struct script script;
    script_init(&script, input, len);
    script.ends = false;
    struct artel_channel *channel = script_channel(&script, encoding, start);
    struct artel_frame frame;
    int found;
    while ((found = next(channel, &frame)) == 1) {
        artel_channel_consume(channel);
    }
    CHECK_INT(ARTEL_E_PROTOCOL, found);
    CHECK(strstr(artel_channel_fault(channel), "expected") != NULL);
    CHECK(strpbrk(artel_channel_fault(channel), "=%") == NULL);
    artel_channel_free(channel);
}

#define HIDDEN(encoding, start, input)                                                   \
    check_hidden(encoding, start, input, sizeof(input) - 1)

static void a_fault_shows_no_cookie(void)
{
    /* A client of the other encoding. */
    HIDDEN(ARTEL_MSGPACK, ARTEL_START_SERVER, "{\"_query_\":\"=%=%=%\"}\n");
    HIDDEN(ARTEL_MSGPACK, ARTEL_START_SERVER, "{\"_stop_\":\"=%=%=%\"}\n");
    HIDDEN(ARTEL_JSON, ARTEL_START_PLAIN, "ATL1\0\0\0\7\5\0\0\0\0\xa6=%=%=%");
    /* Frames that may not come here. */
    HIDDEN(ARTEL_MSGPACK, ARTEL_START_PLAIN, "\0\0\0\7\7\0\0\0\0\xa6=%=%=%");
    HIDDEN(ARTEL_JSON, ARTEL_START_PLAIN, "{\"_status_\":\"=%=%=%\"}\n");
    /* Those of clients that quote or count wrongly: an end too early leaves the rest. */
    HIDDEN(ARTEL_JSON, ARTEL_START_PLAIN, "{\"_stop_\":\"=%=%=%\n\"}");
    HIDDEN(ARTEL_JSON, ARTEL_START_PLAIN, "{\"_stop_\":=%=%=%}\n");
    HIDDEN(ARTEL_JSON, ARTEL_START_PLAIN, "{\"body\":\"\"}=%=%=%\"}\n");
    HIDDEN(ARTEL_MSGPACK, ARTEL_START_PLAIN, "\0\0\0\1\0\0\0\0\0\xa6=%=%=%=%=%");
}

static void a_json_client_is_told_from_other_strangers(void)
{
    FAULT(ARTEL_MSGPACK, ARTEL_START_SERVER, "{\"_query_\":\"\"}\n", ARTEL_E_PROTOCOL,
          "expected the greeting ATL1 and not JSON, got \"{\\x22_qu\"...");
    FAULT(ARTEL_MSGPACK, ARTEL_START_SERVER, "GET / HTTP/1.1\r\n", ARTEL_E_PROTOCOL,
          "expected the greeting ATL1, got \"GET /\"...");
}

static void a_length_over_the_limit_is_refused_when_it_is_announced(void)
{
    FAULT(ARTEL_MSGPACK, ARTEL_START_PLAIN, "\0\0\0\145\0\0\0\0\0", ARTEL_E_OVERSIZE,
          NULL);
    FAULT(ARTEL_MSGPACK, ARTEL_START_PLAIN, "\377\377\377\377\0\0\0\0\0",
          ARTEL_E_OVERSIZE, NULL);
    FAULT(ARTEL_MSGPACK, ARTEL_START_PLAIN, "\0\0\0\144\0\0\0\0\0", 0, NULL);
    char text[200];
    memset(text, 'x', sizeof text);
    text[0] = '"';
    check_fault(ARTEL_JSON, ARTEL_START_PLAIN, text, 101, 0,
                NULL); /* may still be a body */
    check_fault(ARTEL_JSON, ARTEL_START_PLAIN, text, 200, ARTEL_E_OVERSIZE, NULL);
    text[100] = '"';
    check_fault(ARTEL_JSON, ARTEL_START_PLAIN, text, 101, ARTEL_E_OVERSIZE, NULL);
}

static void the_limit_is_on_the_body_and_not_on_its_envelope(void)
{
    char text[200];
    int before = snprintf(text, sizeof text, "{\"_request_\":4294967295,\"body\":\"");
    memset(text + before, 'x', 98);
    memcpy(text + before + 98, "\"}\n", 3);
    struct script script;
    script_init(&script, text, (size_t)before + 101);
    struct artel_channel *channel =
        script_channel(&script, ARTEL_JSON, ARTEL_START_PLAIN);
    struct artel_frame frame;
    CHECK_INT(1, next(channel, &frame));
    CHECK_INT(100, frame.body_len);
    CHECK_INT(4294967295, frame.id);
    artel_channel_free(channel);
}

/* ---- start-up ---- */

static void a_dedicated_start_goes_over_to_the_profiles_encoding(void)
{
    static const char INPUT[] = "ATL1"
                                "\0\0\0\1\7\0\0\0\0\xc0"
                                "\"a message\"\n";
    for (size_t portion = 1; portion < sizeof INPUT; portion++) {
        struct script script;
        script_init(&script, INPUT, sizeof INPUT - 1);
        script.portion = portion;
        struct artel_channel *channel =
            script_channel(&script, ARTEL_JSON, ARTEL_START_MASTER);
        struct artel_frame frame;
        CHECK_INT(1, next(channel, &frame));
        CHECK_INT(ARTEL_FRAME_READY, frame.kind);
        CHECK_INT(ARTEL_MSGPACK, artel_channel_frame_encoding(channel));
        artel_channel_consume(channel);
        CHECK_INT(1, next(channel, &frame));
        check_body(&frame, "\"a message\"");
        CHECK_INT(ARTEL_JSON, artel_channel_frame_encoding(channel));
        artel_channel_free(channel);
    }
}

static void a_profile_is_not_under_the_profiles_limits(void)
{
    struct script script;
    script_init(&script, "", 0);
    struct artel_channel *channel =
        script_channel(&script, ARTEL_JSON, ARTEL_START_MASTER);
    static const char LONG[2000] = {0};
    CHECK_INT(0, script_put(channel, ARTEL_FRAME_PROFILE, LONG, sizeof LONG));
    CHECK_INT(1, artel_channel_flush(channel));
    CHECK(memcmp(script.sent, "ATL1\0\0\7\320\12", 9) == 0);
    CHECK_INT(ARTEL_E_OVERSIZE, script_put(channel, ARTEL_FRAME_MESSAGE, LONG, 101));
    CHECK_INT(ARTEL_JSON, artel_channel_send_encoding(channel));
    artel_channel_free(channel);
}

int main(void)
{
    RUN(any_portion_gives_the_same_frames);
    RUN(a_cut_at_any_offset_gives_whole_frames_and_the_end);
    RUN(silence_in_the_middle_is_no_end);
    RUN(white_space_between_texts_is_forgotten);
    RUN(a_bare_number_is_whole_at_the_end);
    RUN(one_read_is_short_whatever_room_there_is);
    RUN(garbage_is_refused_and_quoted);
    RUN(a_wrong_greeting_is_refused_at_its_first_wrong_byte);
    RUN(a_fault_shows_no_cookie);
    RUN(a_json_client_is_told_from_other_strangers);
    RUN(a_length_over_the_limit_is_refused_when_it_is_announced);
    RUN(the_limit_is_on_the_body_and_not_on_its_envelope);
    RUN(a_dedicated_start_goes_over_to_the_profiles_encoding);
    RUN(a_profile_is_not_under_the_profiles_limits);
    return 0;
}
