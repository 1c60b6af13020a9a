/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One cycle, from a host and a policy to what is asked of the hypervisor, logged and remembered. */

#include "base/log.h"
#include "host-agent/guest/guest-held.h"
#include "tests/unit/caught-log.h"
#include "tests/unit/cycle-scene.h"
#include "tests/unit/run.h"

START_TEST(test_targets_are_asked_for)
{
    Scene x;

    three_guests(&x);
    run_policy(&x, GIVES);
    cycle_run(&x.cycle);
    ck_assert_uint_eq(x.cycle.count, 1);
    ck_assert_uint_eq(x.cycle.began_usec, clock_usec);
    ck_assert(!x.guests.changed);
    ck_assert_ptr_nonnull(x.cycle.tick); /* the balloons are watched on their way */
    ck_assert_uint_eq(x.asked.n_moves, 3);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_str_eq(x.asked.moves[i].uuid, guest(&x, i)->info.uuid);
        ck_assert_uint_eq(x.asked.moves[i].state.sent_bytes, 3968 * MIB);
        ck_assert_uint_eq(x.asked.moves[i].state.from_bytes, 4 * GIB);
    }
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_MOVE), 3);
    ck_assert_ptr_nonnull(strstr(stage_last(&x.stage, NOTICE_MOVE)->text, "it gives (my.policy:2)"));

    /* Once: not while they are on their way, nor when they are there. */
    next_cycle(&x);
    arrive_all(&x);
    next_cycle(&x);
    ck_assert_uint_eq(x.asked.n_moves, 3);

    /* Another policy, and one guest went. */
    guests_remove(&x.guests, guest(&x, 1)->info.uuid);
    run_policy(&x, "for g in guests where g.name == \"guest2\" {\n  g.target = 3840MiB\n}\n");
    next_cycle(&x);
    ck_assert_uint_eq(x.asked.n_moves, 4);
    ck_assert_str_eq(x.asked.moves[3].uuid, guest(&x, 2)->info.uuid);
    ck_assert_uint_eq(x.asked.moves[3].state.sent_bytes, 3840 * MIB);
    scene_done(&x);
}
END_TEST

#define COUNTS                                         \
    "state seen = 0\nseen = seen + 1\n"                \
    "for g in guests where host.available < 10GiB {\n" \
    "  g.target = 3968MiB\n"                           \
    "}\n"

/* What the policy keeps for nodes goes on with them, over reloads, until no guest is bound to them. */
START_TEST(test_b_c_a_bound_guest_is_judged_by_its_node)
{
    const NodeKeep *k;
    Scene x;

    three_guests(&x);
    host_has(&x, 60 * GIB);
    temp_file(x.folder, "devices/system/node/online", "0-1\n");
    temp_node(x.folder, 0, 50 * GIB, 5 * GIB, 0);
    temp_node(x.folder, 1, 50 * GIB, 55 * GIB, 0);
    guest(&x, 1)->info.nodes = 1;
    k = &x.policy.nodes;
    run_policy(&x, COUNTS);
    cycle_run(&x.cycle);
    ck_assert_uint_eq(x.asked.n_moves, 1);
    ck_assert_str_eq(x.asked.moves[0].uuid, guest(&x, 1)->info.uuid);
    next_cycle(&x);
    ck_assert_uint_eq(k->n, 1);
    ck_assert_uint_eq(k->states[0].nodes, 1);
    ck_assert_double_eq(k->states[0].state[0], 2);
    ck_assert_double_eq(x.policy.keep.state[0], 2);

    /* The same policy is loaded again, one without state, and it again. */
    run_policy(&x, "\n" COUNTS);
    next_cycle(&x);
    ck_assert_double_eq(k->states[0].state[0], 3);
    run_policy(&x, GIVES);
    next_cycle(&x);
    ck_assert_uint_eq(k->n, 0);
    run_policy(&x, COUNTS);
    next_cycle(&x);
    ck_assert_double_eq(k->states[0].state[0], 1);

    /* Also while the node has enough. */
    temp_node(x.folder, 0, 50 * GIB, 50 * GIB, 0);
    temp_node(x.folder, 1, 50 * GIB, 10 * GIB, 0);
    next_cycle(&x);
    ck_assert(!x.cycle.plan.groups[0].own);
    ck_assert_double_eq(k->states[0].state[0], 2);

    guests_remove(&x.guests, guest(&x, 1)->info.uuid);
    next_cycle(&x);
    ck_assert_uint_eq(k->n, 0);
    scene_done(&x);
}
END_TEST

