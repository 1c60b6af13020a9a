/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a policy means: values of expressions, and statements. For guests' turns and aggregates see
 * test-policy-turns.c and test-policy-guests.c, for what is kept test-policy-state.c. */

#include "tests/unit/policy-world.h"

/* Numbers and booleans are shown through a threshold, which is bytes. */
static const struct {
    const char *expr;
    double value;
} values[] = {
    {"1B", 1},
    {"64MiB", 64.0 * MIB},
    {"1.5GiB", 1.5 * GIB},
    {"2TiB + 3KiB", 2.0 * TIB + 3.0 * KIB},
    {"1kB + 1MB + 1GB + 1TB", 1001001001000},
    {"1B * 20%", 0.2},
    {"1B * 0.05", 0.05},
    {"1B * 12.5%", 0.125},
    {"1B * (10s / 1ms)", 10000},
    {"1B * (1d / 1h + 1h / 1min + 1ms / 1us)", 24 + 60 + 1000},
    {"1B + 2B * 3", 7},
    {"(1B + 2B) * 3", 9},
    {"8B - 2B - 1B", 5},
    {"64B / 4 / 2", 8},
    {"1B * (64B / 4B / 2)", 8},
    {"-3B + 5B", 2},
    {"1B - -3B", 4},
    {"1B * (2 - -3 * 2)", 8},
    {"min(3B, 1B, 2B)", 1},
    {"max(3B, 1B, 4B, 2B)", 4},
    {"clamp(5B, 1B, 3B)", 3},
    {"clamp(0B, 1B, 3B)", 1},
    {"clamp(2B, 1B, 3B)", 2},
    {"clamp(2B, 3B, 1B)", 3}, /* bounds that cross: the low one */
    {"abs(2B - 5B)", 3},
    {"round(100MiB, 64MiB)", 128.0 * MIB},
    {"round(95MiB, 64MiB)", 64.0 * MIB},
    {"round(31MiB, 64MiB)", 0},
    {"round(96MiB, 64MiB)", 128.0 * MIB}, /* half-way: away from 0 */
    {"round(-96MiB, 64MiB)", -128.0 * MIB},
    {"round(128MiB - 1B, 64MiB) - round(128MiB + 1B, 64MiB)", 0},
    {"1B * round(26%, 25%)", 0.25},
    {"1B * (round(1.6s, 1s) / 1s)", 2},
    {"1B * round(7.5, 1)", 8},
    {"if 1 < 2 then 1B else 2B", 1},
    {"if 2 < 1 then 1B else if 2 < 3 then 2B else 3B", 2},
    {"1B + (if true then 1B else 2B + 5B)", 2},
    {"if 1 == 1 and 2 != 1 and 1 <= 1 and 1 >= 1 and 2 > 1 then 1B else 0B", 1},
    {"if false or false or true then 1B else 0B", 1},
    {"if true or true and false then 1B else 0B", 1}, /* and binds tighter */
    {"if not true or true then 1B else 0B", 1},       /* not binds tighter than or */
    {"if not 1 == 2 then 1B else 0B", 1},             /* and looser than a comparison */
    {"if not (1 == 1) then 1B else 0B", 0},
    {"if (true == false) == false then 1B else 0B", 1},
    {"if 1s < 1min and 999ms < 1s then 1B else 0B", 1},
    {"host.total", 64.0 * GIB},
    {"host.available + host.pending", 15.0 * GIB},
    {"host.swap_total ?? 7B", 7},
    {"host.swap_total ?? host.swap_free ?? 8B", 8},
    {"host.swap_total ?? -7B", -7},
    {"host.total ?? 7B", 64.0 * GIB},
    {"2 * host.swap_total ?? 7B", 14}, /* ?? binds tightest */
    {"host.swap_total ?? (1B + 2B) * 2", 6},
    /* what can't be computed doesn't matter where it isn't used */
    {"if true or host.swap_free > 0B then 1B else 0B", 1},
    {"if false and 1B / 0B > 1 then 1B else 0B", 0},
    {"if true then 1B else host.swap_free", 1},
    /* a line continues if the next can't begin a statement */
    {"1B\n + 2B\n * 3", 7},
    {"if 1 < 2\n then 1B\n else 2B", 1},
    {"max(\n1B,\n2B\n)", 2},
};

START_TEST(test_value)
{
    double value;
    World w;

    world_init(&w);
    value = world_value(&w, values[_i].expr);
    ck_assert_msg(value == values[_i].value, "%s is %.17g, not %.17g", values[_i].expr, value,
                  values[_i].value);
}
END_TEST

