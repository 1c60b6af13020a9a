/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A host and guests to decide about, for the tests and the bench of decide/. */

#include <stdio.h>

#include "base/macro.h"
#include "base/units.h"
#include "host-agent/decide/guard.h"

#define FIXTURE_GUESTS_MAX 5000
#define HOST_TOTAL         (100 * GIB) /* 1 % is 1 GiB, and the usual thresholds are 20, 5 and 25 GiB */

/* A guest of 2 GiB that has all of it, long up, with fresh stats of its agent, 1 GiB available, half of that
 * free, and 1 GiB of empty swap. No rule but floor (512 MiB), ceiling and step applies to it. */
static inline SnapshotGuest fixture_guest(void)
{
    SnapshotGuest g = {
        .uuid = "00000000-0000-0000-0000-000000000000",
        .name = "guest",
        .mode = GUEST_MODE_AUTO,
        .source = GUEST_SOURCE_AGENT,
        .age_usec = USEC_PER_SEC,
        .uptime_usec = 3600 * USEC_PER_SEC,
        .sizes.maximum_bytes = 2 * GIB,
        .sizes.full_bytes = 2 * GIB,
        .sizes.floor_bytes = 512 * MIB,
        .sizes.current_bytes = 2 * GIB,
        .sizes.standing_bytes = 2 * GIB,
    };

    guest_fields_set(&g.fields, GUEST_FIELD_TOTAL, (double) (2 * GIB - 40 * MIB));
    guest_fields_set(&g.fields, GUEST_FIELD_AVAILABLE, (double) GIB);
    guest_fields_set(&g.fields, GUEST_FIELD_FREE, (double) (512 * MIB));
    guest_fields_set(&g.fields, GUEST_FIELD_CACHE, (double) (512 * MIB));
    guest_fields_set(&g.fields, GUEST_FIELD_IDLE, (double) (512 * MIB));
    guest_fields_set(&g.fields, GUEST_FIELD_LOW_WATERMARK, (double) (16 * MIB));
    guest_fields_set(&g.fields, GUEST_FIELD_SWAP_TOTAL, (double) GIB);
    guest_fields_set(&g.fields, GUEST_FIELD_SWAP_FREE, (double) GIB);
    return g;
}

/* Its size, with nothing on its way. */
static inline void fixture_size(SnapshotGuest *g, uint64_t current_bytes)
{
    g->sizes.current_bytes = g->sizes.standing_bytes = current_bytes;
}

static inline HostFields fixture_host(uint64_t available_bytes)
{
    HostFields h = {};

    host_fields_set(&h, HOST_FIELD_TOTAL, (double) HOST_TOTAL);
    host_fields_set(&h, HOST_FIELD_AVAILABLE, (double) available_bytes);
    host_fields_set(&h, HOST_FIELD_FREE, (double) available_bytes / 2);
    host_fields_set(&h, HOST_FIELD_RESERVE, 0);
    host_fields_set(&h, HOST_FIELD_SWAP_TOTAL, (double) (8 * GIB));
    host_fields_set(&h, HOST_FIELD_SWAP_FREE, (double) (8 * GIB));
    return h;
}

/* A UUID for the i-th guest, in the order of i. buf holds at least 37 bytes. */
static inline const char *fixture_uuid(char *buf, unsigned i)
{
    snprintf(buf, 37, "%08x-0000-4000-8000-000000000000", i);
    return buf;
}
