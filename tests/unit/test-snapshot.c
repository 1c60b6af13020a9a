/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Snapshots as JSON: one from the daemon leads to the same decisions in ballastctl, a few lines by hand are
 * enough, and errors are reported with their place. */

#include <float.h>
#include <string.h>

#include "host-agent/ctl/snapshot.h"
#include "host-agent/decide/evaluate.h"
#include "host-agent/decide/view.h"
#include "host-agent/show/describe-snapshot.h"
#include "tests/policy-load.h"
#include "tests/unit/decide-random.h"
#include "tests/unit/run.h"
#include "tests/unit/wire.h"

/* Looks back, keeps state, and reads rare stats: a snapshot that loses any of these leads to other decisions.
 * */
static const char looking_back[] =
    "state cycles = 0\n"
    "state calm = false\n"
    "state guest.taken = 0B\n"
    "state guest.since = 0s\n"
    "cycles = cycles + 1\n"
    "calm = (max(host.psi_memory_some, 30s) ?? 0) < 5% or cycles > 3\n"
    "for g in guests {\n"
    "    let mean = avg(g.free, 30s) ?? 1GiB\n"
    "    let inflow = rate(g.swap_in, 20s) ?? (0B / 1s)\n"
    "    if inflow * 10s < mean and cycles > 1 and not g.distress {\n"
    "        g.target = g.current - min(mean / 7, 5MiB * cycles) - g.taken / 3 because \"test\"\n"
    "        g.taken = g.taken + 1MiB\n"
    "        g.since = host.uptime\n"
    "    }\n"
    "}\n";

static Policy *load(const char *text, const char *name)
{
    PolicyDiagnostics d = {};
    Policy *p = NULL;

    ck_assert_msg(policy_load(text, strlen(text), name, &d, &p) == 0, "%s", d.text ?: "?");
    return p;
}

static Policy *load_shipped(void)
{
    char path[512];
    const char *paths[] = {path};
    Policy *p = NULL;

    snprintf(path, sizeof(path), "%s/policy/balloon.policy", getenv("BALLAST_SOURCE"));
    ck_assert_int_eq(policy_load_files(paths, 1, NULL, &p, NULL), 0);
    return p;
}

/* The way from the daemon to ballastctl. */
static SnapshotFile pass_on(const Snapshot *s, const GuardConfig *guard, const Policy *policy)
{
    char error[JSON_ERROR_MAX] = "";
    SnapshotFile f = {};
    json_object *o;
    const char *text;
    Wire w;

    wire_open(&w);
    dict_begin(&w.dict);
    describe_snapshot(&w.dict, s, guard, policy, SNAPSHOT_GUESTS_MAX);
    dict_end(&w.dict);
    o = wire_read(&w);
    text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY);
    ck_assert_msg(snapshot_parse(text, strlen(text), policy, &f, error) == 0, "%s\n%s", error, text);
    json_object_put(o);
    return f;
}

static void assert_same_plan(uint64_t seed, const Snapshot *s, const Snapshot *passed, const Policy *policy,
                             const GuardConfig *guard, const GuardConfig *passed_guard)
{
    _cleanup_(plan_done) Plan a = {}, b = {};
    size_t n;

    ck_assert_int_eq(plan_make(s, policy, guard, &a), 0);
    ck_assert_int_eq(plan_make(passed, policy, passed_guard, &b), 0);
    ck_assert_str_eq(a.summary, b.summary);
    ck_assert_uint_eq(a.notes_total, b.notes_total);
    ck_assert_uint_eq(a.n_groups, b.n_groups);
    for (size_t i = 0; i < s->n_guests; i++) {
        const Decision *x = &a.decisions[i], *y = &b.decisions[i];

        ck_assert_msg(x->target_bytes == y->target_bytes && x->rule == y->rule && x->send == y->send &&
                          strcmp(x->reason, y->reason) == 0,
                      "seed %lu, guest %zu: %lu %s, then %lu %s", (unsigned long) seed, i,
                      (unsigned long) x->target_bytes, x->reason, (unsigned long) y->target_bytes, y->reason);
    }
    (void) policy_states(policy, true, &n);
    for (size_t i = 0; i < n; i++)
        ck_assert_double_eq(a.state[i], b.state[i]);
    for (size_t g = 0; g < a.n_groups; g++)
        for (size_t i = 0; i < n; i++)
            ck_assert_double_eq(a.groups[g].state[i], b.groups[g].state[i]);
    (void) policy_states(policy, false, &n);
    for (size_t i = 0; i < n * s->n_guests; i++)
        ck_assert_double_eq(a.guest_state[i], b.guest_state[i]);
}

