/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a policy leaves behind besides targets: what it keeps, the host's controls, what it logs, what its
 * assignments read; of one file and of several; and how all of it is undone. */

#include "tests/unit/policy-world.h"

/* ---- state variables ---- */

START_TEST(test_state_goes_on)
{
    _cleanup_(policy_freep) Policy *p = load("const begin = 2 * 5\n"
                                             "state cycles = begin\n"
                                             "state on = false\n"
                                             "state size = 1GiB\n"
                                             "state since = 10s\n"
                                             "state speed = 64MiB / 1s\n"
                                             "cycles = cycles + 1\n"
                                             "on = not on\n"
                                             "size = size * 2\n"
                                             "since = since + 5s\n"
                                             "speed = speed * 2\n"
                                             "let pressure_threshold = size\n"
                                             "let relax_threshold = speed * 1s\n");
    static const FieldUnit units[] = {FIELD_UNIT_NUMBER, FIELD_UNIT_BOOLEAN, FIELD_UNIT_BYTES,
                                      FIELD_UNIT_DURATION, FIELD_UNIT_RATE};
    static const double initial[] = {10, 0, 1.0 * GIB, 10.0 * USEC_PER_SEC, 64.0 * MIB};
    const PolicyState *states;
    size_t n;
    World w;

    states = policy_states(p, true, &n);
    ck_assert_uint_eq(n, 5);
    for (size_t i = 0; i < n; i++) {
        ck_assert_str_eq(states[i].file, "0.policy");
        ck_assert_int_eq(states[i].unit, units[i]);
        ck_assert_double_eq(states[i].initial, initial[i]);
    }
    ck_assert_str_eq(states[4].name, "speed");
    (void) policy_states(p, false, &n);
    ck_assert_uint_eq(n, 0);

    world_init(&w);
    for (unsigned cycle = 1; cycle <= 3; cycle++) {
        ck_assert_int_eq(world_cycle(&w, p), 0);
        ck_assert_double_eq(w.state[0], 10 + cycle);
        ck_assert_double_eq(w.state[1], cycle % 2);
        ck_assert_double_eq(w.state[2], (1U << cycle) * 1.0 * GIB);
        ck_assert_double_eq(w.state[3], (10.0 + 5.0 * cycle) * USEC_PER_SEC);
        ck_assert_double_eq(w.state[4], (64U << cycle) * 1.0 * MIB);
        ck_assert_double_eq(w.output.thresholds[POLICY_THRESHOLD_PRESSURE], w.state[2]);
        ck_assert_double_eq(w.output.thresholds[POLICY_THRESHOLD_RELAX], w.state[4]);
    }
}
END_TEST

/* Each guest has its own, read wherever a guest is. */
START_TEST(test_guest_state_goes_on)
{
    _cleanup_(policy_freep) Policy *p =
        load("state guest.turns = 0\n"
             "state guest.speed = 1MiB / 1s\n"
             "fn turns_of(x) = x.turns\n"
             "let pressure_threshold = 1B * sum(g.turns for g in guests)\n"
             "for g in guests where g.free > 2GiB or turns_of(g) < 1 {\n"
             "    g.turns = g.turns + 1\n"
             "    g.speed = g.speed * 2\n"
             "}\n"
             "let relax_threshold = 1B * sum(turns_of(g) for g in guests where g.turns > 1)\n"
             "let critical_threshold = 0B\n"
             "for g in guests by g.turns asc, g.free asc { critical_threshold = 1B * g.turns }\n");
    size_t n;
    World w;

    ck_assert_str_eq(policy_states(p, false, &n)[1].name, "speed");
    ck_assert_uint_eq(n, 2);
    ck_assert_double_eq(policy_states(p, false, &n)[1].initial, 1.0 * MIB);
    world_init(&w);
    for (unsigned cycle = 1; cycle <= 3; cycle++) {
        double before = cycle == 1 ? 0 : 1 + 2 * (cycle - 1);

        ck_assert_int_eq(world_cycle(&w, p), 0);
        ck_assert_double_eq(w.guest_state[A][0], 1);
        ck_assert_double_eq(w.guest_state[B][0], cycle);
        ck_assert_double_eq(w.guest_state[C][0], cycle);
        ck_assert_double_eq(w.guest_state[A][1], 2.0 * MIB);
        ck_assert_double_eq_tol(w.guest_state[C][1], (1U << cycle) * 1.0 * MIB, 1e-6);
        ck_assert_double_eq(w.output.thresholds[POLICY_THRESHOLD_PRESSURE], before);
        ck_assert_double_eq(w.output.thresholds[POLICY_THRESHOLD_RELAX], cycle > 1 ? 2 * cycle : 0);
        ck_assert_double_eq(w.output.thresholds[POLICY_THRESHOLD_CRITICAL], cycle);
    }
    /* Whoever doesn't want it still has it worked out. */
    w.output.state = w.output.guest_state = NULL;
    ck_assert_int_eq(policy_run(p, &w.input, &w.output), 0);
    ck_assert_double_eq(w.output.thresholds[POLICY_THRESHOLD_RELAX], 8);
    ck_assert_double_eq(w.guest_state[B][0], 3);
}
END_TEST

