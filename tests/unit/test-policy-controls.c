/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The two controls of a guest, g.target and g.reclaim: each has an assignment of its own, and a turn commits
 * both of them or none. */

#include "tests/unit/policy-world.h"

START_TEST(test_each_has_its_own)
{
    _cleanup_(policy_freep) Policy *p = load("for g in guests by g.free desc {\n"
                                             "    g.target = 7GiB because \"smaller\"\n"
                                             "    if g.free > 1GiB {\n"
                                             "        g.reclaim = g.free / 2 because \"lighter\" } }\n"
                                             "for g in guests where g.reclaim == 0B { g.reclaim = 1MiB }\n");
    const PolicyAssignment *a;
    World w;

    world_init(&w);
    ck_assert_int_eq(policy_run(p, &w.input, &w.output), 0);
    ck_assert_uint_eq(w.output.notes_total, 0);
    for (size_t i = 0; i < N_GUESTS; i++) {
        ck_assert_double_eq(target(&w, i), 7.0 * GIB);
        ck_assert_uint_eq(w.assignments[i].line, 2);
        ck_assert_str_eq(w.assignments[i].because, "smaller");
    }
    ck_assert_double_eq(reclaim(&w, A), 1.0 * MIB);
    ck_assert_double_eq(reclaim(&w, B), 1.5 * GIB);
    ck_assert_double_eq(reclaim(&w, C), 1.5 * GIB);
    a = &w.reclaims[B];
    ck_assert_uint_eq(a->line, 4);
    ck_assert_str_eq(a->because, "lighter");
    ck_assert_uint_eq(w.reclaims[A].line, 5);
    ck_assert_ptr_null(w.reclaims[A].because);

    /* Each control counts its own turns. */
    ck_assert_uint_eq(w.assignments[B].order, 1);
    ck_assert_uint_eq(w.assignments[C].order, 2);
    ck_assert_uint_eq(w.assignments[A].order, 3);
    ck_assert_uint_eq(w.reclaims[B].order, 1);
    ck_assert_uint_eq(w.reclaims[C].order, 2);
    ck_assert_uint_eq(w.reclaims[A].order, 3);
}
END_TEST

/* The order of one says nothing about that of the other. */
START_TEST(test_order_of_each)
{
    World w;

    world_init(&w);
    ck_assert_int_eq(world_run(&w, "for g in guests where g.free > 1GiB { g.reclaim = 1MiB }\n"
                                   "for g in guests by g.free asc { g.target = 7GiB; g.reclaim = 2MiB }\n"),
                     0);
    ck_assert(w.reclaims[B].order == 1 && w.reclaims[C].order == 2 && w.reclaims[A].order == 3);
    ck_assert(w.assignments[A].order == 1 && w.assignments[B].order == 2 && w.assignments[C].order == 3);
}
END_TEST

/* What is read of it: nothing until this cycle assigned to it, also where an earlier cycle did. */
START_TEST(test_read)
{
    _cleanup_(policy_freep) Policy *p =
        load("state cycles = 0\n"
             "cycles = cycles + 1\n"
             "let pressure_threshold = sum(g.reclaim for g in guests)\n"
             "for g in guests where cycles == 1 { g.reclaim = g.reclaim + 1GiB\n"
             "    g.reclaim = g.reclaim + 1GiB }\n"
             "let relax_threshold = sum(g.reclaim for g in guests)\n"
             "let critical_threshold = sum(g.target for g in guests)\n");
    World w;

    world_init(&w);
    ck_assert_int_eq(world_cycle(&w, p), 0);
    ck_assert_double_eq(w.output.thresholds[POLICY_THRESHOLD_PRESSURE], 0);
    ck_assert_double_eq(w.output.thresholds[POLICY_THRESHOLD_RELAX], 6.0 * GIB);
    ck_assert_double_eq(w.output.thresholds[POLICY_THRESHOLD_CRITICAL], 24.0 * GIB);
    ck_assert_int_eq(world_cycle(&w, p), 0);
    ck_assert_double_eq(w.output.thresholds[POLICY_THRESHOLD_RELAX], 0);
    for (size_t i = 0; i < N_GUESTS; i++)
        ck_assert(isnan(reclaim(&w, i)) && w.reclaims[i].order == 0);
}
END_TEST

/* b's turn fails, after it assigned to one of the controls or to both. What an earlier loop gave it stands.
 * */
