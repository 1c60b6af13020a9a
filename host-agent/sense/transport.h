/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How bytes get to a guest's agent and back. What a transport hears it hands to guest_channel_opened(), _data() and
 * _closed(). All of its functions return at once. */

#include <stddef.h>
#include <stdint.h>

typedef struct Transport {
    /* Asks for the channel to be opened. 0 or -errno. */
    int (*open)(void *userdata, const char *uuid);
    /* Takes bytes, or drops them: 0 or -errno. Nothing is kept by reference. */
    int (*send)(void *userdata, const char *uuid, const uint8_t *data, size_t length);
    /* The guest was seen to have read all that was sent to it until lately. */
    void (*was_read)(void *userdata, const char *uuid);
    /* Closes it; nothing more is heard of it. */
    void (*close)(void *userdata, const char *uuid);
    void *userdata;
} Transport;