/* Like the daemon's snapshots: with the stats that follow from others, and without NaN. */
static void make_like_the_daemons(World *w)
{
    host_fields_set(&w->s.host, HOST_FIELD_TOTAL, (double) HOST_TOTAL);
    if (!host_fields_has(&w->s.host, HOST_FIELD_AVAILABLE))
        host_fields_set(&w->s.host, HOST_FIELD_AVAILABLE, 10.0 * GIB);
    host_fields_set(&w->s.host, HOST_FIELD_AVAILABLE,
                    fmin(host_fields_get(&w->s.host, HOST_FIELD_AVAILABLE), (double) HOST_TOTAL));
    for (size_t i = 0; i < w->s.n_guests; i++) {
        SnapshotGuest *g = &w->guests[i];

        for (GuestField f = 0; f < GUEST_FIELD_MAX; f++)
            if (guest_fields_has(&g->fields, f) && isnan(g->fields.value[f]))
                field_set_remove(&g->fields.present, f);
        g->judgement.distress = g->judgement.distress && !guard_contradicts_distress(g);
        if (guest_fields_has(&g->fields, GUEST_FIELD_FREE)) {
            guest_fields_set(&g->fields, GUEST_FIELD_IDLE,
                             guest_fields_get(&g->fields, GUEST_FIELD_FREE) / 2);
            guest_fields_set(&g->fields, GUEST_FIELD_IDLE,
                             floor(guest_fields_get(&g->fields, GUEST_FIELD_IDLE)));
            if (!guest_fields_has(&g->fields, GUEST_FIELD_AVAILABLE))
                guest_fields_set(&g->fields, GUEST_FIELD_AVAILABLE,
                                 guest_fields_get(&g->fields, GUEST_FIELD_FREE));
        }
        if (guest_fields_has(&g->fields, GUEST_FIELD_AVAILABLE) &&
            guest_fields_has(&g->fields, GUEST_FIELD_TOTAL))
            guest_fields_set(&g->fields, GUEST_FIELD_AVAILABLE,
                             fmin(guest_fields_get(&g->fields, GUEST_FIELD_AVAILABLE),
                                  guest_fields_get(&g->fields, GUEST_FIELD_TOTAL)));
        if (guest_fields_has(&g->fields, GUEST_FIELD_AVAILABLE))
            guest_fields_set(&g->fields, GUEST_FIELD_USED,
                             fmax(0, (double) g->sizes.current_bytes -
                                         guest_fields_get(&g->fields, GUEST_FIELD_AVAILABLE)));
        if (g->source == GUEST_SOURCE_NONE || g->age_usec == USEC_INFINITY) {
            g->source = GUEST_SOURCE_NONE;
            g->age_usec = USEC_INFINITY;
        }
    }
}

/* Two minutes of history, and some state. */
static void fill_keep(Random *r, PolicyKeep *k, bool host, const Policy *policy, usec_t now)
{
    size_t n;

    ck_assert_int_eq(policy_keep_copy(k, host, &(PolicyKeep){}, policy, NULL), 0);
    for (unsigned age = 120; age > 0; age--) {
        usec_t at = now - age * USEC_PER_SEC + random_below(r, 300000);
        GuestFields g = {};
        HostFields h = {};

        host_fields_set(&h, HOST_FIELD_PSI_MEMORY_SOME, (double) random_below(r, 1000) / 7777);
        guest_fields_set(&g, GUEST_FIELD_FREE, (double) random_below(r, GIB));
        guest_fields_set(&g, GUEST_FIELD_SWAP_IN, (double) random_below(r, 10 * MIB) * (120 - age));
        if (host)
            series_set_add_host(&k->history, at, &h);
        else
            series_set_add_guest(&k->history, at, &g);
    }
    (void) policy_states(policy, host, &n);
    for (size_t i = 0; i < n; i++)
        if (policy_states(policy, host, &n)[i].unit != FIELD_UNIT_BOOLEAN)
            k->state[i] = (double) random_below(r, 5 * MIB);
}

#define N_NODES    3U
#define STATES_MAX 8U /* host state variables of the policies here */

/* Guests on random nodes, and what the policy keeps for some sets of them. */
typedef struct RandomNodes {
    SnapshotNode nodes[NODE_SET_MAX];
    SnapshotNodeState states[2];
    double values[2][STATES_MAX];
} RandomNodes;

