/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One running domain: the record, and what follows from it. */

#include "host-agent/guest/guest.h"

#include <string.h>

#include "base/log.h"
#include "base/units.h"
#include "host-agent/decide/view.h"

/* After a shrink that took page cache, no further shrink for this long: the kernel updates PSI's averages
 * every 2 s, and refaults come only when the guest reads again. */
#define CACHE_PAUSE_USEC (2500 * USEC_PER_MSEC)

_Static_assert(NOTICE_NAME_MAX > DOMAIN_NAME_MAX, "a notice holds a guest's whole name");

int guest_new(const GuestHost *host, const DomainInfo *info, const Entitlement *configured, usec_t now_usec,
              Guest **ret)
{
    _cleanup_(guest_freep) Guest *g = calloc(1, sizeof(Guest));
    int r;

    if (!g)
        return -ENOMEM;
    g->host = host;
    g->configured = *configured;
    g->seen_usec = g->boot_usec = now_usec;
    g->judgement.strain = g->judgement.strain_before = STRAIN_NONE;
    held_init(&g->held, info->remembered.overhead_bytes);
    if (host->policy) {
        r = policy_keep_copy(&g->keep, false, &(PolicyKeep){}, host->policy, NULL);
        if (r < 0)
            return r;
    }
    guest_update_info(g, info);
    *ret = TAKE_PTR(g);
    return 0;
}

Guest *guest_free(Guest *g)
{
    if (!g)
        return NULL;
    policy_keep_done(&g->keep);
    free(g);
    return NULL;
}

Entitlement guest_configured(const Guest *g, char why[static ENTITLEMENT_WHY_MAX])
{
    Entitlement configured = g->configured;

    why[0] = '\0';
    /* A pattern in the configuration may grant more than one of its guests can have. */
    configured.growth_bytes = MIN(configured.growth_bytes, g->info.maximum_bytes);
    if (entitlement_check(&configured, g->info.maximum_bytes, why) < 0)
        configured = (Entitlement){.shares = configured.shares, .mode = configured.mode};
    return configured;
}

static const char *full_origin(const Guest *g, const FullSize *full, const Entitlement *e)
{
    return full->foreign        ? "somebody set its balloon to that"
           : e->full_bytes > 0  ? "ballastd.conf"
           : g->info.persistent ? "the definition's currentMemory"
                                : "the size that it was first seen with";
}

int guest_check_full(const Guest *g, const Entitlement *e, char why[static ENTITLEMENT_WHY_MAX])
{
    char ignored[ENTITLEMENT_WHY_MAX], value[UNITS_FORMAT_MAX], bound[UNITS_FORMAT_MAX],
        most[UNITS_FORMAT_MAX];
    Entitlement configured = guest_configured(g, ignored), all = entitlement_over(e, &configured);
    FullSize full = g->full;
    bool low;

    why[0] = '\0';
    full_size_define(&full, &g->info, all.full_bytes);
    low = e->growth_bytes > 0 && e->growth_bytes < full.bytes;
    /* A full size of its own was checked with the others. */
    if (e->full_bytes > 0 || (e->min_bytes <= full.bytes && !low))
        return 0;
    snprintf(why, ENTITLEMENT_WHY_MAX, "%s=%s is %s than its full size, %s (%s); ", low ? "max" : "min",
             format_size(value, low ? e->growth_bytes : e->min_bytes), low ? "less" : "more",
             format_size(bound, full.bytes), full_origin(g, &full, &all));
    snprintf(why + strlen(why), ENTITLEMENT_WHY_MAX - strlen(why), "also give --full, at most %s",
             format_size(most, low ? e->growth_bytes : g->info.maximum_bytes));
    return -ERANGE;
}

/* Logs a contradiction that wasn't there before. */
static void log_contradiction(const Guest *g, const char *before)
{
    char why[ENTITLEMENT_WHY_MAX];

    if (guest_check_full(g, &g->entitlement, why) < 0 && strcmp(why, before) != 0)
        log_warning("%s: its entitlement can't come into force: %s", g->info.name, why);
}

