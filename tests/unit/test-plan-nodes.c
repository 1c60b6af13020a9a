/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guests that are bound to NUMA nodes: who is judged by which memory, and that it is given only once. */

#include "host-agent/decide/donor.h"
#include "tests/unit/decide-random.h"
#include "tests/unit/plan-make.h"

#define NODE_0  UINT64_C(1)
#define NODE_1  UINT64_C(2)
#define N_NODES 2

/* Below a fifth each guest gives 128 MiB, above a quarter it gets its full size. Counts its cycles. */
#define GIVES                                                                                                         \
    "state cycles = 0\ncycles = cycles + 1\n" THRESHOLDS "for g in guests {\n"                                        \
    "    if host.available + host.pending < pressure_threshold { g.target = g.current - 128MiB because \"gives\" }\n" \
    "    if host.available > relax_threshold { g.target = g.full because \"gets\" }\n"                                \
    "}\n"

/* Two nodes of 50 GiB. */
typedef struct Host {
    SnapshotNode nodes[NODE_SET_MAX];
    SnapshotGuest guests[8];
    char uuids[8][37];
    Snapshot s;
} Host;

static void host_init(Host *h, uint64_t available_0, uint64_t available_1)
{
    *h = (Host){.s.now_usec = 100 * USEC_PER_SEC, .s.mode = GUEST_MODE_AUTO};
    h->s.host = fixture_host(available_0 + available_1);
    h->nodes[0] = (SnapshotNode){HOST_TOTAL / 2, available_0 / 2, available_0};
    h->nodes[1] = (SnapshotNode){HOST_TOTAL / 2, available_1 / 2, available_1};
    h->s.nodes = h->nodes;
    h->s.guests = h->guests;
}

static SnapshotGuest *add(Host *h, const char *name, uint64_t nodes)
{
    size_t i = h->s.n_guests++;

    h->guests[i] = fixture_guest();
    h->guests[i].name = name;
    h->guests[i].nodes = nodes;
    h->guests[i].uuid = fixture_uuid(h->uuids[i], (unsigned) i);
    return &h->guests[i];
}

static int64_t change(const Host *h, const Plan *p, size_t i)
{
    return (int64_t) p->decisions[i].target_bytes - (int64_t) h->guests[i].sizes.standing_bytes;
}

static void assert_change(const Host *h, const Plan *p, size_t i, int64_t bytes)
{
    ck_assert_msg(change(h, p, i) == bytes, "%s: %ld, not %ld: %s", h->guests[i].name, (long) change(h, p, i),
                  (long) bytes, p->decisions[i].reason);
}

static bool says(const Plan *p, size_t i, const char *text)
{
    return strstr(p->decisions[i].reason, text) != NULL;
}

/* The fault: node 0 is full, and half the host is available. */
START_TEST(test_b_c_guests_of_a_full_node_give)
{
    _cleanup_(plan_done) Plan p = {};
    Host h;

    host_init(&h, 2 * GIB, 48 * GIB);
    add(&h, "bound", NODE_0);
    add(&h, "free", 0);
    add(&h, "other", NODE_1);
    add(&h, "bound2", NODE_0);
    add(&h, "both", NODE_0 | NODE_1);
    make(&h.s, GIVES, &p);
    assert_change(&h, &p, 0, -128 * (int64_t) MIB);
    assert_change(&h, &p, 1, 0);
    assert_change(&h, &p, 2, 0);
    assert_change(&h, &p, 3, -128 * (int64_t) MIB);
    assert_change(&h, &p, 4, 0);
    ck_assert(says(&p, 0, "node 0: gives"));
    ck_assert(!says(&p, 1, "node"));
    ck_assert_uint_eq(p.n_groups, 2);
    ck_assert(p.groups[0].own && !p.groups[1].own);
    ck_assert_uint_eq(p.groups[0].nodes, NODE_0);
    ck_assert_int_eq(p.groups[0].pressure, HOST_PRESSURE_SEVERE);
    ck_assert_int_eq(p.pressure, HOST_PRESSURE_NONE);
    ck_assert(plan_is_pressed(&p));
    ck_assert_ptr_nonnull(strstr(p.summary, "; node 0: 2 guests give 256 MiB"));

    /* The twin without a binding. */
    for (size_t i = 0; i < h.s.n_guests; i++)
        h.guests[i].nodes = 0;
    make(&h.s, GIVES, &p);
    for (size_t i = 0; i < h.s.n_guests; i++)
        assert_change(&h, &p, i, 0);
    ck_assert_uint_eq(p.n_groups, 0);
    ck_assert(!plan_is_pressed(&p));
}
END_TEST