START_TEST(test_observe)
{
    Scene x;

    three_guests(&x);
    x.stage.host.mode = GUEST_MODE_OBSERVE;
    run_policy(&x, GIVES);
    cycle_run(&x.cycle);
    next_cycle(&x);
    next_cycle(&x);
    ck_assert_uint_eq(x.asked.n_moves, 0);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_MOVE), 0);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_WOULD_MOVE), 3);

    /* It changes its mind: another line, and then another direction. */
    run_policy(&x, "\n" GIVES);
    next_cycle(&x);
    next_cycle(&x);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_WOULD_MOVE), 6);
    run_policy(&x, "for g in guests {\n}\n");
    next_cycle(&x);
    run_policy(&x, "\n" GIVES);
    next_cycle(&x);
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_WOULD_MOVE), 9);

    x.stage.host.mode = GUEST_MODE_AUTO;
    next_cycle(&x);
    ck_assert_uint_eq(x.asked.n_moves, 3);
    scene_done(&x);
}
END_TEST

START_TEST(test_host_cannot_be_read)
{
    int log;
    Scene x;

    three_guests(&x);
    run_policy(&x, GIVES);
    log_open(LOG_INFO);
    log = stderr_pipe();
    temp_file(x.folder, "meminfo", NULL);
    for (unsigned i = 0; i < 3; i++)
        next_cycle(&x);
    ck_assert_uint_eq(x.cycle.count, 3);
    ck_assert_uint_eq(x.asked.n_moves, 0);
    ck_assert_uint_eq(x.asked.n_stats, 0);
    ck_assert_uint_eq(caught_lines(log, "Cannot read the host's memory from"), 1);
    ck_assert_uint_eq(cycle_room(&x.cycle), 0);

    host_has(&x, 22 * GIB);
    next_cycle(&x);
    ck_assert_uint_eq(x.asked.n_moves, 3);
    ck_assert_uint_eq(caught_lines(log, "The host's memory can be read again, after 3s"), 1);

    temp_file(x.folder, "meminfo", NULL);
    next_cycle(&x);
    ck_assert_uint_eq(caught_lines(log, "Cannot read the host's memory from"), 1);
    scene_done(&x);
}
END_TEST

/* The cycle tends the channels, and asks for reports less often where host and guest are at ease. */
START_TEST(test_channels_are_tended)
{
    Scene x;

    scene_init(&x, 1000 * SEC);
    add_guest(&x, 0, 4 * GIB);
    add_guest(&x, 1, 3 * GIB);
    clock_usec += 5000 * SEC;
    report_all(&x);
    cycle_run(&x.cycle);
    ck_assert_uint_eq(x.transport.opened, 2);
    next_cycle(&x);
    ck_assert_uint_eq(guest(&x, 0)->sources.interval_usec, 2 * SEC);
    ck_assert_uint_eq(guest(&x, 1)->sources.interval_usec, SEC); /* it misses some of its memory */
    host_has(&x, 18 * GIB);
    next_cycle(&x);
    ck_assert_uint_eq(guest(&x, 0)->sources.interval_usec, SEC);
    scene_done(&x);
}
END_TEST

START_TEST(test_notes_are_logged_once)
{
    int log;
    Scene x;

    three_guests(&x);
    log_open(LOG_INFO);
    run_policy(&x,
               "for g in guests where g.name != \"guest0\" {\n  g.target = 3GiB * g.psi_memory_some\n}\n");
    log = stderr_pipe();
    for (unsigned i = 0; i < 4; i++)
        next_cycle(&x);
    ck_assert_uint_eq(x.cycle.plan.notes_total, 2);
    ck_assert_uint_eq(
        caught_lines(log, "my.policy:2:23: guest1 left out in this cycle: g.psi_memory_some is missing"), 1);

    /* One more, one fewer. */
    add_guest(&x, 3, 4 * GIB);
    next_cycle(&x);
    next_cycle(&x);
    ck_assert_uint_eq(caught_lines(log, "guest3 left out in this cycle"), 1);
    guests_remove(&x.guests, guest(&x, 1)->info.uuid);
    next_cycle(&x);
    next_cycle(&x);
    ck_assert_uint_eq(caught_lines(log, " left out in this cycle"), 2);

    /* Also of another policy that has as many. */
    run_policy(&x,
               "\nfor g in guests where g.name != \"guest0\" {\n  g.target = 3GiB * g.psi_memory_some\n}\n");
    next_cycle(&x);
    next_cycle(&x);
    ck_assert_uint_eq(caught_lines(log, "my.policy:3:23: "), 2);

    /* The whole file fails. */
    run_policy(&x, "let pressure_threshold = 1GiB * host.psi_memory_some\n");
    next_cycle(&x);
    next_cycle(&x);
    ck_assert_uint_eq(caught_lines(log, "my.policy:1:38: this file has no effect in this cycle: "), 1);
    scene_done(&x);
}
END_TEST

