/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A policy that can't work is refused whole, with messages that say where and how to mend it; and no text,
 * however odd, costs more than its length. */

#include <check.h>
#include <dirent.h>
#include <string.h>

#include "base/macro.h"
#include "base/time-util.h"
#include "policy/policy.h"
#include "policy/program.h"
#include "tests/policy-load.h"
#include "tests/unit/run.h"

static void fixture_path(char *buf, size_t size, const char *name)
{
    (void) snprintf(buf, size, "%s/tests/fixtures/policy-errors/%s", getenv("BALLAST_SOURCE"), name);
}

static char *read_text(const char *name)
{
    static char buf[64 * 1024];
    _cleanup_fclose_ FILE *f = NULL;
    char path[4096];
    size_t n;

    fixture_path(path, sizeof(path), name);
    f = fopen(path, "re");
    ck_assert_msg(f, "can't open %s", path);
    n = fread(buf, 1, sizeof(buf) - 1, f);
    buf[n] = 0;
    return strdup(buf);
}

static bool is_policy(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot && strcmp(dot, ".policy") == 0;
}

/* Each file NAME.policy gives the messages of NAME.expected. */
START_TEST(test_golden)
{
    char path[4096];
    struct dirent *e;
    unsigned n = 0;
    DIR *dir;

    fixture_path(path, sizeof(path), ".");
    dir = opendir(path);
    ck_assert_ptr_nonnull(dir);
    while ((e = readdir(dir))) {
        _cleanup_free_ char *text = NULL, *expected = NULL;
        PolicyDiagnostics d = {};
        char name[300];
        Policy *p = NULL;

        if (!is_policy(e->d_name))
            continue;
        n++;
        text = read_text(e->d_name);
        (void) snprintf(name, sizeof(name), "%.*s.expected", (int) (strlen(e->d_name) - strlen(".policy")),
                        e->d_name);
        expected = read_text(name);
        ck_assert_int_eq(policy_load(text, strlen(text), e->d_name, &d, &p), -EINVAL);
        ck_assert_ptr_null(p);
        ck_assert_msg(strcmp(d.text, expected) == 0, "%s gives\n%s\nnot\n%s", e->d_name, d.text, expected);
        ck_assert_uint_eq(d.length, strlen(d.text));
        ck_assert_uint_ge(d.count, 1);
        ck_assert_uint_le(d.count, POLICY_DIAGNOSTICS_MAX);
        policy_diagnostics_done(&d);
        ck_assert_ptr_null(d.text);
    }
    closedir(dir);
    ck_assert_uint_ge(n, 33);
}
END_TEST

/* A growing text. */
typedef struct Text {
    char *text;
    size_t length;
    FILE *f;
} Text;

static void text_open(Text *t)
{
    *t = (Text){};
    t->f = open_memstream(&t->text, &t->length);
    ck_assert_ptr_nonnull(t->f);
}

static void repeat(Text *t, const char *what, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        fputs(what, t->f);
}

/* Loads it, and checks the outcome and that it came soon (instrumented builds are slow). */
static void text_close_and_load(Text *t, int outcome, const char *message)
{
    PolicyDiagnostics d = {};
    Policy *p = NULL;
    usec_t start, took;
    int r;

    fclose(t->f);
    start = now_usec(CLOCK_MONOTONIC);
    r = policy_load(t->text, t->length, "p", &d, &p);
    took = now_usec(CLOCK_MONOTONIC) - start;
    ck_assert_msg(r == outcome, "%d: %s", r, d.text ? d.text : "");
    if (message)
        ck_assert_msg(d.text && strstr(d.text, message), "no '%s' in: %s", message, d.text ? d.text : "");
    ck_assert_uint_lt(took, 2 * USEC_PER_SEC);
    policy_diagnostics_done(&d);
    policy_free(p);
    free(t->text);
}