/* Bytes per second, which have no literals: how they come about and what they become. */
static const struct {
    const char *expr;
    double value;
} rates[] = {
    {"10MiB / 1s * 3s", 30.0 * MIB},
    {"3s * (10MiB / 1s)", 30.0 * MIB},
    {"10MiB / 1s * 1min", 600.0 * MIB},
    {"10MiB / 500ms * 1s", 20.0 * MIB},
    {"(10MiB / 1s + 6MiB / 2s) * 1s", 13.0 * MIB},
    {"(10MiB / 1s - 6MiB / 2s) * 1s", 7.0 * MIB},
    {"-(10MiB / 1s) * 1s", -10.0 * MIB},
    {"(10MiB / 1s * 2) * 1s", 20.0 * MIB},
    {"(2 * (10MiB / 1s)) * 1s", 20.0 * MIB},
    {"(10MiB / 1s / 2) * 1s", 5.0 * MIB},
    {"1B * ((10MiB / 1s) / (2MiB / 1s))", 5},
    {"1B * (30MiB / (10MiB / 1s) / 1s)", 3}, /* how long it takes */
    {"min(3MiB / 1s, 2MiB / 1s, 4MiB / 1s) * 1s", 2.0 * MIB},
    {"max(3MiB / 1s, 2MiB / 1s) * 1s", 3.0 * MIB},
    {"clamp(9MiB / 1s, 1MiB / 1s, 4MiB / 1s) * 1s", 4.0 * MIB},
    {"abs(1MiB / 1s - 3MiB / 1s) * 1s", 2.0 * MIB},
    {"round(13MiB / 1s, 5MiB / 1s) * 1s", 15.0 * MIB},
    {"if 10MiB / 1s == 20MiB / 2s then 1B else 0B", 1},
    {"if 10MiB / 1s > 9MiB / 1s and 1MiB / 1s <= 60MiB / 1min then 1B else 0B", 1},
    {"if 1MiB / 1s != 1MiB / 1s then 1B else 0B", 0},
    {"(if true then 1MiB / 1s else 2MiB / 1s) * 1s", 1.0 * MIB},
};

START_TEST(test_rate)
{
    double value;
    World w;

    world_init(&w);
    value = world_value(&w, rates[_i].expr);
    ck_assert_msg(fabs(value - rates[_i].value) <= 1e-12 * fabs(rates[_i].value), "%s is %.17g, not %.17g",
                  rates[_i].expr, value, rates[_i].value);
}
END_TEST

/* a ?? b is b if any stat that a needs is missing; what lay on the stack stays. */
static const struct {
    const char *text;
    double value;
} defaults[] = {
    {"let relax_threshold = (host.swap_total + 1B) ?? 7B", 7},
    {"let relax_threshold = (host.total + 1B) ?? 7B", 64.0 * GIB + 1},
    {"let relax_threshold = 1B + (2B + (3B - (4B + host.swap_total)) ?? 10B)", 13},
    {"let relax_threshold = (host.swap_total + 1B) ?? (host.swap_free + 1B) ?? 3B", 3},
    {"let relax_threshold = (1B + (host.swap_total ?? 5B) + host.swap_free) ?? 3B", 3},
    {"let relax_threshold = (1B + (host.swap_total ?? 5B)) ?? 3B", 6},
    {"let relax_threshold = (1B + host.swap_free ?? host.swap_total) ?? 4B", 4}, /* of the default itself */
    {"let relax_threshold = max(1B, host.swap_total, 3B) ?? 2B", 2},
    {"let relax_threshold = max(1B, host.swap_total ?? 5B, 3B)", 5},
    {"let relax_threshold = (if host.swap_total > 0B then 1B else 2B) ?? 3B", 3},
    {"let relax_threshold = (if true then 1B else host.swap_total) ?? 3B", 1},
    {"let relax_threshold = if (host.swap_total > 0B) ?? true then 1B else 2B", 1},
    {"let relax_threshold = if (true and host.swap_total > 0B) ?? false then 1B else 2B", 2},
    /* through calls */
    {"fn f(x) = x + host.swap_total\nlet relax_threshold = f(1B) ?? 2B", 2},
    {"fn f(x) = x + (host.swap_total ?? 5B)\nlet relax_threshold = 1B + f(1B)", 7},
    {"fn f(x, y) = 2 * x + (y + host.swap_total) ?? y\nlet relax_threshold = 1B + f(3B, 5B)", 12},
    {"fn f(x) = x + host.swap_total\nfn g(x, y) = x + f(y) ?? x\nlet relax_threshold = 100B + g(10B, 1B)",
     120},
    {"fn f(x) = x + host.swap_total\nfn g(x, y) = x + f(y)\n"
     "fn h(a, b, c) = a + (b + g(b, c)) ?? c + c\nlet relax_threshold = 1B + h(10B, 100B, 1000B)",
     2011},
    /* a function that fell back has ended: the next call starts again */
    {"fn f(x) = x + host.swap_total\nfn g(x) = f(x) ?? x\nlet relax_threshold = g(1B) + g(2B) + g(3B)", 6},
    {"let x = 1B\nx = (x + host.swap_total) ?? x\nlet relax_threshold = x", 1},
    /* in turns */
    {"let relax_threshold = 0B\nfor g in guests { relax_threshold = relax_threshold + (if g.psi_memory_some > 0 then 1B "
     "else "
     "2B) ?? 10B }",
     12},
};