static void place(Random *r, World *w, RandomNodes *n)
{
    *n = (RandomNodes){};
    for (unsigned i = 0; i < N_NODES; i++) {
        n->nodes[i].total_bytes = HOST_TOTAL / N_NODES;
        n->nodes[i].available_bytes = random_below(r, HOST_TOTAL / N_NODES / (1 + 7 * i));
        n->nodes[i].free_bytes = n->nodes[i].available_bytes / 3;
    }
    for (size_t i = 0; i < w->s.n_guests; i++)
        w->guests[i].nodes = random_below(r, 1 << N_NODES);
    for (size_t i = 0; i < 2; i++) {
        for (size_t v = 0; v < STATES_MAX; v++)
            n->values[i][v] = (double) random_below(r, v == 0 ? 10 : 2);
        n->states[i] = (SnapshotNodeState){.nodes = UINT64_C(1) << i, .state = n->values[i]};
    }
    w->s.nodes = n->nodes;
    w->s.node_states = n->states;
    w->s.n_node_states = 2;
}

/* nodes: NULL: one node. */
static void check_seed(uint64_t seed, const Policy *policy, RandomNodes *nodes)
{
    Random r = random_seeded(seed);
    GuardConfig guard = GUARD_CONFIG_DEFAULT;
    PolicyKeep keeps[GUESTS_MAX + 1] = {};
    SnapshotFile f;
    World w;

    random_world(&r, &w);
    make_like_the_daemons(&w);
    if (nodes)
        place(&r, &w, nodes);
    w.s.now_usec = 86400 * USEC_PER_SEC + random_next(&r) % USEC_PER_SEC;
    w.s.mode = one_in(&r, 3) ? GUEST_MODE_OBSERVE : GUEST_MODE_AUTO;
    guard.stale_usec = 1 + random_below(&r, 20 * USEC_PER_SEC);
    guard.keep_ratio = (double) random_below(&r, 1000) / 1001;
    for (size_t i = 0; i <= w.s.n_guests; i++)
        fill_keep(&r, &keeps[i], i == w.s.n_guests, policy, w.s.now_usec);
    for (size_t i = 0; i < w.s.n_guests; i++) {
        w.guests[i].history = &keeps[i].history;
        w.guests[i].state = keeps[i].state;
    }
    w.s.history = &keeps[w.s.n_guests].history;
    w.s.state = keeps[w.s.n_guests].state;

    f = pass_on(&w.s, &guard, policy);
    ck_assert_uint_eq(f.snapshot.n_guests, w.s.n_guests);
    ck_assert_ptr_null(f.warnings);
    assert_same_plan(seed, &w.s, &f.snapshot, policy, &guard, &f.guard);
    snapshot_file_done(&f);
    for (size_t i = 0; i <= w.s.n_guests; i++)
        policy_keep_done(&keeps[i]);
}

START_TEST(a_snapshot_of_the_daemon_decides_the_same)
{
    _cleanup_(policy_freep) Policy *policy = _i == 0 ? load_shipped() : load(looking_back, "/x/back.policy");

    /* One with history takes longer. */
    for (uint64_t seed = first_seed(); seed < first_seed() + (_i == 0 ? 200 : 40); seed++)
        check_seed(seed, policy, NULL);
}
END_TEST

START_TEST(test_b_c_a_snapshot_with_nodes_decides_the_same)
{
    _cleanup_(policy_freep) Policy *policy = _i == 0 ? load_shipped() : load(looking_back, "/x/back.policy");
    RandomNodes nodes;
    size_t n_states;

    (void) policy_states(policy, true, &n_states);
    ck_assert_uint_le(n_states, STATES_MAX);
    for (uint64_t seed = first_seed(); seed < first_seed() + (_i == 0 ? 200 : 40); seed++)
        check_seed(seed, policy, &nodes);
}
END_TEST

