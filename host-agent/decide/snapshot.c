/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names of a snapshot's values. */
#include "host-agent/decide/snapshot.h"

#include <stdio.h>
#include <string.h>

#include "base/macro.h"

static const char *const mode_names[GUEST_MODE_MAX] = {
    [GUEST_MODE_AUTO] = "auto",
    [GUEST_MODE_OBSERVE] = "observe",
    [GUEST_MODE_OFF] = "off",
};

static const char *const source_names[GUEST_SOURCE_MAX] = {
    [GUEST_SOURCE_NONE] = "none",
    [GUEST_SOURCE_LIBVIRT] = "libvirt",
    [GUEST_SOURCE_AGENT] = "agent",
};

const char *guest_mode_to_string(GuestMode m)
{
    return m >= 0 && m < GUEST_MODE_MAX ? mode_names[m] : NULL;
}

GuestMode guest_mode_from_string(const char *s)
{
    for (int m = 0; m < GUEST_MODE_MAX; m++)
        if (s && strcmp(s, mode_names[m]) == 0)
            return m;
    return GUEST_MODE_INVALID;
}

const char *guest_source_to_string(GuestSource s)
{
    return s >= 0 && s < GUEST_SOURCE_MAX ? source_names[s] : NULL;
}

GuestSource guest_source_from_string(const char *s)
{
    for (int source = 0; source < GUEST_SOURCE_MAX; source++)
        if (s && strcmp(s, source_names[source]) == 0)
            return source;
    return GUEST_SOURCE_INVALID;
}

const char *snapshot_field_key(char *buf, const FieldInfo *info)
{
    static const char *const suffixes[FIELD_UNIT_MAX] = {
        [FIELD_UNIT_BYTES] = "_bytes",
        [FIELD_UNIT_RATE] = "_bytes_per_sec",
        [FIELD_UNIT_DURATION] = "_usec",
    };

    snprintf(buf, SNAPSHOT_KEY_MAX, "%s%s", info->name, suffixes[info->unit] ?: "");
    return buf;
}

const char *snapshot_state_key(char *buf, const char *file, const char *name)
{
    const char *slash = strrchr(file, '/');

    snprintf(buf, SNAPSHOT_STATE_KEY_MAX, "%s:%s", slash ? slash + 1 : file, name);
    return buf;
}

uint64_t snapshot_bound_to(const Snapshot *s, const SnapshotGuest *g)
{
    uint64_t known = 0;

    if (!s->nodes || g->nodes == 0)
        return 0;
    for (unsigned i = 0; i < NODE_SET_MAX; i++)
        if (s->nodes[i].total_bytes > 0)
            known |= UINT64_C(1) << i;
    return (g->nodes & known) == known ? 0 : g->nodes & known;
}

SnapshotNode snapshot_memory_of(const Snapshot *s, uint64_t nodes)
{
    SnapshotNode sum = {};

    for (unsigned i = 0; s->nodes && i < NODE_SET_MAX; i++)
        if (node_set_has(nodes, i)) {
            sum.total_bytes += s->nodes[i].total_bytes;
            sum.free_bytes += s->nodes[i].free_bytes;
            sum.available_bytes += s->nodes[i].available_bytes;
        }
    return sum;
}
