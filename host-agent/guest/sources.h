/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What was heard of a guest: the newest sample from its agent and from libvirt, and the last few of the one in
 * use. The agent's is used unless the agent is silent and libvirt's is newer. */

#include "host-agent/guest/sample.h"
#include "host-agent/libvirt/virt.h"

typedef struct Sources {
    Sample newest[GUEST_SOURCE_MAX];
    History history;      /* of the source in use */
    VirtStats stats;      /* the last from libvirt … */
    usec_t stats_usec;    /* … and when they came; 0: never */
    usec_t interval_usec; /* what the agent was asked for; 0: nothing yet */
    usec_t goodbye_usec;  /* when the agent said goodbye in a way that counts; 0: never */
    bool leaving;         /* nothing was heard of the agent since */
} Sources;

/* The guest booted again: all that was heard says nothing any more, but for libvirt's stats and the interval. */
void sources_reboot(Sources *s);
/* Its agent said Hello. restarted: with another boot id, so that its counters began again. */
void sources_hello(Sources *s, bool restarted);
/* Its agent said goodbye. Returns whether that counts: not where it did so in the last ten minutes. */
bool sources_goodbye(Sources *s, usec_t now_usec);
void sources_set_interval(Sources *s, usec_t interval_usec);

/* A report came from the agent. */
void sources_report(Sources *s, const Report *r, usec_t now_usec);
/* Stats came from libvirt. Returns whether the guest answered since the last ones; then sources_use_stats()
 * makes a sample of them, and returns whether that is in use now: the agent is silent. */
bool sources_stats(Sources *s, const VirtStats *stats, usec_t now_usec);
bool sources_use_stats(Sources *s, usec_t now_usec);

/* The sample in use; NULL: none. */
const Sample *sources_sample(const Sources *s, usec_t now_usec);
/* Of the guest's QEMU; 0: not known. */
uint64_t sources_rss(const Sources *s);