/* The nodes' numbers may have gaps, and a guest may be bound to some that the host hasn't. */
START_TEST(test_odd_sets_of_nodes)
{
    static const struct {
        uint64_t nodes;
        size_t groups;
        bool gives;
    } cases[] = {
        {1, 1, true},       {1 | 1 << 8, 0, false}, {1 | 1 << 5, 1, true},
        {1 << 5, 0, false}, {UINT64_MAX, 0, false}, {1 << 8, 1, false},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(plan_done) Plan p = {};
        Host h;

        host_init(&h, 2 * GIB, 48 * GIB);
        h.nodes[8] = h.nodes[1];
        h.nodes[1] = (SnapshotNode){};
        add(&h, "free", 0);
        add(&h, "bound", cases[i].nodes);
        make(&h.s, GIVES, &p);
        ck_assert_msg(p.n_groups == cases[i].groups, "case %zu: %zu groups", i, p.n_groups);
        assert_change(&h, &p, 1, cases[i].gives ? -128 * (int64_t) MIB : 0);
    }
}
END_TEST

/* Where every guest is bound, memory of one node helps nobody on the other. */
START_TEST(test_a_node_with_enough_is_left_alone_where_all_guests_are_bound)
{
    for (int unbound = 0; unbound < 2; unbound++) {
        _cleanup_(plan_done) Plan p = {};
        Host h;

        host_init(&h, 1 * GIB, 15 * GIB);
        add(&h, "full", NODE_0);
        fixture_size(add(&h, "enough", NODE_1), 1792 * MIB);
        if (unbound)
            add(&h, "free", 0);
        make(&h.s, GIVES, &p);
        assert_change(&h, &p, 0, -128 * (int64_t) MIB);
        assert_change(&h, &p, 1, unbound ? -128 * (int64_t) MIB : 256 * (int64_t) MIB);
    }
}
END_TEST

/* A bound guest in distress gets what guests of its node release, and nothing of another node. */
START_TEST(test_distress_is_fed_from_the_same_node)
{
    _cleanup_(plan_done) Plan p = {};
    Host h;

    host_init(&h, 2 * GIB, 48 * GIB);
    fixture_size(add(&h, "starved", NODE_0), GIB);
    h.guests[0].judgement.distress = true;
    guest_fields_set(&h.guests[0].fields, GUEST_FIELD_FREE, (double) (16 * MIB));
    add(&h, "free", 0);
    add(&h, "other", NODE_1);
    make(&h.s, NULL, &p);
    assert_change(&h, &p, 0, 0);
    assert_change(&h, &p, 1, 0);
    assert_change(&h, &p, 2, 0);
    ck_assert(says(&p, 0, "node 0: in distress, but not grown"));
    ck_assert_uint_eq(p.shortfall_bytes, GIB);

    add(&h, "donor", NODE_0);
    make(&h.s, NULL, &p);
    ck_assert_int_lt(change(&h, &p, 3), 0);
    ck_assert_int_eq(p.decisions[3].rule, GUARD_RULE_DONOR);
    assert_change(&h, &p, 1, 0);
    assert_change(&h, &p, 2, 0);

    /* Without the binding the host has it. */
    h.guests[0].nodes = h.guests[3].nodes = 0;
    make(&h.s, NULL, &p);
    assert_change(&h, &p, 0, GIB);
    assert_change(&h, &p, 3, 0);
}
END_TEST