/* A turn that fails leaves all as it was before it. */
START_TEST(test_turn_undoes_everything)
{
    _cleanup_(policy_freep) Policy *p =
        load("state total = 0\nstate guest.turns = 10\nstate guest.other = 5\n"
             "let relax_threshold = 0B\n"
             "for g in guests {\n"
             "    total = total + 1\n"
             "    relax_threshold = relax_threshold + 1B\n"
             "    g.turns = g.turns + 1\n"
             "    g.other = g.turns\n"
             "    host.ksm_run = g.free > 2GiB because \"for it\"\n"
             "    host.ksm_pages_to_scan = host.ksm_pages_to_scan + 1\n"
             "    g.target = 1GiB\n"
             "    log(\"turn of\", g.uuid)\n"
             "    let psi = g.psi_memory_some\n"
             "}\n");
    World w;

    world_init(&w);
    guest_fields_set(&w.fields[C], GUEST_FIELD_FREE, 1.0 * GIB);
    for (unsigned cycle = 1; cycle <= 2; cycle++) {
        ck_assert_int_eq(world_cycle(&w, p), 0);
        ck_assert_uint_eq(w.output.notes_total, 1);
        ck_assert_uint_eq(w.output.notes[0].guest, B);
        ck_assert_uint_eq(w.output.notes[0].line, 14);
        ck_assert_double_eq(w.state[0], 2 * cycle);
        ck_assert_double_eq(w.output.thresholds[POLICY_THRESHOLD_RELAX], 2);
        ck_assert_double_eq(w.guest_state[A][0], 10 + cycle);
        ck_assert_double_eq(w.guest_state[A][1], 10 + cycle);
        ck_assert_double_eq(w.guest_state[B][0], 10);
        ck_assert_double_eq(w.guest_state[B][1], 5);
        ck_assert_double_eq(w.guest_state[C][0], 10 + cycle);
        /* b is last but one: what it assigned to the host would be seen in c's turn */
        ck_assert_double_eq(w.output.host[HOST_FIELD_KSM_PAGES_TO_SCAN].value, 102);
        ck_assert_double_eq(w.output.host[HOST_FIELD_KSM_RUN].value, 0);
        ck_assert(isnan(target(&w, B)));
        ck_assert_uint_eq(w.output.logs_total, 2);
        ck_assert_uint_eq(w.output.n_logs, 2);
        ck_assert_str_eq(w.output.logs[0].text, "turn of a");
        ck_assert_str_eq(w.output.logs[1].text, "turn of c");
    }
}
END_TEST

