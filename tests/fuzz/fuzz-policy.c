/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Texts as a policy (of several files where there is a separator between them): read, checked, and where they
 * are one, evaluated cycle after cycle over a few guests, some with stats missing or absurd, with what it
 * keeps and looks back at. Whatever it says, what comes out is in bounds, and the same each time. */

#include <math.h>
#include <string.h>

#include "base/macro.h"
#include "policy/keep.h"
#include "tests/fuzz/fuzz.h"

#define SEPARATOR '\f'
#define FILES_MAX 3
#define N_GUESTS  5
#define VARIANTS  3
#define CYCLES    3
#define READS_MAX 40 /* fewer than all stats are */

/* Values that a stat can't be expected to have, but might. */
static const double odd[] = {0, 1, -1, 1e-300, 1e300, -1e300, 0x1p53, 0x1p64, 0.2, NAN, INFINITY};
static const char *const odd_texts[] = {"", "web*", "[", "auto",
                                        "a name that is longer than any \xff\xfe name is"};

typedef struct World {
    HostFields host;
    GuestFields fields[N_GUESTS];
    PolicyKeep keep, guest_keep[N_GUESTS];
} World;

/* What one evaluation gives. */
typedef struct Result {
    int r;
    PolicyAssignment assignments[GUEST_CONTROL_MAX][N_GUESTS];
    double *state, *guest_state;
    PolicyOutput output;
} Result;

static bool is_left_out(unsigned variant, unsigned field)
{
    return variant == 2 && field % 3 == 0;
}

/* The stats of a cycle: they grow from one to the next. */
static void fill(World *w, unsigned variant, unsigned cycle)
{
    w->host.present = (FieldSet){};
    for (unsigned f = 0; f < HOST_FIELD_MAX; f++)
        if (!is_left_out(variant, f + cycle))
            host_fields_set(&w->host, (HostField) f,
                            variant == 1 ? odd[(f + cycle) % ELEMENTSOF(odd)] : 1e9 * (f + 1 + cycle));
    for (unsigned g = 0; g < N_GUESTS; g++) {
        w->fields[g].present = (FieldSet){};
        for (unsigned f = 0; f < GUEST_FIELD_MAX; f++)
            if (is_left_out(variant, f + g + cycle))
                continue;
            else if (f < GUEST_TEXTS_MAX)
                guest_fields_set_text(&w->fields[g], (GuestField) f,
                                      odd_texts[(f + g + cycle) % ELEMENTSOF(odd_texts)]);
            else
                guest_fields_set(&w->fields[g], (GuestField) f,
                                 variant == 1 ? odd[(f + g + cycle) % ELEMENTSOF(odd)]
                                              : 1e8 * (f + g + 1 + cycle));
    }
}

static void check_assignment(const Policy *p, const PolicyAssignment *a, bool control)
{
    if (a->line == 0) {
        assert(a->order == 0 && !a->because);
        return;
    }
    assert(control && isfinite(a->value) && a->value >= 0 && a->value <= 0x1p53);
    assert(a->file < policy_n_files(p));
    assert(!a->because || (a->because[0] && strlen(a->because) <= 60));
}

static void check_guests(const Policy *p, const PolicyAssignment *assignments)
{
    bool orders[N_GUESTS] = {};
    unsigned assigned = 0;

    for (size_t i = 0; i < N_GUESTS; i++) {
        const PolicyAssignment *a = &assignments[i];

        check_assignment(p, a, true);
        if (a->line == 0)
            continue;
        assert(a->order >= 1 && a->order <= N_GUESTS && !orders[a->order - 1]);
        orders[a->order - 1] = true;
        assigned++;
    }
    for (unsigned i = 0; i < assigned; i++)
        assert(orders[i]); /* 1, 2, … without a gap */
}