START_TEST(each_member_is_passed_on)
{
    /* No defaults, so that a member that is left out is noticed. */
    SnapshotGuest g = {
        .uuid = "u",
        .name = "n",
        .mode = GUEST_MODE_OFF,
        .source = GUEST_SOURCE_LIBVIRT,
        .age_usec = 1,
        .uptime_usec = 2,
        .busy = "b",
        .unmovable = "p",
        .judgement.ineffective = "r",
        .judgement.distress = true,
        .released = true,
        .reboot = true,
        .balloon.stalled_growing = true,
        .balloon.stalled = true,
        .balloon.moving = true,
        .balloon.late = true,
        .sizes.maximum_bytes = 3,
        .sizes.full_bytes = 4,
        .sizes.floor_bytes = 5,
        .sizes.current_bytes = 6,
        .sizes.standing_bytes = 7,
        .sizes.outstanding_bytes = 8,
        .balloon.shrink_rate = 9.25,
        .judgement.hurting = true,
        .judgement.restore_bytes = 10,
        .judgement.protected = true,
        .judgement.needed_bytes = 11,
        .judgement.grant_refused = "c",
        .sizes.growth_bytes = 12,
        .sizes.entitled_full = true,
        .shares = 13,
        .nodes = 0x8000000000000005,
    };
    GuardConfig guard = {1, 2, 3, 4.5, 0.25, 6, 0.125, 0.5, 9, 0.375, 0.0625, 0.75};
    Snapshot s = {.now_usec = 77, .mode = GUEST_MODE_OBSERVE, .guests = &g, .n_guests = 1};
    _cleanup_(policy_freep) Policy *policy = load("let x = 1", "x");
    const SnapshotGuest *p;
    SnapshotFile f;
    FieldSet held;

    for (HostField h = 0; h < HOST_FIELD_MAX; h++)
        host_fields_set(&s.host, h, host_field_info(h)->unit == FIELD_UNIT_BOOLEAN ? 1 : 100 + h);
    host_fields_set(&s.host, HOST_FIELD_KSM_PROFIT, -5);
    for (GuestField h = GUEST_TEXTS_MAX; (int) h < GUEST_FIELD_MAX; h++)
        guest_fields_set(&g.fields, h, guest_field_info(h)->unit == FIELD_UNIT_BOOLEAN ? 1 : 200 + h);
    /* more would be refused */
    host_fields_set(&s.host, HOST_FIELD_AVAILABLE, host_fields_get(&s.host, HOST_FIELD_TOTAL) - 99);
    guest_fields_set(&g.fields, GUEST_FIELD_AVAILABLE, guest_fields_get(&g.fields, GUEST_FIELD_TOTAL) - 199);
    f = pass_on(&s, &guard, policy);

    p = &f.snapshot.guests[0];
    ck_assert_str_eq(p->uuid, "u");
    ck_assert_str_eq(p->name, "n");
#define SAME_TEXT(a, b)                   ck_assert_str_eq(a, b)
#define SAME_MODE(a, b)                   ck_assert_int_eq(a, b)
#define SAME_SOURCE(a, b)                 ck_assert_int_eq(a, b)
#define SAME_NODES(a, b)                  ck_assert_uint_eq(a, b)
#define SAME_FLAG(a, b)                   ck_assert_int_eq(a, b)
#define SAME_BYTES(a, b)                  ck_assert_uint_eq(a, b)
#define SAME_USEC(a, b)                   ck_assert_uint_eq(a, b)
#define SAME_RATIO(a, b)                  ck_assert_double_eq(a, b)
#define SAME_REAL(a, b)                   ck_assert_double_eq(a, b)
#define SNAPSHOT_GUEST(key, type, member) SAME_##type(p->member, g.member);
#define SNAPSHOT_GUARD(key, type, member) SAME_##type(f.guard.member, guard.member);
#include "host-agent/decide/snapshot.def"
#undef SNAPSHOT_GUEST
#undef SNAPSHOT_GUARD
    ck_assert_uint_eq(f.snapshot.now_usec, 77);
    ck_assert_int_eq(f.snapshot.mode, GUEST_MODE_OBSERVE);
    held = view_snapshot_fields(true);
    FOREACH_FIELD(h, &held)
        ck_assert_double_eq(host_fields_get(&f.snapshot.host, (HostField) h),
                            host_fields_get(&s.host, (HostField) h));
    held = view_snapshot_fields(false);
    FOREACH_FIELD(h, &held)
        ck_assert_double_eq(guest_fields_get(&p->fields, (GuestField) h),
                            guest_fields_get(&g.fields, (GuestField) h));
    snapshot_file_done(&f);
}
END_TEST

#define MOST_TEXT(m)   (m) = "t"
#define MOST_MODE(m)   (m) = GUEST_MODE_OFF
#define MOST_SOURCE(m) (m) = GUEST_SOURCE_AGENT
#define MOST_FLAG(m)   (m) = true
#define MOST_BYTES(m)  (m) = UINT64_MAX
#define MOST_USEC(m)   (m) = USEC_INFINITY - 1
#define MOST_RATIO(m)  (m) = 1
#define MOST_REAL(m)   (m) = DBL_MAX
#define MOST_NODES(m)  (m) = UINT64_MAX

