/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a policy says: the lines of log(), and the values that an assignment was made from. */

#include "tests/unit/policy-world.h"

/* ---- log ---- */

static const struct {
    const char *statement, *text;
} logs[] = {
    {"log(\"hello\")", "hello"},
    {"log(\"free is\", 12MiB, \"of\", 1.5GiB)", "free is 12.0 MiB of 1.50 GiB"},
    {"log(\"\")", ""},
    {"log(\"b\", 0B, 1B, 1023B, 64KiB, -3MiB, 0B - 1B)", "b 0 B 1 B 1023 B 64.0 KiB -3.00 MiB -1 B"},
    {"log(\"b\", 0.4B, 0B - 0.4B, 1.6B)", "b 0 B 0 B 2 B"},
    {"log(\"b\", 1000000TiB * 1000000)", "b 1.09951e+24 B"},
    {"log(\"n\", 1, 0.25, 20%, -7, 131072, 1 / 3)", "n 1 0.25 0.2 -7 131072 0.333333"},
    {"log(\"d\", 10s, 250ms, 125s, 3h, 2d, 0s, -5s)", "d 10s 250ms 2min 5s 3h 2d 0s -5s"},
    {"log(\"r\", 12MiB / 1s, 30MiB / 1min, 0B / 1s, -(1MiB / 1s))",
     "r 12.0 MiB/s 512 KiB/s 0 B/s -1.00 MiB/s"},
    {"log(\"y\", true, 1 > 2, not (1 > 2))", "y true false true"},
    {"log(\"h\", host.total, host.ksm_run, host.ksm_sleep)", "h 64.0 GiB false 20ms"},
    {"let x = 3GiB; let t = \"text\"; log(\"x\", x, t, x / 1s)", "x 3.00 GiB text 3.00 GiB/s"},
    {"log(\"s\", sum(g.free for g in guests), count(g for g in guests))", "s 7.00 GiB 3"},
    {"log(\"o\", host.swap_free ?? 1MiB)", "o 1.00 MiB"},
    {"fn half(x) = x / 2\nlog(\"f\", half(3), half(1GiB), half(3s))", "f 1.5 512 MiB 1.5s"},
    {"log(\"zero\", -0, 0 * -1, 0 - 0, -0B, -0s, 0B - 0.4B, -0.4us, -(0B / 1s))",
     "zero 0 0 0 0 B 0s 0 B 0s 0 B/s"}, /* C13 */
    {"log(\"eight\", 1, 2, 3, 4, 5, 6, 7, 8)", "eight 1 2 3 4 5 6 7 8"},
};

START_TEST(test_log)
{
    World w;

    world_init(&w);
    ck_assert_int_eq(world_run(&w, logs[_i].statement), 0);
    ck_assert_uint_eq(w.output.n_logs, 1);
    ck_assert_uint_eq(w.output.logs_total, 1);
    ck_assert_str_eq(w.output.logs[0].text, logs[_i].text);
    ck_assert_uint_eq(w.output.logs[0].guest, SIZE_MAX);
}
END_TEST

START_TEST(test_log_of_guests)
{
    World w;

    world_init(&w);
    ck_assert_int_eq(world_run(&w, "let x = 1\nfor g in guests by g.free desc {\n"
                                   "    log(\"guest\", g.name, g.free, g.age)\n}\nlog(\"end\")"),
                     0);
    ck_assert_uint_eq(w.output.n_logs, 4);
    ck_assert_str_eq(w.output.logs[0].text, "guest web2 3.00 GiB 1.5s");
    ck_assert_uint_eq(w.output.logs[0].guest, B);
    ck_assert_uint_eq(w.output.logs[0].line, 3);
    ck_assert_str_eq(w.output.logs[2].text, "guest web1 1.00 GiB 1.5s");
    ck_assert_uint_eq(w.output.logs[2].guest, A);
    ck_assert_uint_eq(w.output.logs[3].guest, SIZE_MAX);
    ck_assert_uint_eq(w.output.logs[3].line, 5);
}
END_TEST

