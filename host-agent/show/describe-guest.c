/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Everything that is known about a guest, as a dictionary. */

#include "host-agent/guest/guest-judge.h"
#include "host-agent/guest/guest-snapshot.h"
#include "host-agent/show/describe.h"

/* Rates are over this time. */
#define RATE_WINDOW_USEC (10 * USEC_PER_SEC)

/* The units of report.def, and the suffixes that keys get from them. */
typedef enum ReportUnit {
    REPORT_UNIT_BYTES,
    REPORT_UNIT_EVENTS,
    REPORT_UNIT_USEC,
    REPORT_UNIT_CENTIPERCENT,
    REPORT_UNIT_BOOLEAN,
} ReportUnit;

#define SUFFIX_BYTES        "_bytes"
#define SUFFIX_EVENTS       ""
#define SUFFIX_USEC         "_usec"
#define SUFFIX_CENTIPERCENT ""
#define SUFFIX_BOOLEAN      ""

static const struct {
    ReportUnit unit;
    const char *suffix;
} report_units[REPORT_FIELD_MAX] = {
#define REPORT(ID, name, kind, unit, help) [REPORT_##ID] = {REPORT_UNIT_##unit, SUFFIX_##unit},
#include "proto/report.def"
#undef REPORT
};

/* The size that the guest should have: the last decision, else the balloon's target or size. */
static uint64_t target_bytes(const Guest *g, const SnapshotGuest *s)
{
    return g->verdict.decided && g->verdict.decision.target_bytes > 0 ? g->verdict.decision.target_bytes
                                                                      : s->sizes.standing_bytes;
}

static void put_guest_bytes(Dict *d, const char *key, const GuestFields *fields, GuestField f)
{
    if (guest_fields_has(fields, f))
        dict_bytes(d, key, guest_fields_get(fields, f));
}

void describe_guest_row(Dict *d, const GuestEntry *e, usec_t now_usec)
{
    const Guest *g = e->guest;
    char nodes[NODE_SET_TEXT_MAX];
    SnapshotGuest s;

    guest_snapshot(g, now_usec, &s);
    dict_text(d, "name", g->info.name);
    dict_text(d, "uuid", g->info.uuid);
    dict_bool(d, "shut_off", false);
    dict_text(d, "mode", guest_mode_to_string(s.mode));
    dict_text(d, "source", guest_source_to_string(s.source));
    if (s.age_usec != USEC_INFINITY)
        dict_count(d, "age_usec", s.age_usec);
    dict_count(d, "maximum_bytes", s.sizes.maximum_bytes);
    dict_count(d, "full_bytes", g->full.bytes);
    dict_count(d, "current_bytes", s.sizes.current_bytes);
    dict_count(d, "target_bytes", target_bytes(g, &s));
    dict_count(d, "floor_bytes", s.sizes.floor_bytes);
    if (g->verdict.decided && g->verdict.decision.reclaim.line > 0)
        dict_count(d, "reclaim_bytes", g->verdict.decision.reclaim.bytes);
    put_guest_bytes(d, "available_bytes", &s.fields, GUEST_FIELD_AVAILABLE);
    put_guest_bytes(d, "free_bytes", &s.fields, GUEST_FIELD_FREE);
    put_guest_bytes(d, "cache_bytes", &s.fields, GUEST_FIELD_CACHE);
    put_guest_bytes(d, "swap_in_bytes", &s.fields, GUEST_FIELD_SWAP_IN);
    put_guest_bytes(d, "swap_out_bytes", &s.fields, GUEST_FIELD_SWAP_OUT);
    put_guest_bytes(d, "rss_bytes", &s.fields, GUEST_FIELD_RSS);
    put_guest_bytes(d, "resident_bytes", &s.fields, GUEST_FIELD_RESIDENT);
    put_guest_bytes(d, "idle_bytes", &s.fields, GUEST_FIELD_IDLE);
    put_guest_bytes(d, "cold_bytes", &s.fields, GUEST_FIELD_COLD);
    describe_means(d, g, guest_fields_get(&s.fields, GUEST_FIELD_REPORTING) > 0, now_usec);
    dict_known(d, "agent_version", link_agent_version(e->channel->link));
    dict_known(d, "nodes", node_set_format(nodes, g->info.nodes));
    dict_known(d, "busy", s.busy);
    dict_known(d, "unmovable", s.unmovable ?: s.judgement.ineffective);
    dict_bool(d, "distress", s.judgement.distress);
    dict_bool(d, "hurting", s.judgement.hurting);
    dict_bool(d, "protected", s.judgement.protected);
    dict_bool(d, "moving", g->balloon.moving || g->sending.setting);
    dict_bool(d, "stalled", s.balloon.stalled);
    dict_text(d, "rule",
              guard_rule_to_string(g->verdict.decided ? g->verdict.decision.rule : GUARD_RULE_NONE));
    dict_text(d, "reason", g->verdict.decided ? g->verdict.decision.reason : "not decided yet");
}

