/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loads policies: all files are read, checked and compiled, or none. */

#include "policy/policy.h"

#include <assert.h>
#include <string.h>

#include "base/fileio.h"
#include "policy/check.h"
#include "policy/compile.h"
#include "policy/parser.h"

static void program_done(Program *p)
{
    for (uint32_t i = 0; i < p->texts.n; i++)
        free(p->texts.list[i]);
    free(p->texts.list);
    free(p->source.origin);
    free(p->source.text);
    free(p->code);
    free(p->sites);
    free(p->constants.list);
    free(p->fallbacks.list);
    free(p->loops.list);
    free(p->saved_slots.list);
    free(p->aggregates.list);
    free(p->windows.list);
    free(p->assigns.list);
    free(p->variables.list);
    free(p->logs.list);
    free(p->host_states.list);
    free(p->guest_states.list);
    free(p->slots.list);
}

Policy *policy_free(Policy *p)
{
    if (!p)
        return NULL;
    for (size_t i = 0; i < p->n_programs; i++)
        program_done(&p->programs[i]);
    free(p->programs);
    free(p->name);
    free(p->needs);
    free(p->host_states.list);
    free(p->guest_states.list);
    policy_diagnostics_done(&p->warnings);
    free(p);
    return NULL;
}

size_t policy_n_files(const Policy *p)
{
    return p->n_programs;
}

PolicyFile policy_file(const Policy *p, size_t i)
{
    const Program *g = &p->programs[i];
    const char *slash;

    assert(i < p->n_programs);
    slash = strrchr(g->source.origin, '/');
    return (PolicyFile){.origin = g->source.origin,
                        .name = slash ? slash + 1 : g->source.origin,
                        .text = g->source.text,
                        .length = g->source.length,
                        .host_controls = g->host_controls,
                        .guest_controls = g->guest_controls};
}

FieldSet policy_controls(const Policy *p, bool host)
{
    FieldSet controls = {};

    for (size_t i = 0; i < p->n_programs; i++)
        field_set_unite(&controls, host ? &p->programs[i].host_controls : &p->programs[i].guest_controls);
    return controls;
}

const char *policy_name(const Policy *p)
{
    return p->name;
}

const PolicyDiagnostics *policy_warnings(const Policy *p)
{
    return &p->warnings;
}

const SeriesNeed *policy_needs(const Policy *p, size_t *ret_n)
{
    *ret_n = p->n_needs;
    return p->needs;
}

const PolicyState *policy_states(const Policy *p, bool host, size_t *ret_n)
{
    *ret_n = host ? p->host_states.n : p->guest_states.n;
    return host ? p->host_states.list : p->guest_states.list;
}

static const PolicyState *find_state(const PolicyState *states, size_t n, const PolicyState *wanted)
{
    for (size_t i = 0; i < n; i++)
        if (states[i].unit == wanted->unit && strcmp(states[i].name, wanted->name) == 0 &&
            strcmp(states[i].file, wanted->file) == 0)
            return &states[i];
    return NULL;
}

void policy_states_carry(const Policy *p, bool host, const Policy *old, const double *old_values,
                         double *values)
{
    size_t n, n_old = 0;
    const PolicyState *states = policy_states(p, host, &n),
                      *before = old && old_values ? policy_states(old, host, &n_old) : NULL;

    for (size_t i = 0; i < n; i++) {
        const PolicyState *kept = find_state(before, n_old, &states[i]);

        values[i] = kept ? old_values[kept - before] : states[i].initial;
    }
}

/* Parses, checks and compiles. -EINVAL with diagnostics. */
static int build(Unit *u, Program *p)
{
    PolicyNote failed;
    int r = policy_parse(u);

    if (r < 0)
        return r;
    r = policy_check(u);
    if (r < 0)
        return r;
    if (u->diagnostics->n_errors > 0)
        return -EINVAL;
    r = policy_compile(u, p);
    if (r < 0)
        return r;
    r = program_init_constants(p, &failed);
    if (r == -EINVAL)
        diagnostics_add(u->diagnostics, (Position){failed.line, failed.column}, NULL, "%s", failed.text);
    if (r < 0)
        return r;
    /* The values of consts are known only now. */
    for (uint32_t i = 0; i < p->windows.n; i++)
        policy_check_window(u->diagnostics, p->windows.list[i].at, p->windows.list[i].usec);
    return u->diagnostics->n_errors > 0 ? -EINVAL : 0;
}

