/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What ballast-policy(7) shows is what the language does: every literal display of the page is an example,
 * and is run here over the world that the page describes.
 *
 * A display holds either expressions, one in each line, or statements, which are loaded as one policy. (A
 * line is no expression if it has " = ", a brace, or begins with "log(".) What is expected stands in
 * comments:
 *
 *   # is V             the expression, or what the line's statement assigned to, is equal to V
 *   # error: MESSAGE   the policy is refused, with this message for this line
 *   # undone: MESSAGE  the turn (or file) is undone, with this note for this line
 *   # log: TEXT        log() writes this
 *
 * "A, then B" is what the line gives one after the other, in turns and in as many cycles as it takes; one
 * value alone is what it gives each time in one cycle. A mark in a line of its own belongs to the line above,
 * and goes on in lines that begin with "#   ". A line "# NAME.policy" begins another file. Other comments are
 * for the reader only. All messages and notes that a display causes must be expected. */

#include <check.h>
#include <string.h>

#include "base/macro.h"
#include "base/units.h"
#include "policy/keep.h"
#include "tests/unit/run.h"

#define BLOCK_LINES_MAX 40
#define VALUES_MAX      6
#define CYCLES_MAX      6
#define CYCLE_USEC      (10 * USEC_PER_SEC)
#define PAST            6 /* cycles before the first */

/* ---- the world of the page ---- */

enum { WEB1, WEB2, DB, N_GUESTS };

typedef struct World {
    HostFields host;
    GuestFields fields[N_GUESTS];
    PolicyKeep keep, guest_keep[N_GUESTS];
    PolicyAssignment assignments[N_GUESTS], reclaims[N_GUESTS]; /* of g.target, of g.reclaim */
    double state[POLICY_STATE_MAX], guest_state[N_GUESTS * POLICY_STATE_MAX];
    PolicyOutput output;
} World;

static void set_guest(GuestFields *g, const char *name, const char *mode, double full_gib, double current_gib)
{
    guest_fields_set_text(g, GUEST_FIELD_NAME, name);
    guest_fields_set_text(g, GUEST_FIELD_MODE, mode);
    guest_fields_set(g, GUEST_FIELD_FULL, full_gib * GIB);
    guest_fields_set(g, GUEST_FIELD_MOST, full_gib * GIB);
    guest_fields_set(g, GUEST_FIELD_LEAST, full_gib / 4 * GIB);
    guest_fields_set(g, GUEST_FIELD_CURRENT, current_gib * GIB);
    guest_fields_set(g, GUEST_FIELD_TARGET, current_gib * GIB);
    guest_fields_set(g, GUEST_FIELD_RECLAIM, 0);
}

static void world_init(World *w)
{
    static const double free_gib[] = {[WEB1] = 3, [WEB2] = 1, [DB] = 2},
                        cache_gib[] = {[WEB1] = 2, [WEB2] = 1, [DB] = 4},
                        shares[] = {[WEB1] = 1000, [WEB2] = 2000, [DB] = 1000};

    *w = (World){};
    host_fields_set(&w->host, HOST_FIELD_TOTAL, 100.0 * GIB);
    host_fields_set(&w->host, HOST_FIELD_AVAILABLE, 12.0 * GIB);
    host_fields_set(&w->host, HOST_FIELD_PENDING, 0);
    host_fields_set(&w->host, HOST_FIELD_KSM_RUN, 0);
    set_guest(&w->fields[WEB1], "web1", "auto", 8, 8);
    set_guest(&w->fields[WEB2], "web2", "auto", 8, 8);
    set_guest(&w->fields[DB], "db", "observe", 16, 12);
    for (size_t i = 0; i < N_GUESTS; i++) {
        guest_fields_set(&w->fields[i], GUEST_FIELD_FREE, free_gib[i] * GIB);
        guest_fields_set(&w->fields[i], GUEST_FIELD_IDLE, free_gib[i] * GIB);
        guest_fields_set(&w->fields[i], GUEST_FIELD_CACHE, cache_gib[i] * GIB);
        guest_fields_set(&w->fields[i], GUEST_FIELD_RECLAIMABLE, (free_gib[i] + cache_gib[i]) * GIB);
        guest_fields_set(&w->fields[i], GUEST_FIELD_SHARES, shares[i]);
        guest_fields_set(&w->fields[i], GUEST_FIELD_SWAP_IN, i == WEB1 ? 60.0 * MIB : 0);
    }
    guest_fields_set(&w->fields[WEB1], GUEST_FIELD_STALL, 0);
    guest_fields_set(&w->fields[WEB2], GUEST_FIELD_STALL, 0.25);
    w->output.assignments[GUEST_CONTROL_TARGET] = w->assignments;
    w->output.assignments[GUEST_CONTROL_RECLAIM] = w->reclaims;
    w->output.state = w->state;
    w->output.guest_state = w->guest_state;
}