/* The entitlement: each value that was set, where it was set, and the value in force. */

static uint64_t said_bytes(const Entitlement *e, EntitlementKey k)
{
    return k == ENTITLEMENT_KEY_MIN    ? e->min_bytes
           : k == ENTITLEMENT_KEY_FULL ? e->full_bytes
                                       : e->growth_bytes;
}

static bool says(const Entitlement *e, EntitlementKey k)
{
    return k == ENTITLEMENT_KEY_SHARES ? e->shares > 0
           : k == ENTITLEMENT_KEY_MODE ? e->mode != GUEST_MODE_INVALID
                                       : said_bytes(e, k) > 0;
}

static uint64_t bytes_in_force(const Guest *g, EntitlementKey k)
{
    if (k == ENTITLEMENT_KEY_MIN)
        return guest_floor(g);
    return k == ENTITLEMENT_KEY_FULL ? g->full.bytes : MAX(g->full.bytes, g->entitlement.growth_bytes);
}

/* The mistakes in metadata and configuration, whose values are ignored or have no effect. */
static void describe_problem(Dict *d, const Guest *g)
{
    char why[ENTITLEMENT_WHY_MAX], full[ENTITLEMENT_WHY_MAX], text[3 * ENTITLEMENT_WHY_MAX + 64];

    (void) guest_configured(g, why);
    (void) guest_check_full(g, &g->entitlement, full);
    snprintf(text, sizeof(text), "%s%s%s%s%s%s", g->info.entitlement_problem,
             why[0] && g->info.entitlement_problem[0] ? "; " : "",
             why[0] ? "its sizes in the configuration are ignored: " : "", why,
             full[0] && (why[0] || g->info.entitlement_problem[0]) ? "; " : "", full);
    dict_known(d, "problem", text);
}

static void describe_entitlement(Dict *d, const Guest *g)
{
    const Entitlement *e = &g->entitlement;
    char key[DESCRIBE_KEY_MAX];

    dict_open(d, "entitlement");
    for (EntitlementKey k = 0; k < ENTITLEMENT_KEY_MAX_; k++) {
        const char *name = entitlement_key_to_string(k);

        if (k == ENTITLEMENT_KEY_SHARES) {
            dict_bytes(d, name, e->shares > 0 ? e->shares : ENTITLEMENT_SHARES);
            if (e->shares > 0)
                dict_bytes(d, "shares_set", e->shares);
        } else if (k == ENTITLEMENT_KEY_MODE) {
            dict_text(d, name, guest_mode_to_string(guest_mode(g)));
            if (e->mode != GUEST_MODE_INVALID)
                dict_text(d, "mode_set", guest_mode_to_string(e->mode));
        } else {
            snprintf(key, sizeof(key), "%s_bytes", name);
            dict_count(d, key, bytes_in_force(g, k));
            snprintf(key, sizeof(key), "%s_set_bytes", name);
            if (says(e, k))
                dict_count(d, key, said_bytes(e, k));
        }
        snprintf(key, sizeof(key), "%s_origin", name);
        dict_text(d, key,
                  says(&g->info.entitlement, k) ? "domain"
                  : says(e, k)                  ? "configuration"
                                                : "default");
    }
    describe_problem(d, g);
    dict_close(d);
}

static const char *full_why(const Guest *g)
{
    if (g->full.foreign)
        return "set live by an administrator";
    if (g->entitlement.full_bytes > 0)
        return "its entitlement";
    if (!g->info.persistent)
        return "the size that it had when first seen (a transient domain)";
    return g->info.configured_current_bytes == g->full.bytes ? "currentMemory of its definition"
                                                             : "its definition, at most the maximum";
}

