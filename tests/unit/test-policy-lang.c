/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a policy means: values of expressions, statements, turns of guests and how they are undone. */

#include <check.h>
#include <math.h>
#include <string.h>

#include "base/macro.h"
#include "base/units.h"
#include "policy/policy.h"
#include "tests/unit/run.h"

#define N_GUESTS 3

/* A host of 64 GiB with 16 GiB available, and three guests. Their UUIDs are in another order than they are,
 * and "b" has no agent. */
typedef struct World {
    HostFields host;
    GuestFields fields[N_GUESTS];
    PolicyGuest guests[N_GUESTS];
    PolicyAssignment assignments[N_GUESTS];
    PolicyOutput output;
} World;

enum { C, A, B }; /* where each guest is */

static void world_init(World *w)
{
    static const char *const uuids[N_GUESTS] = {[C] = "c", [A] = "a", [B] = "b"};
    static const double free_gib[N_GUESTS] = {[C] = 3, [A] = 1, [B] = 3};

    *w = (World){};
    host_set(&w->host, HOST_FIELD_TOTAL, 64.0 * GIB);
    host_set(&w->host, HOST_FIELD_AVAILABLE, 16.0 * GIB);
    host_set(&w->host, HOST_FIELD_PENDING, -1.0 * GIB);
    for (size_t i = 0; i < N_GUESTS; i++) {
        GuestFields *g = &w->fields[i];

        guest_set(g, GUEST_FIELD_TARGET, 8.0 * GIB);
        guest_set(g, GUEST_FIELD_CURRENT, 8.0 * GIB);
        guest_set(g, GUEST_FIELD_FULL, 8.0 * GIB);
        guest_set(g, GUEST_FIELD_LEAST, 2.0 * GIB);
        guest_set(g, GUEST_FIELD_FREE, free_gib[i] * GIB);
        guest_set(g, GUEST_FIELD_AGE, 1.5e6);
        guest_set(g, GUEST_FIELD_DISTRESS, 0);
        if (i != B)
            guest_set(g, GUEST_FIELD_PSI_MEMORY_SOME, 0.25);
        w->guests[i] = (PolicyGuest){.uuid = uuids[i], .fields = g};
    }
    w->output.assignments = w->assignments;
}

static Policy *load(const char *text)
{
    PolicyDiagnostics d = {};
    Policy *p = NULL;
    int r = policy_load(text, strlen(text), "test.policy", &d, &p);

    ck_assert_msg(r == 0, "%s\n%s", text, d.text ? d.text : strerror(-r));
    ck_assert_ptr_null(d.text);
    return p;
}

static int world_run(World *w, const char *text)
{
    const PolicyInput input = {.host = &w->host, .guests = w->guests, .n_guests = N_GUESTS};
    Policy *p = load(text);
    int r = policy_run(p, &input, &w->output);

    /* because texts belong to the policy: kept by the tests that look at them through their own policy */
    for (size_t i = 0; i < N_GUESTS; i++)
        w->assignments[i].because = w->assignments[i].because ? "" : NULL;
    policy_free(p);
    return r;
}

static double target(const World *w, size_t guest)
{
    return w->assignments[guest].line > 0 ? w->assignments[guest].value : NAN;
}

/* Numbers and booleans are shown through a mark, which is bytes. */
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
    /* what can't be worked out doesn't matter where it isn't asked for */
    {"if true or host.swap_free > 0B then 1B else 0B", 1},
    {"if false and 1B / 0B > 1 then 1B else 0B", 0},
    {"if true then 1B else host.swap_free", 1},
    /* a line goes on where what follows can't begin a statement */
    {"1B\n + 2B\n * 3", 7},
    {"if 1 < 2\n then 1B\n else 2B", 1},
    {"max(\n1B,\n2B\n)", 2},
};

