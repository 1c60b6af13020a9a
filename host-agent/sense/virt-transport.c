/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The transport over libvirt's streams. */

#include "host-agent/sense/virt-transport.h"

static int transport_open(void *userdata, const char *uuid)
{
    return virt_channel_open(userdata, uuid);
}

static int transport_send(void *userdata, const char *uuid, const uint8_t *data, size_t length)
{
    return virt_channel_send(userdata, uuid, data, length);
}

static void transport_was_read(void *userdata, const char *uuid)
{
    virt_channel_was_read(userdata, uuid);
}

static void transport_close(void *userdata, const char *uuid)
{
    virt_channel_close(userdata, uuid);
}

Transport virt_transport(Virt *v)
{
    return (Transport){.open = transport_open,
                       .send = transport_send,
                       .was_read = transport_was_read,
                       .close = transport_close,
                       .userdata = v};
}