/* A line is cut between two characters, and nothing gets into it that isn't printable. */
START_TEST(test_log_is_clean)
{
    static const struct {
        const char *name, *shown;
    } table[] = {
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x98", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x98"},
        {"a\nb\tc\x1b[31m\x7f", "a?b?c?[31m?"},
        {"\xff\xfe"
         "A\xc3",
         "??A?"},
        {"\xc0\xaf\xe0\x80\xaf\xed\xa0\x80", "????????"},
        {"\xc2\x80\xc2\x9f\xc2\xa0", "????\xc2\xa0"}, /* C1 controls */
    };
    char name[3 * POLICY_LOG_MAX];

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        World w;

        world_init(&w);
        guest_fields_set_text(&w.fields[A], GUEST_FIELD_NAME, table[i].name);
        ck_assert_int_eq(world_run(&w, "for g in guests where g.uuid == \"a\" { log(\"\", g.name) }"), 0);
        ck_assert_str_eq(w.output.logs[0].text + 1, table[i].shown);
    }
    /* Whatever comes before it, a character of 3 bytes is whole or isn't there. */
    for (size_t before = 0; before < 3; before++) {
        World w;
        size_t length;

        memset(name, 'x', before);
        for (size_t i = 0; i < POLICY_LOG_MAX / 2; i++)
            memcpy(name + before + 3 * i, "\xe2\x82\xac", 4);
        world_init(&w);
        guest_fields_set_text(&w.fields[A], GUEST_FIELD_NAME, name);
        ck_assert_int_eq(
            world_run(&w, "for g in guests where g.uuid == \"a\" { log(\"\", g.name, \"more\") }"), 0);
        length = strlen(w.output.logs[0].text);
        ck_assert_uint_lt(length, POLICY_LOG_MAX);
        ck_assert_uint_ge(length, POLICY_LOG_MAX - 3);
        ck_assert_uint_eq((length - 1 - before) % 3, 0);
        ck_assert(strncmp(w.output.logs[0].text + 1, name, length - 1) == 0);
    }
}
END_TEST

START_TEST(test_logs_are_bounded)
{
    enum { MANY = 100 };
    static GuestFields fields[MANY];
    static PolicyGuest guests[MANY];
    static PolicyAssignment assignments[MANY];
    static PolicyOutput output = {.assignments = {[GUEST_CONTROL_TARGET] = assignments}};
    _cleanup_(policy_freep) Policy *p = load("for g in guests {\n"
                                             "    log(\"turn\", g.free)\n"
                                             "    log(\"again\")\n"
                                             "    let x = 1 / (g.free / 1B - 3)\n" /* the fourth fails */
                                             "}\nlog(\"end\")");
    PolicyInput input = {.guests = guests, .n_guests = MANY};

    for (size_t i = 0; i < MANY; i++) {
        guest_fields_set(&fields[i], GUEST_FIELD_FREE, (double) i);
        guests[i] = (PolicyGuest){.uuid = "same", .fields = &fields[i]};
    }
    ck_assert_int_eq(policy_run(p, &input, &output), 0);
    ck_assert_uint_eq(output.n_logs, POLICY_LOGS_MAX);
    ck_assert_uint_eq(output.logs_total, 2 * (MANY - 1) + 1);
    ck_assert_str_eq(output.logs[4].text, "turn 2 B");
    ck_assert_str_eq(output.logs[6].text, "turn 4 B");

    /* One that fails where the list is full puts back the count alone. */
    guest_fields_set(&fields[3], GUEST_FIELD_FREE, 1000);
    guest_fields_set(&fields[50], GUEST_FIELD_FREE, 3);
    ck_assert_int_eq(policy_run(p, &input, &output), 0);
    ck_assert_uint_eq(output.n_logs, POLICY_LOGS_MAX);
    ck_assert_uint_eq(output.logs_total, 2 * (MANY - 1) + 1);
}
END_TEST

/* ---- what an assignment read ---- */

typedef struct Expected {
    const char *object, *name;
    FieldUnit unit;
    double value;
} Expected;

#define READS_MAX 12

