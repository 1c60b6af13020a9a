/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How bytes get to a guest's agent and back. A transport reports to guest_channel_opened(),
 * guest_channel_data() and guest_channel_closed(). All of its functions return at once. */

#include <stddef.h>
#include <stdint.h>

typedef struct Transport {
    /* Asks for the channel to be opened. 0 or -errno. */
    int (*open)(void *userdata, const char *uuid);
    /* Sends bytes or drops them: 0 or -errno. It keeps no reference to them. */
    int (*send)(void *userdata, const char *uuid, const uint8_t *data, size_t length);
    /* The guest has read everything that was sent to it until lately. */
    void (*was_read)(void *userdata, const char *uuid);
    /* Closes the channel; the transport reports nothing more about it. */
    void (*close)(void *userdata, const char *uuid);
    void *userdata;
} Transport;