static void world_done(World *w)
{
    policy_keep_done(&w->keep);
    for (size_t i = 0; i < N_GUESTS; i++)
        policy_keep_done(&w->guest_keep[i]);
}

static usec_t cycle_usec(unsigned cycle)
{
    return USEC_PER_SEC * 3600 + cycle * CYCLE_USEC;
}

/* What was known before the first cycle: in the last minute web1's free memory fell, and it swapped in. */
static void world_remember(World *w, const Policy *p)
{
    static const PolicyKeep nothing = {};

    ck_assert_int_eq(policy_keep_copy(&w->keep, true, &nothing, p, NULL), 0);
    for (size_t i = 0; i < N_GUESTS; i++)
        ck_assert_int_eq(policy_keep_copy(&w->guest_keep[i], false, &nothing, p, NULL), 0);
    for (unsigned cycle = 0; cycle < PAST; cycle++) {
        series_set_add_host(&w->keep.history, cycle_usec(cycle), &w->host);
        for (size_t i = 0; i < N_GUESTS; i++) {
            GuestFields past = w->fields[i];

            if (i == WEB1) {
                past.value[GUEST_FIELD_FREE] += (PAST - cycle) * 0.5 * GIB;
                past.value[GUEST_FIELD_SWAP_IN] -= (PAST - cycle) * 10.0 * MIB;
            }
            series_set_add_guest(&w->guest_keep[i].history, cycle_usec(cycle), &past);
        }
    }
}

/* One cycle; what is kept goes from one to the next. */
static int world_cycle(World *w, const Policy *p, unsigned cycle)
{
    static const char *const uuids[] = {[WEB1] = "1", [WEB2] = "2", [DB] = "3"};
    PolicyGuest guests[N_GUESTS];
    PolicyInput input = {.now_usec = cycle_usec(PAST + cycle),
                         .host = &w->host,
                         .history = &w->keep.history,
                         .state = w->keep.state,
                         .guests = guests,
                         .n_guests = N_GUESTS};
    size_t n_states;
    int r;

    host_fields_set(&w->host, HOST_FIELD_UPTIME, (double) input.now_usec);
    series_set_add_host(&w->keep.history, input.now_usec, &w->host);
    for (size_t i = 0; i < N_GUESTS; i++) {
        series_set_add_guest(&w->guest_keep[i].history, input.now_usec, &w->fields[i]);
        guests[i] = (PolicyGuest){.uuid = uuids[i],
                                  .fields = &w->fields[i],
                                  .history = &w->guest_keep[i].history,
                                  .state = w->guest_keep[i].state};
    }
    r = policy_run(p, &input, &w->output);
    (void) policy_states(p, false, &n_states);
    policy_keep_state(&w->keep, true, p, w->state);
    for (size_t i = 0; i < N_GUESTS; i++)
        policy_keep_state(&w->guest_keep[i], false, p, w->guest_state + i * n_states);
    return r;
}

/* ---- the examples of the page ---- */

typedef enum Mark { MARK_NONE, MARK_IS, MARK_ERROR, MARK_UNDONE, MARK_LOG } Mark;

static const char *const marks[] = {[MARK_NONE] = "",
                                    [MARK_IS] = "is ",
                                    [MARK_ERROR] = "error: ",
                                    [MARK_UNDONE] = "undone: ",
                                    [MARK_LOG] = "log: "};

typedef struct Line {
    unsigned number; /* in the page */
    char code[256];  /* without the comment */
    Mark mark;
    bool continues; /* the comment of the line above */
    char comment[256];
    char *values[VALUES_MAX]; /* of the mark, in comment */
    unsigned n_values, seen;
} Line;

typedef struct Block {
    Line lines[BLOCK_LINES_MAX];
    unsigned n;
} Block;

static unsigned failures, examples, blocks;