static void describe_definition(Dict *d, const Guest *g)
{
    const DomainInfo *i = &g->info;

    dict_open(d, "definition");
    if (i->id >= 0)
        dict_count(d, "id", (uint64_t) i->id);
    dict_bool(d, "persistent", i->persistent);
    dict_count(d, "maximum_bytes", i->maximum_bytes);
    if (i->configured_current_bytes > 0)
        dict_count(d, "configured_current_bytes", i->configured_current_bytes);
    dict_count(d, "full_bytes", g->full.bytes);
    dict_text(d, "full_why", full_why(g));
    dict_count(d, "floor_bytes", guest_floor(g));
    dict_bool(d, "balloon", i->has_balloon);
    dict_bool(d, "autodeflate", i->autodeflate);
    dict_bool(d, "free_page_reporting", i->free_page_reporting);
    if (i->stats_period_sec > 0)
        dict_count(d, "stats_period_usec", i->stats_period_sec * USEC_PER_SEC);
    dict_bool(d, "channel", i->has_channel);
    dict_known(d, "unmovable", i->unmovable);
    dict_close(d);
}

void describe_shut_off_row(Dict *d, const Guest *g)
{
    dict_text(d, "name", g->info.name);
    dict_text(d, "uuid", g->info.uuid);
    dict_bool(d, "shut_off", true);
    dict_text(d, "mode", guest_mode_to_string(guest_mode(g)));
    dict_count(d, "maximum_bytes", g->info.maximum_bytes);
    dict_count(d, "full_bytes", g->full.bytes);
    dict_count(d, "floor_bytes", guest_floor(g));
    dict_known(d, "unmovable", g->info.unmovable);
}

void describe_shut_off(Dict *d, const Guest *g)
{
    describe_shut_off_row(d, g);
    describe_definition(d, g);
    describe_entitlement(d, g);
}

static void describe_balloon(Dict *d, const Guest *g, usec_t now_usec)
{
    const Balloon *b = &g->balloon;

    dict_open(d, "balloon");
    dict_bool(d, "known", b->known);
    dict_count(d, "current_bytes", guest_current(g));
    if (b->target_bytes > 0) {
        dict_count(d, "from_bytes", b->from_bytes);
        dict_count(d, "target_bytes", b->target_bytes);
    }
    dict_bool(d, "moving", b->moving);
    dict_bool(d, "stalled", balloon_is_stalled(b, now_usec));
    if (balloon_is_stalled(b, now_usec)) {
        dict_age(d, "stalled_age_usec", LESS_BY(b->retry_usec, b->backoff_usec), now_usec);
        dict_count(d, "retry_in_usec", usec_since(now_usec, b->retry_usec));
    }
    dict_count(d, "moves", b->moves);
    dict_count(d, "stalls", b->stalls);
    if (b->rate.shrink > 0)
        dict_bytes(d, "shrink_bytes_per_sec", b->rate.shrink);
    if (b->rate.grow > 0)
        dict_bytes(d, "grow_bytes_per_sec", b->rate.grow);
    dict_age(d, "sent_age_usec", b->sent_usec, now_usec);
    dict_age(d, "progress_age_usec", b->progress_usec, now_usec);
    dict_age(d, "settled_age_usec", b->settled_usec, now_usec);
    dict_bool(d, "reboot", g->reboot.pending);
    dict_count(d, "outstanding_bytes", g->sending.given_bytes);
    dict_close(d);
}

/* The stats that a policy sees, from whichever source is in use. */
static void describe_stats(Dict *d, const Guest *g, usec_t now_usec)
{
    SnapshotGuest s;

    guest_snapshot(g, now_usec, &s);
    dict_open(d, "stats");
    dict_text(d, "source", guest_source_to_string(s.source));
    if (s.age_usec != USEC_INFINITY)
        dict_count(d, "age_usec", s.age_usec);
    for (GuestField f = 0; f < GUEST_FIELD_MAX; f++)
        if (guest_fields_has(&s.fields, f))
            describe_field(d, guest_field_info(f), guest_fields_get(&s.fields, f));
    dict_close(d);
}