static double most(FieldUnit unit)
{
    return unit == FIELD_UNIT_BOOLEAN                                ? 1
           : unit == FIELD_UNIT_BYTES || unit == FIELD_UNIT_DURATION ? 0x1p64
                                                                     : DBL_MAX;
}

START_TEST(test_a15_the_largest_values_go_through)
{
    _cleanup_(policy_freep) Policy *policy =
        load("state most = 0\nmost = most + 0 * (avg(host.free, 30s) ?? 0B) / 1B\n", "x");
    SnapshotGuest g = {.uuid = "u", .name = "n"};
    GuardConfig guard;
    double state = DBL_MAX;
    Snapshot s = {.now_usec = 100 * USEC_PER_SEC, .guests = &g, .n_guests = 1, .state = &state};
    _cleanup_(plan_done) Plan plan = {};
    PolicyKeep keep = {};
    const SnapshotGuest *p;
    SnapshotFile f;
    FieldSet held;

#define SNAPSHOT_GUEST(key, type, member) MOST_##type(g.member);
#define SNAPSHOT_GUARD(key, type, member) MOST_##type(guard.member);
#include "host-agent/decide/snapshot.def"
#undef SNAPSHOT_GUEST
#undef SNAPSHOT_GUARD
    for (HostField h = 0; h < HOST_FIELD_MAX; h++)
        host_fields_set(&s.host, h, most(host_field_info(h)->unit));
    host_fields_set(&s.host, HOST_FIELD_KSM_PROFIT, -0x1p63);
    for (GuestField h = GUEST_TEXTS_MAX; (int) h < GUEST_FIELD_MAX; h++)
        guest_fields_set(&g.fields, h, most(guest_field_info(h)->unit));
    ck_assert_int_eq(policy_keep_copy(&keep, true, &(PolicyKeep){}, policy, NULL), 0);
    series_set_add_host(&keep.history, s.now_usec - USEC_PER_SEC, &s.host);
    s.history = &keep.history;
    g.judgement.distress = false; /* not with so much free */

    f = pass_on(&s, &guard, policy);
    p = &f.snapshot.guests[0];
#define SNAPSHOT_GUEST(key, type, member) SAME_##type(p->member, g.member);
#define SNAPSHOT_GUARD(key, type, member) SAME_##type(f.guard.member, guard.member);
#include "host-agent/decide/snapshot.def"
#undef SNAPSHOT_GUEST
#undef SNAPSHOT_GUARD
    held = view_snapshot_fields(true);
    FOREACH_FIELD(h, &held)
        ck_assert_double_eq(host_fields_get(&f.snapshot.host, (HostField) h),
                            host_fields_get(&s.host, (HostField) h));
    held = view_snapshot_fields(false);
    FOREACH_FIELD(h, &held)
        ck_assert_double_eq(guest_fields_get(&p->fields, (GuestField) h),
                            guest_fields_get(&g.fields, (GuestField) h));
    ck_assert_double_eq(f.snapshot.state[0], DBL_MAX);
    ck_assert_double_eq(f.snapshot.history->series[0].points[0].value, 0x1p64);
    ck_assert_int_eq(plan_make(&f.snapshot, policy, &f.guard, &plan), 0);
    snapshot_file_done(&f);
    policy_keep_done(&keep);
}
END_TEST

START_TEST(little_is_left_out_and_only_if_necessary)
{
    static SeriesSet sets[2];
    _cleanup_(policy_freep) Policy *policy = load("let x = avg(host.free, 30s) ?? 0B", "x");
    SnapshotGuest guests[3] = {
        {.name = "a", .uuid = "1"}, {.name = "b", .uuid = "2"}, {.name = "c", .uuid = "3"}};
    Snapshot s = {.now_usec = 1000 * USEC_PER_SEC, .guests = guests, .n_guests = 3};
    char error[JSON_ERROR_MAX];
    SnapshotFile f;
    json_object *o;
    const char *text;
    Wire w;

    /* More values than are passed on. */
    sets[0].n = sets[1].n = SNAPSHOT_HISTORY_MAX / SERIES_POINTS_MAX;
    for (unsigned i = 0; i < 2; i++) {
        sets[i].series = calloc(sets[i].n, sizeof(Series));
        for (size_t k = 0; k < sets[i].n; k++)
            sets[i].series[k].n = SERIES_POINTS_MAX;
        guests[i].history = &sets[i];
    }
    host_fields_set(&s.host, HOST_FIELD_TOTAL, 1);
    host_fields_set(&s.host, HOST_FIELD_AVAILABLE, 1);
    wire_open(&w);
    dict_begin(&w.dict);
    describe_snapshot(&w.dict, &s, &GUARD_CONFIG_DEFAULT, policy, 2);
    dict_end(&w.dict);
    o = wire_read(&w);
    text = json_object_to_json_string(o);
    ck_assert_int_eq(snapshot_parse(text, strlen(text), policy, &f, error), 0);
    ck_assert_uint_eq(f.snapshot.n_guests, 2);
    ck_assert_ptr_nonnull(strstr(f.warnings, "1 guests were left out"));
    ck_assert_ptr_nonnull(strstr(f.warnings, "the snapshot has no history"));
    snapshot_file_done(&f);
    json_object_put(o);
    series_set_done(&sets[0]);
    series_set_done(&sets[1]);
}
END_TEST