static Position find_assignment(const Program *p, Operation op, int field)
{
    for (uint32_t i = 0; i < p->n_code; i++)
        if (p->code[i].op == op && p->code[i].field == field)
            return p->sites[i].at;
    return (Position){1, 1};
}

/* Only one file may assign to a control: otherwise their order would decide which one counts. */
static void check_control(const Program *other, const Program *new, Operation op, int field, const char *name,
                          Diagnostics *d)
{
    diagnostics_add(d, find_assignment(new, op, field),
                    "of several policies that run together only one can assign to a control",
                    "'%s' is also assigned in %s (line %u)", name, other->source.origin,
                    find_assignment(other, op, field).line);
}

static void check_apart(const Policy *p, const Program *new, Diagnostics *d)
{
    for (size_t i = 0; i < p->n_programs; i++) {
        const Program *other = &p->programs[i];
        FieldSet host = field_set_common(&new->host_controls, &other->host_controls),
                 guest = field_set_common(&new->guest_controls, &other->guest_controls);

        if (strcmp(other->source.origin, new->source.origin) == 0)
            diagnostics_add(d, (Position){1, 1}, NULL, "this file is listed twice");
        FOREACH_FIELD(f, &host)
            check_control(other, new, OP_ASSIGN_HOST, f, host_field_info((HostField) f)->name, d);
        FOREACH_FIELD(f, &guest)
            check_control(other, new, OP_ASSIGN_GUEST, f, guest_field_info((GuestField) f)->name, d);
    }
}

/* All of it, also text after a NUL. */
static char *copy_text(const PolicySource *source)
{
    char *copy = malloc(source->length + 1);

    if (!copy)
        return NULL;
    if (source->length > 0)
        memcpy(copy, source->text, source->length);
    copy[source->length] = 0;
    return copy;
}

/* Windows' editors begin a file with a byte order mark. */
static Source source_of(const PolicySource *s)
{
    static const char mark[3] = "\xef\xbb\xbf";
    size_t skip = s->length >= sizeof(mark) && memcmp(s->text, mark, sizeof(mark)) == 0 ? sizeof(mark) : 0;

    return (Source){.text = s->text + skip, .length = s->length - skip, .origin = s->origin};
}

/* Loads one more file. */
static int add_program(Policy *p, const PolicySource *source, PolicyDiagnostics *diagnostics)
{
    Source s = source_of(source);
    _cleanup_free_ Diagnostics *found = calloc(1, sizeof(*found));
    Program g = {.file = (uint32_t) p->n_programs};
    Unit unit;
    int r;

    if (source->length > POLICY_SIZE_MAX)
        return -EFBIG;
    g.source.origin = strdup(source->origin);
    g.source.text = copy_text(source);
    g.source.length = source->length;
    if (!found || !g.source.origin || !g.source.text)
        r = -ENOMEM;
    else {
        found->source = &s;
        unit = (Unit){.source = &s, .diagnostics = found};
        r = build(&unit, &g);
        unit_done(&unit);
    }
    if (r >= 0) {
        check_apart(p, &g, found);
        if (found->n_errors > 0)
            r = -EINVAL;
    }
    if (r == -EINVAL && diagnostics && diagnostics_render(found, diagnostics) < 0)
        r = -ENOMEM;
    if (r >= 0 && found->n > 0)
        r = diagnostics_render(found, &p->warnings);
    if (r < 0) {
        program_done(&g);
        return r;
    }
    p->programs[p->n_programs++] = g;
    return 0;
}

/* "balloon.policy, ksm.policy" */
static int set_name(Policy *p)
{
    size_t length = 0;
    FILE *f = open_memstream(&p->name, &length);

    if (!f)
        return -ENOMEM;
    for (size_t i = 0; i < p->n_programs; i++)
        fprintf(f, "%s%s", i > 0 ? ", " : "", policy_file(p, i).name);
    return fclose(f) == 0 ? 0 : -ENOMEM;
}

/* Each stat once, with the longest window. */
static void add_need(Policy *p, const Window *w)
{
    usec_t usec = (usec_t) w->usec;
    size_t i;

    for (i = 0; i < p->n_needs; i++)
        if (p->needs[i].host == w->host && p->needs[i].field == w->field)
            break;
    if (i == p->n_needs)
        p->needs[p->n_needs++] = (SeriesNeed){.host = w->host, .field = w->field};
    p->needs[i].usec = MAX(p->needs[i].usec, usec);
}