static const struct {
    const char *text;
    int host; /* whose assignment: a control of the host, or -1: guest a's target */
    Expected reads[READS_MAX];
} reads[] = {
    {"for g in guests { g.target = 1GiB }", -1, {}},
    /* variables in the order of the expression, each once; no constants and no words of functions */
    {"const c = 1GiB\nfn f(x) = x + c\nlet need = 5GiB\nfor g in guests { let give = 2GiB\nlet unused = 1\n"
     "g.target = give + f(need) - give - c }",
     -1,
     {{NULL, "give", FIELD_UNIT_BYTES, 2.0 * GIB}, {NULL, "need", FIELD_UNIT_BYTES, 5.0 * GIB}}},
    /* as they were then */
    {"let need = 5GiB\nfor g in guests { g.target = need\nneed = need - 1GiB }",
     -1,
     {{NULL, "need", FIELD_UNIT_BYTES, 5.0 * GIB}}},
    /* of every unit */
    {"let n = 2\nlet d = 2s\nlet r = 1GiB / 1s\nlet yes = true\nlet t = \"text\"\n"
     "for g in guests { g.target = if yes and t == t then r * d * n else 0B }",
     -1,
     {{NULL, "yes", FIELD_UNIT_BOOLEAN, 1},
      {NULL, "r", FIELD_UNIT_RATE, 1.0 * GIB},
      {NULL, "d", FIELD_UNIT_DURATION, 2.0 * USEC_PER_SEC},
      {NULL, "n", FIELD_UNIT_NUMBER, 2}}},
    /* what is kept */
    {"state s = 1GiB\nstate guest.k = 2\nfor g in guests { g.k = 3\ng.target = g.k * s }",
     -1,
     {{"g", "k", FIELD_UNIT_NUMBER, 3}, {NULL, "s", FIELD_UNIT_BYTES, 1.0 * GIB}}},
    /* the stats that the turn had read by then: also elsewhere in it, not after it, nor before the loop */
    {"let x = host.pending\nfor g in guests where g.age < 5s { if g.free > 0B { g.target = g.current }\n"
     "let later = g.full }",
     -1,
     {{"g", "current", FIELD_UNIT_BYTES, 8.0 * GIB}, {"g", "free", FIELD_UNIT_BYTES, 1.0 * GIB}}},
    {"for g in guests { g.target = min(g.free + host.total, 4GiB) }",
     -1,
     {{"host", "total", FIELD_UNIT_BYTES, 64.0 * GIB}, {"g", "free", FIELD_UNIT_BYTES, 1.0 * GIB}}},
    /* through functions; what is missing isn't listed */
    {"fn f(x) = (x.rss ?? x.free) + (host.swap_free ?? 0B)\nfor g in guests { g.target = f(g) }",
     -1,
     {{"g", "free", FIELD_UNIT_BYTES, 1.0 * GIB}}},
    /* a control as it was */
    {"for g in guests { g.target = 5GiB }\nfor g in guests { g.target = g.target - 1GiB }",
     -1,
     {{"g", "target", FIELD_UNIT_BYTES, 8.0 * GIB}}},
    /* windows with the present value */
    {"for g in guests { g.target = avg(g.free, 30s) + max(host.total, 30s) - host.total }",
     -1,
     {{"host", "total", FIELD_UNIT_BYTES, 64.0 * GIB}, {"g", "free", FIELD_UNIT_BYTES, 1.0 * GIB}}},
    /* texts have no value */
    {"for g in guests where g.name != \"x\" { if g.name == \"web1\" { g.target = g.free } }",
     -1,
     {{"g", "free", FIELD_UNIT_BYTES, 1.0 * GIB}}},
    /* one turn doesn't tell what another one read */
    {"for g in guests by g.free desc { if g.uuid != \"a\" { g.target = g.age / 1s * 1GiB } else { g.target = "
     "g.free } }",
     -1,
     {{"g", "free", FIELD_UNIT_BYTES, 1.0 * GIB}}},
    /* of the host: what the file read so far, not what turns did */
    {"let low = host.available < 20GiB\nfor g in guests { let x = host.total }\nhost.ksm_run = low",
     HOST_FIELD_KSM_RUN,
     {{NULL, "low", FIELD_UNIT_BOOLEAN, 1}, {"host", "available", FIELD_UNIT_BYTES, 16.0 * GIB}}},
    {"let free = sum(g.free for g in guests)\nhost.ksm_pages_to_scan = 1000 * (free / host.total)",
     HOST_FIELD_KSM_PAGES_TO_SCAN,
     {{NULL, "free", FIELD_UNIT_BYTES, 7.0 * GIB}, {"host", "total", FIELD_UNIT_BYTES, 64.0 * GIB}}},
    {"for g in guests where g.uuid == \"a\" { host.ksm_sleep = host.ksm_sleep + g.age }",
     HOST_FIELD_KSM_SLEEP,
     {{"host", "ksm_sleep", FIELD_UNIT_DURATION, 20.0 * USEC_PER_MSEC}}},
    /* what belongs to each of an aggregate's guests isn't one value */
    {"state guest.k = 1\nlet limit = 0\n"
     "host.ksm_pages_to_scan = sum(g.k for g in guests where g.k > limit)",
     HOST_FIELD_KSM_PAGES_TO_SCAN,
     {{NULL, "limit", FIELD_UNIT_NUMBER, 0}}},
    /* no more variables than there is room for */
    {"let a = 1\nlet b = 2\nlet c = 3\nlet d = 4\nlet e = 5\nlet f = 6\nlet h = 7\nlet i = 8\nlet j = 9\n"
     "host.ksm_pages_to_scan = a + b + c + d + e + f + h + i + j",
     HOST_FIELD_KSM_PAGES_TO_SCAN,
     {{NULL, "a", FIELD_UNIT_NUMBER, 1},
      {NULL, "b", FIELD_UNIT_NUMBER, 2},
      {NULL, "c", FIELD_UNIT_NUMBER, 3},
      {NULL, "d", FIELD_UNIT_NUMBER, 4},
      {NULL, "e", FIELD_UNIT_NUMBER, 5},
      {NULL, "f", FIELD_UNIT_NUMBER, 6},
      {NULL, "h", FIELD_UNIT_NUMBER, 7},
      {NULL, "i", FIELD_UNIT_NUMBER, 8}}},
};