/* before × n, middle, after × n */
static const struct {
    const char *head, *before, *middle, *after;
    unsigned n;
    int outcome;
    const char *message;
} nested[] = {
    {"let x = ", "(", "1", ")", 60, 0, NULL},
    {"let x = ", "(", "1", ")", 70, -EINVAL, "nested too deeply: at most 64 levels"},
    {"let x = ", "(", "1", ")", 100000, -EINVAL, "nested too deeply: at most 64 levels"},
    {"let x = ", "-", "1", "", 60, 0, NULL},
    {"let x = ", "-", "1", "", 100000, -EINVAL, "nested too deeply: at most 64 levels"},
    {"let x = ", "not ", "true", "", 60000, -EINVAL, "nested too deeply: at most 64 levels"},
    {"let x = ", "1 + ", "1", "", 60, 0, NULL},
    {"let x = ", "1 + ", "1", "", 60000, -EINVAL, "more than 64 operations in a row"},
    {"let x = ", "host.free ?? ", "1B", "", 60, 0, NULL},
    {"let x = ", "host.free ?? ", "1B", "", 10000, -EINVAL, "nested too deeply: at most 64 levels"},
    {"let x = ", "if true then ", "1", " else 2", 60, 0, NULL},
    {"let x = ", "if true then ", "1", " else 2", 10000, -EINVAL, "nested too deeply: at most 64 levels"},
    {"let x = ", "if true then 1 else ", "1", "", 10000, -EINVAL, "nested too deeply: at most 64 levels"},
    {"let x = ", "min(1, ", "1", ")", 60, 0, NULL},
    {"let x = ", "min(1, ", "1", ")", 20000, -EINVAL, "nested too deeply: at most 64 levels"},
    {"", "if true { ", "let x = 1", "}", 60, 0, NULL},
    {"", "if true { ", "let x = 1", "}", 20000, -EINVAL, "nested too deeply: at most 64 levels"},
    {"", "if true { } else ", "{ }", "", 12000, -EINVAL, NULL},
    {"", "{", "", "}", 100000, -EINVAL, "expected a statement"},
    {"", "}", "", "", 100000, -EINVAL, "this '}' has no '{'"},
    {"let x = max(1", ", 1", ")", "", 14, 0, NULL},
    {"let x = max(1", ", 1", ")", "", 15, 0, NULL},
    {"let x = max(1", ", 1", ")", "", 16, -EINVAL, "'max' does not take 17 arguments"},
    {"let x = max(1", ", 1", ")", "", 50000, -EINVAL, "'max' does not take 50001 arguments"},
    {"let x = ", "sum(", "1", " for g in guests)", 2, -EINVAL, "inside another aggregate"},
    {"let x = ", "sum(", "1", " for g in guests)", 10000, -EINVAL, "nested too deeply: at most 64 levels"},
    {"let x = ", "min(avg(host.free, 30s), ", "1B", ")", 60, 0, NULL},
    {"let x = ", "(rate(host.ksm_scanned, 30s) ?? ", "(1B / 1s)", ")", 31, 0, NULL},
    {"let x = ", "(rate(host.ksm_scanned, 30s) ?? ", "(1B / 1s)", ")", 6000, -EINVAL,
     "nested too deeply: at most 64 levels"},
    {"log(\"a\"", ", 1", ")", "", 8, 0, NULL},
    {"log(\"a\"", ", 1", ")", "", 9, -EINVAL, "log has at most 8 values"},
    {"log(\"a\"", ", 1", ")", "", 50000, -EINVAL, "log has at most 8 values"},
    {"", "log(", "", "", 50000, -EINVAL, "expected a value"},
    {"", "state ", "x = 1", "", 40000, -EINVAL, "expected a name"},
    {"let x = \"", "a", "\"", "", 255, 0, NULL},
    {"let x = \"", "a", "\"", "", 256, -EINVAL, "a text has at most 255 letters"},
    {"let x = matches(\"a\", \"", "*", "\")", "", 255, 0, NULL},
    {"let x = matches(\"a\", \"", "*[", "\")", "", 100000, -EINVAL, "a text has at most 255 letters"},
    {"for g in guests by 1 asc", ", 1 asc", "{ }", "", 7, 0, NULL},
    {"for g in guests by 1 asc", ", 1 asc", "{ }", "", 8, -EINVAL, "ordered by at most 8 values"},
    {"for g in guests by 1 asc", ", 1 asc", "{ }", "", 25000, -EINVAL, "ordered by at most 8 values"},
    {"fn f(a1", ", b", ") = 1", "", 50000, -EINVAL, "at most 8 parameters"},
    {"", "\n", "x = 1", "", 200000, -EINVAL, "p:200001:1: error: unknown name 'x'"},
    {"", " ", "x = 1", "", 200000, -EINVAL, "p:1:200001: error: unknown name 'x'"},
    {"", "#", "", "", 200000, 0, NULL},
    {"", "\"", "", "", 100000, -EINVAL, NULL},
    {"x", "x", " = 1", "", 200000, -EINVAL, "at most 64 letters"},
    {"let x = 0", "0", "1", "", 200000, 0, NULL},
    {"let x = 1", "0", "1", "", 200000, -EINVAL, "at most 15 digits"},
};

