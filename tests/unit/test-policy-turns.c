/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Turns of guests: their order, and what is left of one that fails. */

#include "tests/unit/policy-world.h"

/* The order of guests' turns: order[i] is the turn of guest c, a, b. */
static const struct {
    const char *head;
    unsigned order[N_GUESTS];
} orders[] = {
    {"for g in guests {", {[A] = 1, [B] = 2, [C] = 3}},
    {"for g in guests by g.free desc {", {[B] = 1, [C] = 2, [A] = 3}}, /* b and c tie: by UUID */
    {"for g in guests by g.free asc {", {[A] = 1, [B] = 2, [C] = 3}},
    {"for g in guests by -g.free asc {", {[B] = 1, [C] = 2, [A] = 3}},
    {"for g in guests where g.free > 2GiB by g.free asc {", {[B] = 1, [C] = 2}},
    {"for g in guests\nwhere g.free < 2GiB\nby g.free asc\n{", {[A] = 1}},
    {"for g in guests where false {", {}},
    {"for g in guests by g.psi_memory_some ?? 50% desc {", {[B] = 1, [A] = 2, [C] = 3}},
    /* several keys: equal ones are ordered by the next key, and at last by UUID */
    {"for g in guests by g.free desc, g.psi_memory_some ?? 50% asc {", {[C] = 1, [B] = 2, [A] = 3}},
    {"for g in guests by g.free desc, g.psi_memory_some ?? 50% desc {", {[B] = 1, [C] = 2, [A] = 3}},
    {"for g in guests by g.free asc, g.psi_memory_some ?? 0% asc {", {[A] = 1, [B] = 2, [C] = 3}},
    {"for g in guests by g.age asc, g.free desc {", {[B] = 1, [C] = 2, [A] = 3}},
    {"for g in guests by g.age asc, g.full desc, g.psi_memory_some ?? 50% asc, g.free desc {",
     {[C] = 1, [A] = 2, [B] = 3}},
    {"for g in guests by g.free asc, g.psi_memory_some ?? 9 desc, g.age asc {", {[A] = 1, [B] = 2, [C] = 3}},
    {"for g in guests\nwhere g.free > 2GiB\nby g.age asc\n, g.psi_memory_some ?? 50% asc\n{",
     {[C] = 1, [B] = 2}},
    {"for g in guests by round(g.free, 10GiB) desc {", {[A] = 1, [B] = 2, [C] = 3}},
    {"for g in guests by round(g.free, 10GiB) desc, g.free desc {", {[B] = 1, [C] = 2, [A] = 3}},
    {"for g in guests by 1 asc, 2 asc, 3 asc, 4 asc, 5 asc, 6 asc, 7 asc, g.free desc {",
     {[B] = 1, [C] = 2, [A] = 3}},
};

START_TEST(test_order)
{
    char text[256];
    World w;

    world_init(&w);
    (void) snprintf(text, sizeof(text), "%s g.target = 3GiB }", orders[_i].head);
    ck_assert_int_eq(world_run(&w, text), 0);
    ck_assert_uint_eq(w.output.notes_total, 0);
    for (size_t i = 0; i < N_GUESTS; i++) {
        ck_assert_msg(w.assignments[i].order == orders[_i].order[i], "%s: %zu", orders[_i].head, i);
        ck_assert(orders[_i].order[i] > 0 ? target(&w, i) == 3.0 * GIB : isnan(target(&w, i)));
    }
}
END_TEST

/* Each takes 1 GiB from what is needed, from a, b and c in this order, and fails for b at the given place. */
static const struct {
    const char *text;
    unsigned line, column;
    const char *note;
} undone[] = {
    {"let relax_threshold = 0B\nfor g in guests {\n relax_threshold = relax_threshold + 1GiB\n g.target = 1GiB\n"
     " if g.psi_memory_some > 1 { }\n}",
     5, 7, "g.psi_memory_some is missing"},
    {"let relax_threshold = 0B\nfor g in guests {\n g.target = 1GiB; relax_threshold = relax_threshold + 1GiB\n"
     " let x = 1 / (if g.psi_memory_some ?? 0 == 0 then 0 else 1)\n}",
     4, 12, "division by zero"},
    {"let relax_threshold = 0B\nfor g in guests {\n relax_threshold = relax_threshold + 1GiB\n"
     " g.target = (g.psi_memory_some ?? -1) * 4GiB\n}",
     4, 2, "a target below 0"},
    {"let relax_threshold = 0B\nfor g in guests where g.psi_memory_some >= 0 {\n relax_threshold = relax_threshold + 1GiB\n"
     " g.target = 1GiB }",
     2, 25, "g.psi_memory_some is missing"},
    {"let relax_threshold = 0B\nfor g in guests by 1 + g.psi_memory_some asc {\n relax_threshold = relax_threshold + 1GiB\n"
     " g.target = 1GiB }",
     2, 26, "g.psi_memory_some is missing"},
    {"let relax_threshold = 0B\nfor g in guests by g.free asc, g.psi_memory_some asc {\n relax_threshold = relax_threshold "
     "+ "
     "1GiB\n g.target = 1GiB }",
     2, 34, "g.psi_memory_some is missing"},
    {"let relax_threshold = 0B\nfor g in guests {\n g.target = 1GiB; relax_threshold = relax_threshold + 1GiB\n"
     " let x = round(g.free, if g.psi_memory_some ?? 0 == 0 then 0B else 1B)\n}",
     4, 10, "the step of round() is not above 0"},
    {"let relax_threshold = 0B\nfor g in guests {\n g.target = 1GiB; relax_threshold = relax_threshold + 1GiB\n"
     " let x = round(g.free, (g.psi_memory_some ?? -1) * 1MiB)\n}",
     4, 10, "the step of round() is not above 0"},
    {"fn f(x) = x.psi_memory_some\nlet relax_threshold = 0B\nfor g in guests {\n relax_threshold = relax_threshold + 1GiB\n"
     " g.target = f(g) * 4GiB }",
     1, 13, "g.psi_memory_some is missing"},
    {"let relax_threshold = 0B\nlet x = 1\nfor g in guests { relax_threshold = relax_threshold + 1GiB; g.target = 1GiB\n"
     " if g.psi_memory_some ?? 9 == 9 { x = 100000000000000 * 10000 * 100000000000000; x = x*x*x*x*x*x\nx = "
     "x * x }}",
     5, 7, "the result is too large"},
    {"let relax_threshold = 0B\nfor g in guests { relax_threshold = relax_threshold + 1GiB\n"
     " g.target = if g.psi_memory_some ?? 9 == 9 then 9000TiB else 1GiB }",
     3, 2, "a target above 8 PiB"},
};

