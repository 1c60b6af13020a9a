/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is asked of guests besides their stats now: all of them at once, their texts, and how it was
 * before. */

#include <locale.h>

#include "tests/unit/policy-world.h"

/* ---- over all guests ---- */

/* The guests' free memory is 1, 3 and 3 GiB, of a, b and c; b has no psi_memory_some. */
static const struct {
    const char *text; /* what relax_threshold is */
    double value;
} aggregates[] = {
    {"sum(g.free for g in guests)", 7.0 * GIB},
    {"sum(g.free - 1GiB for g in guests where g.free > 2GiB)", 4.0 * GIB},
    {"sum(g.free * 2 for g in guests where g.free > 2GiB and not g.distress)", 12.0 * GIB},
    {"sum(2 for g in guests) * 1B", 6},
    {"sum(g.age for g in guests) / 1ms * 1B", 4500},
    {"sum(g.free / 1s for g in guests) * 1s", 7.0 * GIB},
    {"count(g for g in guests) * 1B", 3},
    {"count(g for g in guests where g.free > 2GiB) * 1B", 2},
    {"count(g.free > 2GiB for g in guests) * 1B", 2},
    {"count(g.free > 2GiB for g in guests where g.uuid != \"c\") * 1B", 1},
    {"if any(g.free > 2GiB for g in guests) then 1B else 0B", 1},
    {"if any(g.free > 5GiB for g in guests) then 1B else 0B", 0},
    {"if all(g.free > 0B for g in guests) then 1B else 0B", 1},
    {"if all(g.free > 2GiB for g in guests) then 1B else 0B", 0},
    {"if all(g.free > 2GiB for g in guests where g.free > 1GiB) then 1B else 0B", 1},
    {"min(g.free for g in guests)", 1.0 * GIB},
    {"max(g.free for g in guests)", 3.0 * GIB},
    {"avg(g.free for g in guests) * 3", 7.0 * GIB},
    {"min(-g.free for g in guests)", -3.0 * GIB},
    {"max(-g.free for g in guests)", -1.0 * GIB},
    {"avg(g.free for g in guests where g.free > 2GiB)", 3.0 * GIB},
    /* a guest without a stat that is needed is left out */
    {"sum(g.psi_memory_some for g in guests) * 1B", 0.5},
    {"avg(g.psi_memory_some for g in guests) * 1B", 0.25},
    {"sum(1B for g in guests where g.psi_memory_some > 0)", 2},
    {"count(g for g in guests where g.psi_memory_some > 0) * 1B", 2},
    {"count(g.psi_memory_some > 0 for g in guests) * 1B", 2},
    {"if all(g.psi_memory_some > 20% for g in guests) then 1B else 0B", 1},
    {"if any(g.psi_memory_some < 20% for g in guests) then 1B else 0B", 0},
    {"sum((g.psi_memory_some ?? 1) * 1B for g in guests)", 1.5},
    /* what the host misses isn't for want of guests: then the aggregate is missing */
    {"(sum(g.free + host.swap_free for g in guests) ?? 7B)", 7},
    {"count(g for g in guests where g.free > host.swap_free) ?? 8 * 1B", 8},
    {"if all(g.free > host.swap_free for g in guests) ?? false then 1B else 0B", 0},
    {"sum(g.free + rate(host.swap_in, 10s) * 1s for g in guests) ?? 9B", 9},
    {"sum(g.free + (host.swap_free ?? 1B) for g in guests)", 7.0 * GIB + 3},
    {"sum(host.swap_free for g in guests where g.free > 9GiB) + 1B", 1},
    {"(sum(g.psi_memory_some for g in guests) ?? 9) * 1B", 0.5}, /* the one outside isn't for a guest */
    /* of none */
    {"sum(g.free for g in guests where false) + 1B", 1},
    {"count(g for g in guests where false) * 1B", 0},
    {"if any(true for g in guests where false) then 1B else 0B", 0},
    {"if all(false for g in guests where false) then 1B else 0B", 1},
    {"min(g.free for g in guests where false) ?? 2B", 2},
    {"max(g.free for g in guests where false) ?? 3B", 3},
    {"avg(g.free for g in guests where false) ?? 4B", 4},
    {"min(g.rss for g in guests) ?? 5B", 5},
    {"(1B + max(g.rss for g in guests)) ?? 6B", 6},
    /* among other values */
    {"1B + sum(g.free for g in guests) - (2B + max(g.free for g in guests)) * 2", 1.0 * GIB - 3},
    {"max(1B, sum(g.free for g in guests), min(g.free for g in guests))", 7.0 * GIB},
    {"if sum(g.free for g in guests) > 1B then min(g.free for g in guests) else 0B", 1.0 * GIB},
    {"(sum(g.free for g in guests) + host.swap_free) ?? 1B", 1},
};