/* As many notes as before, but of another file. */
START_TEST(test_notes_of_two_files)
{
    int log;
    Scene x;

    scene_init(&x, 1000 * SEC);
    run_policies(
        &x, "let critical_threshold = if host.available > 20GiB then 1GiB else 1GiB * host.psi_memory_some\n",
        "let relax_threshold = if host.available < 20GiB then 30GiB else 1GiB * host.psi_memory_some\n");
    log_open(LOG_INFO);
    log = stderr_pipe();
    next_cycle(&x);
    next_cycle(&x);
    ck_assert_uint_eq(caught_lines(log, "other.policy:1:"), 1);
    host_has(&x, 18 * GIB);
    next_cycle(&x);
    next_cycle(&x);
    ck_assert_uint_eq(caught_lines(log, "my.policy:1:"), 1);
    scene_done(&x);
}
END_TEST

START_TEST(test_logs_are_bounded)
{
    int log;
    Scene x;

    scene_init(&x, 1000 * SEC);
    run_policy(&x, "log(\"again\")\n");
    log_open(LOG_INFO);
    log = stderr_pipe();
    clock_usec += 10 * SEC;
    for (unsigned i = 0; i < 20; i++, clock_usec += 50 * MSEC)
        cycle_run(&x.cycle);
    ck_assert_uint_eq(caught_lines(log, "my.policy:1: again"), POLICY_LOGS_MAX);
    cycle_run(&x.cycle);
    ck_assert_uint_eq(caught_lines(log, "4 more lines of the policy's log() were left out"), 1);
    scene_done(&x);
}
END_TEST

/* Whatever it does, a guest gets a few lines of each kind a minute, and then a line with their number. */
START_TEST(test_a13_a_guest_cannot_flood_the_log)
{
    usec_t end;
    int log;
    Scene x;

    scene_init(&x, 1000 * SEC);
    (void) add_guest(&x, 0, 4 * GIB);
    log_open(LOG_INFO);
    log = stderr_pipe();
    clock_usec += 5000 * SEC;
    end = clock_usec + 60 * SEC;
    for (uint64_t i = 0; clock_usec < end; i++, clock_usec += SEC) {
        guest_busy(guest(&x, 0), "paused", clock_usec);
        guest_busy(guest(&x, 0), NULL, clock_usec);
        guest_channel_opened(x.guests.entries[0].channel, clock_usec);
        guest_channel_closed(x.guests.entries[0].channel, "it closed it");
    }
    ck_assert_uint_eq(caught_lines(log, ""), 2 * LOG_LIMIT_LINES);
    cycle_run(&x.cycle);
    ck_assert_uint_eq(
        caught_lines(log, "guest0: 55 more lines about its state left out of the log in the last minute"), 1);
    cycle_run(&x.cycle);
    ck_assert_uint_eq(caught_lines(log, "left out"), 0);

    /* Its balloon has another size each 7 s, which nobody asked for. */
    clock_usec += 100 * SEC;
    end = clock_usec + 60 * SEC;
    for (uint64_t i = 0; clock_usec < end; i++, clock_usec += 200 * MSEC) {
        guest_process(guest(&x, 0), &(ProcessLook){.rss_bytes = GIB}, clock_usec);
        guest_balloon_seen(guest(&x, 0), (i / 35 % 2 ? 3 : 2) * GIB, clock_usec);
    }
    ck_assert_uint_eq(caught_lines(log, "somebody else set its memory"), LOG_LIMIT_LINES);
    clock_usec += 10 * SEC;
    cycle_run(&x.cycle);
    ck_assert_uint_eq(caught_lines(log, "more lines about its balloon left out of the log"), 1);
    scene_done(&x);
}
END_TEST

