/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Samples of a guest's memory, and the stats that a policy sees in them. */

#include "host-agent/guest/sample.h"

#include "base/macro.h"
#include "base/units.h"

void history_add(History *h, const Sample *s)
{
    h->samples[h->next] = *s;
    h->next = (h->next + 1) % HISTORY_MAX;
    h->count = MIN(h->count + 1, (unsigned) HISTORY_MAX);
}

void history_clear(History *h)
{
    h->next = 0;
    h->count = 0;
}

const Sample *history_get(const History *h, unsigned back)
{
    if (back >= h->count)
        return NULL;
    return &h->samples[(h->next + HISTORY_MAX - 1 - back) % HISTORY_MAX];
}

/* Seconds between two samples of one source: by the guest's clock if it sends one, because the way from guest
 * to host delays reports unevenly. */
static double seconds_between(const Sample *old, const Sample *new)
{
    usec_t usec = old->report.at_usec && new->report.at_usec
                      ? usec_since(old->report.at_usec, new->report.at_usec)
                      : usec_since(old->at_usec, new->at_usec);

    return (double) usec / (double) USEC_PER_SEC;
}

bool history_growth(const History *h, ReportField f, usec_t window_usec, uint64_t *ret_growth,
                    double *ret_seconds)
{
    const Sample *newest = history_get(h, 0), *oldest = newest;

    if (!newest || !report_has(&newest->report, f))
        return false;
    for (unsigned back = 1; back < h->count; back++) {
        const Sample *s = history_get(h, back);

        if (s->source != newest->source || usec_since(s->at_usec, newest->at_usec) > window_usec)
            break;
        if (!report_has(&s->report, f))
            continue;
        if (s->report.value[f] > oldest->report.value[f])
            return false;
        oldest = s;
    }
    if (oldest == newest)
        return false;
    *ret_growth = newest->report.value[f] - oldest->report.value[f];
    *ret_seconds = seconds_between(oldest, newest);
    return true;
}

bool history_rate(const History *h, ReportField f, usec_t window_usec, double *ret_per_sec)
{
    uint64_t growth;
    double seconds;

    if (!history_growth(h, f, window_usec, &growth, &seconds) || seconds <= 0)
        return false;
    *ret_per_sec = (double) growth / seconds;
    return true;
}

/* Stats that are passed on as they are; percentages become ratios. */
static const struct {
    ReportField from;
    GuestField to;
    double unit;
} passed_on[] = {
    {REPORT_SWAP_IN, GUEST_FIELD_SWAP_IN, 1},
    {REPORT_SWAP_OUT, GUEST_FIELD_SWAP_OUT, 1},
    {REPORT_MAJOR_FAULTS, GUEST_FIELD_MAJOR_FAULTS, 1},
    {REPORT_FAULTS, GUEST_FIELD_FAULTS, 1},
    {REPORT_REFAULT_ANON, GUEST_FIELD_REFAULT_ANON, 1},
    {REPORT_REFAULT_FILE, GUEST_FIELD_REFAULT_FILE, 1},
    {REPORT_SCAN_DIRECT, GUEST_FIELD_SCAN_DIRECT, 1},
    {REPORT_SCAN_KSWAPD, GUEST_FIELD_SCAN_KSWAPD, 1},
    {REPORT_STEAL_DIRECT, GUEST_FIELD_STEAL_DIRECT, 1},
    {REPORT_STEAL_KSWAPD, GUEST_FIELD_STEAL_KSWAPD, 1},
    {REPORT_ALLOC_STALLS, GUEST_FIELD_ALLOC_STALLS, 1},
    {REPORT_OOM_KILLS, GUEST_FIELD_OOM_KILLS, 1},
    {REPORT_PSI_MEMORY_SOME_AVG10, GUEST_FIELD_PSI_MEMORY_SOME, 1e-4},
    {REPORT_PSI_MEMORY_FULL_AVG10, GUEST_FIELD_PSI_MEMORY_FULL, 1e-4},
    {REPORT_PSI_IO_SOME_AVG10, GUEST_FIELD_PSI_IO_SOME, 1e-4},
    {REPORT_PSI_IO_FULL_AVG10, GUEST_FIELD_PSI_IO_FULL, 1e-4},
    {REPORT_PSI_MEMORY_SOME_TOTAL, GUEST_FIELD_PSI_MEMORY_SOME_TOTAL, 1},
    {REPORT_PSI_MEMORY_FULL_TOTAL, GUEST_FIELD_PSI_MEMORY_FULL_TOTAL, 1},
    {REPORT_PSI_IO_SOME_TOTAL, GUEST_FIELD_PSI_IO_SOME_TOTAL, 1},
    {REPORT_PSI_IO_FULL_TOTAL, GUEST_FIELD_PSI_IO_FULL_TOTAL, 1},
    {REPORT_COMMITTED, GUEST_FIELD_COMMITTED, 1},
    {REPORT_COMMIT_LIMIT, GUEST_FIELD_COMMIT_LIMIT, 1},
    {REPORT_REPORTING, GUEST_FIELD_REPORTING, 1},
};