/* The sample as its source reported it. Suffixes of keys name the unit; averages are ratios. */
static void describe_report(Dict *d, const Guest *g, usec_t now_usec)
{
    const Sample *s = guest_sample(g, now_usec);
    char key[DESCRIBE_KEY_MAX];

    dict_open(d, "report");
    if (s) {
        dict_text(d, "source", guest_source_to_string(s->source));
        dict_count(d, "age_usec", usec_since(s->at_usec, now_usec));
        for (ReportField f = 0; f < REPORT_FIELD_MAX; f++) {
            if (!report_has(&s->report, f))
                continue;
            snprintf(key, sizeof(key), "%s%s", report_field_name(f), report_units[f].suffix);
            if (report_units[f].unit == REPORT_UNIT_CENTIPERCENT)
                dict_real(d, key, report_get(&s->report, f) / 10000.0);
            else if (report_units[f].unit == REPORT_UNIT_BOOLEAN)
                dict_bool(d, key, report_get(&s->report, f));
            else
                dict_count(d, key, report_get(&s->report, f));
        }
    }
    dict_close(d);
}

/* Counters per second; stall times as a share of the time. */
static void describe_rates(Dict *d, const Guest *g)
{
    char key[DESCRIBE_KEY_MAX];
    double rate;

    dict_open(d, "rates");
    for (ReportField f = 0; f < REPORT_FIELD_MAX; f++) {
        if (report_field_kind(f) != REPORT_KIND_COUNTER ||
            !history_rate(&g->sources.history, f, RATE_WINDOW_USEC, &rate))
            continue;
        if (report_units[f].unit == REPORT_UNIT_USEC) {
            snprintf(key, sizeof(key), "%s_share", report_field_name(f));
            dict_real(d, key, rate / USEC_PER_SEC);
        } else {
            snprintf(key, sizeof(key), "%s%s_per_sec", report_field_name(f), report_units[f].suffix);
            dict_real(d, key, rate);
        }
    }
    dict_close(d);
}

static void describe_virt_stats(Dict *d, const Guest *g, usec_t now_usec)
{
    const VirtStats *s = &g->sources.stats;
    const struct {
        const char *key;
        bool has;
        uint64_t value;
    } fields[] = {
        {"actual_bytes", s->has_actual, s->actual_bytes},
        {"rss_bytes", s->has_rss, s->rss_bytes},
        {"unused_bytes", s->has_unused, s->unused_bytes},
        {"available_bytes", s->has_available, s->available_bytes},
        {"usable_bytes", s->has_usable, s->usable_bytes},
        {"disk_caches_bytes", s->has_disk_caches, s->disk_caches_bytes},
        {"swap_in_bytes", s->has_swap_in, s->swap_in_bytes},
        {"swap_out_bytes", s->has_swap_out, s->swap_out_bytes},
        {"major_faults", s->has_major_faults, s->major_faults},
        {"minor_faults", s->has_minor_faults, s->minor_faults},
        {"hugetlb_allocs", s->has_hugetlb_allocs, s->hugetlb_allocs},
        {"hugetlb_failures", s->has_hugetlb_failures, s->hugetlb_failures},
        {"last_update_sec", s->has_last_update, s->last_update_sec},
    };

    dict_open(d, "libvirt");
    dict_bool(d, "lost", g->lost);
    dict_age(d, "asked_age_usec", g->stats_asked_usec, now_usec);
    dict_age(d, "age_usec", g->sources.stats_usec, now_usec);
    for (size_t i = 0; i < ELEMENTSOF(fields); i++)
        if (fields[i].has)
            dict_count(d, fields[i].key, fields[i].value);
    dict_close(d);
}

static void describe_channel(Dict *d, const GuestEntry *e, usec_t now_usec)
{
    const GuestChannel *c = e->channel;
    const LinkStats *s = link_stats(c->link);
    const Levers *levers = &e->guest->levers;
    usec_t retry = MAX(c->retry_usec, link_retry_usec(c->link));

    dict_open(d, "channel");
    dict_bool(d, "open", c->open);
    dict_bool(d, "welcomed", link_welcomed(c->link));
    dict_known(d, "agent_version", link_agent_version(c->link));
    dict_known(d, "boot_id", link_boot_id(c->link));
    dict_count(d, "interval_usec", e->guest->sources.interval_usec);
    dict_bool(d, "compacts", levers->features & HELLO_FEATURE_COMPACT);
    dict_bool(d, "reclaims_file", levers->features & HELLO_FEATURE_RECLAIM_FILE);
    dict_bool(d, "reclaims_anon", levers->features & HELLO_FEATURE_RECLAIM_ANON);
    dict_known(d, "levers_missing", levers->missing);
    if (!c->open && retry > now_usec)
        dict_count(d, "retry_in_usec", retry - now_usec);
    dict_count(d, "messages", s->messages);
    dict_count(d, "bytes", s->bytes);
    dict_count(d, "invalid_bytes", s->invalid_bytes);
    dict_count(d, "bad_frames", s->bad_frames);
    dict_count(d, "refused", s->refused);
    dict_count(d, "hellos", s->hellos);
    dict_count(d, "drops", s->drops);
    dict_close(d);
}