static void update_entitlement(Guest *g)
{
    char why[ENTITLEMENT_WHY_MAX];
    Entitlement configured = guest_configured(g, why);

    g->entitlement = entitlement_over(&g->info.entitlement, &configured);
    full_size_define(&g->full, &g->info, g->entitlement.full_bytes);
}

int guest_new_shut_off(const GuestHost *host, const DomainInfo *info, const Entitlement *configured,
                       Guest **ret)
{
    Guest *g = calloc(1, sizeof(Guest));

    if (!g)
        return -ENOMEM;
    g->host = host;
    g->configured = *configured;
    g->info = *info;
    update_entitlement(g);
    *ret = g;
    return 0;
}

void guest_update_info(Guest *g, const DomainInfo *info)
{
    char before[ENTITLEMENT_WHY_MAX] = "";

    if (info->entitlement_problem[0] && strcmp(info->entitlement_problem, g->info.entitlement_problem) != 0)
        log_warning("%s: its entitlement (metadata " ENTITLEMENT_URI ") has a mistake: %s", info->name,
                    info->entitlement_problem);
    if (g->full.own_bytes > 0)
        (void) guest_check_full(g, &g->entitlement, before);
    g->info = *info;
    sources_set_maximum(&g->sources, info->maximum_bytes);
    update_entitlement(g);
    log_contradiction(g, before);
}

void guest_configure(Guest *g, const Entitlement *configured)
{
    char before[ENTITLEMENT_WHY_MAX];

    (void) guest_check_full(g, &g->entitlement, before);
    g->configured = *configured;
    update_entitlement(g);
    log_contradiction(g, before);
}

void guest_entitling(Guest *g, const Entitlement *e)
{
    g->entitling = *e;
}

void guest_entitled(Guest *g)
{
    g->info.entitlement = g->entitling;
    g->info.entitlement_problem[0] = '\0';
    update_entitlement(g);
}

void guest_set_lost(Guest *g, bool lost)
{
    g->lost = lost;
}

void guest_set_busy(Guest *g, const char *why)
{
    (void) snprintf(g->busy, sizeof(g->busy), "%s", why ? why : "");
}

void guest_set_boot(Guest *g, usec_t boot_usec)
{
    g->boot_usec = boot_usec;
    g->boot_known = true;
}

void guest_set_stats_asked(Guest *g, usec_t now_usec)
{
    g->stats_asked_usec = now_usec;
}

void guest_set_definition_asked(Guest *g, usec_t now_usec)
{
    g->definition_asked_usec = now_usec;
}

void guest_set_released(Guest *g, usec_t now_usec)
{
    g->released_usec = now_usec;
    full_size_clear_foreign(&g->full);
}

void guest_set_accounting(Guest *g, bool balloon_in_total, uint64_t reserved_bytes)
{
    g->balloon_in_total = balloon_in_total;
    g->has_reserved = true;
    g->reserved_bytes = reserved_bytes;
}

void guest_decide(Guest *g, const Decision *d)
{
    g->verdict.decision = *d;
    g->verdict.decided = true;
}

void guest_set_observed(Guest *g, uint64_t key)
{
    g->verdict.observed = key;
}

void guest_forget_words(Guest *g)
{
    Decision *d = &g->verdict.decision;

    d->because = d->file = NULL;
    d->n_reads = 0;
}

void guest_replace_keep(Guest *g, PolicyKeep *keep)
{
    policy_keep_done(&g->keep);
    g->keep = *keep;
}

void guest_reset_keep(Guest *g)
{
    if (g->host->policy)
        policy_keep_reset(&g->keep, false, g->host->policy);
}

