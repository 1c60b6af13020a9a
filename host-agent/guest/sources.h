/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where a guest's samples come from: the newest one from its agent and from libvirt, and the last few of the
 * source in use. The agent's sample is used unless the agent is silent and libvirt's sample is newer. */

#include "host-agent/guest/sample.h"
#include "host-agent/libvirt/virt.h"

typedef struct Sources {
    uint64_t maximum_bytes; /* of the domain: what either says is fitted to it; 0: not known yet */
    Sample newest[GUEST_SOURCE_MAX];
    History history;      /* of the source in use */
    VirtStats stats;      /* the last from libvirt … */
    usec_t stats_usec;    /* … and when they came; 0: never */
    usec_t interval_usec; /* the interval that the agent was asked for; 0: none yet */
    usec_t goodbye_usec;  /* when the agent last said a goodbye that counts; 0: never */
    bool leaving;         /* the agent hasn't been heard since that goodbye */
} Sources;

void sources_set_maximum(Sources *s, uint64_t maximum_bytes);
/* The guest rebooted: forgets everything except libvirt's stats and the interval. */
void sources_reboot(Sources *s);
/* The agent said Hello. restarted: with another boot id, so its counters began again. */
void sources_hello(Sources *s, bool restarted);
/* The agent said goodbye. Returns whether that counts: not if another one counted in the last ten minutes. */
bool sources_goodbye(Sources *s, usec_t now_usec);
void sources_set_interval(Sources *s, usec_t interval_usec);

/* A report came from the agent. */
void sources_report(Sources *s, const Report *r, usec_t now_usec);
/* Stats came from libvirt. What they count as swapped in, and as major faults, is left out unless the guest runs Linux
 * (its driver counts huge pages): the driver for Windows counts each page that is read from any file. Returns whether the guest answered since the last ones. Then the caller calls
 * sources_use_stats(), which makes a sample of them and returns whether it is in use now, because the agent
 * is silent. */
bool sources_stats(Sources *s, const VirtStats *stats, usec_t now_usec);
bool sources_use_stats(Sources *s, usec_t now_usec);

/* The sample in use; NULL: none. */
const Sample *sources_sample(const Sources *s, usec_t now_usec);
/* The RSS of the guest's QEMU; 0: not known. */
uint64_t sources_rss(const Sources *s);
