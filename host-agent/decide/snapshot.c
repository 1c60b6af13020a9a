/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host-agent/decide/snapshot.h"

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