static void check_assignments(const Policy *p, const Result *r)
{
    for (size_t c = 0; c < GUEST_CONTROL_MAX; c++)
        check_guests(p, r->assignments[c]);
    for (int f = 0; f < HOST_FIELD_MAX; f++) {
        const FieldInfo *info = host_field_info((HostField) f);
        const PolicyAssignment *a = &r->output.host[f];

        check_assignment(p, a, info->kind == FIELD_KIND_CONTROL);
        assert(a->line == 0 || info->unit != FIELD_UNIT_BOOLEAN || a->value == 0 || a->value == 1);
    }
}

static void check_told(const Policy *p, const PolicyOutput *o)
{
    assert(o->n_notes == MIN(o->notes_total, (size_t) POLICY_NOTES_MAX));
    assert(o->n_logs == MIN(o->logs_total, (size_t) POLICY_LOGS_MAX));
    for (size_t i = 0; i < o->n_notes; i++) {
        const PolicyNote *n = &o->notes[i];

        assert(n->guest == SIZE_MAX || n->guest < N_GUESTS);
        assert(n->file < policy_n_files(p) && n->line > 0 && n->column > 0);
        assert(n->text[0] && memchr(n->text, '\0', sizeof(n->text)));
    }
    for (size_t i = 0; i < o->n_logs; i++) {
        const PolicyLog *l = &o->logs[i];

        assert(l->guest == SIZE_MAX || l->guest < N_GUESTS);
        assert(l->file < policy_n_files(p) && l->line > 0 && memchr(l->text, '\0', sizeof(l->text)));
        for (const char *c = l->text; *c; c++)
            assert((unsigned char) *c >= ' ' && *c != 0x7f);
    }
    for (size_t i = 0; i < POLICY_THRESHOLD_MAX; i++)
        assert(!isinf(o->thresholds[i]));
    assert(o->failed <= policy_n_files(p));
}

static void check_reads(const Policy *p, const PolicyInput *input, size_t guest, const PolicyAssignment *a)
{
    PolicyRead reads[READS_MAX];

    if (a->line == 0)
        return;
    for (size_t max = 0; max <= READS_MAX; max += READS_MAX / 4) {
        size_t n = policy_reads(p, input, guest, a, reads, max);

        assert(n <= max);
        for (size_t i = 0; i < n; i++) {
            assert(!reads[i].object || reads[i].object[0]);
            assert(reads[i].name && reads[i].name[0]);
            assert(reads[i].unit >= 0 && reads[i].unit < FIELD_UNIT_MAX);
        }
    }
}

static void check_result(const Policy *p, const PolicyInput *input, const Result *r)
{
    size_t n_host, n_guest;

    (void) policy_states(p, true, &n_host);
    (void) policy_states(p, false, &n_guest);
    assert(r->r == 0 || r->r == -ECANCELED);
    assert((r->r == -ECANCELED) == (r->output.failed == policy_n_files(p)));
    check_assignments(p, r);
    check_told(p, &r->output);
    for (size_t i = 0; i < n_host; i++)
        assert(isfinite(r->state[i]));
    for (size_t i = 0; i < N_GUESTS * n_guest; i++)
        assert(isfinite(r->guest_state[i]));
    for (size_t c = 0; c < GUEST_CONTROL_MAX; c++)
        for (size_t i = 0; i < N_GUESTS; i++)
            check_reads(p, input, i, &r->assignments[c][i]);
    for (int f = 0; f < HOST_FIELD_MAX; f++)
        check_reads(p, input, SIZE_MAX, &r->output.host[f]);
}