START_TEST(test_aggregate)
{
    double value;
    World w;

    world_init(&w);
    value = world_value(&w, aggregates[_i].text);
    ck_assert_uint_eq(w.output.notes_total, 0);
    ck_assert_msg(value == aggregates[_i].value, "%s is %.17g, not %.17g", aggregates[_i].text, value,
                  aggregates[_i].value);
}
END_TEST

static const struct {
    const char *text;
    double value; /* of relax_threshold */
} functions[] = {
    {"fn above(least) = sum(g.free for g in guests where g.free > least)\nlet relax_threshold = above(2GiB)",
     6.0 * GIB},
    {"fn more(amount) = sum(g.free + amount for g in guests)\nlet relax_threshold = 1B + more(2B)",
     7.0 * GIB + 7},
    {"fn f(a, b) = a + sum(a + b for g in guests where g.free > a) + b\nlet relax_threshold = f(2B, 3B) + f(1B, "
     "1B)",
     20 + 8},
    {"fn used(x) = x.full - x.free\nlet relax_threshold = sum(used(g) for g in guests)", 17.0 * GIB},
    {"fn spare(x, keep) = max(x.free - keep, 0B)\nfn all_spare(keep) = sum(spare(g, keep) for g in guests)\n"
     "let relax_threshold = all_spare(1GiB)",
     4.0 * GIB},
    {"fn psi(x) = x.psi_memory_some ?? 50%\nlet relax_threshold = 1B * sum(psi(g) for g in guests)", 1},
    {"fn psi(x) = x.psi_memory_some\nlet relax_threshold = 1B * sum(psi(g) for g in guests)", 0.5},
    {"fn least() = min(g.rss for g in guests)\nlet relax_threshold = least() ?? 3B", 3},
    {"let limit = 2GiB\nlet n = count(g for g in guests where g.free > limit)\nlimit = 0B\n"
     "let relax_threshold = 10B * n + 1B * count(g for g in guests where g.free > limit)",
     23},
    /* guests among other arguments, also where nothing is done with them */
    {"fn f(a, x, b) = x.free + a - b\nfn h(x, b) = f(2B, x, b) + b\n"
     "let relax_threshold = sum(h(g, 5B) for g in guests)",
     7.0 * GIB + 6},
    {"fn second(x, v) = v\nfn on(v, x) = second(x, v) + v\nfn both(x, y, v) = x.free - y.free + v\n"
     "let relax_threshold = 0B\nfor g in guests { relax_threshold = relax_threshold + on(1B, g) + both(g, g, 10B) }",
     36},
    {"fn f(x, d, y) = 2 * d + ((d + x.rss) ?? d + y.free)\n"
     "let relax_threshold = sum(1B + f(g, 10B, g) for g in guests)",
     93 + 7.0 * GIB},
    /* before a loop, for its turns */
    {"let share = sum(g.free for g in guests) / 7\nlet relax_threshold = 0B\nfor g in guests where g.free > share "
     "{ relax_threshold = relax_threshold + g.free - share }",
     4.0 * GIB},
    {"let relax_threshold = 0B\nif any(g.free > 2GiB for g in guests) { relax_threshold = 5B }", 5},
    /* in the file's part below a loop, what the loop assigned is seen */
    {"for g in guests where g.free > 2GiB { g.target = 1GiB }\nlet relax_threshold = sum(g.target for g in "
     "guests)",
     10.0 * GIB},
};