/* A guest that has the policy leave it out, and take it in again, gets as few lines, and so do the others. */
START_TEST(test_a13_a_guest_cannot_flood_the_log_with_notes)
{
    int log;
    Scene x;

    three_guests(&x);
    log_open(LOG_INFO);
    run_policy(&x, "for g in guests {\n  g.target = 4GiB * min(1, g.psi_memory_some + 1)\n}\n");
    log = stderr_pipe();
    for (unsigned i = 0; i < 40; i++) {
        Report r = {.at_usec = clock_usec + SEC};

        clock_usec += SEC;
        report_all(&x);
        report_set(&r, REPORT_MEM_TOTAL, 4 * GIB);
        report_set(&r, REPORT_MEM_FREE, GIB);
        if (i % 2)
            report_set(&r, REPORT_PSI_MEMORY_SOME_AVG10, 0);
        guest_report(guest(&x, 0), &r, clock_usec);
        cycle_run(&x.cycle);
    }
    ck_assert_uint_eq(caught_lines(log, "left out in this cycle"), 3 * LOG_LIMIT_LINES);
    clock_usec += 60 * SEC;
    cycle_run(&x.cycle);
    ck_assert_uint_eq(caught_lines(log, "guest0: 15 more lines about it in the policy left out of the log"),
                      1);
    scene_done(&x);
}
END_TEST

/* A size that isn't ours, or a balloon that stands still, may be an administrator's doing: no event says that the
 * definition changed. It is read before that counts, and then less often. */
START_TEST(test_a3_the_definition_is_read_again)
{
    Scene x;

    scene_init(&x, 1000 * SEC);
    (void) add_guest(&x, 0, 4 * GIB);
    clock_usec += 5000 * SEC;
    for (unsigned i = 0; i < 10; i++)
        next_cycle(&x);
    ck_assert_uint_eq(x.asked.n_definitions, 0);
    for (unsigned i = 0; i < 60; i++) {
        guest_balloon_seen(guest(&x, 0), 2 * GIB, clock_usec);
        next_cycle(&x);
        ck_assert_uint_ge(x.asked.n_definitions, 1);
    }
    ck_assert_uint_eq(x.asked.n_definitions, 20);
    for (unsigned i = 0; i < 120; i++) {
        guest_balloon_seen(guest(&x, 0), 2 * GIB, clock_usec);
        next_cycle(&x);
    }
    ck_assert_uint_le(x.asked.n_definitions, 22);
    scene_done(&x);
}
END_TEST

/* The host's fields reach the guests, and so does the room that they may grow by. */
START_TEST(test_host_is_learnt)
{
    Scene x;

    scene_init(&x, 1000 * SEC);
    cycle_run(&x.cycle);
    ck_assert_uint_eq(x.stage.host.swapped_usec, 0);
    ck_assert_double_eq(host_fields_get(x.stage.host.fields, HOST_FIELD_AVAILABLE), (double) (22 * GIB));
    /* Without the 5 GiB below the critical threshold, and an eighth of that. */
    ck_assert_uint_eq(cycle_room(&x.cycle), 22 * GIB - 5 * GIB - 640 * MIB);

    clock_usec += SEC;
    temp_meminfo(x.folder, 100 * GIB, 22 * GIB, 8 * GIB, 7 * GIB);
    cycle_run(&x.cycle);
    ck_assert_uint_eq(x.stage.host.swapped_usec, clock_usec);
    scene_done(&x);
}
END_TEST

/* A policy's variables keep their values for the next cycle. */
START_TEST(test_policy_remembers)
{
    Scene x;

    three_guests(&x);
    run_policy(&x, "state cycles = 0\nstate guest.turns = 0\n"
                   "cycles = cycles + 1\n"
                   "let pressure_threshold = cycles * 1GiB\n"
                   "let relax_threshold = avg(host.available, 30s)\n"
                   "for g in guests {\n"
                   "  g.turns = g.turns + 1\n"
                   "  g.target = if g.turns == 3 then 3968MiB else g.target\n"
                   "}\n");
    cycle_run(&x.cycle);
    next_cycle(&x);
    ck_assert_uint_eq(x.asked.n_moves, 0);
    host_has(&x, 25 * GIB);
    next_cycle(&x);
    ck_assert_double_eq(x.cycle.plan.pressure_threshold_bytes, 3.0 * GIB);
    ck_assert_double_lt(x.cycle.plan.relax_threshold_bytes, 24.0 * GIB);
    ck_assert_uint_eq(x.asked.n_moves, 3);
    scene_done(&x);
}
END_TEST