#define FAIL(line, format, ...)                                                                       \
    do {                                                                                              \
        fprintf(stderr, "ballast-policy.7.in:%u: %s\n    " format "\n", (line)->number, (line)->code, \
                ##__VA_ARGS__);                                                                       \
        failures++;                                                                                   \
    } while (0)

/* What mdoc makes of a line of a literal display. */
static void unescape(const char *from, char *to, size_t size)
{
    static const struct {
        const char *escape;
        char character;
    } escapes[] = {{"\\-", '-'}, {"\\(aq", '\''}, {"\\e", '\\'}};
    size_t n = 0;

    while (*from && *from != '\n') {
        char c = *from;
        size_t length = 1;

        for (size_t i = 0; i < ELEMENTSOF(escapes); i++)
            if (strncmp(from, escapes[i].escape, strlen(escapes[i].escape)) == 0) {
                c = escapes[i].character;
                length = strlen(escapes[i].escape);
            }
        ck_assert_msg(c != '\\' || length > 1, "an escape that this test doesn't know: %s", from);
        ck_assert_uint_lt(n + 1, size);
        to[n++] = c;
        from += length;
    }
    to[n] = 0;
}

/* The comment of a line that holds nothing else, NULL where it isn't such a line. */
static const char *comment_only(const char *code)
{
    code += strspn(code, " ");
    return *code == '#' ? code + 1 : NULL;
}

static Mark find_mark(const char *comment)
{
    for (Mark m = MARK_IS; m <= MARK_LOG; m++)
        if (strncmp(comment, marks[m], strlen(marks[m])) == 0)
            return m;
    return MARK_NONE;
}

/* Adds a line of the page: to the comment of the one before, or as a new one. Both stay in step with the
 * lines of the policy that is made of them. */
static void add_line(Block *b, unsigned number, const char *raw)
{
    Line *l = &b->lines[b->n], *before = b->n > 0 ? l - 1 : NULL;
    const char *only;
    bool quoted = false;
    char *c;

    ck_assert_uint_lt(b->n, BLOCK_LINES_MAX);
    *l = (Line){.number = number};
    b->n++;
    unescape(raw, l->code, sizeof(l->code));
    only = comment_only(l->code);
    while (before > b->lines && before->continues)
        before--;
    if (only && before && find_mark(only + strspn(only, " ")) != MARK_NONE && before->mark == MARK_NONE) {
        before->mark = find_mark(only + strspn(only, " "));
        (void) snprintf(before->comment, sizeof(before->comment), "%s", only + strspn(only, " "));
        l->continues = true;
    } else if (only && before && before->mark != MARK_NONE && strncmp(only, "   ", 3) == 0) {
        size_t n = strlen(before->comment);

        (void) snprintf(before->comment + n, sizeof(before->comment) - n, " %s", only + strspn(only, " "));
        l->continues = true;
    }
    for (c = l->code; *c && (quoted || *c != '#'); c++)
        quoted ^= *c == '"';
    if (!*c)
        return;
    *c = 0;
    if (l->continues)
        return;
    (void) snprintf(l->comment, sizeof(l->comment), "%s", c + 1 + strspn(c + 1, " "));
    l->mark = find_mark(l->comment);
}

static void split_values(Line *l)
{
    char *next;

    if (l->mark == MARK_NONE)
        return;
    examples++;
    for (char *c = l->comment + strlen(marks[l->mark]); c; c = next) {
        next = strstr(c, ", then ");
        if (next) {
            *next = 0;
            next += strlen(", then ");
        }
        ck_assert_uint_lt(l->n_values, VALUES_MAX);
        l->values[l->n_values++] = c;
    }
}

static bool is_statement(const Line *l)
{
    const char *code = l->code + strspn(l->code, " ");

    return strstr(code, " = ") || strpbrk(code, "{}") || strncmp(code, "log(", 4) == 0;
}

/* The target of the statement in line i, which may begin in a line above. */
static void assigned(const Block *b, unsigned i, char *ret, size_t size)
{
    for (const Line *l = &b->lines[i]; l >= b->lines; l--) {
        const char *end = NULL, *begin;

        for (const char *at = l->code; (at = strstr(at, " = ")); at++)
            end = at; /* the last statement of the line */
        if (!end)
            continue;
        for (begin = end; begin > l->code && begin[-1] != ' '; begin--)
            ;
        (void) snprintf(ret, size, "%.*s", (int) (end - begin), begin);
        return;
    }
    FAIL(&b->lines[i], "there is nothing that could be a value");
    ret[0] = 0;
}

/* Appends to the line what writes to the log whether the values are equal. A rate is a quotient: it is
 * rounded. */
static void print_probe(FILE *f, const Line *l, const char *what)
{
    fputs("log(\"=\"", f);
    for (unsigned v = 0; v < l->n_values; v++)
        if (strstr(l->values[v], " / "))
            fprintf(f, ", abs(%s - %s) <= 0.000000000001 * abs(%s)", what, l->values[v], l->values[v]);
        else
            fprintf(f, ", (%s) == (%s)", what, l->values[v]);
    fputs(")", f);
}

/* The policy's text: statements as they are, an expression as something that is logged. */
static char *block_text(const Block *b, bool statements)
{
    char *text = NULL, what[256];
    size_t length = 0;
    FILE *f = open_memstream(&text, &length);

    ck_assert_ptr_nonnull(f);
    for (unsigned i = 0; i < b->n; i++) {
        const Line *l = &b->lines[i];
        bool turn = !statements && strstr(l->code, "g.") && !strstr(l->code, " for g in ");

        if (turn)
            fputs("for g in guests where g.name == \"web1\" { ", f);
        if (statements)
            fputs(l->code, f);
        if (l->mark == MARK_IS && statements) {
            assigned(b, i, what, sizeof(what));
            fputs("; ", f);
            print_probe(f, l, what);
        } else if (l->mark == MARK_IS)
            print_probe(f, l, l->code);
        else if (!statements)
            fprintf(f, "log(\"it is\", %s)", l->code);
        fputs(turn ? "}\n" : "\n", f);
    }
    ck_assert_int_eq(fclose(f), 0);
    return text;
}

/* One more value was seen: is it what was expected? */
static void see(Line *l, const char *text)
{
    const char *expected = l->values[MIN(l->seen, l->n_values - 1)];

    if (l->n_values > 1 && l->seen >= l->n_values)
        FAIL(l, "more often than expected: %s", text);
    else if (strcmp(text, expected) != 0)
        FAIL(l, "expected '%s', found '%s'", expected, text);
    l->seen++;
}

/* The answer of a probe: one boolean for each value, of which the one whose turn it is counts. */
static void see_probe(Line *l, const char *answer)
{
    unsigned turn = MIN(l->seen, l->n_values - 1);
    char *copy = strdup(answer), *rest = copy, *word = strsep(&rest, " ");

    for (unsigned v = 0; v <= turn && word; v++)
        word = strsep(&rest, " ");
    if (!word || strcmp(word, "true") != 0)
        FAIL(l, "is not '%s', the one numbered %u (%s)", l->values[turn], l->seen + 1, answer);
    if (l->n_values > 1 && l->seen >= l->n_values)
        FAIL(l, "more often than expected");
    l->seen++;
    free(copy);
}

static Line *line_at(Block *b, unsigned number)
{
    ck_assert(number >= 1 && number <= b->n);
    return &b->lines[number - 1];
}

/* Passes the cycle's output to the lines that expect it. */
static void check_output(Block *b, const PolicyOutput *o)
{
    for (size_t i = 0; i < o->n_logs; i++) {
        Line *l = line_at(b, o->logs[i].line);

        if (l->mark == MARK_IS)
            see_probe(l, o->logs[i].text);
        else if (l->mark == MARK_LOG)
            see(l, o->logs[i].text);
    }
    for (size_t i = 0; i < o->n_notes; i++) {
        Line *l = line_at(b, o->notes[i].line);

        if (l->mark == MARK_UNDONE)
            see(l, o->notes[i].text);
        else
            FAIL(l, "is undone: %s", o->notes[i].text);
    }
    ck_assert_uint_eq(o->logs_total, o->n_logs);
    ck_assert_uint_eq(o->notes_total, o->n_notes);
}

/* Some line expects more than it has seen. */
static bool incomplete(const Block *b)
{
    for (unsigned i = 0; i < b->n; i++)
        if (b->lines[i].n_values > b->lines[i].seen)
            return true;
    return false;
}

/* The messages with which the policy was refused: "FILE:LINE:COLUMN: error: MESSAGE". */
static void check_errors(Block *b, char *text)
{
    for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
        unsigned number;
        int end = 0;
        Line *l;

        if (sscanf(line, "%*[^:]:%u:%*u: error: %n", &number, &end) < 1 || end == 0)
            continue;
        l = line_at(b, number);
        if (l->mark == MARK_ERROR)
            see(l, line + end);
        else
            FAIL(l, "is refused: %s", line + end);
    }
}