/* Parts of the guest's memory; none can be larger than the whole. */
static const struct {
    ReportField from;
    GuestField to;
} parts[] = {
    {REPORT_MEM_FREE, GUEST_FIELD_FREE},
    {REPORT_BUFFERS, GUEST_FIELD_BUFFERS},
    {REPORT_CACHED, GUEST_FIELD_CACHED},
    {REPORT_SRECLAIMABLE, GUEST_FIELD_SRECLAIMABLE},
    {REPORT_ANON_PAGES, GUEST_FIELD_ANON},
    {REPORT_SHMEM, GUEST_FIELD_SHMEM},
    {REPORT_DIRTY, GUEST_FIELD_DIRTY},
    {REPORT_MLOCKED, GUEST_FIELD_MLOCKED},
    {REPORT_LOW_WATERMARK, GUEST_FIELD_LOW_WATERMARK},
    {REPORT_ACTIVE_FILE, GUEST_FIELD_ACTIVE_FILE},
    {REPORT_INACTIVE_FILE, GUEST_FIELD_INACTIVE_FILE},
    {REPORT_ACTIVE_ANON, GUEST_FIELD_ACTIVE_ANON},
    {REPORT_INACTIVE_ANON, GUEST_FIELD_INACTIVE_ANON},
    {REPORT_ARC_MIN, GUEST_FIELD_ARC_MIN},
};

/* The most memory that a guest's kernel may keep for itself and not count in MemTotal: page tables, firmware,
 * its own text, a crash kernel. An eighth, and a little more in small guests. */
static uint64_t kernel_most(uint64_t maximum_bytes)
{
    return maximum_bytes / 8 + 32 * MIB;
}

bool sample_balloon_in_total(const Sample *s, uint64_t current_bytes, uint64_t maximum_bytes,
                             bool autodeflate)
{
    uint64_t total;

    if (!s || !report_has(&s->report, REPORT_MEM_TOTAL))
        return autodeflate;
    total = s->report.value[REPORT_MEM_TOTAL];
    return total > current_bytes ||
           (autodeflate && LESS_BY(maximum_bytes, total) <= kernel_most(maximum_bytes));
}

/* The guest's memory as it would be without a balloon in it. */
static uint64_t total_of(const Report *r, const SampleHost *host)
{
    uint64_t total = GUEST_MEMORY_MAX_BYTES;

    if (report_has(r, REPORT_MEM_TOTAL))
        total = MIN(total, r->value[REPORT_MEM_TOTAL]);
    return host->balloon_in_total ? LESS_BY(total, LESS_BY(host->maximum_bytes, host->current_bytes)) : total;
}

uint64_t sample_total(const Sample *s, uint64_t current_bytes, uint64_t maximum_bytes, bool balloon_in_total)
{
    const SampleHost host = {
        .current_bytes = current_bytes, .maximum_bytes = maximum_bytes, .balloon_in_total = balloon_in_total};

    return report_has(&s->report, REPORT_MEM_TOTAL) ? total_of(&s->report, &host) : current_bytes;
}

/* The codec has validated the reports of an agent, but nobody has validated the balloon driver's stats. So
 * each value is limited to the total, and sums can't overflow. */
static uint64_t part(const Report *r, ReportField f, uint64_t total)
{
    return MIN(report_get(r, f), total);
}