void describe_reads(Dict *d, const PolicyRead *reads, size_t n)
{
    dict_open(d, "reads");
    for (size_t i = 0; i < n; i++) {
        char name[DESCRIBE_KEY_MAX];

        snprintf(name, sizeof(name), "%s%s%s", reads[i].object ?: "", reads[i].object ? "." : "",
                 reads[i].name);
        describe_field(d, &(FieldInfo){.name = name, .unit = reads[i].unit}, reads[i].value);
    }
    dict_close(d);
}

/* The line of the policy that decided, and what it read. */
static void describe_line(Dict *d, const char *file, unsigned line, const char *because,
                          const PolicyRead *reads, size_t n_reads)
{
    dict_text(d, "file", file);
    dict_count(d, "line", line);
    dict_text(d, "because", because);
    describe_reads(d, reads, n_reads);
}

static void describe_reclaim(Dict *d, const Decision *decision)
{
    const Reclaim *r = &decision->reclaim;

    dict_open(d, "reclaim");
    dict_count(d, "wanted_bytes", r->wanted_bytes);
    dict_count(d, "reclaimable_bytes", decision->bounds.reclaim_bytes);
    dict_count(d, "reclaim_bytes", r->bytes);
    dict_bool(d, "anon", r->anon);
    dict_bool(d, "send", r->send);
    dict_text(d, "rule", guard_rule_to_string(r->rule));
    if (r->rule != GUARD_RULE_NONE)
        dict_text(d, "rule_why", guard_rule_describe(r->rule));
    if (r->file)
        describe_line(d, r->file, r->line, r->because, r->reads, r->n_reads);
    dict_text(d, "reason", r->reason);
    dict_close(d);
}

static void describe_decision(Dict *d, const Guest *g)
{
    const Decision *decision = &g->verdict.decision;
    const GuestBounds *b = &decision->bounds;

    dict_open(d, "decision");
    if (g->verdict.decided) {
        dict_count(d, "wanted_bytes", decision->wanted_bytes);
        dict_count(d, "target_bytes", decision->target_bytes);
        dict_bool(d, "send", decision->send);
        dict_text(d, "rule", guard_rule_to_string(decision->rule));
        if (decision->rule != GUARD_RULE_NONE)
            dict_text(d, "rule_why", guard_rule_describe(decision->rule));
        if (decision->file && decision->line > 0)
            describe_line(d, decision->file, decision->line, decision->because, decision->reads,
                          decision->n_reads);
        dict_count(d, "least_bytes", b->least_bytes);
        dict_text(d, "least_rule", guard_rule_to_string(b->least_rule));
        dict_count(d, "most_bytes", b->most_bytes);
        dict_text(d, "most_rule", guard_rule_to_string(b->most_rule));
        dict_text(d, "hold", guard_rule_to_string(b->hold));
        dict_text(d, "reason", decision->reason);
        if (decision->reclaim.line > 0)
            describe_reclaim(d, decision);
    }
    dict_close(d);
}

/* Rates that show how the guest suffers; unknown ones are left out. */
static void describe_strain(Dict *d, const Strain *s)
{
    dict_real(d, "stall_share", s->stall);
    dict_real(d, "swap_in_bytes_per_sec", s->swap_in);
    dict_real(d, "refault_bytes_per_sec", s->refault);
    dict_real(d, "alloc_stalls_per_sec", s->alloc_stalls);
    dict_real(d, "oom_kills_per_sec", s->oom_kills);
}