/* A guest that rebooted is another one to the policy; nothing changes for the rest. */
START_TEST(test_a_reboot_starts_what_the_policy_keeps_again)
{
    const PolicyKeep *k;
    Scene x;

    three_guests(&x);
    run_policy(&x, "state guest.n = 0\nstate n = 0\nn = n + 1\n"
                   "for g in guests { g.n = g.n + 1; let mean = avg(g.free, 30s) ?? 0B }\n");
    for (int i = 0; i < 3; i++)
        next_cycle(&x);
    guest_rebooted(guest(&x, 1), clock_usec);
    for (unsigned i = 0; i < 3; i++) {
        k = &guest(&x, i)->keep;
        ck_assert_double_eq(k->state[0], i == 1 ? 0 : 3);
        ck_assert_uint_eq(k->history.series[0].n, i == 1 ? 0 : 3);
    }
    ck_assert_double_eq(x.policy.keep.state[0], 3);
    next_cycle(&x);
    ck_assert_double_eq(guest(&x, 1)->keep.state[0], 1);
    ck_assert_uint_eq(guest(&x, 1)->keep.history.series[0].n, 1);
    scene_done(&x);
}
END_TEST

static void ksm_is(const Scene *x, const char *run)
{
    char path[128], text[8] = "";
    FILE *f;

    (void) snprintf(path, sizeof(path), "%s/kernel/mm/ksm/run", x->folder);
    f = fopen(path, "re");
    ck_assert_ptr_nonnull(f);
    ck_assert_ptr_nonnull(fgets(text, sizeof(text), f));
    ck_assert_int_eq(fclose(f), 0);
    text[strcspn(text, "\n")] = '\0';
    ck_assert_str_eq(text, run);
}

/* Set in mode auto while libvirt is there, and put back when the mode or the policy is another. */
START_TEST(test_ksm)
{
    int log;
    Scene x;

    scene_init(&x, 1000 * SEC);
    temp_file(x.folder, "kernel/mm/ksm/run", "0\n");
    run_policy(&x, "host.ksm_run = true\n");
    next_cycle(&x);
    ksm_is(&x, "0"); /* libvirt wasn't there: others on it aren't known */
    neighbours_connected(&x.neighbours, x.folder);
    x.stage.host.mode = GUEST_MODE_OBSERVE;
    log_open(LOG_INFO);
    log = stderr_pipe();
    next_cycle(&x);
    next_cycle(&x);
    ksm_is(&x, "0");
    ck_assert_uint_eq(caught_lines(log, "KSM: would set"), 1);
    x.stage.host.mode = GUEST_MODE_AUTO;
    x.connected = false;
    next_cycle(&x);
    ksm_is(&x, "0");
    x.connected = true;
    next_cycle(&x);
    ksm_is(&x, "1");
    ck_assert_uint_eq(stage_count(&x.stage, NOTICE_KSM), 1);
    ck_assert_int_eq(stage_last(&x.stage, NOTICE_KSM)->ksm.outcome, KSM_CHANGED);
    x.stage.host.mode = GUEST_MODE_OBSERVE;
    next_cycle(&x);
    ksm_is(&x, "0");
    x.stage.host.mode = GUEST_MODE_AUTO;
    next_cycle(&x);
    ksm_is(&x, "1");
    run_policy(&x, GIVES);
    next_cycle(&x);
    ksm_is(&x, "0");
    ck_assert_int_eq(stage_last(&x.stage, NOTICE_KSM)->ksm.outcome, KSM_RESTORED);
    scene_done(&x);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("cycle");

    tcase_add_test(tc, test_targets_are_asked_for);
    tcase_add_test(tc, test_b_c_a_bound_guest_is_judged_by_its_node);
    tcase_add_test(tc, test_observe);
    tcase_add_test(tc, test_host_cannot_be_read);
    tcase_add_test(tc, test_channels_are_tended);
    tcase_add_test(tc, test_notes_are_logged_once);
    tcase_add_test(tc, test_notes_of_two_files);
    tcase_add_test(tc, test_logs_are_bounded);
    tcase_add_test(tc, test_a13_a_guest_cannot_flood_the_log);
    tcase_add_test(tc, test_a13_a_guest_cannot_flood_the_log_with_notes);
    tcase_add_test(tc, test_a3_the_definition_is_read_again);
    tcase_add_test(tc, test_host_is_learnt);
    tcase_add_test(tc, test_policy_remembers);
    tcase_add_test(tc, test_a_reboot_starts_what_the_policy_keeps_again);
    tcase_add_test(tc, test_ksm);
    return run_tests(tc);
}