/* The last turn failing, what the turn before assigned to the host stands; the first, nothing does. */
START_TEST(test_host_control_undone)
{
    World w;

    world_init(&w);
    ck_assert_int_eq(world_run(&w, "for g in guests by g.free desc, g.psi_memory_some ?? 1 desc {\n"
                                   "host.ksm_sleep = 1s\nlet x = g.psi_memory_some }"),
                     0);
    ck_assert_double_eq(w.output.host[HOST_FIELD_KSM_SLEEP].value, 1.0 * USEC_PER_SEC);
    ck_assert_int_eq(world_run(&w, "for g in guests where g.uuid == \"b\" {\n"
                                   "host.ksm_sleep = 1s\nlet x = g.psi_memory_some }"),
                     0);
    ck_assert_uint_eq(w.output.host[HOST_FIELD_KSM_SLEEP].line, 0);
}
END_TEST

/* After a reload variables with the same file, name and unit keep their values. */
START_TEST(test_states_carry)
{
    static const char *const before[] = {"state a = 1\nstate b = 1B\nstate c = 1s\nstate guest.x = 1",
                                         "state a = 10"};
    static const char *const after[] = {"state new = 7\nstate b = 2B\nstate c = 2\nstate a = 2",
                                        "state c = 20\nstate a = 20\nstate guest.x = 4\nstate guest.y = 5"};
    static const double values[] = {100, 200, 300, 400}, guest_values[] = {500};
    static const double expected[] = {7, 200, 2, 100, 20, 400}, guest_expected[] = {4, 5};
    _cleanup_(policy_freep) Policy *old = load_files(before, 2), *p = load_files(after, 2);
    double got[6], guest_got[2];
    size_t n;

    (void) policy_states(p, true, &n);
    ck_assert_uint_eq(n, ELEMENTSOF(got));
    policy_states_carry(p, true, old, values, got);
    for (size_t i = 0; i < n; i++)
        ck_assert_double_eq(got[i], expected[i]);
    policy_states_carry(p, false, old, guest_values, guest_got);
    for (size_t i = 0; i < ELEMENTSOF(guest_got); i++)
        ck_assert_double_eq(guest_got[i], guest_expected[i]);
    policy_states_carry(p, true, NULL, NULL, got);
    ck_assert_double_eq(got[1], 2);
    policy_states_carry(p, true, old, NULL, got);
    ck_assert_double_eq(got[3], 2);
}
END_TEST

/* ---- the host's controls ---- */

START_TEST(test_host_controls)
{
    PolicyFile file;
    _cleanup_(policy_freep) Policy *p =
        load("let relax_threshold = host.ksm_pages_to_scan * 1B\n" /* what stands */
             "host.ksm_pages_to_scan = 2 * host.ksm_pages_to_scan\n"
             "    because \"more of it\"\n"
             "host.ksm_run = not host.ksm_run\n"
             "let pressure_threshold = host.ksm_pages_to_scan * 1B\n"
             "if host.ksm_run { host.ksm_sleep = 5ms }\n"
             "for g in guests where host.ksm_run {\n"
             "    host.ksm_sleep = host.ksm_sleep + 1ms }\n");
    const PolicyAssignment *host;
    World w;

    world_init(&w);
    ck_assert_int_eq(policy_run(p, &w.input, &w.output), 0);
    ck_assert_double_eq(w.output.thresholds[POLICY_THRESHOLD_RELAX], 100);
    ck_assert_double_eq(w.output.thresholds[POLICY_THRESHOLD_PRESSURE], 200);
    host = &w.output.host[HOST_FIELD_KSM_PAGES_TO_SCAN];
    ck_assert_double_eq(host->value, 200);
    ck_assert_uint_eq(host->line, 2);
    ck_assert_uint_eq(host->order, 0);
    ck_assert_str_eq(host->because, "more of it");
    host = &w.output.host[HOST_FIELD_KSM_RUN];
    ck_assert_double_eq(host->value, 1);
    ck_assert_ptr_null(host->because);
    host = &w.output.host[HOST_FIELD_KSM_SLEEP];
    ck_assert_double_eq(host->value, 8 * USEC_PER_MSEC);
    ck_assert_uint_eq(host->line, 8);
    ck_assert_uint_eq(w.output.host[HOST_FIELD_KSM_MERGE_ACROSS_NODES].line, 0);
    file = policy_file(p, 0);
    for (int f = 0; f < (int) HOST_FIELD_MAX; f++)
        ck_assert_int_eq(field_set_has(&file.host_controls, f), f == HOST_FIELD_KSM_PAGES_TO_SCAN ||
                                                                    f == HOST_FIELD_KSM_RUN ||
                                                                    f == HOST_FIELD_KSM_SLEEP);
    ck_assert(field_set_is_empty(&file.guest_controls));
}
END_TEST