START_TEST(test_default)
{
    World w;

    world_init(&w);
    ck_assert_int_eq(world_run(&w, defaults[_i].text), 0);
    ck_assert_msg(threshold(&w, defaults[_i].text, POLICY_THRESHOLD_RELAX) == defaults[_i].value,
                  "%s\ngives %.17g, not %.17g", defaults[_i].text,
                  w.output.thresholds[POLICY_THRESHOLD_RELAX], defaults[_i].value);
}
END_TEST

/* ?? applies to missing stats only. */
START_TEST(test_default_is_for_missing_only)
{
    static const struct {
        const char *text, *note;
    } table[] = {
        {"let x = (1 / (1 - host.total / host.total)) ?? 2", "division by zero"},
        {"let x = round(1B, host.total - host.total) ?? 2B", "the step of round() is not above 0"},
        {"let x = host.swap_free ?? host.swap_total", "host.swap_total is missing"},
        {"fn f(x) = x + host.swap_total\nlet x = host.total ?? 1B + f(1B)", "host.swap_total is missing"},
        {"let x = 1B + (host.total ?? 1B) + host.swap_total", "host.swap_total is missing"},
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        World w;

        world_init(&w);
        ck_assert_int_eq(world_run(&w, table[i].text), -ECANCELED);
        ck_assert_str_eq(w.output.notes[0].text, table[i].note);
    }
}
END_TEST

/* Statements outside of turns; relax_threshold shows their result. */
static const struct {
    const char *text;
    double value;
} programs[] = {
    {"const a = 2; const b = a * 3B; let relax_threshold = b", 6},
    {"let x = 1B\nx = x + 1B\nx = x * 4\nlet relax_threshold = x", 8},
    {"let x = 1B; if x == 1B { x = 5B }; let relax_threshold = x", 5},
    {"let x = 1B; if x == 2B { x = 5B } else if x == 1B { x = 6B } else { x = 7B }\nlet relax_threshold = x",
     6},
    {"let x = 3B; if x == 2B { x = 5B }\nelse if x == 1B { x = 6B }\nelse\n{ x = 7B }\nlet relax_threshold = x",
     7},
    {"let x = 1B; if true { let y = 2B; x = y }; if true { let y = 3B; x = x + y }; let relax_threshold = x",
     5},
    {"fn twice(x) = 2 * x\nlet relax_threshold = twice(twice(3B))", 12},
    {"fn twice(x) = 2 * x\nlet n = twice(3)\nlet relax_threshold = twice(1B) * n", 12}, /* for each kind */
    {"fn f(a, b, c) = a - b - c\nfn g(a, b) = f(b, a, 1B)\nlet relax_threshold = g(1B, 7B)", 5},
    {"fn one() = 1B\nlet relax_threshold = one() + one()", 2},
    {"let x = 1B\nfn f(y) = x + y\nx = 10B\nlet relax_threshold = f(1B)",
     11}, /* a variable as it is when called */
    {"fn pick(c, a, b) = if c then a else b\nlet relax_threshold = pick(true, 1B, 2B) + pick(1 > 2, 3, 4) * 1B",
     5},
    {"let relax_threshold = 1B # a comment; = not { read \xc3\xa9\n# another\n\n;;\n", 1},
    {"let relax_threshold = 0B; for g in guests { relax_threshold = relax_threshold + 1B }", 3},
    {"let relax_threshold = 0B; for g in guests where g.free > 2GiB { relax_threshold = relax_threshold + 1B }",
     2},
    {"fn big(x) = x.free > 2GiB\nlet relax_threshold = 0B\nfor g in guests where big(g) { relax_threshold = relax_threshold "
     "+ 1B }",
     2},
    {"let relax_threshold = 0B; for g in guests { let x = 1B; x = x + 1B; relax_threshold = relax_threshold + x }",
     6},
    {"let relax_threshold = 0B; for g in guests where not g.distress and g.age < 2s { relax_threshold = 1B }",
     1},
    {"let relax_threshold = 3B\r\nrelax_threshold = 4B\r\n", 4},
    {"const relax_threshold = 9B", 9},
};

