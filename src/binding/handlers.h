/* SPDX-License-Identifier: Apache-2.0 */
/* Giving frames to handlers, for those who have taken the first one. */
#ifndef ARTEL_BINDING_HANDLERS_H
#define ARTEL_BINDING_HANDLERS_H

#include "channel.h"

/* The arguments of artel_handle_messages() and of artel_handle_requests(). */
enum {
    ARTEL_CHANNEL = 1,
    ARTEL_IMPLEMENTATION,
    ARTEL_PEER_NAME,
    ARTEL_GOES_ON,
    ARTEL_MESSAGE,
    ARTEL_OWNER = ARTEL_GOES_ON + 1,
    ARTEL_RUNNING,
    ARTEL_ID,
    ARTEL_REQUEST
};

/*
 * Takes the next frame of the box at ARTEL_CHANNEL if it is a message or a request: 4
 * with kind, id, true, value or kind, id, nil, err pushed. 0: there is none, others were
 * set aside before it, or it has to wait for the peer to read.
 */
int artel_take_work(lua_State *L, struct artel_channel_box *box);

/* The functions handleMessages and handleRequests of artel.core. */
int artel_handle_messages(lua_State *L);
int artel_handle_requests(lua_State *L);

#endif