START_TEST(test_nested)
{
    Text t;

    text_open(&t);
    fputs(nested[_i].head, t.f);
    repeat(&t, nested[_i].before, nested[_i].n);
    fputs(nested[_i].middle, t.f);
    repeat(&t, nested[_i].after, nested[_i].n);
    text_close_and_load(&t, nested[_i].outcome, nested[_i].message);
}
END_TEST

/* As many different things as fit. */
START_TEST(test_many_names)
{
    Text t;

    text_open(&t);
    for (unsigned i = 0; i < 12000; i++)
        fprintf(t.f, "let v%u = %u\n", i, i);
    text_close_and_load(&t, 0, NULL);

    text_open(&t);
    for (unsigned i = 0; i < 12000; i++)
        fprintf(t.f, "let v%u = w%u\n", i, i);
    text_close_and_load(&t, -EINVAL, "stopped after 20 errors");

    text_open(&t);
    fputs("let need = 1B\n", t.f);
    for (unsigned i = 0; i < 5000; i++)
        fprintf(t.f, "for g in guests { need = need + g.free }\n");
    text_close_and_load(&t, 0, NULL);
}
END_TEST

/* State variables of the host and those of a guest are counted apart. */
START_TEST(test_many_states)
{
    for (unsigned n = POLICY_STATE_MAX; n <= POLICY_STATE_MAX + 1; n++)
        for (unsigned more = 0; more < 2; more++) {
            Text t;

            text_open(&t);
            for (unsigned i = 0; i < n - more; i++)
                fprintf(t.f, "state s%u = 0\n", i);
            for (unsigned i = 0; i < n - 1 + more; i++)
                fprintf(t.f, "state guest.s%u = 0\n", i);
            if (n == POLICY_STATE_MAX)
                text_close_and_load(&t, 0, NULL);
            else
                text_close_and_load(&t, -EINVAL, more ? "a guest has at most 64" : "a policy has at most 64");
        }
}
END_TEST

/* Texts that look like mistakes and aren't. */
static const char *const fine[] = {
    /* a function's aggregate has names of its own, wherever it is called, and with whatever kinds */
    "fn f(x) = sum(x for g in guests)\nlet g = 1B\nlet a = f(g) + f(2) * 1B + g",
    "let a = sum(g.free for g in guests)\nlet b = sum(g.free for g in guests)\nfor g in guests { let c = a }",
    /* a window is one only behind a stat that is no duration itself */
    "for g in guests { let a = min(g.age, 30s) - 1s\nlet b = max(g.free, 30s) - 1B }",
    "fn low(g, x) = min(g.free, x)\nfor g in guests { let a = low(g, 1B) }",
    "const w = 30s\nfn mean(g) = avg(g.free, w)\nlet a = max(mean(g) for g in guests) ?? 0B",
    "let age = avg(g.age for g in guests) ?? 0s\nlet b = age + avg(host.uptime, 1s)",
    /* a rate of what isn't bytes is a number */
    "for g in guests { let a = rate(g.age, 30s) + rate(g.major_faults, 10s) + rate(g.psi_io_some, 10s) }",
    "let a = (rate(host.free, 10s) + 1MiB / 1s) * 10s + host.free\nlet b = host.free / (1MiB / 1s) + 5s",
    /* names of guests' state and names of variables don't meet */
    "state wait = 0s\nstate guest.wait = 1B\nfor g in guests { g.wait = g.wait + 1B; wait = wait + 1s }",
    "let low = 1\nstate guest.low = true\nfor g in guests where g.low { low = 2 }",
    "state guest.host = 0\nstate guest.min = 0\nfor g in guests { g.host = g.min }",
    "state guest.wait = 0s\nfn waits(g) = g.wait > 0s\nlet a = count(waits(g) for g in guests)",
    /* text */
    "fn is(a, b) = a == b\nlet a = is(\"a\", \"b\") or is(if true then \"x\" else \"y\", \"x\")",
    "let m = \"\"\nfor g in guests { m = g.name ?? \"none\"\nlog(\"\", m) }",
    /* a line that goes on */
    "let a = sum(\n g.free\n for g in guests\n where g.free > 0B\n)\n ?? 0B\nlog(\n\"a\",\n a\n)",
    "log(\"a\"); log(\"b\")",
};