START_TEST(test_undone_turn)
{
    World w;

    world_init(&w);
    ck_assert_int_eq(world_run(&w, undone[_i].text), 0);
    ck_assert_uint_eq(w.output.notes_total, 1);
    ck_assert_uint_eq(w.output.n_notes, 1);
    ck_assert_uint_eq(w.output.notes[0].guest, B);
    ck_assert_str_eq(w.output.notes[0].text, undone[_i].note);
    ck_assert_uint_eq(w.output.notes[0].line, undone[_i].line);
    ck_assert_uint_eq(w.output.notes[0].column, undone[_i].column);
    ck_assert(isnan(target(&w, B)));
    ck_assert_uint_eq(w.assignments[B].order, 0);
    ck_assert_double_eq(target(&w, A), 1.0 * GIB);
    ck_assert_double_eq(target(&w, C), 1.0 * GIB);
    ck_assert_uint_eq(w.assignments[A].order, 1);
    ck_assert_uint_eq(w.assignments[C].order, 2);
    ck_assert_double_eq(w.output.thresholds[POLICY_THRESHOLD_RELAX],
                        2.0 * GIB); /* what b took is given back */
}
END_TEST

START_TEST(test_undone_turn_keeps_earlier_ones)
{
    World w;

    world_init(&w);
    ck_assert_int_eq(world_run(&w,
                               "for g in guests { g.target = 3GiB }\n"
                               "for g in guests { g.target = 2GiB; g.target = g.psi_memory_some * 8GiB }\n"),
                     0);
    ck_assert_double_eq(target(&w, B), 3.0 * GIB);
    ck_assert_uint_eq(w.assignments[B].line, 1);
    ck_assert_double_eq(target(&w, A), 2.0 * GIB);
    ck_assert_uint_eq(w.assignments[A].line, 2);
}
END_TEST

/* A failure outside of loops leaves nothing standing. */
START_TEST(test_void)
{
    static const struct {
        const char *text, *note;
        unsigned line, column;
    } table[] = {
        {"for g in guests { g.target = 1GiB }\nlet x = host.swap_free", "host.swap_free is missing", 2, 14},
        {"for g in guests { g.target = 1GiB }\nlet x = 1\nif 1B / (0B * x) > 1 { }", "division by zero", 3,
         7},
        {"for g in guests { g.target = g.psi_io_full * 1GiB }\nlet x = host.swap_free",
         "host.swap_free is missing", 2, 14},
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        World w;

        world_init(&w);
        ck_assert_int_eq(world_run(&w, table[i].text), -ECANCELED);
        ck_assert_uint_eq(w.output.notes_total, 1);
        ck_assert_uint_eq(w.output.n_notes, 1);
        ck_assert_uint_eq(w.output.notes[0].guest, SIZE_MAX);
        ck_assert_str_eq(w.output.notes[0].text, table[i].note);
        ck_assert_uint_eq(w.output.notes[0].line, table[i].line);
        ck_assert_uint_eq(w.output.notes[0].column, table[i].column);
        for (size_t g = 0; g < N_GUESTS; g++)
            ck_assert_uint_eq(w.assignments[g].line, 0);
    }
}
END_TEST