/* Also where they have more available than the host, in proportion: a small node. */
START_TEST(test_a_guest_never_gets_more_than_its_nodes_have)
{
    for (int unbound = 0; unbound < 2; unbound++) {
        _cleanup_(plan_done) Plan p = {};
        SnapshotGuest *g;
        Host h;

        host_init(&h, 12 * GIB, 30 * GIB);
        h.nodes[0].total_bytes = 16 * GIB;
        h.nodes[1].total_bytes = 84 * GIB;
        g = add(&h, "large", NODE_0);
        g->sizes.maximum_bytes = g->sizes.full_bytes = 32 * GIB;
        g->judgement.distress = true;
        guest_fields_set(&g->fields, GUEST_FIELD_FREE, (double) (16 * MIB));
        if (unbound)
            add(&h, "free", 0);
        make(&h.s, NULL, &p);
        ck_assert_int_gt(change(&h, &p, 0), 4 * (int64_t) GIB);
        ck_assert_int_lt(change(&h, &p, 0), 12 * (int64_t) GIB);
        ck_assert(says(&p, 0, "node 0: ") == !unbound);
        h.guests[0].nodes = 0;
        make(&h.s, NULL, &p);
        assert_change(&h, &p, 0, 30 * (int64_t) GIB);
    }
}
END_TEST

static double state_of(const Plan *p, size_t group)
{
    return p->groups[group].state[0];
}

/* What the policy keeps of the host goes with the nodes. */
START_TEST(test_state_is_kept_apart)
{
    _cleanup_(policy_freep) Policy *policy = load(GIVES);
    double whole = 10, own = 20, other = 30;
    const SnapshotNodeState states[] = {{NODE_1, &other}, {NODE_0, &own}};
    _cleanup_(plan_done) Plan p = {}, fresh = {};
    Host h;

    host_init(&h, 2 * GIB, 48 * GIB);
    add(&h, "bound", NODE_0);
    add(&h, "free", 0);
    h.s.state = &whole;
    h.s.node_states = states;
    h.s.n_node_states = ELEMENTSOF(states);
    ck_assert_int_eq(plan_make(&h.s, policy, &config, &p), 0);
    ck_assert_double_eq(p.state[0], 11);
    ck_assert_double_eq(state_of(&p, 0), 21);
    h.s.n_node_states = 1;
    ck_assert_int_eq(plan_make(&h.s, policy, &config, &fresh), 0);
    ck_assert_double_eq(fresh.state[0], 11);
    ck_assert_double_eq(state_of(&fresh, 0), 1);
}
END_TEST

/* Each guest has its own state, notes and log lines, wherever it stands. */
START_TEST(test_words_and_state_find_their_guest)
{
    static const char text[] =
        "state guest.seen = 0B\n"
        "for g in guests {\n"
        "    g.seen = g.floor\n"
        "    log(\"is\", g.floor)\n"
        "    if g.name == \"b\" or g.name == \"d\" { g.target = g.psi_memory_some * 1GiB }\n"
        "}\n";
    _cleanup_(policy_freep) Policy *policy = load(text);
    static const char *const names[] = {"a", "b", "c", "d"};
    static const uint64_t nodes[] = {0, NODE_0, NODE_0, 0};
    _cleanup_(plan_done) Plan p = {};
    bool noted[4] = {}, logged[4] = {};
    Host h;

    host_init(&h, 2 * GIB, 48 * GIB);
    for (size_t i = 0; i < 4; i++)
        add(&h, names[i], nodes[i])->sizes.floor_bytes = (i + 1) * 64 * MIB;
    ck_assert_int_eq(plan_make(&h.s, policy, &config, &p), 0);
    for (size_t i = 0; i < p.n_notes; i++)
        noted[p.notes[i].guest] = true;
    for (size_t i = 0; i < p.n_logs; i++)
        logged[p.logs[i].guest] = true;
    ck_assert_uint_eq(p.notes_total, 2);
    ck_assert_uint_eq(p.logs_total, 2); /* the turns of the others were undone */
    for (size_t i = 0; i < 4; i++) {
        bool fails = i == 1 || i == 3;

        ck_assert(noted[i] == fails);
        ck_assert(logged[i] != fails);
        ck_assert_double_eq(p.guest_state[i], fails ? 0 : (double) (i + 1) * 64 * MIB);
    }
}
END_TEST