START_TEST(test_fine)
{
    Text t;

    text_open(&t);
    fputs(fine[_i], t.f);
    text_close_and_load(&t, 0, NULL);
}
END_TEST

/* Without recursion, functions that call each other twice over can still take for ever to run, and to
 * check. */
START_TEST(test_expensive_functions)
{
    Text t;

    text_open(&t);
    fputs("fn f0(x) = x + 1\n", t.f);
    for (unsigned i = 1; i < 60; i++)
        fprintf(t.f, "fn f%u(x) = f%u(x) + f%u(x)\n", i, i - 1, i - 1);
    fputs("let y = f59(1)\n", t.f);
    text_close_and_load(&t, -EINVAL, "this takes more than 100000 operations");

    text_open(&t);
    fputs("fn f0(x) = x + 1\n", t.f);
    for (unsigned i = 1; i < 70; i++)
        fprintf(t.f, "fn f%u(x) = f%u(x)\n", i, i - 1);
    text_close_and_load(&t, -EINVAL, "functions call each other too deeply: at most 64 levels");

    /* looking back is more than one operation */
    text_open(&t);
    fputs("fn f0() = avg(host.free, 10min)\n", t.f);
    for (unsigned i = 1; i < 12; i++)
        fprintf(t.f, "fn f%u() = f%u() + f%u()\n", i, i - 1, i - 1);
    fputs("let y = f11()\n", t.f);
    text_close_and_load(&t, -EINVAL, "this takes more than 100000 operations");

    /* each call with other kinds */
    text_open(&t);
    fputs("fn f0(a, b, c, d, e, f, g, h) = 1\n", t.f);
    for (unsigned i = 1; i < 9; i++) {
        static const char *const values[] = {"1", "1B", "1s", "true"};

        fprintf(t.f, "fn f%u(a, b, c, d, e, f, g, h) = 0", i);
        for (unsigned v = 0; v < ELEMENTSOF(values); v++) {
            fprintf(t.f, " + f%u(", i - 1);
            for (unsigned n = 0; n < 8; n++)
                fprintf(t.f, "%s%s", n > 0 ? ", " : "",
                        n == i - 1 ? values[v] : (char[]){(char) ('a' + n), 0});
            fputs(")", t.f);
        }
        fputs("\n", t.f);
    }
    fputs("let x = f8(1, 1, 1, 1, 1, 1, 1, 1)\n", t.f);
    text_close_and_load(&t, -EINVAL, "is called with more than 32 combinations of kinds");

    /* the longest chain of calls with the deepest expressions that are allowed */
    text_open(&t);
    fputs("fn f0(x) = x\n", t.f);
    for (unsigned i = 1; i < 63; i++) {
        fprintf(t.f, "fn f%u(x) = ", i);
        repeat(&t, "(", 50);
        fprintf(t.f, "f%u(x)", i - 1);
        repeat(&t, " + 1)", 50);
        fputs("\n", t.f);
    }
    fputs("let x = f62(1)\n", t.f);
    text_close_and_load(&t, 0, NULL);
}
END_TEST

START_TEST(test_odd_text)
{
    static const struct {
        const char *text;
        size_t length;
        int outcome;
    } table[] = {
        {"let x = 1\0let y = 2", 19, -EINVAL},
        {"\0", 1, -EINVAL},
        {"\xff\xfelet", 5, -EINVAL},
        {"\xef\xbb\xbflet x = 1", 12, 0}, /* a byte order mark is skipped, but only at the start */
        {"\xef\xbb\xbf", 3, 0},
        {"let x = 1\n\xef\xbb\xbflet y = 1", 22, -EINVAL},
        {"let x = 1 /* no end", 19, -EINVAL},
        {"let x = 1 /", 11, -EINVAL},
        {"x = $", 5, -EINVAL},
        {"# only \0 a comment", 18, 0},
        {"let x = 1 # cut off", 9, 0}, /* not NUL-terminated: what lies behind isn't read */
        {"let x = 12", 9, 0},
        {"let x = \"abc", 12, -EINVAL},
        {"let x = 1.", 10, -EINVAL},
        {"let x = host.", 13, -EINVAL},
        {"for g in guests {", 17, -EINVAL},
        {"", 0, 0},
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        Policy *p = NULL;

        /* exactly as long, for the sanitizer to see what is read behind it */
        _cleanup_free_ char *copy = malloc(table[i].length > 0 ? table[i].length : 1);

        memcpy(copy, table[i].text, table[i].length);
        ck_assert_msg(policy_load(copy, table[i].length, "p", NULL, &p) == table[i].outcome, "row %zu", i);
        ck_assert(!!p == (table[i].outcome == 0));
        policy_free(p);
    }
}
END_TEST