START_TEST(test_value)
{
    char text[256];
    World w;

    world_init(&w);
    (void) snprintf(text, sizeof(text), "let pressure_mark = %s", values[_i].expr);
    ck_assert_int_eq(world_run(&w, text), 0);
    ck_assert_msg(w.output.marks[POLICY_MARK_PRESSURE] == values[_i].value, "%s is %.17g, not %.17g",
                  values[_i].expr, w.output.marks[POLICY_MARK_PRESSURE], values[_i].value);
}
END_TEST

/* Statements of the host's part; what they lead to is shown through relax_mark. */
static const struct {
    const char *text;
    double value;
} programs[] = {
    {"const a = 2; const b = a * 3B; let relax_mark = b", 6},
    {"let x = 1B\nx = x + 1B\nx = x * 4\nlet relax_mark = x", 8},
    {"let x = 1B; if x == 1B { x = 5B }; let relax_mark = x", 5},
    {"let x = 1B; if x == 2B { x = 5B } else if x == 1B { x = 6B } else { x = 7B }\nlet relax_mark = x", 6},
    {"let x = 3B; if x == 2B { x = 5B }\nelse if x == 1B { x = 6B }\nelse\n{ x = 7B }\nlet relax_mark = x",
     7},
    {"let x = 1B; if true { let y = 2B; x = y }; if true { let y = 3B; x = x + y }; let relax_mark = x", 5},
    {"fn twice(x) = 2 * x\nlet relax_mark = twice(twice(3B))", 12},
    {"fn twice(x) = 2 * x\nlet n = twice(3)\nlet relax_mark = twice(1B) * n", 12}, /* for each kind */
    {"fn f(a, b, c) = a - b - c\nfn g(a, b) = f(b, a, 1B)\nlet relax_mark = g(1B, 7B)", 5},
    {"fn one() = 1B\nlet relax_mark = one() + one()", 2},
    {"let x = 1B\nfn f(y) = x + y\nx = 10B\nlet relax_mark = f(1B)",
     11}, /* a variable as it is when called */
    {"fn pick(c, a, b) = if c then a else b\nlet relax_mark = pick(true, 1B, 2B) + pick(1 > 2, 3, 4) * 1B",
     5},
    {"let relax_mark = 1B # a comment; = not { read \xc3\xa9\n# another\n\n;;\n", 1},
    {"let relax_mark = 0B; for g in guests { relax_mark = relax_mark + 1B }", 3},
    {"let relax_mark = 0B; for g in guests where g.free > 2GiB { relax_mark = relax_mark + 1B }", 2},
    {"fn big(x) = x.free > 2GiB\nlet relax_mark = 0B\nfor g in guests where big(g) { relax_mark = relax_mark "
     "+ 1B }",
     2},
    {"let relax_mark = 0B; for g in guests { let x = 1B; x = x + 1B; relax_mark = relax_mark + x }", 6},
    {"let relax_mark = 0B; for g in guests where not g.distress and g.age < 2s { relax_mark = 1B }", 1},
    {"let relax_mark = 3B\r\nrelax_mark = 4B\r\n", 4},
    {"const relax_mark = 9B", 9},
};

START_TEST(test_program)
{
    World w;

    world_init(&w);
    ck_assert_int_eq(world_run(&w, programs[_i].text), 0);
    ck_assert_msg(w.output.marks[POLICY_MARK_RELAX] == programs[_i].value, "%s\ngives %.17g, not %.17g",
                  programs[_i].text, w.output.marks[POLICY_MARK_RELAX], programs[_i].value);
    ck_assert(isnan(w.output.marks[POLICY_MARK_CRITICAL]));
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

/* In which order guests are served: order[i] is the turn of guest c, a, b. */
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
    /* several keys: what is equal in one goes on to the next, and at last by UUID */
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

START_TEST(test_assignment_tells_line_reason_and_order)
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
    PolicyInput input;
    World w;

    world_init(&w);
    input = (PolicyInput){.host = &w.host, .guests = w.guests, .n_guests = N_GUESTS};
    ck_assert_int_eq(policy_run(p, &input, &w.output), 0);
    ck_assert_str_eq(policy_name(p), "test.policy");

    ck_assert_double_eq(target(&w, A), 5.0 * GIB); /* reads what was assigned before */
    ck_assert_uint_eq(w.assignments[A].line, 8);
    ck_assert_uint_eq(w.assignments[A].order, 1);
    ck_assert_ptr_null(w.assignments[A].because);
    ck_assert_double_eq(target(&w, C), 7.0 * GIB); /* reads what stands */
    ck_assert_uint_eq(w.assignments[C].line, 5);
    ck_assert_uint_eq(w.assignments[C].order, 3);
    ck_assert_str_eq(w.assignments[C].because, "gives free memory");
    ck_assert_uint_eq(w.assignments[B].order, 2);
}
END_TEST