#define HOST_LINE "\"host\": {\"total_bytes\": 100, \"available_bytes\": 50}"

START_TEST(ten_lines_by_hand_are_enough)
{
    static const char text[] = "{" HOST_LINE ", \"guests\": ["
                               "{\"name\": \"a\", \"full_bytes\": 4294967296, \"free_bytes\": 1073741824},"
                               "{\"name\": \"b\", \"full_bytes\": 4294967296, \"current_bytes\": 2147483648,"
                               " \"available_bytes\": 1e9, \"source\": \"none\"}]}\n";
    _cleanup_(policy_freep) Policy *policy = load("let x = 1", "x");
    char error[JSON_ERROR_MAX] = "";
    const SnapshotGuest *a, *b;
    SnapshotFile f;

    ck_assert_msg(snapshot_parse(text, strlen(text), policy, &f, error) == 0, "%s", error);
    ck_assert_uint_eq(f.snapshot.n_guests, 2);
    a = &f.snapshot.guests[0];
    b = &f.snapshot.guests[1];
    ck_assert_str_eq(a->name, "a");
    ck_assert_int_eq(strcmp(a->uuid, b->uuid), -1);
    ck_assert_int_eq(a->mode, GUEST_MODE_AUTO);
    ck_assert_int_eq(a->source, GUEST_SOURCE_AGENT);
    ck_assert_uint_eq(a->age_usec, 0);
    ck_assert_uint_gt(a->uptime_usec, f.guard.grace_usec);
    ck_assert_uint_eq(a->sizes.current_bytes, 4 * GIB);
    ck_assert_uint_eq(a->sizes.standing_bytes, 4 * GIB);
    ck_assert_uint_eq(a->sizes.maximum_bytes, 4 * GIB);
    ck_assert_uint_eq(a->sizes.floor_bytes, GIB);
    ck_assert_double_eq(guest_fields_get(&a->fields, GUEST_FIELD_AVAILABLE), (double) GIB);
    ck_assert_double_eq(guest_fields_get(&a->fields, GUEST_FIELD_IDLE), (double) GIB);
    ck_assert_double_eq(guest_fields_get(&a->fields, GUEST_FIELD_USED), 3.0 * GIB);
    ck_assert(!guest_fields_has(&a->fields, GUEST_FIELD_CACHE));
    ck_assert_uint_eq(b->sizes.standing_bytes, 2 * GIB);
    ck_assert_uint_eq(b->age_usec, USEC_INFINITY);
    ck_assert(!guest_fields_has(&b->fields, GUEST_FIELD_FREE));
    snapshot_file_done(&f);
}
END_TEST

#define GUEST(more) \
    "{" HOST_LINE   \
    ", \"guests\": [{\"name\": \"a\", \"full_bytes\": 1}, {\"name\": \"b\", \"full_bytes\": 1" more "}]}"