/* The only warning of a policy that is loaded; NULL: there is none. */
static char *warning_of(const char *const *texts, size_t n)
{
    const char *const origins[] = {"a.policy", "b.policy"};
    _cleanup_(policy_freep) Policy *p = NULL;
    PolicySource sources[2] = {};

    for (size_t i = 0; i < n; i++)
        sources[i] = (PolicySource){.text = texts[i], .length = strlen(texts[i]), .origin = origins[i]};
    ck_assert_int_eq(policy_load_sources(sources, n, NULL, &p), 0);
    ck_assert_uint_le(policy_warnings(p)->count, 1);
    return policy_warnings(p)->text ? strdup(policy_warnings(p)->text) : NULL;
}

/* What can't be meant is loaded, with a warning. */
static const struct {
    const char *texts[2];
    const char *warning;
} warnings[] = {
    {{""},
     "a.policy:1:1: warning: this policy assigns nothing, so nothing happens\n    \n    ^\n"
     "    assign to a control, such as g.target of the guest g of a loop\n"},
    {{"# only a comment\n"}, "assigns nothing"},
    {{"\xef\xbb\xbf"}, "assigns nothing"},
    {{"state n = 0\nn = n + 1\n"}, "assigns nothing"},
    {{"let x = 1", "let y = 2"}, "a.policy:1:1: warning: this policy assigns nothing"},
    {{"let x = 1", "log(\"x\")"}, NULL},
    {{"let x = 1", "host.ksm_run = true"}, NULL},
    {{"for g in guests { g.target = g.current }"}, NULL},
    {{"for g in guests { g.target = g.current because \"free {g.free}\" }"},
     "a.policy:1:48: warning: '{g.free}' in a text stays as it is\n"},
    {{"host.ksm_run = true\nlog(\"{free}\")"}, "a.policy:2:5: warning: '{free}' in a text stays as it is\n"},
    {{"host.ksm_run = true because \"{ } {1} {A} {a b} {\""}, NULL},
};

START_TEST(test_c14_warnings)
{
    size_t n = warnings[_i].texts[1] ? 2 : 1;
    _cleanup_free_ char *said = warning_of(warnings[_i].texts, n);

    if (!warnings[_i].warning)
        ck_assert_msg(!said, "%s: %s", warnings[_i].texts[0], said ? said : "");
    else
        ck_assert_msg(said && strstr(said, warnings[_i].warning), "%s: no '%s' in: %s", warnings[_i].texts[0],
                      warnings[_i].warning, said ? said : "nothing");
}
END_TEST

/* What looks like a mistake of beginners, and is none. */
START_TEST(test_c14_allowed)
{
    static const char *const allowed[] = {
        "let a = 3--1",
        "let a = 1\nlet b = a<-1",
        "let print = 1\nlet order = print\norder = order + print",
        "let x = if 1 < 2 then 1 else 2",
        "let end = host.swap_free ?? 0B",
        "let g = 1\nlet s = g",
        "let x = 1 # // /* $x += [1]",
    };

    for (size_t i = 0; i < ELEMENTSOF(allowed); i++) {
        PolicyDiagnostics d = {};
        Policy *p = NULL;
        int r = policy_load(allowed[i], strlen(allowed[i]), "p", &d, &p);

        ck_assert_msg(r == 0, "%s: %s", allowed[i], d.text ? d.text : "");
        policy_freep(&p);
    }
}
END_TEST

/* The same as values. */
START_TEST(test_c10_diagnostics_as_values)
{
    static const char text[] = "let a = 1\nlet\tspare = host.availble - 1GiB\n";
    PolicyDiagnostics d = {};
    Policy *p = NULL;

    ck_assert_int_eq(policy_load(text, strlen(text), "a.policy", &d, &p), -EINVAL);
    ck_assert_uint_eq(d.count, 1);
    ck_assert_str_eq(d.list[0].file, "a.policy");
    ck_assert_uint_eq(d.list[0].line, 2);
    ck_assert_uint_eq(d.list[0].column, 18);
    ck_assert(!d.list[0].warning);
    ck_assert_str_eq(d.list[0].message, "the host has no stat 'availble'");
    ck_assert_str_eq(d.list[0].hint, "did you mean 'available'?");
    ck_assert_str_eq(d.list[0].source, "let spare = host.availble - 1GiB");
    policy_diagnostics_done(&d);
}
END_TEST