/* Windows over the host's memory know nothing of a node's past; others are as ever. */
START_TEST(test_history)
{
    static const char text[] =
        "for g in guests {\n"
        "    g.target = 1GiB + (if avg(host.available, 30s) < 10GiB then 1MiB else 0B)\n"
        "        + (if avg(host.psi_memory_some, 30s) > 10% then 2MiB else 0B)\n"
        "}\n";
    _cleanup_(policy_freep) Policy *policy = load(text);
    _cleanup_(plan_done) Plan p = {};
    SeriesSet history = {}, none = {};
    const SeriesNeed *needs;
    HostFields before;
    size_t n;
    Host h;

    host_init(&h, 2 * GIB, 48 * GIB);
    host_fields_set(&h.s.host, HOST_FIELD_PSI_MEMORY_SOME, 0);
    add(&h, "bound", NODE_0);
    add(&h, "free", 0);
    needs = policy_needs(policy, &n);
    ck_assert_int_eq(series_set_copy(&history, &none, needs, n, true), 0);
    before = h.s.host;
    host_fields_set(&before, HOST_FIELD_PSI_MEMORY_SOME, 0.5);
    series_set_add_host(&history, h.s.now_usec - 20 * USEC_PER_SEC, &before);
    series_set_add_host(&history, h.s.now_usec - 10 * USEC_PER_SEC, &before);
    h.s.history = &history;
    ck_assert_int_eq(plan_make(&h.s, policy, &config, &p), 0);
    ck_assert_uint_eq(p.decisions[0].wanted_bytes, GIB + 3 * MIB);
    ck_assert_uint_eq(p.decisions[1].wanted_bytes, GIB + 2 * MIB);
    series_set_done(&history);
}
END_TEST

/* Swap is no node's: a node has its share, so that a host without swap is as careful about its nodes. */
START_TEST(test_a_node_has_its_share_of_swap)
{
    _cleanup_(plan_done) Plan p = {};
    Host h;

    host_init(&h, 2 * GIB, 48 * GIB);
    add(&h, "bound", NODE_0);
    add(&h, "free", 0);
    make(
        &h.s,
        "let pressure_threshold = host.swap_total; let critical_threshold = host.swap_free; for g in guests {}",
        &p);
    ck_assert_double_eq(p.in_force_bytes[POLICY_THRESHOLD_PRESSURE], 8.0 * GIB);
    ck_assert_double_eq(p.groups[0].in_force_bytes[POLICY_THRESHOLD_PRESSURE], 4.0 * GIB);
    ck_assert_double_eq(p.groups[0].in_force_bytes[POLICY_THRESHOLD_CRITICAL], 4.0 * GIB);
}
END_TEST

/* More sets of nodes than groups: the rest is judged by the whole host. */
START_TEST(test_the_number_of_groups_is_bounded)
{
    enum { N = 100 };
    static SnapshotGuest guests[N];
    static char uuids[N][37];
    _cleanup_(plan_done) Plan p = {};
    size_t give = 0;
    Host h;

    host_init(&h, 0, 0);
    for (unsigned i = 0; i < NODE_SET_MAX; i++)
        h.nodes[i] = (SnapshotNode){GIB, 0, i < 60 ? 0 : GIB};
    h.s.host = fixture_host(50 * GIB);
    h.s.guests = guests;
    h.s.n_guests = N;
    for (unsigned i = 0; i < N; i++) {
        guests[i] = fixture_guest();
        guests[i].uuid = fixture_uuid(uuids[i], i);
        guests[i].nodes = i == 0 ? 0 : UINT64_C(1) << i % 60 | (i >= 60 ? UINT64_C(1) << (i + 7) % 60 : 0);
    }
    make(&h.s, GIVES, &p);
    ck_assert_uint_eq(p.n_groups, 64);
    for (size_t i = 0; i < N; i++)
        give += p.decisions[i].target_bytes < guests[i].sizes.standing_bytes;
    ck_assert_uint_eq(give, 64);
}
END_TEST

/* Without a binding, and with bindings on a host whose nodes aren't known, all is as ever. Random guests on random
 * nodes never get more than the host has, nor more than their nodes have. */
static uint64_t grows(const Snapshot *s, const Plan *p, uint64_t nodes)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < s->n_guests; i++) {
        const SnapshotGuest *g = s->guests + i;

        if (nodes == 0 || snapshot_bound_to(s, g) == nodes)
            sum += LESS_BY(p->decisions[i].target_bytes, MAX(g->sizes.standing_bytes, guard_has(g)));
    }
    return sum;
}