static const struct {
    const char *text, *want;
} refused[] = {
    {"", "line 1, column 1: not JSON: it ends too early"},
    {"{\n  \"host\": {,}}", "line 2, column 12: not JSON: "},
    {"{} {}", "line 1, column 4: not JSON: more text follows its end"},
    {"[]", "must be an object, not []"},
    {"{\"status\": {}}", "this dump has no \"snapshot\""},
    {"{\"guests\": []}", "host: is missing; it needs total_bytes and available_bytes"},
    {"{\"host\": 5}", "host: must be an object, not 5"},
    {"{\"host\": {\"available_bytes\": 5}}", "host: total_bytes is missing"},
    {"{\"host\": {\"total_bytes\": 5}}", "host: available_bytes is missing"},
    /* C13 */
    {"{\"host\": {\"total_bytes\": 5, \"available_bytes\": 6}}",
     "host: available_bytes (6) is more than total_bytes (5)"},
    {"{" HOST_LINE
     ", \"guests\": [{\"name\": \"web1\", \"full_bytes\": 9, \"total_bytes\": 7, \"available_bytes\": 8}]}",
     "guests[0]: web1: available_bytes (8) is more than total_bytes (7)"},
    {"{\"host\": {\"total_byte\": 5}}", "host: unknown key \"total_byte\"; did you mean \"total_bytes\"?"},
    {"{\"host\": {\"pending_bytes\": 5}}", "host: unknown key \"pending_bytes\""},
    {"{\"host\": {\"free_bytes\": -1}}", "host.free_bytes: must be a number of bytes from 0 to 2^64, not -1"},
    {"{\"host\": {\"ksm_run\": 1}}", "host.ksm_run: must be true or false, not 1"},
    {"{\"host\": {\"free_bytes\": null}}",
     "host.free_bytes: must be a number of bytes from 0 to 2^64, not null"},
    {"{\"hosts\": {}}", "unknown key \"hosts\"; did you mean \"host\"?"},
    {"{\"guests\": {}}", "guests: must be a list, not {}"},
    {"{" HOST_LINE ", \"guests\": [5]}", "guests[0]: must be an object, not 5"},
    {"{" HOST_LINE ", \"guests\": [{\"full_bytes\": 5}]}", "guests[0]: name is missing"},
    {"{" HOST_LINE ", \"guests\": [{\"name\": \"a\"}]}", "guests[0]: full_bytes is missing"},
    {"{" HOST_LINE ", \"mode\": \"auto \"}", "mode: must be \"auto\", \"observe\" or \"off\", not \"auto \""},
    {"{" HOST_LINE ", \"guard\": {\"keep_ratio\": 2}}",
     "guard.keep_ratio: must be a number from 0 to 1, not 2"},
    {"{" HOST_LINE ", \"guard\": {\"kept\": 1}}",
     "guard: unknown key \"kept\"; ballast-snapshot(5) lists all"},
    {"{" HOST_LINE ", \"guard\": {\"stale_sec\": 1}}",
     "guard: unknown key \"stale_sec\"; did you mean \"stale_usec\"?"},
    {GUEST(", \"fre_bytes\": 1"), "guests[1]: unknown key \"fre_bytes\"; did you mean \"free_bytes\"?"},
    {GUEST(", \"target_bytes\": 1"), "guests[1]: unknown key \"target_bytes\""},
    {GUEST(", \"free_bytes\": \"4GiB\""),
     "guests[1].free_bytes: must be a number of bytes from 0 to 2^64, not \"4GiB\""},
    {GUEST(", \"free_bytes\": 1e300"),
     "guests[1].free_bytes: must be a number of bytes from 0 to 2^64, not 1e300"},
    {GUEST(", \"shares\": 1e999"), "guests[1].shares: must be a number, 0 or more, not 1e999"},
    {GUEST(", \"current_bytes\": 1e16"),
     "guests[1].current_bytes: must be a number of bytes from 0 to 2^64, not 1e16"},
    {"{\"host\": {\"uptime_usec\": 18446744073709551615}}",
     "host.uptime_usec: must be a number of microseconds from 0 to 2^53, not 18446744073709551615"},
    {GUEST(", \"current_bytes\": -4"),
     "guests[1].current_bytes: must be a number of bytes from 0 to 2^64, not -4"},
    {GUEST(", \"moving\": 1"), "guests[1].moving: must be true or false, not 1"},
    {GUEST(", \"busy\": \"\""), "guests[1].busy: must be text of 1 to 1024 bytes"},
    {GUEST(", \"busy\": \"a\\u0000b\""),
     "guests[1].busy: must be text of 1 to 1024 bytes without a zero byte"},
    {GUEST(", \"source\": \"agnt\""),
     "guests[1].source: must be \"agent\", \"libvirt\" or \"none\", not \"agnt\""},
    {GUEST(", \"history\": []"), "guests[1].history: must be an object, not []"},
    {GUEST(", \"history\": {\"free\": []}"), "guests[1].history: unknown key \"free\""},
    {GUEST(", \"history\": {\"free_bytes\": 5}"),
     "guests[1].history.free_bytes: must be a list of [age in seconds, value], not 5"},
    {GUEST(", \"history\": {\"free_bytes\": [[1]]}"),
     "guests[1].history.free_bytes[0]: must be [age in seconds, value], not [1]"},
    {GUEST(", \"history\": {\"free_bytes\": [[1, 5], [2, 5]]}"),
     "guests[1].history.free_bytes[1]: must be an age in seconds: from the oldest"},
    {GUEST(", \"history\": {\"free_bytes\": [[1e9, 5]]}"),
     "guests[1].history.free_bytes[0]: must be an age in seconds"},
    {GUEST(", \"nodes\": 1"),
     "guests[1].nodes: must be NUMA nodes from 0 to 63, such as \"0\" or \"0-1,3\", not 1"},
    {GUEST(", \"nodes\": \"0-64\""), "guests[1].nodes: must be NUMA nodes"},
    {"{" HOST_LINE ", \"nodes\": {}}", "nodes: must be a list of nodes, not {}"},
    {"{" HOST_LINE ", \"nodes\": [5]}", "nodes[0]: must be an object, not 5"},
    {"{" HOST_LINE ", \"nodes\": [{}]}", "nodes[0]: node is missing"},
    {"{" HOST_LINE ", \"nodes\": [{\"node\": 64}]}",
     "nodes[0].node: must be a node's number from 0 to 63, not 64"},
    {"{" HOST_LINE ", \"nodes\": [{\"node\": 0, \"total\": 5}]}",
     "nodes[0]: unknown key \"total\"; did you mean"},
    {"{" HOST_LINE ", \"nodes\": [{\"node\": 0, \"total_bytes\": 5, \"available_bytes\": 6}]}",
     "nodes[0]: available_bytes is more than total_bytes"},
    {"{" HOST_LINE ", \"node_states\": [{\"nodes\": \"\"}]}", "node_states[0].nodes: must be NUMA nodes"},
    {"{" HOST_LINE ", \"node_states\": [{\"node\": \"0\"}]}",
     "node_states[0]: unknown key \"node\"; did you mean \"nodes\"?"},
    {"{" HOST_LINE ", \"node_states\": [{\"nodes\": \"0\", \"state\": {\"back.policy:cycles\": true}}]}",
     "node_states[0].state.back.policy:cycles: must be a number"},
    {GUEST(", \"state\": {\"back.policy:taken\": true}"),
     "guests[1].state.back.policy:taken: must be a number of bytes, not true"},
};