static int gather_needs(Policy *p)
{
    p->needs = calloc((size_t) HOST_FIELD_MAX + GUEST_FIELD_MAX, sizeof(*p->needs));
    if (!p->needs)
        return -ENOMEM;
    for (size_t i = 0; i < p->n_programs; i++)
        for (uint32_t w = 0; w < p->programs[i].windows.n; w++)
            add_need(p, &p->programs[i].windows.list[w]);
    return 0;
}

static void add_states(const Program *g, const State *from, uint32_t n, PolicyState *to)
{
    for (uint32_t i = 0; i < n; i++)
        to[i] = (PolicyState){.file = g->source.origin,
                              .name = g->texts.list[from[i].name],
                              .unit = from[i].unit,
                              .initial = value_to_unit(g->slots.list[from[i].slot], from[i].unit)};
}

static int gather_states(Policy *p)
{
    for (size_t i = 0; i < p->n_programs; i++) {
        Program *g = &p->programs[i];

        g->host_states.first = (uint32_t) p->host_states.n;
        g->guest_states.first = (uint32_t) p->guest_states.n;
        p->host_states.n += g->host_states.n;
        p->guest_states.n += g->guest_states.n;
    }
    p->host_states.list = calloc(p->host_states.n + 1, sizeof(*p->host_states.list));
    p->guest_states.list = calloc(p->guest_states.n + 1, sizeof(*p->guest_states.list));
    if (!p->host_states.list || !p->guest_states.list)
        return -ENOMEM;
    for (size_t i = 0; i < p->n_programs; i++) {
        const Program *g = &p->programs[i];

        add_states(g, g->host_states.list, g->host_states.n, p->host_states.list + g->host_states.first);
        add_states(g, g->guest_states.list, g->guest_states.n, p->guest_states.list + g->guest_states.first);
    }
    return 0;
}

/* A policy that neither assigns to a control nor logs something has no effect at all. */
static int warn_of_nothing(Policy *p, const PolicySource *source)
{
    FieldSet host = policy_controls(p, true), guest = policy_controls(p, false);
    _cleanup_free_ Diagnostics *d = NULL;
    Source s = source_of(source);

    if (!field_set_is_empty(&host) || !field_set_is_empty(&guest))
        return 0;
    for (size_t i = 0; i < p->n_programs; i++)
        if (p->programs[i].logs.n > 0)
            return 0;
    d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    d->source = &s;
    diagnostics_warn(d, (Position){1, 1}, "assign to a control, such as g.target of the guest g of a loop",
                     "this policy assigns nothing, so nothing happens");
    return diagnostics_render(d, &p->warnings);
}

int policy_load_sources(const PolicySource *sources, size_t n, PolicyDiagnostics *diagnostics, Policy **ret)
{
    _cleanup_(policy_freep) Policy *p = calloc(1, sizeof(*p));
    bool bad = false;
    int r;

    assert(n > 0 && n <= POLICY_FILES_MAX);
    if (!p)
        return -ENOMEM;
    p->programs = calloc(n, sizeof(*p->programs));
    if (!p->programs)
        return -ENOMEM;
    /* All files are read, so that all mistakes are reported at once. */
    for (size_t i = 0; i < n; i++) {
        r = add_program(p, &sources[i], diagnostics);
        if (r < 0 && r != -EINVAL)
            return r;
        bad = bad || r < 0;
    }
    if (bad)
        return -EINVAL;
    r = set_name(p);
    if (r >= 0)
        r = gather_needs(p);
    if (r >= 0)
        r = gather_states(p);
    if (r >= 0)
        r = warn_of_nothing(p, &sources[0]);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(p);
    return 0;
}

int policy_load_files(const char *const *paths, size_t n, PolicyDiagnostics *diagnostics, Policy **ret,
                      const char **ret_failed)
{
    PolicySource sources[POLICY_FILES_MAX] = {};
    char *texts[POLICY_FILES_MAX] = {};
    int r = 0;

    assert(n > 0 && n <= POLICY_FILES_MAX);
    for (size_t i = 0; i < n && r >= 0; i++) {
        sources[i].origin = paths[i];
        r = fileio_read_regular(paths[i], POLICY_SIZE_MAX, &texts[i], &sources[i].length);
        sources[i].text = texts[i];
        if (r < 0 && ret_failed)
            *ret_failed = paths[i];
    }
    if (r >= 0)
        r = policy_load_sources(sources, n, diagnostics, ret);
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
    return r;
}
