/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a guest's samples come from, and which source is in use. */

#include "host-agent/guest/sources.h"

#include <string.h>

/* An agent is silent if it hasn't reported for three of its intervals, and at least for this long. Then
 * libvirt's stats are used if they are newer. */
#define AGENT_SILENT_USEC (3 * USEC_PER_SEC)
/* An agent's goodbye makes ballastd leave the guest alone at most once in this time, even if the agent
 * repeats it. */
#define GOODBYE_USEC      (600 * USEC_PER_SEC)

void sources_set_maximum(Sources *s, uint64_t maximum_bytes)
{
    s->maximum_bytes = maximum_bytes;
}

static void forget(Sources *s)
{
    history_clear(&s->history);
    memset(s->newest, 0, sizeof(s->newest));
}

void sources_reboot(Sources *s)
{
    forget(s);
    s->goodbye_usec = 0;
    s->leaving = false;
}

void sources_hello(Sources *s, bool restarted)
{
    s->leaving = false;
    if (restarted)
        forget(s);
}

bool sources_goodbye(Sources *s, usec_t now_usec)
{
    memset(&s->newest[GUEST_SOURCE_AGENT], 0, sizeof(Sample));
    if (s->goodbye_usec > 0 && usec_since(s->goodbye_usec, now_usec) < GOODBYE_USEC)
        return false;
    s->goodbye_usec = now_usec;
    s->leaving = true;
    return true;
}

void sources_set_interval(Sources *s, usec_t interval_usec)
{
    s->interval_usec = interval_usec;
}

static bool agent_is_silent(const Sources *s, usec_t now_usec)
{
    const Sample *agent = &s->newest[GUEST_SOURCE_AGENT];

    return agent->source != GUEST_SOURCE_AGENT ||
           usec_since(agent->at_usec, now_usec) > MAX(3 * s->interval_usec, AGENT_SILENT_USEC);
}

/* The sample is the newest of its source from now on. */
static void take(Sources *s, const Sample *sample)
{
    Sample *newest = &s->newest[sample->source];

    *newest = *sample;
    report_fit(&newest->report, s->maximum_bytes > 0 ? s->maximum_bytes : GUEST_MEMORY_MAX_BYTES);
}

void sources_report(Sources *s, const Report *r, usec_t now_usec)
{
    take(s, &(Sample){.at_usec = now_usec, .source = GUEST_SOURCE_AGENT, .report = *r});
    history_add(&s->history, &s->newest[GUEST_SOURCE_AGENT]);
}

/* Puts libvirt's stats into the fields of a report. last_update is in seconds of the wall clock. */
static bool stats_to_sample(const VirtStats *s, usec_t now_usec_, Sample *ret)
{
    usec_t wall = now_usec(CLOCK_REALTIME);
    bool linux_counts = s->has_hugetlb_allocs;

    if (!s->has_last_update || s->last_update_sec == 0 || !s->has_available || !s->has_unused)
        return false;
    *ret = (Sample){
        .at_usec = LESS_BY(now_usec_, usec_since(s->last_update_sec * USEC_PER_SEC, wall)),
        .source = GUEST_SOURCE_LIBVIRT,
    };
    report_set(&ret->report, REPORT_MEM_TOTAL, s->available_bytes);
    report_set(&ret->report, REPORT_MEM_FREE, s->unused_bytes);
    if (s->has_usable)
        report_set(&ret->report, REPORT_MEM_AVAILABLE, s->usable_bytes);
    /* Buffers, Cached and SwapCached together. */
    if (s->has_disk_caches)
        report_set(&ret->report, REPORT_CACHED, s->disk_caches_bytes);
    if (s->has_swap_in && linux_counts)
        report_set(&ret->report, REPORT_SWAP_IN, s->swap_in_bytes);
    if (s->has_swap_out)
        report_set(&ret->report, REPORT_SWAP_OUT, s->swap_out_bytes);
    if (s->has_major_faults && linux_counts)
        report_set(&ret->report, REPORT_MAJOR_FAULTS, s->major_faults);
    if (s->has_minor_faults)
        report_set(&ret->report, REPORT_FAULTS, s->minor_faults);
    return true;
}

bool sources_stats(Sources *s, const VirtStats *stats, usec_t now_usec)
{
    /* The guest has answered if last_update has changed. Its age proves nothing, because the wall clock may
     * be set. */
    bool answered = s->newest[GUEST_SOURCE_LIBVIRT].source == GUEST_SOURCE_NONE ||
                    stats->last_update_sec != s->stats.last_update_sec;

    s->stats = *stats;
    s->stats_usec = now_usec;
    return answered;
}

bool sources_use_stats(Sources *s, usec_t now_usec)
{
    Sample sample;

    if (!stats_to_sample(&s->stats, now_usec, &sample))
        return false;
    take(s, &sample);
    if (!agent_is_silent(s, now_usec))
        return false;
    history_add(&s->history, &s->newest[GUEST_SOURCE_LIBVIRT]);
    return true;
}

const Sample *sources_sample(const Sources *s, usec_t now_usec)
{
    const Sample *agent = &s->newest[GUEST_SOURCE_AGENT], *virt = &s->newest[GUEST_SOURCE_LIBVIRT];
    bool has_agent = agent->source == GUEST_SOURCE_AGENT, has_virt = virt->source == GUEST_SOURCE_LIBVIRT;

    if (has_virt && agent_is_silent(s, now_usec) && (!has_agent || virt->at_usec > agent->at_usec))
        return virt;
    return has_agent ? agent : NULL;
}

uint64_t sources_rss(const Sources *s)
{
    return s->stats.has_rss ? s->stats.rss_bytes : 0;
}