START_TEST(test_host_control_refused)
{
    static const struct {
        const char *text, *note;
    } table[] = {
        {"host.ksm_sleep = 5ms - 6ms", "host.ksm_sleep below 0"},
        {"host.ksm_pages_to_scan = 100000000000000 * 1000", "host.ksm_pages_to_scan is too large"},
        {"host.ksm_merge_across_nodes = host.ksm_merge_across_nodes",
         "host.ksm_merge_across_nodes is missing"},
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        World w;

        world_init(&w);
        ck_assert_int_eq(world_run(&w, table[i].text), -ECANCELED);
        ck_assert_str_eq(w.output.notes[0].text, table[i].note);
        for (size_t f = 0; f < HOST_FIELD_MAX; f++)
            ck_assert_uint_eq(w.output.host[f].line, 0);
    }
}
END_TEST

/* ---- several files ---- */

START_TEST(test_files_run_in_order)
{
    static const char *const texts[] = {
        "let own = 1GiB\nfor g in guests where g.free > 2GiB { g.target = own because \"first\" }\n"
        "let pressure_threshold = 1B\nstate n = 1\nn = n + 1\nlog(\"one\")",
        "let own = sum(g.target for g in guests)\nlet pressure_threshold = 2B\nlet relax_threshold = own\n"
        "host.ksm_run = own < 12GiB because \"second\"\nstate n = 10\nn = n + 10\nlog(\"two\")"};
    _cleanup_(policy_freep) Policy *p = load_files(texts, 2);
    World w;

    world_init(&w);
    ck_assert_int_eq(world_cycle(&w, p), 0);
    ck_assert_uint_eq(policy_n_files(p), 2);
    ck_assert_str_eq(policy_name(p), "0.policy, 1.policy");
    ck_assert_double_eq(w.output.thresholds[POLICY_THRESHOLD_RELAX], 10.0 * GIB);
    ck_assert_double_eq(w.output.thresholds[POLICY_THRESHOLD_PRESSURE], 1); /* the first that has it */
    ck_assert_uint_eq(w.assignments[C].file, 0);
    ck_assert_uint_eq(w.assignments[C].line, 2);
    ck_assert_str_eq(w.assignments[C].because, "first");
    ck_assert_uint_eq(w.output.host[HOST_FIELD_KSM_RUN].file, 1);
    ck_assert_uint_eq(w.output.host[HOST_FIELD_KSM_RUN].line, 4);
    ck_assert_double_eq(w.output.host[HOST_FIELD_KSM_RUN].value, 1);
    ck_assert_str_eq(w.output.host[HOST_FIELD_KSM_RUN].because, "second");
    ck_assert_double_eq(w.state[0], 2);
    ck_assert_double_eq(w.state[1], 20);
    ck_assert_uint_eq(w.output.n_logs, 2);
    ck_assert_uint_eq(w.output.logs[0].file, 0);
    ck_assert_uint_eq(w.output.logs[1].file, 1);
    ck_assert_uint_eq(w.output.logs[1].line, 7);
}
END_TEST

