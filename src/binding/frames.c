/* SPDX-License-Identifier: Apache-2.0 */
/* Lua values to frames of a channel and back, with its codec. */
#include "channel.h"

#include "../core/error.h"
#include "error.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdint.h>

/* The custom codec's function, and the box's user value above it; or nothing and false.
 */
static bool push_codec(lua_State *L, int box_index, const char *name)
{
    const struct artel_channel_box *box = lua_touserdata(L, box_index);
    if (!box->has_codec) {
        return false;
    }
    lua_getiuservalue(L, box_index, ARTEL_BOX_CODEC);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
    return true;
}

/*
 * encode(value) of a custom codec, whose function is on top → 0 with a string in its
 * place, or a code with the reason. Before any byte of the frame exists: encode may do
 * anything, also send on the same channel or close it.
 */
static int encode_custom(lua_State *L, struct artel_channel_box *box, int index)
{
    lua_pushvalue(L, index);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
        luaL_tolstring(L, -1, NULL);
        lua_remove(L, -2);
        return ARTEL_E_ENCODE;
    }
    const char *fault = NULL;
    if (lua_type(L, -1) != LUA_TSTRING) {
        fault = "the channel factory's encode did not answer a string";
    } else if (box->channel == NULL) {
        fault = "the channel factory's encode has closed the channel";
    }
    if (fault != NULL) {
        lua_pop(L, 1);
        lua_pushstring(L, fault);
    }
    return fault != NULL ? ARTEL_E_ENCODE : 0;
}

/* Appends the string on top, which stays. */
static int append_string(lua_State *L, struct artel_buffer *out)
{
    size_t len = 0;
    const char *bytes = lua_tolstring(L, -1, &len);
    return artel_buffer_append(out, bytes, len);
}

/* Start-up frames are between artel and artel: the profile's limits are not for them.
 * What a worker reports is a handful of texts. */
static const struct artel_codec_limits *limits_for(const struct artel_channel_box *box,
                                                   enum artel_frame_kind kind)
{
    static const struct artel_codec_limits REPORT = {
        .max_depth = 8, .max_len = SIZE_MAX, .max_items = 64, .max_number_keys = 8};
    if (kind == ARTEL_FRAME_READY || kind == ARTEL_FRAME_FAILED) {
        return &REPORT;
    }
    return kind == ARTEL_FRAME_PROFILE ? &ARTEL_CODEC_DEFAULT_LIMITS : &box->limits;
}

int artel_push_send_failure(lua_State *L, const struct artel_channel_box *box,
                            enum artel_frame_kind kind, int status, const char *reason)
{
    static const char *const NAMES[] = {"message", "request", "response", "error"};
    if (status == ARTEL_E_OVERSIZE && kind <= ARTEL_FRAME_ERROR) {
        return artel_push_failure(
            L, "oversize", status,
            "the %s is longer than the %I bytes that maxMessageSize allows", NAMES[kind],
            (LUAI_UACINT)box->limits.max_len);
    }
    const char *error_kind = status == ARTEL_E_OVERSIZE     ? "oversize"
                             : status == ARTEL_E_OVERLOADED ? "overloaded"
                                                            : "encode";
    return artel_push_failure(L, error_kind, status, "%s", reason);
}

int artel_box_queue(lua_State *L, int box_index, enum artel_frame_kind kind, uint32_t id,
                    int index)
{
    struct artel_channel_box *box = lua_touserdata(L, box_index);
    bool custom = kind <= ARTEL_FRAME_RESPONSE && push_codec(L, box_index, "encode");
    int status = custom ? encode_custom(L, box, index) : 0;
    bool explained = status < 0;
    struct artel_buffer *out =
        explained ? NULL : artel_channel_frame_begin(box->channel, kind, id);
    if (out == NULL) {
        status = explained ? status : -ENOMEM;
    } else if (custom) {
        status = append_string(L, out);
        lua_pop(L, 1);
    } else if (index != 0) {
        status = artel_channel_send_encoding(box->channel) == ARTEL_JSON
                     ? artel_json_encode(L, index, out, &box->limits)
                     : artel_msgpack_encode(L, index, out, limits_for(box, kind));
        explained = status < 0;
    }
    if (status == 0) {
        status = artel_channel_frame_end(box->channel);
    }
    if (status == 0) {
        return 0;
    }
    return artel_push_send_failure(
        L, box, kind, status, explained ? lua_tostring(L, -1) : artel_error_text(status));
}

/* decode(bytes) of a custom codec, whose function is on top. The frame is gone before:
 * decode may do anything, also receive on the same channel or close it. */
static int decode_custom(lua_State *L, struct artel_channel_box *box,
                         const struct artel_frame *frame)
{
    box->decoding = L; /* collects garbage: see artel_check_open_box */
    lua_pushlstring(L, (const char *)frame->body, frame->body_len);
    box->decoding = NULL;
    artel_channel_consume(box->channel);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK) {
        return 0;
    }
    luaL_tolstring(L, -1, NULL);
    lua_remove(L, -2);
    return ARTEL_E_DECODE;
}

/* Decodes straight from the channel's buffer, and consumes the frame. */
static int decode_in_place(lua_State *L, struct artel_channel_box *box,
                           const struct artel_frame *frame)
{
    const uint8_t *body = frame->body != NULL ? frame->body : (const uint8_t *)"";
    box->decoding = L; /* collects garbage: see artel_check_open_box */
    int status = artel_channel_frame_encoding(box->channel) == ARTEL_JSON
                     ? artel_json_decode(L, body, frame->body_len, &box->limits)
                     : artel_msgpack_decode(L, body, frame->body_len,
                                            limits_for(box, frame->kind));
    box->decoding = NULL;
    if (status == ARTEL_E_PROTOCOL) {
        artel_channel_break(box->channel, lua_tostring(L, -1));
    }
    artel_channel_consume(box->channel);
    return status;
}

int artel_box_take(lua_State *L, int box_index, const struct artel_frame *frame)
{
    struct artel_channel_box *box = lua_touserdata(L, box_index);
    int status = 0;
    /* What users send has a value; that of a custom codec may be written in 0 bytes. */
    if (frame->body == NULL && frame->kind > ARTEL_FRAME_RESPONSE) {
        artel_channel_consume(box->channel);
        lua_pushnil(L);
    } else if (frame->kind <= ARTEL_FRAME_RESPONSE &&
               push_codec(L, box_index, "decode")) {
        status = decode_custom(L, box, frame);
    } else {
        status = decode_in_place(L, box, frame);
    }
    if (status == 0) {
        return 1;
    }
    const char *kind = status == ARTEL_E_OVERSIZE   ? "oversize"
                       : status == ARTEL_E_PROTOCOL ? "protocol"
                                                    : "decode";
    return artel_push_failure(L, kind, 0, "%s", lua_tostring(L, -1));
}