START_TEST(test_program)
{
    World w;

    world_init(&w);
    ck_assert_int_eq(world_run(&w, programs[_i].text), 0);
    ck_assert_msg(w.output.thresholds[POLICY_THRESHOLD_RELAX] == programs[_i].value,
                  "%s\ngives %.17g, not %.17g", programs[_i].text,
                  w.output.thresholds[POLICY_THRESHOLD_RELAX], programs[_i].value);
    ck_assert(isnan(w.output.thresholds[POLICY_THRESHOLD_CRITICAL]));
}
END_TEST

START_TEST(test_empty)
{
    static const char *const texts[] = {"", "\n\n", "# nothing", "# nothing\n", ";", " \t\r\n"};
    World w;

    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        world_init(&w);
        ck_assert_int_eq(world_run(&w, texts[i]), 0);
        ck_assert_uint_eq(w.output.notes_total, 0);
        for (size_t g = 0; g < N_GUESTS; g++)
            ck_assert_uint_eq(w.assignments[g].line, 0);
    }
}
END_TEST

START_TEST(test_assignment_has_line_reason_and_order)
{
    const char *text = "for g in guests where g.free < 2GiB {\n"
                       "    g.target = 7GiB because \"first\"\n"
                       "}\n"
                       "for g in guests {\n"
                       "    g.target = g.target - 1GiB\n"
                       "        because \"gives free memory\"\n"
                       "    if g.free < 2GiB {\n"
                       "        g.target = g.target - 1GiB\n"
                       "    }\n"
                       "}\n";
    _cleanup_(policy_freep) Policy *p = load(text);
    World w;

    world_init(&w);
    ck_assert_int_eq(policy_run(p, &w.input, &w.output), 0);
    ck_assert_str_eq(policy_name(p), "0.policy");

    ck_assert_double_eq(target(&w, A), 5.0 * GIB); /* reads the earlier assignment */
    ck_assert_uint_eq(w.assignments[A].line, 8);
    ck_assert_uint_eq(w.assignments[A].order, 1);
    ck_assert_ptr_null(w.assignments[A].because);
    ck_assert_double_eq(target(&w, C), 7.0 * GIB); /* reads the target that stands */
    ck_assert_uint_eq(w.assignments[C].line, 5);
    ck_assert_uint_eq(w.assignments[C].order, 3);
    ck_assert_str_eq(w.assignments[C].because, "gives free memory");
    ck_assert_uint_eq(w.assignments[B].order, 2);
}
END_TEST

START_TEST(test_same_input_same_output)
{
    const char *text = "let need = 5GiB\nfor g in guests by g.free desc { let x = min(need, g.free)\n"
                       "g.target = g.target - x\nneed = need - x }\nlet relax_threshold = need";
    World v, w;

    world_init(&v);
    world_init(&w);
    ck_assert_int_eq(world_run(&v, text), 0);
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(world_run(&w, text), 0);
    for (size_t i = 0; i < N_GUESTS; i++)
        ck_assert_double_eq(target(&v, i), target(&w, i));
    ck_assert_double_eq(target(&w, B), 5.0 * GIB);
    ck_assert_double_eq(target(&w, C), 6.0 * GIB);
    ck_assert_double_eq(w.output.thresholds[POLICY_THRESHOLD_RELAX], 0);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("policy-lang");

    tcase_add_loop_test(t, test_value, 0, ELEMENTSOF(values));
    tcase_add_loop_test(t, test_rate, 0, ELEMENTSOF(rates));
    tcase_add_loop_test(t, test_default, 0, ELEMENTSOF(defaults));
    tcase_add_test(t, test_default_is_for_missing_only);
    tcase_add_loop_test(t, test_program, 0, ELEMENTSOF(programs));
    tcase_add_test(t, test_empty);
    tcase_add_test(t, test_assignment_has_line_reason_and_order);
    tcase_add_test(t, test_same_input_same_output);
    return run_tests(t);
}