/* A file that fails outside of loops has no effect; all other files keep theirs. */
START_TEST(test_file_undone)
{
    static const char *const bad = "state n = 1\nstate guest.n = 1\nn = n + 1\n"
                                   "for g in guests {\n g.n = 9\n g.target = 1GiB\n log(\"no\")\n"
                                   " let x = g.psi_memory_some }\n"
                                   "host.ksm_run = true\nlog(\"nor this\")\nlet relax_threshold = 1B\n"
                                   "let x = host.swap_free\n";
    static const char *const good =
        "state n = 5\nstate guest.n = 5\nn = n + 1\nlet pressure_threshold = 1B * count(g for g in guests where "
        "g.target < 8GiB)\nfor g in guests { g.n = g.n + 1\nlet x = g.psi_memory_some }\nhost.ksm_sleep = "
        "1s\n"
        "log(\"yes\")\nlet relax_threshold = 7B\n";
    const char *const orders[][2] = {{bad, good}, {good, bad}};

    for (size_t i = 0; i < ELEMENTSOF(orders); i++) {
        _cleanup_(policy_freep) Policy *p = load_files(orders[i], 2);
        size_t of_bad = i, of_good = 1 - i;
        World w;

        world_init(&w);
        for (unsigned cycle = 1; cycle <= 2; cycle++) {
            ck_assert_int_eq(world_cycle(&w, p), 0);
            ck_assert_uint_eq(w.output.failed, 1);
            ck_assert_double_eq(w.state[of_bad], 1);
            ck_assert_double_eq(w.state[of_good], 5 + cycle);
            for (size_t g = 0; g < N_GUESTS; g++) {
                ck_assert_double_eq(w.guest_state[g][of_bad], 1);
                ck_assert_double_eq(w.guest_state[g][of_good], g == B ? 5 : 5 + cycle);
                ck_assert_uint_eq(w.assignments[g].line, 0);
                ck_assert_uint_eq(w.assignments[g].order, 0);
            }
            ck_assert_uint_eq(w.output.host[HOST_FIELD_KSM_RUN].line, 0);
            ck_assert_double_eq(w.output.host[HOST_FIELD_KSM_SLEEP].value, 1.0 * USEC_PER_SEC);
            ck_assert_double_eq(w.output.thresholds[POLICY_THRESHOLD_PRESSURE], 0); /* no target was left */
            ck_assert_double_eq(w.output.thresholds[POLICY_THRESHOLD_RELAX], 7);
            ck_assert_uint_eq(w.output.logs_total, 1);
            ck_assert_str_eq(w.output.logs[0].text, "yes");
            ck_assert_uint_eq(w.output.notes_total, 2);
            ck_assert_uint_eq(w.output.notes[of_bad].file, of_bad);
            ck_assert_uint_eq(w.output.notes[of_bad].guest, SIZE_MAX);
            ck_assert_uint_eq(w.output.notes[of_bad].line, 12);
            ck_assert_uint_eq(w.output.notes[of_good].file, of_good);
            ck_assert_uint_eq(w.output.notes[of_good].guest, B);
        }
    }
}
END_TEST

/* The order in which guests are first assigned to has no gaps where a file is undone. */
/* However many turns were undone before. */
START_TEST(test_failed_files_are_told)
{
    enum { MANY = 100 };
    static const GuestFields none;
    static PolicyGuest guests[MANY];
    static PolicyAssignment assignments[MANY];
    static PolicyOutput output = {.assignments = {[GUEST_CONTROL_TARGET] = assignments}};
    static const char *const texts[] = {"for g in guests { g.target = g.free }", "let x = 1B / 0B",
                                        "let y = 1", "\nlet x = host.swap_free"};
    _cleanup_(policy_freep) Policy *p = load_files(texts, ELEMENTSOF(texts));
    PolicyInput input = {.guests = guests, .n_guests = MANY};

    for (size_t i = 0; i < MANY; i++)
        guests[i] = (PolicyGuest){.uuid = "same", .fields = &none};
    ck_assert_int_eq(policy_run(p, &input, &output), 0);
    ck_assert_uint_eq(output.failed, 2);
    ck_assert_uint_eq(output.notes_total, MANY + 2);
    ck_assert_uint_eq(output.n_notes, POLICY_NOTES_MAX);
    ck_assert_uint_eq(output.notes[POLICY_NOTES_MAX - 3].guest, POLICY_NOTES_MAX - 3);
    for (size_t i = 1; i <= 2; i++) {
        const PolicyNote *n = &output.notes[POLICY_NOTES_MAX - i];

        ck_assert_uint_eq(n->guest, SIZE_MAX);
        ck_assert_uint_eq(n->file, i == 1 ? 1 : 3);
        ck_assert_uint_eq(n->line, i);
        ck_assert_str_eq(n->text, i == 1 ? "division by zero" : "host.swap_free is missing");
    }
}
END_TEST