START_TEST(test_reads)
{
    _cleanup_(policy_freep) Policy *p = load(reads[_i].text);
    size_t n, expected = 0, guest = reads[_i].host < 0 ? A : SIZE_MAX;
    const PolicyAssignment *a;
    PolicyRead got[READS_MAX];
    World w;

    world_init(&w);
    ck_assert_int_eq(policy_run(p, &w.input, &w.output), 0);
    a = reads[_i].host < 0 ? &w.assignments[A] : &w.output.host[reads[_i].host];
    n = policy_reads(p, &w.input, guest, a, got, READS_MAX);
    while (expected < READS_MAX && reads[_i].reads[expected].name)
        expected++;
    ck_assert_msg(n == expected, "%s\n%zu are listed", reads[_i].text, n);
    for (size_t i = 0; i < n; i++) {
        const Expected *e = &reads[_i].reads[i];

        ck_assert_str_eq(got[i].name, e->name);
        if (e->object)
            ck_assert_str_eq(got[i].object, e->object);
        else
            ck_assert_ptr_null(got[i].object);
        ck_assert_int_eq(got[i].unit, e->unit);
        ck_assert_double_eq_tol(got[i].value, e->value, 1e-9 * fabs(e->value) + 1e-12);
    }
    if (n > 0)
        ck_assert_uint_eq(policy_reads(p, &w.input, guest, a, got, n - 1), n - 1);
}
END_TEST

START_TEST(test_reads_of_the_file_that_assigned)
{
    static const char *const texts[] = {"let give = 1GiB\nfor g in guests { g.target = g.free - give }",
                                        "let low = host.available < 20GiB\nhost.ksm_run = low"};
    _cleanup_(policy_freep) Policy *p = load_files(texts, 2);
    PolicyRead got[READS_MAX];
    World w;

    world_init(&w);
    ck_assert_int_eq(policy_run(p, &w.input, &w.output), 0);
    ck_assert_uint_eq(policy_reads(p, &w.input, A, &w.assignments[A], got, READS_MAX), 2);
    ck_assert_str_eq(got[0].name, "give");
    ck_assert_str_eq(got[1].name, "free");
    ck_assert_uint_eq(policy_reads(p, &w.input, SIZE_MAX, &w.output.host[HOST_FIELD_KSM_RUN], got, READS_MAX),
                      2);
    ck_assert_str_eq(got[0].name, "low");
    ck_assert_str_eq(got[1].name, "available");
    /* what wasn't assigned read nothing */
    ck_assert_uint_eq(
        policy_reads(p, &w.input, SIZE_MAX, &w.output.host[HOST_FIELD_KSM_SLEEP], got, READS_MAX), 0);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("policy-tell");

    tcase_add_loop_test(t, test_log, 0, ELEMENTSOF(logs));
    tcase_add_test(t, test_log_of_guests);
    tcase_add_test(t, test_log_is_clean);
    tcase_add_test(t, test_logs_are_bounded);
    tcase_add_loop_test(t, test_reads, 0, ELEMENTSOF(reads));
    tcase_add_test(t, test_reads_of_the_file_that_assigned);
    return run_tests(t);
}