START_TEST(errors_are_reported_with_their_place)
{
    _cleanup_(policy_freep) Policy *policy = load(looking_back, "/x/back.policy");
    char error[JSON_ERROR_MAX] = "";
    SnapshotFile f;

    ck_assert_int_eq(snapshot_parse(refused[_i].text, strlen(refused[_i].text), policy, &f, error), -EINVAL);
    ck_assert_msg(strncmp(error, refused[_i].want, strlen(refused[_i].want)) == 0, "%s: %s", refused[_i].text,
                  error);
}
END_TEST

START_TEST(the_state_of_another_policy_is_left_out)
{
    static const char text[] = GUEST(", \"state\": {\"other.policy:x\": \"?\", \"back.policy:takn\": 5, "
                                     "\"back.policy:taken\": 7}, \"history\": {\"cache_bytes\": [[1, 5]]}");
    _cleanup_(policy_freep) Policy *policy = load(looking_back, "/x/back.policy");
    char error[JSON_ERROR_MAX] = "";
    SnapshotFile f;

    ck_assert_msg(snapshot_parse(text, strlen(text), policy, &f, error) == 0, "%s", error);
    ck_assert_str_eq(f.warnings, "the policy has no state variable \"back.policy:takn\" (did you mean "
                                 "\"back.policy:taken\"?); ignored\n");
    ck_assert_double_eq(f.snapshot.guests[1].state[0], 7);
    ck_assert_double_eq(f.snapshot.guests[0].state[0], 0);
    snapshot_file_done(&f);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("snapshot");

    tcase_set_timeout(t, 30);
    tcase_add_loop_test(t, a_snapshot_of_the_daemon_decides_the_same, 0, 2);
    tcase_add_loop_test(t, test_b_c_a_snapshot_with_nodes_decides_the_same, 0, 2);
    tcase_add_test(t, each_member_is_passed_on);
    tcase_add_test(t, test_a15_the_largest_values_go_through);
    tcase_add_test(t, little_is_left_out_and_only_if_necessary);
    tcase_add_test(t, ten_lines_by_hand_are_enough);
    tcase_add_loop_test(t, errors_are_reported_with_their_place, 0, ELEMENTSOF(refused));
    tcase_add_test(t, the_state_of_another_policy_is_left_out);
    return run_tests(t);
}