/* A stat that isn't finite counts as missing, wherever it comes from. */
START_TEST(test_stat_not_finite)
{
    static const double bad[] = {NAN, INFINITY, -INFINITY};

    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        World w;

        world_init(&w);
        guest_fields_set(&w.fields[B], GUEST_FIELD_FREE, bad[i]);
        ck_assert_int_eq(world_run(&w, "for g in guests { g.target = g.free }"), 0);
        ck_assert_uint_eq(w.output.notes_total, 1);
        ck_assert_str_eq(w.output.notes[0].text, "g.free is missing");
        ck_assert(isnan(target(&w, B)));
        ck_assert_double_eq(target(&w, A), 1.0 * GIB);
    }
}
END_TEST

/* Many guests, random keys with many ties: each turn comes after those before it in the order that is asked
 * for. */
START_TEST(test_order_of_many)
{
    enum { MANY = 1000 };
    _cleanup_(policy_freep) Policy *p =
        load("for g in guests by round(g.free, 100B) desc, g.cache asc, g.used desc { g.target = 1B }");
    static GuestFields fields[MANY];
    static PolicyGuest guests[MANY];
    static PolicyAssignment assignments[MANY];
    static char uuids[MANY][8];
    size_t turns[MANY];
    HostFields host = {};
    PolicyInput input = {.host = &host, .guests = guests, .n_guests = MANY};
    PolicyOutput output = {.assignments = {[GUEST_CONTROL_TARGET] = assignments}};
    uint64_t x = 88172645463325252;

    for (size_t i = 0; i < MANY; i++) {
        x = x * 6364136223846793005U + 1442695040888963407U;
        guest_fields_set(&fields[i], GUEST_FIELD_FREE, (double) (x >> 60) * 30);
        guest_fields_set(&fields[i], GUEST_FIELD_CACHE, (double) (x >> 56 & 7));
        guest_fields_set(&fields[i], GUEST_FIELD_USED, (double) (x >> 50 & 3));
        (void) snprintf(uuids[i], sizeof(uuids[i]), "%03u", (unsigned) (x >> 33) % 1000);
        guests[i] = (PolicyGuest){.uuid = uuids[i], .fields = &fields[i]};
    }
    ck_assert_int_eq(policy_run(p, &input, &output), 0);
    ck_assert_uint_eq(output.notes_total, 0);
    for (size_t i = 0; i < MANY; i++) {
        ck_assert(assignments[i].order >= 1 && assignments[i].order <= MANY);
        turns[assignments[i].order - 1] = i;
    }
    for (size_t i = 1; i < MANY; i++) {
        const GuestFields *f = &fields[turns[i - 1]], *g = &fields[turns[i]];
        double a = round(guest_fields_get(f, GUEST_FIELD_FREE) / 100),
               b = round(guest_fields_get(g, GUEST_FIELD_FREE) / 100);
        double c = guest_fields_get(f, GUEST_FIELD_CACHE), d = guest_fields_get(g, GUEST_FIELD_CACHE);
        double u = guest_fields_get(f, GUEST_FIELD_USED), v = guest_fields_get(g, GUEST_FIELD_USED);

        ck_assert(
            a > b ||
            (a == b && (c < d || (c == d && (u > v || (u == v && strcmp(guests[turns[i - 1]].uuid,
                                                                        guests[turns[i]].uuid) <= 0))))));
    }
}
END_TEST

/* Undone turns above the limit of notes are still counted; having no guests works, too. */
START_TEST(test_many_and_none)
{
    enum { MANY = 100 };
    _cleanup_(policy_freep) Policy *p = load("for g in guests { g.target = g.free }");
    static GuestFields fields[MANY];
    static PolicyGuest guests[MANY];
    static PolicyAssignment assignments[MANY];
    HostFields host = {};
    PolicyInput input = {.host = &host, .guests = guests, .n_guests = MANY};
    PolicyOutput output = {.assignments = {[GUEST_CONTROL_TARGET] = assignments}};

    for (size_t i = 0; i < MANY; i++)
        guests[i] = (PolicyGuest){.uuid = "same", .fields = &fields[i]};
    guest_fields_set(&fields[50], GUEST_FIELD_FREE, 5);
    ck_assert_int_eq(policy_run(p, &input, &output), 0);
    ck_assert_uint_eq(output.notes_total, MANY - 1);
    ck_assert_uint_eq(output.n_notes, POLICY_NOTES_MAX);
    for (size_t i = 0; i < POLICY_NOTES_MAX; i++)
        ck_assert_uint_eq(output.notes[i].guest, i);
    ck_assert_double_eq(assignments[50].value, 5);

    input = (PolicyInput){.host = &host};
    output.assignments[GUEST_CONTROL_TARGET] = NULL;
    ck_assert_int_eq(policy_run(p, &input, &output), 0);
    ck_assert_uint_eq(output.notes_total, 0);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("policy-turns");

    tcase_add_loop_test(t, test_order, 0, ELEMENTSOF(orders));
    tcase_add_loop_test(t, test_undone_turn, 0, ELEMENTSOF(undone));
    tcase_add_test(t, test_undone_turn_keeps_earlier_ones);
    tcase_add_test(t, test_void);
    tcase_add_test(t, test_stat_not_finite);
    tcase_add_test(t, test_order_of_many);
    tcase_add_test(t, test_many_and_none);
    return run_tests(t);
}