/* "# ksm.policy": the file that begins here, else NULL. */
static const char *begins_file(const Line *l)
{
    const char *dot = strrchr(l->comment, '.');

    return l->code[0] == 0 && dot && strcmp(dot, ".policy") == 0 ? l->comment : NULL;
}

/* Cuts the text into the block's files. In each the lines of the others are empty, so that the numbers of its
 * own are those of the block. Returns how many there are; their texts are the caller's to free. */
static size_t block_sources(const Block *b, const char *text, PolicySource *ret)
{
    size_t n = 0, length = strlen(text), line = 0;
    char *copy = NULL;

    for (size_t i = 0; i < length; i++) {
        const char *origin =
            line < b->n && (i == 0 || text[i - 1] == '\n') ? begins_file(&b->lines[line]) : NULL;

        if (origin || i == 0) {
            ck_assert_uint_lt(n, POLICY_FILES_MAX);
            copy = strdup(text);
            ck_assert_ptr_nonnull(copy);
            for (size_t c = 0; c < length; c++)
                copy[c] = copy[c] == '\n' ? '\n' : ' ';
            ret[n++] = (PolicySource){.text = copy, .length = length, .origin = origin ? origin : "manual"};
        }
        copy[i] = text[i];
        line += text[i] == '\n';
    }
    return n;
}