static void describe_suffering(Dict *d, const Guest *g, usec_t now_usec)
{
    bool distress = guest_in_distress(g, now_usec), hurting = guest_is_hurting(g, now_usec);

    dict_open(d, "strain");
    dict_bool(d, "distress", distress);
    if (g->judgement.distress_usec > 0)
        dict_text(d, "cause", distress_cause_to_string(g->judgement.distress_cause));
    dict_age(d, "last_distress_age_usec", g->judgement.distress_usec, now_usec);
    if (distress)
        dict_count(
            d, "ends_in_usec",
            LESS_BY(g->host->rules->distress_hold_usec, usec_since(g->judgement.distress_usec, now_usec)));
    dict_bool(d, "hurting", hurting);
    if (hurting) {
        dict_age(d, "hurting_age_usec", g->judgement.hurting_usec, now_usec);
        dict_count(d, "restore_bytes", g->judgement.restore_bytes);
    }
    dict_age(d, "shrunk_age_usec", g->judgement.shrunk_usec, now_usec);
    if (g->judgement.shrunk_usec > 0)
        dict_count(d, "shrunk_from_bytes", g->judgement.shrunk_from_bytes);
    describe_strain(d, &g->judgement.strain);
    dict_open(d, "before_shrink");
    describe_strain(d, &g->judgement.strain_before);
    dict_close(d);
    dict_close(d);
}

/* How much the guest needs, and for how long that protects it. */
static void describe_need(Dict *d, const Guest *g, usec_t now_usec)
{
    const Need *n = &g->judgement.need;

    dict_open(d, "need");
    dict_count(d, "needed_bytes", need_bytes(n, now_usec));
    dict_bool(d, "protected", need_protects(n, now_usec));
    if (n->times > 0) {
        if (need_protects(n, now_usec))
            dict_count(d, "protected_for_usec", LESS_BY(n->found_usec + n->hold_usec, now_usec));
        dict_count(d, "found_bytes", n->bytes);
        dict_age(d, "found_age_usec", n->found_usec, now_usec);
        dict_count(d, "hold_usec", n->hold_usec);
    }
    dict_count(d, "times", n->times);
    dict_close(d);
}

static void describe_grant(Dict *d, const Guest *g, usec_t now_usec)
{
    const Grant *c = &g->judgement.grant;

    dict_open(d, "grant");
    dict_bool(d, "open", c->open);
    if (c->open)
        dict_count(d, "given_bytes", c->given_bytes);
    dict_age(d, "given_age_usec", c->given_usec, now_usec);
    dict_bool(d, "allowed", grant_allowed(c, now_usec));
    if (guest_in_distress(g, now_usec))
        dict_known(d, "refused", guest_grant_refused(g, now_usec));
    if (c->next_usec > now_usec)
        dict_count(d, "waits_for_usec", c->next_usec - now_usec);
    dict_count(d, "grants", c->grants);
    dict_count(d, "unused_grants", c->unused_grants);
    dict_close(d);
}

static void describe_times(Dict *d, const Guest *g, usec_t now_usec)
{
    dict_open(d, "times");
    dict_age(d, "seen_age_usec", g->seen_usec, now_usec);
    if (g->boot_known)
        dict_age(d, "uptime_usec", g->boot_usec, now_usec);
    dict_age(d, "released_age_usec", g->released_usec, now_usec);
    dict_close(d);
}

static void describe_history(Dict *d, const Guest *g, usec_t now_usec)
{
    dict_open(d, "history");
    dict_count(d, "samples", g->sources.history.count);
    if (g->sources.history.count > 0) {
        dict_age(d, "newest_age_usec", history_get(&g->sources.history, 0)->at_usec, now_usec);
        dict_age(d, "oldest_age_usec",
                 history_get(&g->sources.history, g->sources.history.count - 1)->at_usec, now_usec);
    }
    dict_close(d);
}

void describe_guest(Dict *d, const GuestEntry *e, usec_t now_usec)
{
    const Guest *g = e->guest;

    describe_guest_row(d, e, now_usec);
    describe_definition(d, g);
    describe_entitlement(d, g);
    describe_balloon(d, g, now_usec);
    describe_decision(d, g);
    describe_suffering(d, g, now_usec);
    describe_need(d, g, now_usec);
    describe_grant(d, g, now_usec);
    describe_held(d, e, now_usec);
    describe_gain(d, g, now_usec);
    describe_levers(d, g, now_usec);
    describe_stats(d, g, now_usec);
    describe_rates(d, g);
    describe_report(d, g, now_usec);
    describe_virt_stats(d, g, now_usec);
    describe_channel(d, e, now_usec);
    describe_times(d, g, now_usec);
    describe_history(d, g, now_usec);
}
