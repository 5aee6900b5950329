/* SPDX-License-Identifier: Apache-2.0 */
/* Opening channels into boxes. */
#ifndef ARTEL_BINDING_OPEN_H
#define ARTEL_BINDING_OPEN_H

#include "channel.h"

/*
 * Reads encoding, maxMessageSize and maxQueuedBytes from the table at index (absent:
 * msgpack, 1 GiB each) and accepts the frames that both ends of any channel may send.
 */
void artel_read_channel_options(lua_State *L, int index, enum artel_channel_start start,
                                struct artel_channel_options *options);

/* Sets the box's own limits, and the custom codec in the table's field codec. */
void artel_box_configure(lua_State *L, int box_index, int index,
                         const struct artel_channel_options *options);

/* Opens a channel over the socket *fd into the box. On success *fd is -1 and belongs to
 * the box. 0 or a negated errno. */
int artel_box_open(struct artel_channel_box *box, int *fd,
                   const struct artel_channel_options *options);

/*
 * The same for one end of a dedicated worker's channel: over the rings of the memory
 * file, if there is one (memory_fd is not -1) and it has any. The file stays the
 * caller's.
 */
int artel_box_open_worker(struct artel_channel_box *box, int *fd, int memory_fd,
                          const struct artel_channel_options *options);

/* Adds pair and startWorker to the table on top of the stack. */
void artel_open_register(lua_State *L);

#endif