void guest_keep(Guest *g, const Policy *policy, const Snapshot *s, size_t i, const Plan *p)
{
    size_t n_states;

    (void) policy_states(policy, false, &n_states);
    if (p->guest_state)
        policy_keep_state(&g->keep, false, policy, p->guest_state + i * n_states);
    if (g->keep.history.n > 0) {
        GuestFields fields;

        view_guest_fields(&s->guests[i], &p->decisions[i].bounds, &fields);
        series_set_add_guest(&g->keep.history, s->now_usec, &fields);
    }
}

const Sample *guest_sample(const Guest *g, usec_t now_usec)
{
    return sources_sample(&g->sources, now_usec);
}

GuestSource guest_source(const Guest *g, usec_t now_usec)
{
    const Sample *s = guest_sample(g, now_usec);

    return s ? s->source : GUEST_SOURCE_NONE;
}

usec_t guest_age(const Guest *g, usec_t now_usec)
{
    const Sample *s = guest_sample(g, now_usec);

    return s ? usec_since(s->at_usec, now_usec) : USEC_INFINITY;
}

uint64_t guest_current(const Guest *g)
{
    return g->balloon.known ? g->balloon.actual_bytes : g->info.current_bytes;
}

uint64_t guest_believed(const Guest *g)
{
    return g->balloon.known ? balloon_believed(&g->balloon) : g->info.current_bytes;
}

uint64_t guest_floor(const Guest *g)
{
    uint64_t floor_bytes = g->entitlement.min_bytes;

    return floor_bytes > 0 ? MIN(floor_bytes, g->full.bytes)
                           : guard_floor(g->full.bytes, g->host->rules->floor_ratio);
}

bool guest_memory(const Guest *g, usec_t now_usec, HeldGuest *ret)
{
    const Sample *s = guest_sample(g, now_usec);
    uint64_t total, reserved, free_bytes;

    if (!s || !report_has(&s->report, REPORT_MEM_FREE))
        return false;
    total = sample_total(s, guest_current(g), g->info.maximum_bytes, g->balloon_in_total);
    reserved = g->has_reserved ? g->reserved_bytes : LESS_BY(guest_current(g), total);
    free_bytes = MIN(report_get(&s->report, REPORT_MEM_FREE), total);
    *ret = (HeldGuest){
        .used_bytes = total - free_bytes + reserved, .free_bytes = free_bytes, .reserved_bytes = reserved};
    return true;
}

uint64_t guest_resident(const Guest *g, usec_t now_usec)
{
    return held_resident(&g->held, now_usec);
}

bool guest_is_swap_hidden(const Guest *g, usec_t now_usec)
{
    return g->held.source != HELD_SOURCE_PROCESS && guest_host_swaps(g->host, now_usec);
}

bool guest_in_distress(const Guest *g, usec_t now_usec)
{
    const Judgement *j = &g->judgement;

    return j->distress_usec > 0 &&
           usec_since(j->distress_usec, now_usec) < g->host->rules->distress_hold_usec;
}

bool guest_is_moving(const Guest *g, usec_t now_usec)
{
    const Balloon *b = &g->balloon;
    const Sample *s = guest_sample(g, now_usec);

    if (b->moving || g->sending.setting)
        return true;
    if (g->sending.took_cache && usec_since(b->settled_usec, now_usec) < CACHE_PAUSE_USEC)
        return true;
    return b->settled_usec > 0 && s && s->at_usec < b->settled_usec + GUEST_SETTLE_USEC;
}

GuestMode guest_mode(const Guest *g)
{
    return g->entitlement.mode == GUEST_MODE_INVALID ? g->host->mode
                                                     : MAX(g->host->mode, g->entitlement.mode);
}

Notice guest_notice(const Guest *g, NoticeKind kind)
{
    Notice n = notice_of_host(kind, g->host->fields);

    memcpy(n.uuid, g->info.uuid, sizeof(n.uuid));
    memcpy(n.name, g->info.name, sizeof(n.name));
    n.current_bytes = guest_current(g);
    n.full_bytes = g->full.bytes;
    n.rule = g->verdict.decision.rule;
    return n;
}

void guest_tell(const Guest *g, const Notice *n)
{
    audience_tell(g->host->audience, n);
}