static const struct {
    const char *body, *note;
} undone[] = {
    {"g.target = 1GiB; g.reclaim = 2GiB; let x = g.psi_memory_some", "g.psi_memory_some is missing"},
    {"g.reclaim = 2GiB; g.target = 1GiB; let x = g.psi_memory_some", "g.psi_memory_some is missing"},
    {"g.target = 1GiB; g.reclaim = g.psi_memory_some * 8GiB", "g.psi_memory_some is missing"},
    {"g.reclaim = 2GiB; g.target = g.psi_memory_some * 4GiB", "g.psi_memory_some is missing"},
    {"g.target = 1GiB; g.reclaim = (g.psi_memory_some ?? -1) * 8GiB", "a reclaim below 0"},
    {"g.target = 1GiB; g.reclaim = if g.psi_memory_some ?? 9 == 9 then 9000TiB else 2GiB",
     "a reclaim above 8 PiB"},
    {"g.target = 1GiB; g.reclaim = 2GiB / (if g.psi_memory_some ?? 0 == 0 then 0 else 1)",
     "division by zero"},
};

START_TEST(test_undone_turn)
{
    char text[512];
    World w;

    (void) snprintf(text, sizeof(text),
                    "for g in guests { g.target = 5GiB; g.reclaim = 3GiB }\nfor g in guests { %s }",
                    undone[_i].body);
    world_init(&w);
    ck_assert_int_eq(world_run(&w, text), 0);
    ck_assert_uint_eq(w.output.notes_total, 1);
    ck_assert_uint_eq(w.output.notes[0].guest, B);
    ck_assert_str_eq(w.output.notes[0].text, undone[_i].note);
    ck_assert_double_eq(target(&w, B), 5.0 * GIB);
    ck_assert_double_eq(reclaim(&w, B), 3.0 * GIB);
    ck_assert_uint_eq(w.assignments[B].line, 1);
    ck_assert_uint_eq(w.reclaims[B].line, 1);
    ck_assert_double_eq(target(&w, A), 1.0 * GIB);
    ck_assert_double_eq(reclaim(&w, A), 2.0 * GIB);

    /* The same without an earlier loop: nothing was assigned, and the others' order has no gap. */
    (void) snprintf(text, sizeof(text), "for g in guests { %s }", undone[_i].body);
    world_init(&w);
    ck_assert_int_eq(world_run(&w, text), 0);
    ck_assert(isnan(target(&w, B)) && isnan(reclaim(&w, B)));
    ck_assert_uint_eq(w.assignments[B].order + w.reclaims[B].order, 0);
    ck_assert(w.assignments[A].order == 1 && w.assignments[C].order == 2);
    ck_assert(w.reclaims[A].order == 1 && w.reclaims[C].order == 2);
}
END_TEST

/* A loop that fails leaves alone the control that it doesn't assign to. */
START_TEST(test_undone_turn_of_one)
{
    World w;

    world_init(&w);
    ck_assert_int_eq(world_run(&w, "for g in guests { g.reclaim = 3GiB }\n"
                                   "for g in guests { g.target = 1GiB; let x = g.psi_memory_some }\n"),
                     0);
    ck_assert_double_eq(reclaim(&w, B), 3.0 * GIB);
    ck_assert(isnan(target(&w, B)));
    ck_assert_double_eq(target(&w, A), 1.0 * GIB);
}
END_TEST

/* One file for each control; one that fails takes nothing from the other. */
START_TEST(test_files)
{
    static const struct {
        const char *texts[2];
        double target, reclaim;
    } table[] = {
        {{"for g in guests { g.target = 1GiB }", "for g in guests { g.reclaim = 2GiB }"}, 1, 2},
        {{"for g in guests { g.reclaim = 2GiB }", "for g in guests { g.target = g.reclaim / 2 }"}, 1, 2},
        {{"for g in guests { g.target = 1GiB }\nlet x = host.swap_free",
          "for g in guests { g.reclaim = 2GiB }"},
         NAN,
         2},
        {{"for g in guests { g.target = 1GiB }",
          "for g in guests { g.reclaim = 2GiB }\nlet x = host.swap_free"},
         1,
         NAN},
        {{"for g in guests { g.target = 1GiB; g.reclaim = 2GiB }\nlet x = host.swap_free", "let y = 1"},
         NAN,
         NAN},
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        _cleanup_(policy_freep) Policy *p = load_files(table[i].texts, 2);
        World w;

        world_init(&w);
        ck_assert_int_eq(policy_run(p, &w.input, &w.output), 0);
        for (size_t g = 0; g < N_GUESTS; g++) {
            ck_assert(isnan(table[i].target) ? isnan(target(&w, g)) : target(&w, g) == table[i].target * GIB);
            ck_assert(isnan(table[i].reclaim) ? isnan(reclaim(&w, g))
                                              : reclaim(&w, g) == table[i].reclaim * GIB);
        }
    }
}
END_TEST