START_TEST(test_aggregate_in_policy)
{
    World w;

    world_init(&w);
    ck_assert_int_eq(world_run(&w, functions[_i].text), 0);
    ck_assert_msg(threshold(&w, functions[_i].text, POLICY_THRESHOLD_RELAX) == functions[_i].value,
                  "%s\ngives %.17g, not %.17g", functions[_i].text,
                  w.output.thresholds[POLICY_THRESHOLD_RELAX], functions[_i].value);
}
END_TEST

/* Any other failure leaves a guest out, too, but is logged. */
START_TEST(test_aggregate_tells)
{
    World w;

    world_init(&w);
    ck_assert_int_eq(
        world_run(&w, "let relax_threshold =\n sum(1B / (g.free / 1GiB - 1) for g in guests)\n"
                      "let critical_threshold = sum(2B for g in guests where 1 / (g.free / 1GiB - 1) > 0)\n"),
        0);
    ck_assert_double_eq(w.output.thresholds[POLICY_THRESHOLD_RELAX], 1);
    ck_assert_double_eq(w.output.thresholds[POLICY_THRESHOLD_CRITICAL], 4);
    ck_assert_uint_eq(w.output.notes_total, 2);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_uint_eq(w.output.notes[i].guest, A);
        ck_assert_str_eq(w.output.notes[i].text, "division by zero");
        ck_assert_uint_eq(w.output.notes[i].line, 2 + i);
    }
    ck_assert_uint_eq(w.output.notes[0].column, 9);
    ck_assert_uint_eq(w.output.notes[1].column, 57);
}
END_TEST

/* An aggregate that has no value fails like any other expression. */
START_TEST(test_aggregate_fails)
{
    static const struct {
        const char *text, *note;
        unsigned line, column;
    } table[] = {
        {"let x = 1B\nlet y = min(g.free for g in guests where false)", "there are no guests to compare", 2,
         9},
        {"let x = sum(1B / (g.free / 1GiB - 1) for g in guests) + host.swap_free",
         "host.swap_free is missing", 1, 62},
        {"let x = 1B\nlet y = sum(g.free +\n host.swap_free for g in guests)", "host.swap_free is missing", 3,
         7},
        {"fn f(g) = g.free > host.swap_free\nlet y = all(f(g) for g in guests)", "host.swap_free is missing",
         1, 25},
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        World w;

        world_init(&w);
        ck_assert_int_eq(world_run(&w, table[i].text), -ECANCELED);
        ck_assert_uint_eq(w.output.notes_total, 1); /* notes about guests go with the file's failure */
        ck_assert_uint_eq(w.output.notes[0].guest, SIZE_MAX);
        ck_assert_str_eq(w.output.notes[0].text, table[i].note);
        ck_assert_uint_eq(w.output.notes[0].line, table[i].line);
        ck_assert_uint_eq(w.output.notes[0].column, table[i].column);
    }
}
END_TEST

START_TEST(test_sum_too_large)
{
    World w;

    world_init(&w);
    for (size_t i = 0; i < N_GUESTS; i++)
        guest_fields_set(&w.fields[i], GUEST_FIELD_FREE, 1e308);
    ck_assert_int_eq(world_run(&w, "let x = 1B\nlet y = 1B + sum(g.free for g in guests)"), -ECANCELED);
    ck_assert_str_eq(w.output.notes[0].text, "the result is too large");
    ck_assert_uint_eq(w.output.notes[0].line, 2);
    ck_assert_uint_eq(w.output.notes[0].column, 14);
}
END_TEST