START_TEST(test_order_over_files)
{
    static const char *const texts[] = {"for g in guests { g.target = 1GiB }\nlet x = host.swap_free",
                                        "host.ksm_run = true"};
    _cleanup_(policy_freep) Policy *p = load_files(texts, 2);
    World w;

    world_init(&w);
    ck_assert_int_eq(policy_run(p, &w.input, &w.output), 0);
    host_fields_set(&w.host, HOST_FIELD_SWAP_FREE, 0);
    ck_assert_int_eq(policy_run(p, &w.input, &w.output), 0);
    ck_assert_uint_eq(w.assignments[A].order, 1);
    ck_assert_uint_eq(w.assignments[C].order, 3);
}
END_TEST

START_TEST(test_all_files_failed)
{
    static const char *const texts[] = {"let x = host.swap_free", "let y = host.swap_total"};
    _cleanup_(policy_freep) Policy *p = load_files(texts, 2);
    World w;

    world_init(&w);
    ck_assert_int_eq(policy_run(p, &w.input, &w.output), -ECANCELED);
    ck_assert_uint_eq(w.output.failed, 2);
    ck_assert_uint_eq(w.output.n_notes, 2);
    ck_assert_uint_eq(w.output.notes[1].file, 1);
}
END_TEST

/* Files that can't be combined; all errors are reported at once. */
START_TEST(test_files_refused)
{
    static const struct {
        const char *texts[3];
        const char *errors[3];
    } table[] = {
        {{"for g in guests {\n g.target = 1GiB }", "let x = 1", "for g in guests { g.target = 2GiB }"},
         {"2.policy:1:19: error: 'target' is also assigned in 0.policy (line 2)"}},
        {{"host.ksm_run = true\nhost.ksm_sleep = 1s", "for g in guests { host.ksm_sleep = 1s }", ""},
         {"1.policy:1:19: error: 'ksm_sleep' is also assigned in 0.policy (line 2)"}},
        {{"let x = y", "", "let z = 1 +"}, {"0.policy:1:9: error: ", "2.policy:1:"}},
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        _cleanup_free_ char *text = load_refused(table[i].texts, 3);

        for (size_t t = 0; t < ELEMENTSOF(table[i].errors) && table[i].errors[t]; t++)
            ck_assert_msg(strstr(text, table[i].errors[t]), "'%s' isn't reported: %s", table[i].errors[t],
                          text);
    }
}
END_TEST

START_TEST(test_file_twice)
{
    static const PolicySource sources[] = {{.text = "let x = 1", .length = 9, .origin = "/etc/a.policy"},
                                           {.text = "let y = 1", .length = 9, .origin = "/etc/a.policy"}};
    PolicyDiagnostics d = {};
    Policy *p = NULL;

    ck_assert_int_eq(policy_load_sources(sources, 2, &d, &p), -EINVAL);
    ck_assert_ptr_null(p);
    ck_assert(strstr(d.text, "/etc/a.policy:1:1: error: this file is listed twice"));
    policy_diagnostics_done(&d);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("policy-state");

    tcase_add_test(t, test_state_goes_on);
    tcase_add_test(t, test_guest_state_goes_on);
    tcase_add_test(t, test_turn_undoes_everything);
    tcase_add_test(t, test_host_control_undone);
    tcase_add_test(t, test_states_carry);
    tcase_add_test(t, test_host_controls);
    tcase_add_test(t, test_host_control_refused);
    tcase_add_test(t, test_files_run_in_order);
    tcase_add_test(t, test_file_undone);
    tcase_add_test(t, test_failed_files_are_told);
    tcase_add_test(t, test_order_over_files);
    tcase_add_test(t, test_all_files_failed);
    tcase_add_test(t, test_files_refused);
    tcase_add_test(t, test_file_twice);
    return run_tests(t);
}