START_TEST(test_two_files_for_one_are_refused)
{
    static const char *const texts[] = {"for g in guests { g.target = 1GiB; g.reclaim = 1MiB }",
                                        "let x = 1\nfor g in guests { g.reclaim = 2MiB }"};
    _cleanup_free_ char *said = load_refused(texts, 2);

    ck_assert_msg(strstr(said, "1.policy:2:19: error: 'reclaim' is also assigned in 0.policy (line 1)"), "%s",
                  said);
}
END_TEST

START_TEST(test_controls_of_a_policy)
{
    static const char *const texts[] = {"for g in guests { g.reclaim = 1MiB }",
                                        "for g in guests { g.target = 1GiB }\nhost.ksm_run = true"};
    _cleanup_(policy_freep) Policy *p = load_files(texts, 2), *none = load("let x = 1");
    FieldSet guests = policy_controls(p, false), host = policy_controls(p, true);

    ck_assert(field_set_has(&guests, GUEST_FIELD_TARGET) && field_set_has(&guests, GUEST_FIELD_RECLAIM));
    ck_assert(field_set_has(&host, HOST_FIELD_KSM_RUN) && !field_set_has(&host, HOST_FIELD_KSM_SLEEP));
    guests = policy_controls(none, false);
    host = policy_controls(none, true);
    ck_assert(field_set_is_empty(&guests) && field_set_is_empty(&host));
}
END_TEST

/* Who has no use for a control that the policy leaves alone needs no room for it; it can be read. */
START_TEST(test_no_room)
{
    _cleanup_(policy_freep) Policy *p = load("let relax_threshold = sum(g.reclaim + 1GiB for g in guests)\n"
                                             "for g in guests where g.reclaim == 0B { g.target = 1GiB }");
    World w;

    world_init(&w);
    w.output.assignments[GUEST_CONTROL_RECLAIM] = NULL;
    ck_assert_int_eq(policy_run(p, &w.input, &w.output), 0);
    ck_assert_double_eq(w.output.thresholds[POLICY_THRESHOLD_RELAX], 3.0 * GIB);
    ck_assert_double_eq(target(&w, A), 1.0 * GIB);
}
END_TEST

/* Each remembers what it was made from, also where one expression reads the other. */
START_TEST(test_reads)
{
    _cleanup_(policy_freep) Policy *p = load("let part = 25%\nlet give = 1GiB\n"
                                             "for g in guests {\n"
                                             "    g.target = g.current - give\n"
                                             "    g.reclaim = part * g.free + 0 * g.target }\n");
    PolicyRead got[8];
    World w;

    world_init(&w);
    ck_assert_int_eq(policy_run(p, &w.input, &w.output), 0);
    ck_assert_uint_eq(policy_reads(p, &w.input, A, &w.assignments[A], got, ELEMENTSOF(got)), 2);
    ck_assert_str_eq(got[0].name, "give");
    ck_assert_str_eq(got[1].name, "current");

    /* The variables of its own expression, then the stats that the turn had read by then. */
    ck_assert_uint_eq(policy_reads(p, &w.input, A, &w.reclaims[A], got, ELEMENTSOF(got)), 4);
    ck_assert_str_eq(got[0].name, "part");
    ck_assert_double_eq(got[0].value, 0.25);
    ck_assert_str_eq(got[1].name, "target");
    ck_assert_double_eq(got[1].value, 8.0 * GIB); /* as it was when the cycle began */
    ck_assert_str_eq(got[2].name, "current");
    ck_assert_str_eq(got[3].name, "free");
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("policy-controls");

    tcase_add_test(t, test_each_has_its_own);
    tcase_add_test(t, test_order_of_each);
    tcase_add_test(t, test_read);
    tcase_add_loop_test(t, test_undone_turn, 0, ELEMENTSOF(undone));
    tcase_add_test(t, test_undone_turn_of_one);
    tcase_add_test(t, test_files);
    tcase_add_test(t, test_two_files_for_one_are_refused);
    tcase_add_test(t, test_controls_of_a_policy);
    tcase_add_test(t, test_no_room);
    tcase_add_test(t, test_reads);
    return run_tests(t);
}