/* What ZFS lets go of when the kernel needs it: it keeps the minimum of its cache whatever the kernel says. */
static uint64_t arc(const Report *r, uint64_t total)
{
    return LESS_BY(part(r, REPORT_ARC, total), part(r, REPORT_ARC_MIN, total));
}

static void memory_fields(const Report *r, const SampleHost *host, uint64_t total, GuestFields *ret)
{
    ReportField available_from = report_has(r, REPORT_MEM_AVAILABLE) ? REPORT_MEM_AVAILABLE : REPORT_MEM_FREE;
    /* Linux doesn't count ZFS's cache as available. */
    uint64_t free = part(r, REPORT_MEM_FREE, total),
             available = MIN(part(r, available_from, total) + arc(r, total), total);

    for (size_t i = 0; i < ELEMENTSOF(parts); i++)
        if (report_has(r, parts[i].from))
            guest_fields_set(ret, parts[i].to, (double) part(r, parts[i].from, total));
    if (report_has(r, REPORT_MEM_TOTAL))
        guest_fields_set(ret, GUEST_FIELD_TOTAL, (double) total);
    if (report_has(r, available_from)) {
        guest_fields_set(ret, GUEST_FIELD_AVAILABLE, (double) available);
        if (report_has(r, REPORT_MEM_TOTAL))
            guest_fields_set(ret, GUEST_FIELD_USED,
                             (double) MAX(LESS_BY(host->current_bytes, available), total - available));
    }
    if (report_has(r, REPORT_ARC))
        guest_fields_set(ret, GUEST_FIELD_ARC, (double) arc(r, total));
    if (report_has(r, REPORT_CACHED)) {
        uint64_t cache = part(r, REPORT_BUFFERS, total) + part(r, REPORT_CACHED, total) +
                         part(r, REPORT_SRECLAIMABLE, total) + arc(r, total);

        cache = LESS_BY(cache, part(r, REPORT_SHMEM, total));
        if (report_has(r, REPORT_MEM_TOTAL) && report_has(r, REPORT_MEM_FREE))
            cache = MIN(cache, total - free);
        guest_fields_set(ret, GUEST_FIELD_CACHE, (double) cache);
    }
}

/* What disks back, and apart from it what the guest keeps in its own memory (zram). An agent that doesn't say how much of
 * the latter is free may mean all. */
static void swap_fields(const Report *r, GuestFields *ret)
{
    uint64_t all = report_get(r, REPORT_SWAP_TOTAL), memory = part(r, REPORT_SWAP_MEMORY, all),
             total = all - memory,
             memory_free =
                 report_has(r, REPORT_SWAP_MEMORY_FREE) ? part(r, REPORT_SWAP_MEMORY_FREE, memory) : memory,
             free = MIN(LESS_BY(report_get(r, REPORT_SWAP_FREE), memory_free), total);

    if (!report_has(r, REPORT_SWAP_TOTAL))
        return;
    guest_fields_set(ret, GUEST_FIELD_SWAP_TOTAL, (double) total);
    if (report_has(r, REPORT_SWAP_MEMORY))
        guest_fields_set(ret, GUEST_FIELD_SWAP_MEMORY, (double) memory);
    if (!report_has(r, REPORT_SWAP_FREE))
        return;
    guest_fields_set(ret, GUEST_FIELD_SWAP_FREE, (double) free);
    guest_fields_set(ret, GUEST_FIELD_SWAP_USED, (double) (total - free));
}

void sample_fields(const Sample *s, const SampleHost *host, GuestFields *ret)
{
    const Report *r = s ? &s->report : NULL;
    uint64_t total;

    guest_fields_set(ret, GUEST_FIELD_CURRENT, (double) host->current_bytes);
    guest_fields_set(ret, GUEST_FIELD_LOW_WATERMARK, 0);
    if (!r)
        return;

    total = total_of(r, host);
    memory_fields(r, host, total, ret);
    swap_fields(r, ret);
    for (size_t i = 0; i < ELEMENTSOF(passed_on); i++)
        if (report_has(r, passed_on[i].from))
            guest_fields_set(ret, passed_on[i].to, (double) r->value[passed_on[i].from] * passed_on[i].unit);
}