/* Errors beyond the limit cost no more than good lines: the tree isn't searched for each. */
static const char *const many_mistakes[] = {
    "let v%u = w%u\n",
    "u%u = 1\n",
    "for g in guests { let x = g.f%u }\n",
    "// %u\n",
    "/* %u */ x\n",
    "foreach g%u in guests { }\n",
    "let y%u = [1] = [2]\n",
    "if a%u { } else { b%u = 1 }\n",
    "/*%u\n",
};

START_TEST(test_c14_many_mistakes_are_cheap)
{
    Text t;

    text_open(&t);
    for (unsigned i = 0; ftell(t.f) < (long) (POLICY_SIZE_MAX - 100); i++) {
        char line[100];

        /* the format is one of the table's */
        char *at = line;

        for (const char *c = many_mistakes[_i]; *c; c++)
            if (c[0] == '%')
                at += sprintf(at, "%u", i), c++;
            else
                *at++ = *c;
        *at = 0;
        fputs(line, t.f);
    }
    text_close_and_load(&t, -EINVAL, "error: ");
}
END_TEST

START_TEST(test_size)
{
    _cleanup_free_ char *text = malloc(POLICY_SIZE_MAX + 1);
    PolicyDiagnostics d = {};
    Policy *p = NULL;

    memset(text, '#', POLICY_SIZE_MAX + 1);
    ck_assert_int_eq(policy_load(text, POLICY_SIZE_MAX + 1, "p", &d, &p), -EFBIG);
    ck_assert_ptr_null(d.text);
    ck_assert_int_eq(policy_load(text, POLICY_SIZE_MAX, "p", &d, &p), 0);
    policy_free(p);
}
END_TEST

START_TEST(test_file)
{
    PolicyDiagnostics d = {};
    Policy *p = NULL;
    char path[4096];

    fixture_path(path, sizeof(path), "nowhere.policy");
    ck_assert_int_eq(policy_load_files((const char *[]){path}, 1, &d, &p, NULL), -ENOENT);
    fixture_path(path, sizeof(path), ".");
    ck_assert_int_eq(policy_load_files((const char *[]){path}, 1, &d, &p, NULL), -EISDIR);
    ck_assert_int_eq(policy_load_files((const char *[]){"/dev/zero"}, 1, &d, &p, NULL), -EMEDIUMTYPE);
    ck_assert_ptr_null(d.text);

    /* messages of several files gather */
    fixture_path(path, sizeof(path), "division.policy");
    ck_assert_int_eq(policy_load_files((const char *[]){path}, 1, &d, &p, NULL), -EINVAL);
    ck_assert_uint_eq(d.count, 1);
    ck_assert(strncmp(d.text, path, strlen(path)) == 0);
    fixture_path(path, sizeof(path), "braces.policy");
    ck_assert_int_eq(policy_load_files((const char *[]){path}, 1, &d, &p, NULL), -EINVAL);
    ck_assert_uint_eq(d.count, 3);
    ck_assert_ptr_nonnull(strstr(d.text, "division by zero"));
    ck_assert_ptr_nonnull(strstr(d.text, "this '{' has no '}'"));
    policy_diagnostics_done(&d);
    ck_assert_ptr_null(policy_free(NULL));
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("policy-errors");

    tcase_add_test(t, test_golden);
    tcase_add_loop_test(t, test_nested, 0, ELEMENTSOF(nested));
    tcase_add_test(t, test_many_names);
    tcase_add_test(t, test_many_states);
    tcase_add_loop_test(t, test_fine, 0, ELEMENTSOF(fine));
    tcase_add_test(t, test_expensive_functions);
    tcase_add_test(t, test_odd_text);
    tcase_add_loop_test(t, test_c14_warnings, 0, ELEMENTSOF(warnings));
    tcase_add_test(t, test_c14_allowed);
    tcase_add_test(t, test_c10_diagnostics_as_values);
    tcase_add_loop_test(t, test_c14_many_mistakes_are_cheap, 0, ELEMENTSOF(many_mistakes));
    tcase_add_test(t, test_size);
    tcase_add_test(t, test_file);
    tcase_set_timeout(t, 30);
    return run_tests(t);
}