static bool same_value(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static void check_same(const Policy *p, const Result *a, const Result *b)
{
    size_t n_host, n_guest;

    (void) policy_states(p, true, &n_host);
    (void) policy_states(p, false, &n_guest);
    assert(a->r == b->r);
    for (size_t c = 0; c < GUEST_CONTROL_MAX; c++)
        for (size_t i = 0; i < N_GUESTS; i++) {
            assert(a->assignments[c][i].value == b->assignments[c][i].value);
            assert(a->assignments[c][i].line == b->assignments[c][i].line);
            assert(a->assignments[c][i].order == b->assignments[c][i].order);
        }
    for (int f = 0; f < HOST_FIELD_MAX; f++)
        assert(a->output.host[f].value == b->output.host[f].value);
    for (size_t i = 0; i < POLICY_THRESHOLD_MAX; i++)
        assert(same_value(a->output.thresholds[i], b->output.thresholds[i]));
    for (size_t i = 0; i < n_host; i++)
        assert(a->state[i] == b->state[i]);
    for (size_t i = 0; i < N_GUESTS * n_guest; i++)
        assert(a->guest_state[i] == b->guest_state[i]);
    assert(a->output.notes_total == b->output.notes_total);
    assert(a->output.logs_total == b->output.logs_total);
    for (size_t i = 0; i < a->output.n_logs; i++)
        assert(strcmp(a->output.logs[i].text, b->output.logs[i].text) == 0);
}

/* Evaluates into memory that holds anything. */
static void run(const Policy *p, const PolicyInput *input, Result *ret, int rubbish)
{
    size_t n_host, n_guest;

    (void) policy_states(p, true, &n_host);
    (void) policy_states(p, false, &n_guest);
    memset(ret, rubbish, sizeof(*ret));
    ret->state = malloc(n_host * sizeof(double) + !n_host);
    ret->guest_state = malloc(N_GUESTS * n_guest * sizeof(double) + !n_guest);
    assert(ret->state && ret->guest_state);
    for (size_t c = 0; c < GUEST_CONTROL_MAX; c++)
        ret->output.assignments[c] = ret->assignments[c];
    ret->output.state = ret->state;
    ret->output.guest_state = ret->guest_state;
    ret->r = policy_run(p, input, &ret->output);
}

static void result_done(Result *r)
{
    free(r->state);
    free(r->guest_state);
}

/* One cycle over the world; what is kept is kept. */
static void cycle(const Policy *p, World *w, usec_t now)
{
    static const char *const uuids[N_GUESTS] = {"b", "a", "c", "a", "d"};
    static Result once, again;
    PolicyGuest guests[N_GUESTS];
    PolicyInput input = {.now_usec = now,
                         .host = &w->host,
                         .history = &w->keep.history,
                         .state = w->keep.state,
                         .guests = guests,
                         .n_guests = N_GUESTS};
    size_t n_guest;

    series_set_add_host(&w->keep.history, now, &w->host);
    for (size_t i = 0; i < N_GUESTS; i++) {
        series_set_add_guest(&w->guest_keep[i].history, now, &w->fields[i]);
        guests[i] = (PolicyGuest){.uuid = uuids[i],
                                  .fields = &w->fields[i],
                                  .history = &w->guest_keep[i].history,
                                  .state = w->guest_keep[i].state};
    }
    run(p, &input, &once, 0xff);
    check_result(p, &input, &once);
    run(p, &input, &again, 0x55);
    check_same(p, &once, &again);

    (void) policy_states(p, false, &n_guest);
    policy_keep_state(&w->keep, true, p, once.state);
    for (size_t i = 0; i < N_GUESTS; i++)
        policy_keep_state(&w->guest_keep[i], false, p, once.guest_state + i * n_guest);
    result_done(&once);
    result_done(&again);
}

/* No stats, no assignments, and no guests. */
static void run_bare(const Policy *p, const World *w)
{
    static PolicyOutput output;
    PolicyAssignment assignments[GUEST_CONTROL_MAX][N_GUESTS];
    PolicyGuest guests[N_GUESTS];
    PolicyInput input = {.host = &w->host, .guests = guests, .n_guests = N_GUESTS};

    for (size_t i = 0; i < N_GUESTS; i++)
        guests[i] = (PolicyGuest){.uuid = "same", .fields = &w->fields[i]};
    output = (PolicyOutput){};
    for (size_t c = 0; c < GUEST_CONTROL_MAX; c++)
        output.assignments[c] = assignments[c];
    (void) policy_run(p, &input, &output);
    input.n_guests = 0;
    (void) policy_run(p, &input, &output);
    check_told(p, &output);
}

static void check_loaded(const Policy *p, const PolicySource *sources, size_t n)
{
    size_t n_needs, n_states;
    const SeriesNeed *needs = policy_needs(p, &n_needs);

    assert(policy_n_files(p) == n && policy_name(p)[0]);
    for (size_t i = 0; i < n; i++) {
        PolicyFile f = policy_file(p, i);

        assert(strcmp(f.origin, sources[i].origin) == 0);
        assert(f.length == sources[i].length && memcmp(f.text, sources[i].text, f.length) == 0);
        for (size_t j = 0; j < i; j++) {
            PolicyFile other = policy_file(p, j);
            FieldSet host = field_set_common(&f.host_controls, &other.host_controls),
                     guest = field_set_common(&f.guest_controls, &other.guest_controls);

            assert(field_set_is_empty(&host) && field_set_is_empty(&guest));
        }
    }
    for (size_t i = 0; i < n_needs; i++) {
        assert(needs[i].field >= 0 &&
               needs[i].field < (needs[i].host ? (int) HOST_FIELD_MAX : (int) GUEST_FIELD_MAX));
        assert(needs[i].usec >= POLICY_WINDOW_MIN && needs[i].usec <= POLICY_WINDOW_MAX);
        for (size_t j = 0; j < i; j++)
            assert(needs[i].host != needs[j].host || needs[i].field != needs[j].field);
    }
    for (int host = 0; host < 2; host++) {
        const PolicyState *states = policy_states(p, host, &n_states);

        assert(n_states <= n * POLICY_STATE_MAX);
        for (size_t i = 0; i < n_states; i++)
            assert(states[i].file && states[i].name[0] && isfinite(states[i].initial) &&
                   states[i].unit != FIELD_UNIT_TEXT);
    }
}

static void evaluate(const Policy *p, unsigned variant)
{
    static const PolicyKeep nothing = {};
    World w = {};

    assert(policy_keep_copy(&w.keep, true, &nothing, p, NULL) == 0);
    for (size_t i = 0; i < N_GUESTS; i++)
        assert(policy_keep_copy(&w.guest_keep[i], false, &nothing, p, NULL) == 0);
    for (unsigned i = 0; i < CYCLES; i++) {
        fill(&w, variant, i);
        cycle(p, &w, (i + 1) * 10 * USEC_PER_SEC);
    }
    run_bare(p, &w);
    policy_keep_done(&w.keep);
    for (size_t i = 0; i < N_GUESTS; i++)
        policy_keep_done(&w.guest_keep[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const origins[FILES_MAX] = {"fuzz.policy", "/second/fuzz.policy", "third"};
    _cleanup_(policy_freep) Policy *p = NULL;
    PolicySource sources[FILES_MAX];
    PolicyDiagnostics d = {};
    size_t n = 0, begin = 0;
    int r;

    for (size_t i = 0; i <= size; i++)
        if (i == size || (data[i] == SEPARATOR && n + 1 < FILES_MAX)) {
            sources[n] = (PolicySource){
                .text = (const char *) data + begin, .length = i - begin, .origin = origins[n]};
            n++;
            begin = i + 1;
        }
    r = policy_load_sources(sources, n, &d, &p);
    if (r == 0) {
        assert(p && !d.text && d.count == 0);
        check_loaded(p, sources, n);
        for (unsigned variant = 0; variant < VARIANTS; variant++)
            evaluate(p, variant);
    } else {
        assert(!p && (r == -EINVAL || r == -EFBIG || r == -ENOMEM));
        assert(r != -EINVAL ||
               (d.count >= 1 && d.count <= n * 2 * POLICY_DIAGNOSTICS_MAX && strlen(d.text) == d.length));
    }
    policy_diagnostics_done(&d);
    return 0;
}