static void random_host(Random *r, Host *h)
{
    uint64_t a = random_size(r, 50 * GIB), b = random_size(r, 50 * GIB);

    host_init(h, a, b);
    host_fields_set(&h->s.host, HOST_FIELD_SWAP_FREE, (double) random_size(r, 8 * GIB));
    while (h->s.n_guests < ELEMENTSOF(h->guests)) {
        SnapshotGuest *g = add(h, "guest", random_below(r, 4));

        g->sizes.maximum_bytes = g->sizes.full_bytes = 16 * GIB;
        g->sizes.current_bytes = GIB + random_below(r, 8 * GIB / KIB) * KIB;
        g->sizes.standing_bytes =
            one_in(r, 2) ? g->sizes.current_bytes : GIB + random_below(r, 8 * GIB / KIB) * KIB;
        g->sizes.from_bytes = g->sizes.current_bytes;
        g->sizes.outstanding_bytes = one_in(r, 2) ? 0 : random_size(r, GIB);
        g->judgement.distress = one_in(r, 3);
        if (g->judgement.distress)
            guest_fields_set(&g->fields, GUEST_FIELD_FREE, (double) (16 * MIB));
        g->mode = one_in(r, 6) ? GUEST_MODE_OFF : GUEST_MODE_AUTO;
    }
}

START_TEST(test_memory_is_given_once)
{
    static const char text[] = THRESHOLDS "for g in guests { g.target = g.full }\n";
    _cleanup_(policy_freep) Policy *policy = load(text);
    Random r = random_seeded(first_seed());
    size_t groups = 0, grown = 0;

    for (unsigned i = 0; i < 3000; i++) {
        _cleanup_(plan_done) Plan p = {};
        uint64_t room;
        Host h;

        random_host(&r, &h);
        room = guard_room(&h.s, &config);
        ck_assert_int_eq(plan_make(&h.s, policy, &config, &p), 0);
        ck_assert_msg(grows(&h.s, &p, 0) <= room, "host %u: %lu of %lu", i,
                      (unsigned long) grows(&h.s, &p, 0), (unsigned long) room);
        for (size_t g = 0; g < p.n_groups; g++)
            ck_assert_msg(grows(&h.s, &p, p.groups[g].nodes) <= p.groups[g].memory.available_bytes, "host %u",
                          i);
        groups += p.n_groups;
        grown += grows(&h.s, &p, 0) > 0;
    }
    ck_assert_uint_gt(groups, 1000);
    ck_assert_uint_gt(grown, 1000);
}
END_TEST

START_TEST(test_without_a_binding_nothing_changes)
{
    _cleanup_(policy_freep) Policy *policy = load(GIVES);
    Random r = random_seeded(first_seed());

    for (unsigned i = 0; i < 500; i++) {
        _cleanup_(plan_done) Plan p = {}, q = {};
        Host h;

        random_host(&r, &h);
        for (size_t g = 0; g < h.s.n_guests; g++)
            h.guests[g].nodes = i % 2 ? 0 : h.guests[g].nodes;
        if (i % 2 == 0)
            h.s.nodes = NULL;
        ck_assert_int_eq(plan_make(&h.s, policy, &config, &p), 0);
        ck_assert_uint_eq(p.n_groups, 0);
        h.s.nodes = NULL;
        for (size_t g = 0; g < h.s.n_guests; g++)
            h.guests[g].nodes = 0;
        ck_assert_int_eq(plan_make(&h.s, policy, &config, &q), 0);
        ck_assert_str_eq(p.summary, q.summary);
        for (size_t g = 0; g < h.s.n_guests; g++)
            ck_assert_str_eq(p.decisions[g].reason, q.decisions[g].reason);
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("plan-nodes");

    tcase_add_test(tc, test_b_c_guests_of_a_full_node_give);
    tcase_add_test(tc, test_odd_sets_of_nodes);
    tcase_add_test(tc, test_a_node_with_enough_is_left_alone_where_all_guests_are_bound);
    tcase_add_test(tc, test_distress_is_fed_from_the_same_node);
    tcase_add_test(tc, test_a_guest_never_gets_more_than_its_nodes_have);
    tcase_add_test(tc, test_state_is_kept_apart);
    tcase_add_test(tc, test_words_and_state_find_their_guest);
    tcase_add_test(tc, test_history);
    tcase_add_test(tc, test_a_node_has_its_share_of_swap);
    tcase_add_test(tc, test_the_number_of_groups_is_bounded);
    tcase_add_test(tc, test_memory_is_given_once);
    tcase_add_test(tc, test_without_a_binding_nothing_changes);
    return run_tests(tc);
}