/* Sums of doubles depend on the order: it is that of the UUIDs, however guests are handed over. */
START_TEST(test_sum_same_in_any_order)
{
    static const double odd[] = {1e16, 1, -1e16};
    static const char *const uuids[] = {"a", "b", "c"};
    static const size_t orders[][N_GUESTS] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                              {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

    for (size_t o = 0; o < ELEMENTSOF(orders); o++) {
        World w;

        world_init(&w);
        for (size_t i = 0; i < N_GUESTS; i++) {
            guest_fields_set(&w.fields[i], GUEST_FIELD_FREE, odd[orders[o][i]]);
            w.guests[i].uuid = uuids[orders[o][i]];
        }
        ck_assert_double_eq(world_value(&w, "sum(g.free for g in guests)"), 1e16 + 1 - 1e16);
    }
}
END_TEST

START_TEST(test_aggregate_of_no_guests)
{
    World w;

    world_init(&w);
    w.input.n_guests = 0;
    ck_assert_double_eq(world_value(&w, "sum(g.free for g in guests) + 1B * count(g for g in guests) + "
                                        "(max(g.free for g in guests) ?? 3B)"),
                        3);
}
END_TEST

/* ---- texts ---- */

/* Names are web1, web2 and db1, of a, b and c; c only is observed; b has no source. Which of them are
 * selected? */
static const struct {
    const char *head, *where, *selected;
} texts[] = {
    {"", "g.name == \"web1\"", "a"},
    {"", "g.name != \"web1\"", "bc"},
    {"", "\"web1\" == g.name", "a"},
    {"", "g.name == \"web\"", ""},
    {"", "g.mode == \"auto\"", "ab"},
    {"", "g.mode == \"auto\" and g.name != \"web1\"", "b"},
    {"", "g.name == g.uuid", ""},
    {"", "g.name == g.name and g.uuid != g.mode", "abc"},
    {"", "\"a\" == \"a\" and \"a\" != \"b\" and not (\"a\" == \"A\")", "abc"},
    {"", "(if g.free > 2GiB then g.name else \"none\") == \"none\"", "a"},
    {"", "matches(g.name, \"web*\")", "ab"},
    {"", "matches(g.name, \"web?\") and not matches(g.name, \"*2\")", "a"},
    {"", "matches(g.name, \"[dw]*1\")", "ac"},
    {"", "matches(g.name, \"web\")", ""},
    {"", "matches(g.name, \"*\")", "abc"},
    {"", "matches(g.name, \"Web*\")", ""},
    {"", "(g.source == \"agent\") ?? true", "abc"},
    {"", "(g.source == \"agent\") ?? false", "ac"},
    {"", "(g.source ?? \"none\") == \"none\"", "b"},
    {"", "matches(g.source ?? g.mode, \"a*\")", "abc"},
    {"let wanted = \"observe\"\n", "g.mode == wanted", "c"},
    {"let wanted = \"observe\"\nwanted = \"auto\"\n", "g.mode == wanted", "ab"},
    {"const wanted = \"db1\"\n", "g.name == wanted", "c"},
    {"fn is(x, what) = x.mode == what\n", "is(g, \"observe\")", "c"},
    {"fn same(a, b) = a == b\n", "same(g.name, \"db1\")", "c"},
    {"fn web(name) = matches(name, \"web*\")\n", "web(g.name)", "ab"},
    {"let two = count(g for g in guests where matches(g.name, \"web*\"))\n", "two == 2 and g.uuid == \"b\"",
     "b"},
};

START_TEST(test_text)
{
    static const size_t places[] = {A, B, C};
    char text[512], selected[N_GUESTS + 1] = "";
    size_t n = 0;
    World w;

    world_init(&w);
    (void) snprintf(text, sizeof(text), "%sfor g in guests where %s { g.target = 1GiB }", texts[_i].head,
                    texts[_i].where);
    ck_assert_int_eq(world_run(&w, text), 0);
    ck_assert_uint_eq(w.output.notes_total, 0);
    for (size_t i = 0; i < N_GUESTS; i++)
        if (w.assignments[places[i]].line > 0)
            selected[n++] = (char) ('a' + i);
    ck_assert_msg(strcmp(selected, texts[_i].selected) == 0, "%s selects '%s'", text, selected);
}
END_TEST

/* ballastctl works in a locale of UTF-8, the daemon in none: a policy means the same in both. */
START_TEST(test_text_in_any_locale)
{
    static const char *const locales[] = {"C", "C.UTF-8"};

    for (size_t i = 0; i < ELEMENTSOF(locales); i++) {
        World w;

        ck_assert_ptr_nonnull(setlocale(LC_CTYPE, locales[i]));
        world_init(&w);
        guest_fields_set_text(&w.fields[A], GUEST_FIELD_NAME, "w\xc3\xa4\x62");
        ck_assert_int_eq(world_run(&w, "const ascii = matches(\"web\", \"w?b\")\n"
                                       "for g in guests where ascii and matches(g.name, \"w??b\") "
                                       "and not matches(g.name, \"w?b\") { g.target = 1GiB }"),
                         0);
        ck_assert_uint_gt(w.assignments[A].line, 0);
        ck_assert_ptr_eq(uselocale(NULL), LC_GLOBAL_LOCALE);
    }
}
END_TEST

START_TEST(test_text_missing)
{
    World w;

    world_init(&w);
    ck_assert_int_eq(world_run(&w, "for g in guests where g.source != \"agent\" { g.target = 1GiB }"), 0);
    ck_assert_uint_eq(w.output.notes_total, 1);
    ck_assert_uint_eq(w.output.notes[0].guest, B);
    ck_assert_str_eq(w.output.notes[0].text, "g.source is missing");
}
END_TEST

/* ---- how it was ---- */

/* The stats of guest a and of the host 30, 20 and 10 s ago, which fit their present ones. */
static void remember(World *w, const Policy *p)
{
    size_t n;
    const SeriesNeed *needs = policy_needs(p, &n);

    ck_assert_int_eq(series_set_copy(&w->history, &(SeriesSet){}, needs, n, true), 0);
    ck_assert_int_eq(series_set_copy(&w->guest_history[A], &(SeriesSet){}, needs, n, false), 0);
    w->input.history = &w->history;
    w->guests[A].history = &w->guest_history[A];
    host_fields_set(&w->host, HOST_FIELD_SWAPPING, 4.0 * MIB);
    guest_fields_set(&w->fields[A], GUEST_FIELD_SWAP_IN, 300.0 * MIB);
    guest_fields_set(&w->fields[A], GUEST_FIELD_MAJOR_FAULTS, 600);
    guest_fields_set(&w->fields[A], GUEST_FIELD_UPTIME, 100.0 * USEC_PER_SEC);
    for (size_t i = 0; i < 3; i++) {
        usec_t ago = (30 - 10 * i) * USEC_PER_SEC;
        GuestFields g = {};
        HostFields h = {};

        guest_fields_set(&g, GUEST_FIELD_FREE, (4.0 - (double) i) * GIB); /* 4, 3, 2 GiB; now 1 */
        guest_fields_set(&g, GUEST_FIELD_SWAP_IN, 100.0 * (double) i * MIB);
        guest_fields_set(&g, GUEST_FIELD_MAJOR_FAULTS, 200.0 * (double) i);
        guest_fields_set(&g, GUEST_FIELD_UPTIME, 100.0 * USEC_PER_SEC - (double) ago);
        series_set_add_guest(&w->guest_history[A], WORLD_NOW - ago, &g);
        host_fields_set(&h, HOST_FIELD_AVAILABLE, (10.0 + 2.0 * (double) i) * GIB); /* 10, 12, 14; now 16 */
        host_fields_set(&h, HOST_FIELD_SWAPPING, (1.0 + (double) i) * MIB);         /* 1, 2, 3; now 4 MiB/s */
        series_set_add_host(&w->history, WORLD_NOW - ago, &h);
    }
}

static void forget(World *w)
{
    series_set_done(&w->history);
    series_set_done(&w->guest_history[A]);
}

static const struct {
    const char *expr; /* of guest a's turn */
    double value;
} windows[] = {
    {"avg(g.free, 30s)", 2.5 * GIB},
    {"avg(g.free, 20s)", 2.0 * GIB},
    {"avg(g.free, 10s)", 1.5 * GIB},
    {"avg(g.free, 1s)", 1.0 * GIB},
    {"avg(g.free, 10min)", 2.5 * GIB}, /* longer than what is known */
    {"avg(g.free, middle)", 2.0 * GIB},
    {"min(g.free, 30s)", 1.0 * GIB},
    {"max(g.free, 30s)", 4.0 * GIB},
    {"max(g.free, 10s)", 2.0 * GIB},
    {"rate(g.free, 30s) * 1min", -6.0 * GIB}, /* it falls */
    {"rate(g.swap_in, 30s) * 1s", 10.0 * MIB},
    {"rate(g.swap_in, 10s) * 1s", 10.0 * MIB},
    {"if rate(g.swap_in, 30s) == 10MiB / 1s then 1B else 0B", 1},
    {"1B * rate(g.major_faults, 30s)", 20},
    {"1B * rate(g.uptime, 30s)", 1},
    {"avg(host.available, 30s)", 13.0 * GIB},
    {"min(host.available, 20s)", 12.0 * GIB},
    {"rate(host.available, 30s) * 30s", 6.0 * GIB},
    /* a stat that is a rate */
    {"host.swapping * 2s", 8.0 * MIB},
    {"1GiB / (host.swapping + 4MiB / 1s) / 1s * 1B", 128},
    {"avg(host.swapping, 30s) * 1s", 2.5 * MIB},
    {"max(host.swapping, 1MiB / 1s) * 1s", 4.0 * MIB},
    {"if host.swapping > 3MiB / 1s then 1B else 0B", 1},
    {"g.free / rate(g.swap_in, 30s) / 1s * 1B", 1024.0 / 10},
    {"avg(g.free, 30s) - g.free", 1.5 * GIB},
    {"avg(g.free, 30s) ?? 1B", 2.5 * GIB},
    {"avg(g.rss, 30s) ?? 7B", 7},
    {"(rate(g.rss, 30s) * 1s) ?? 8B", 8},
    {"since(g)", 1.5 * GIB},
    /* two values as ever, where they aren't a stat and a duration */
    {"min(g.free, 2GiB)", 1.0 * GIB},
    {"max(g.free, 2GiB, 5GiB)", 5.0 * GIB},
    {"1B * (min(g.age, 1s) / 1ms)", 1000},
};

START_TEST(test_window)
{
    char text[512];
    _cleanup_(policy_freep) Policy *p = NULL;
    World w;

    (void) snprintf(
        text, sizeof(text),
        "const middle = 2 * 10s\nfn since(x) = avg(x.free, 30s) - x.free\n"
        "let relax_threshold = 0B\nfor g in guests where g.uuid == \"a\" { relax_threshold = %s }",
        windows[_i].expr);
    p = load(text);
    world_init(&w);
    remember(&w, p);
    ck_assert_int_eq(policy_run(p, &w.input, &w.output), 0);
    ck_assert_double_eq_tol(threshold(&w, text, POLICY_THRESHOLD_RELAX), windows[_i].value,
                            1e-12 * fabs(windows[_i].value));
    forget(&w);
}
END_TEST

/* Guests b and c have no history: their present values are all that there is. */
START_TEST(test_window_without_history)
{
    _cleanup_(policy_freep) Policy *p =
        load("let relax_threshold = sum(avg(g.free, 30s) for g in guests)\n"
             "let critical_threshold = sum(rate(g.free, 30s) for g in guests) * 30s\n"
             "for g in guests {\n g.target = g.free + rate(g.free, 30s) * 0s }\n");
    World w;

    world_init(&w);
    remember(&w, p);
    ck_assert_int_eq(policy_run(p, &w.input, &w.output), 0);
    ck_assert_double_eq(w.output.thresholds[POLICY_THRESHOLD_RELAX], 8.5 * GIB);
    ck_assert_double_eq_tol(w.output.thresholds[POLICY_THRESHOLD_CRITICAL], -3.0 * GIB, 1);
    ck_assert_uint_eq(w.output.notes_total, 2);
    ck_assert_uint_eq(w.output.notes[0].guest, B);
    ck_assert_str_eq(w.output.notes[0].text, "rate(g.free, 30s) is missing");
    ck_assert_uint_eq(w.output.notes[0].line, 4);
    ck_assert_uint_eq(w.output.notes[0].column, 22);
    ck_assert_double_eq(target(&w, A), 1.0 * GIB);
    forget(&w);
}
END_TEST

/* A window that a const says is looked at as one that stands there. */
START_TEST(test_window_bounds)
{
    static const struct {
        const char *text, *at;
    } table[] = {
        {"const w = 100ms * 9\nlet x = 1\nlet y = avg(host.free, w)", "0.policy:3:24: error: "},
        {"const w = 10min + 1s\nlet y = avg(host.free, w)", "0.policy:2:24: error: "},
        {"const w = -1s\nlet y = avg(host.free, w)", "0.policy:2:24: error: "},
        {"let y = avg(host.free, 999ms)", "0.policy:1:24: error: "},
        {"let y = avg(host.free, 601s)", "0.policy:1:24: error: "},
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        _cleanup_free_ char *error = load_refused(&table[i].text, 1);

        ck_assert_msg(strncmp(error, table[i].at, strlen(table[i].at)) == 0, "%s\n%s", table[i].text, error);
    }
    policy_free(load("const w = 1s\nlet y = avg(host.free, w)\nlet z = avg(host.free, 10min)"));
}
END_TEST

/* History is kept for each stat once, for the longest window in any file. */
START_TEST(test_needs)
{
    static const char *const files[] = {"const w = 1min\nlet x = avg(host.free, 10s)\n"
                                        "for g in guests { let y = avg(g.free, w)\n"
                                        "let z = rate(g.swap_in, 5s) }",
                                        "let x = max(host.free, 2min)\n"
                                        "let y = sum(rate(g.swap_in, 2s) for g in guests)"};
    static const SeriesNeed expected[] = {{true, HOST_FIELD_FREE, 120 * USEC_PER_SEC},
                                          {false, GUEST_FIELD_FREE, 60 * USEC_PER_SEC},
                                          {false, GUEST_FIELD_SWAP_IN, 5 * USEC_PER_SEC}};
    _cleanup_(policy_freep) Policy *p = load_files(files, ELEMENTSOF(files));
    const SeriesNeed *needs;
    size_t n;

    needs = policy_needs(p, &n);
    ck_assert_uint_eq(n, ELEMENTSOF(expected));
    for (size_t i = 0; i < n; i++) {
        ck_assert_int_eq(needs[i].host, expected[i].host);
        ck_assert_int_eq(needs[i].field, expected[i].field);
        ck_assert_uint_eq(needs[i].usec, expected[i].usec);
    }
    p = policy_free(p);
    p = load("let x = host.free");
    (void) policy_needs(p, &n);
    ck_assert_uint_eq(n, 0);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("policy-guests");

    tcase_add_loop_test(t, test_aggregate, 0, ELEMENTSOF(aggregates));
    tcase_add_loop_test(t, test_aggregate_in_policy, 0, ELEMENTSOF(functions));
    tcase_add_test(t, test_aggregate_tells);
    tcase_add_test(t, test_aggregate_fails);
    tcase_add_test(t, test_sum_too_large);
    tcase_add_test(t, test_sum_same_in_any_order);
    tcase_add_test(t, test_aggregate_of_no_guests);
    tcase_add_loop_test(t, test_text, 0, ELEMENTSOF(texts));
    tcase_add_test(t, test_text_in_any_locale);
    tcase_add_test(t, test_text_missing);
    tcase_add_loop_test(t, test_window, 0, ELEMENTSOF(windows));
    tcase_add_test(t, test_window_without_history);
    tcase_add_test(t, test_window_bounds);
    tcase_add_test(t, test_needs);
    return run_tests(t);
}
