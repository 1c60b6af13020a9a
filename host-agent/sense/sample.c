/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host-agent/sense/sample.h"

#include "base/macro.h"

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

/* Seconds between two samples of one source: by the guest's clock where it has one, because what lies between
 * guest and host delays reports unevenly. */
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

/* Stats that are passed on as they are, those that are a share made a ratio. */
static const struct {
    ReportField from;
    GuestField to;
    double unit;
} passed_on[] = {
    {REPORT_SWAP_IN, GUEST_FIELD_SWAP_IN, 1},
    {REPORT_SWAP_OUT, GUEST_FIELD_SWAP_OUT, 1},
    {REPORT_MAJOR_FAULTS, GUEST_FIELD_MAJOR_FAULTS, 1},
    {REPORT_REFAULT_ANON, GUEST_FIELD_REFAULT_ANON, 1},
    {REPORT_REFAULT_FILE, GUEST_FIELD_REFAULT_FILE, 1},
    {REPORT_PSI_MEMORY_SOME_AVG10, GUEST_FIELD_PSI_MEMORY_SOME, 1e-4},
    {REPORT_PSI_MEMORY_FULL_AVG10, GUEST_FIELD_PSI_MEMORY_FULL, 1e-4},
    {REPORT_PSI_IO_SOME_AVG10, GUEST_FIELD_PSI_IO_SOME, 1e-4},
    {REPORT_PSI_IO_FULL_AVG10, GUEST_FIELD_PSI_IO_FULL, 1e-4},
};

/* Parts of the guest's memory, none of which can be larger than the whole. */
static const struct {
    ReportField from;
    GuestField to;
} parts[] = {
    {REPORT_MEM_FREE, GUEST_FIELD_FREE},   {REPORT_MEM_AVAILABLE, GUEST_FIELD_AVAILABLE},
    {REPORT_ANON_PAGES, GUEST_FIELD_ANON}, {REPORT_SHMEM, GUEST_FIELD_SHMEM},
    {REPORT_DIRTY, GUEST_FIELD_DIRTY},     {REPORT_LOW_WATERMARK, GUEST_FIELD_LOW_WATERMARK},
};

/* The codec has validated what an agent says; the balloon driver's stats are as the guest made them. So each
 * value is held within total, and sums can't overflow. */
static uint64_t part(const Report *r, ReportField f)
{
    uint64_t limit = report_has(r, REPORT_MEM_TOTAL) ? r->value[REPORT_MEM_TOTAL] : GUEST_MEMORY_MAX_BYTES;

    return MIN(report_get(r, f), MIN(limit, GUEST_MEMORY_MAX_BYTES));
}

static void derived_fields(const Report *r, GuestFields *ret)
{
    uint64_t total = part(r, REPORT_MEM_TOTAL), free = part(r, REPORT_MEM_FREE);

    if (report_has(r, REPORT_CACHED)) {
        uint64_t cache = part(r, REPORT_BUFFERS) + part(r, REPORT_CACHED) + part(r, REPORT_SRECLAIMABLE);

        cache = LESS_BY(cache, part(r, REPORT_SHMEM));
        if (report_has(r, REPORT_MEM_TOTAL) && report_has(r, REPORT_MEM_FREE))
            cache = MIN(cache, total - free);
        guest_set(ret, GUEST_FIELD_CACHE, (double) cache);
    }
    if (report_has(r, REPORT_MEM_TOTAL) && report_has(r, REPORT_MEM_AVAILABLE))
        guest_set(ret, GUEST_FIELD_USED, (double) (total - part(r, REPORT_MEM_AVAILABLE)));
    if (report_has(r, REPORT_SWAP_TOTAL)) {
        uint64_t swap_total = r->value[REPORT_SWAP_TOTAL];

        guest_set(ret, GUEST_FIELD_SWAP_TOTAL, (double) swap_total);
        if (report_has(r, REPORT_SWAP_FREE))
            guest_set(ret, GUEST_FIELD_SWAP_FREE, (double) MIN(r->value[REPORT_SWAP_FREE], swap_total));
    }
}

/* Free memory is resident on the host where the guest once touched it and hasn't given it back: what QEMU
 * holds beyond what the guest uses. */
static uint64_t resident_free(uint64_t free, uint64_t current, uint64_t rss)
{
    uint64_t in_use = LESS_BY(current, free);

    return rss == 0 ? free : MIN(LESS_BY(rss, in_use), free);
}

void sample_fields(const Sample *s, uint64_t current_bytes, uint64_t rss_bytes, GuestFields *ret)
{
    const Report *r = s ? &s->report : NULL;

    guest_set(ret, GUEST_FIELD_CURRENT, (double) current_bytes);
    guest_set(ret, GUEST_FIELD_LOW_WATERMARK, 0);
    if (rss_bytes > 0)
        guest_set(ret, GUEST_FIELD_RSS, (double) rss_bytes);
    if (!r)
        return;

    if (report_has(r, REPORT_MEM_TOTAL))
        guest_set(ret, GUEST_FIELD_TOTAL, (double) part(r, REPORT_MEM_TOTAL));
    for (size_t i = 0; i < ELEMENTSOF(parts); i++)
        if (report_has(r, parts[i].from))
            guest_set(ret, parts[i].to, (double) part(r, parts[i].from));
    for (size_t i = 0; i < ELEMENTSOF(passed_on); i++)
        if (report_has(r, passed_on[i].from))
            guest_set(ret, passed_on[i].to, (double) r->value[passed_on[i].from] * passed_on[i].unit);
    derived_fields(r, ret);
    if (report_has(r, REPORT_MEM_FREE))
        guest_set(ret, GUEST_FIELD_RESIDENT_FREE,
                  (double) resident_free(part(r, REPORT_MEM_FREE), current_bytes, rss_bytes));
}