static void run_block(Block *b, bool statements)
{
    _cleanup_free_ char *text = block_text(b, statements);
    _cleanup_(policy_freep) Policy *p = NULL;
    PolicySource sources[POLICY_FILES_MAX];
    size_t n = block_sources(b, text, sources);
    PolicyDiagnostics d = {};
    World w;
    int r = policy_load_sources(sources, n, &d, &p);

    world_init(&w);
    if (r == -EINVAL)
        check_errors(b, d.text);
    else {
        ck_assert_int_eq(r, 0);
        world_remember(&w, p);
        for (unsigned cycle = 0; cycle == 0 || (cycle < CYCLES_MAX && incomplete(b)); cycle++) {
            r = world_cycle(&w, p, cycle);
            ck_assert(r == 0 || r == -ECANCELED);
            check_output(b, &w.output);
        }
    }
    for (unsigned i = 0; i < b->n; i++)
        if (b->lines[i].seen < b->lines[i].n_values)
            FAIL(&b->lines[i], "'%s' wasn't seen", b->lines[i].values[b->lines[i].seen]);
    for (size_t i = 0; i < n; i++)
        free((char *) sources[i].text);
    policy_diagnostics_done(&d);
    world_done(&w);
}

static void block_done(Block *b)
{
    bool statements = false;

    ck_assert_uint_gt(b->n, 0);
    blocks++;
    for (unsigned i = 0; i < b->n; i++) {
        split_values(&b->lines[i]);
        statements = statements || is_statement(&b->lines[i]);
    }
    if (statements) {
        run_block(b, true);
        return;
    }
    for (unsigned i = 0; i < b->n; i++) {
        Block one = {.n = 1};

        if (b->lines[i].code[strspn(b->lines[i].code, " ")] == 0)
            continue;
        if (b->lines[i].mark == MARK_NONE) {
            FAIL(&b->lines[i], "is neither a statement nor an expression that says what it is");
            continue;
        }
        one.lines[0] = b->lines[i];
        run_block(&one, false);
    }
}

START_TEST(test_examples)
{
    /* each of these is in an example */
    static const char *const words[] = {
        "const", "let",  "fn",     "state",  "guest.",  "if",     "else",     "for",
        "where", "by",   "asc",    "desc",   "because", "and",    "or",       "not",
        "??",    "min(", "max(",   "clamp(", "abs(",    "round(", "matches(", "avg(",
        "rate(", "sum(", "count(", "any(",   "all(",    "log(",   "host.",    "g.target",
    };
    bool found[ELEMENTSOF(words)] = {};
    _cleanup_fclose_ FILE *f = NULL;
    static Block b;
    char path[4096], raw[512];
    bool inside = false;

    (void) snprintf(path, sizeof(path), "%s/packaging/man/ballast-policy.7.in", getenv("BALLAST_SOURCE"));
    f = fopen(path, "re");
    ck_assert_msg(f, "can't open %s", path);
    for (unsigned number = 1; fgets(raw, sizeof(raw), f); number++) {
        if (strncmp(raw, ".Bd -literal", 12) == 0) {
            inside = true;
            b.n = 0;
        } else if (inside && strcmp(raw, ".Ed\n") == 0) {
            inside = false;
            block_done(&b);
        } else if (inside) {
            add_line(&b, number, raw);
            for (size_t i = 0; i < ELEMENTSOF(words); i++)
                found[i] = found[i] || strstr(b.lines[b.n - 1].code, words[i]);
        }
    }
    ck_assert(!inside);
    for (size_t i = 0; i < ELEMENTSOF(words); i++)
        ck_assert_msg(found[i], "there is no example of %s", words[i]);
    ck_assert_uint_ge(blocks, 30);
    ck_assert_uint_ge(examples, 130);
    ck_assert_uint_eq(failures, 0);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("policy-manual");

    tcase_add_test(t, test_examples);
    return run_tests(t);
}