/* Each takes 1 GiB from what is needed, from a, b and c in this order, and fails for b at the given place. */
static const struct {
    const char *text;
    unsigned line, column;
    const char *note;
} undone[] = {
    {"let relax_mark = 0B\nfor g in guests {\n relax_mark = relax_mark + 1GiB\n g.target = 1GiB\n"
     " if g.psi_memory_some > 1 { }\n}",
     5, 7, "g.psi_memory_some is missing"},
    {"let relax_mark = 0B\nfor g in guests {\n g.target = 1GiB; relax_mark = relax_mark + 1GiB\n"
     " let x = 1 / (if g.psi_memory_some ?? 0 == 0 then 0 else 1)\n}",
     4, 12, "division by zero"},
    {"let relax_mark = 0B\nfor g in guests {\n relax_mark = relax_mark + 1GiB\n"
     " g.target = (g.psi_memory_some ?? -1) * 4GiB\n}",
     4, 2, "a target below 0"},
    {"let relax_mark = 0B\nfor g in guests where g.psi_memory_some >= 0 {\n relax_mark = relax_mark + 1GiB\n"
     " g.target = 1GiB }",
     2, 25, "g.psi_memory_some is missing"},
    {"let relax_mark = 0B\nfor g in guests by 1 + g.psi_memory_some asc {\n relax_mark = relax_mark + 1GiB\n"
     " g.target = 1GiB }",
     2, 26, "g.psi_memory_some is missing"},
    {"let relax_mark = 0B\nfor g in guests by g.free asc, g.psi_memory_some asc {\n relax_mark = relax_mark "
     "+ "
     "1GiB\n g.target = 1GiB }",
     2, 34, "g.psi_memory_some is missing"},
    {"let relax_mark = 0B\nfor g in guests {\n g.target = 1GiB; relax_mark = relax_mark + 1GiB\n"
     " let x = round(g.free, if g.psi_memory_some ?? 0 == 0 then 0B else 1B)\n}",
     4, 10, "rounded to a step that isn't above 0"},
    {"let relax_mark = 0B\nfor g in guests {\n g.target = 1GiB; relax_mark = relax_mark + 1GiB\n"
     " let x = round(g.free, (g.psi_memory_some ?? -1) * 1MiB)\n}",
     4, 10, "rounded to a step that isn't above 0"},
    {"fn f(x) = x.psi_memory_some\nlet relax_mark = 0B\nfor g in guests {\n relax_mark = relax_mark + 1GiB\n"
     " g.target = f(g) * 4GiB }",
     1, 13, "g.psi_memory_some is missing"},
    {"let relax_mark = 0B\nlet x = 1\nfor g in guests { relax_mark = relax_mark + 1GiB; g.target = 1GiB\n"
     " if g.psi_memory_some ?? 9 == 9 { x = 100000000000000 * 10000 * 100000000000000; x = x*x*x*x*x*x\nx = "
     "x * x }}",
     5, 7, "the result is too large"},
    {"let relax_mark = 0B\nfor g in guests { relax_mark = relax_mark + 1GiB\n"
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
    ck_assert_double_eq(w.output.marks[POLICY_MARK_RELAX], 2.0 * GIB); /* what b took is given back */
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

/* A stat that isn't a number is as good as missing, whoever made it so. */
START_TEST(test_stat_not_finite)
{
    static const double bad[] = {NAN, INFINITY, -INFINITY};

    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        World w;

        world_init(&w);
        guest_set(&w.fields[B], GUEST_FIELD_FREE, bad[i]);
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
    PolicyOutput output = {.assignments = assignments};
    uint64_t x = 88172645463325252;

    for (size_t i = 0; i < MANY; i++) {
        x = x * 6364136223846793005U + 1442695040888963407U;
        guest_set(&fields[i], GUEST_FIELD_FREE, (double) (x >> 60) * 30);
        guest_set(&fields[i], GUEST_FIELD_CACHE, (double) (x >> 56 & 7));
        guest_set(&fields[i], GUEST_FIELD_USED, (double) (x >> 50 & 3));
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
        double a = round(guest_get(f, GUEST_FIELD_FREE) / 100),
               b = round(guest_get(g, GUEST_FIELD_FREE) / 100);
        double c = guest_get(f, GUEST_FIELD_CACHE), d = guest_get(g, GUEST_FIELD_CACHE);
        double u = guest_get(f, GUEST_FIELD_USED), v = guest_get(g, GUEST_FIELD_USED);

        ck_assert(
            a > b ||
            (a == b && (c < d || (c == d && (u > v || (u == v && strcmp(guests[turns[i - 1]].uuid,
                                                                        guests[turns[i]].uuid) <= 0))))));
    }
}
END_TEST

/* More undone turns than are told are still counted, and no guest at all is fine, too. */
START_TEST(test_many_and_none)
{
    enum { MANY = 100 };
    _cleanup_(policy_freep) Policy *p = load("for g in guests { g.target = g.free }");
    static GuestFields fields[MANY];
    static PolicyGuest guests[MANY];
    static PolicyAssignment assignments[MANY];
    HostFields host = {};
    PolicyInput input = {.host = &host, .guests = guests, .n_guests = MANY};
    PolicyOutput output = {.assignments = assignments};

    for (size_t i = 0; i < MANY; i++)
        guests[i] = (PolicyGuest){.uuid = "same", .fields = &fields[i]};
    guest_set(&fields[50], GUEST_FIELD_FREE, 5);
    ck_assert_int_eq(policy_run(p, &input, &output), 0);
    ck_assert_uint_eq(output.notes_total, MANY - 1);
    ck_assert_uint_eq(output.n_notes, POLICY_NOTES_MAX);
    for (size_t i = 0; i < POLICY_NOTES_MAX; i++)
        ck_assert_uint_eq(output.notes[i].guest, i);
    ck_assert_double_eq(assignments[50].value, 5);

    input = (PolicyInput){.host = &host};
    output.assignments = NULL;
    ck_assert_int_eq(policy_run(p, &input, &output), 0);
    ck_assert_uint_eq(output.notes_total, 0);
}
END_TEST

START_TEST(test_same_input_same_output)
{
    const char *text = "let need = 5GiB\nfor g in guests by g.free desc { let x = min(need, g.free)\n"
                       "g.target = g.target - x\nneed = need - x }\nlet relax_mark = need";
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
    ck_assert_double_eq(w.output.marks[POLICY_MARK_RELAX], 0);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("policy-lang");

    tcase_add_loop_test(t, test_value, 0, ELEMENTSOF(values));
    tcase_add_loop_test(t, test_program, 0, ELEMENTSOF(programs));
    tcase_add_test(t, test_empty);
    tcase_add_loop_test(t, test_order, 0, ELEMENTSOF(orders));
    tcase_add_test(t, test_assignment_tells_line_reason_and_order);
    tcase_add_loop_test(t, test_undone_turn, 0, ELEMENTSOF(undone));
    tcase_add_test(t, test_undone_turn_keeps_earlier_ones);
    tcase_add_test(t, test_void);
    tcase_add_test(t, test_stat_not_finite);
    tcase_add_test(t, test_order_of_many);
    tcase_add_test(t, test_many_and_none);
    tcase_add_test(t, test_same_input_same_output);
    return run_tests(t);
}
