/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Evaluates a policy file by file. A file whose part outside of loops fails is undone as a whole. */

#include <assert.h>
#include <locale.h>
#include <math.h>
#include <string.h>

#include "policy/machine.h"
#include "policy/run.h"

static int uuid_compare(const void *a, const void *b, void *guests)
{
    const PolicyGuest *g = guests;
    uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;
    int r = strcmp(g[x].uuid, g[y].uuid);

    return r != 0 ? r : x < y ? -1 : x > y;
}

static bool sorted_by_uuid(const PolicyInput *input)
{
    for (size_t i = 1; i < input->n_guests; i++)
        if (strcmp(input->guests[i - 1].uuid, input->guests[i].uuid) > 0)
            return false;
    return true;
}

/* The memory for one evaluation, in three pieces. The stack is a piece of its own, so that AddressSanitizer
 * checks its bound. Also the locale, so that patterns and numbers work the same in the daemon and in
 * ballastctl. */
typedef struct Memory {
    double *values, *stack;
    void *guests;
    locale_t plain, outside;
} Memory;

static void memory_done(Memory *m)
{
    if (m->plain) {
        (void) uselocale(m->outside);
        freelocale(m->plain);
    }
    free(m->values);
    free(m->stack);
    free(m->guests);
}

/* Large enough for each of the programs. */
static int machine_init(Machine *m, const Program *programs, size_t n_programs, Memory *ret)
{
    size_t n = m->input->n_guests, n_slots = 0, n_stack = 0, n_saved = 0, n_keys = 0, n_state = 0;
    bool own_state = !m->output->guest_state;

    for (size_t i = 0; i < n_programs; i++) {
        const Program *p = &programs[i];

        n_slots = MAX(n_slots, p->slots.n);
        n_stack = MAX(n_stack, p->n_stack);
        n_saved = MAX(n_saved, p->loops.n_saved_max);
        n_keys = MAX(n_keys, p->loops.n_keys_max);
        n_state = MAX(n_state, p->guest_states.n);
    }
    n_keys = n * (n_keys > 0 ? n_keys - 1 : 0);
    ret->values = malloc((n_slots + n_saved + n_state + n_keys + (own_state ? n * m->n_guest_states : 0)) *
                             sizeof(double) +
                         1);
    ret->stack = malloc(n_stack * sizeof(double) + 1);
    ret->guests = malloc(n * (sizeof(Place) + sizeof(uint32_t)) + 1);
    ret->plain = newlocale(LC_ALL_MASK, "C", NULL);
    if (!ret->values || !ret->stack || !ret->guests || !ret->plain)
        return -ENOMEM;
    ret->outside = uselocale(ret->plain);

    m->stack = ret->stack;
    m->slots = ret->values;
    m->saved = m->slots + n_slots;
    m->saved_state = m->saved + n_saved;
    m->keys = m->saved_state + n_state;
    m->guest_state = own_state ? m->keys + n_keys : m->output->guest_state;
    m->places = ret->guests;
    if (!sorted_by_uuid(m->input)) {
        m->by_uuid = (uint32_t *) (m->places + n);
        for (uint32_t i = 0; i < n; i++)
            m->by_uuid[i] = i;
        qsort_r(m->by_uuid, n, sizeof(uint32_t), uuid_compare, (void *) m->input->guests);
    }
    return 0;
}

/* ---- what is kept ---- */

/* The value of the i-th state at the start, or its initial value. */
static double state_before(const Program *p, const State *s, const double *values, size_t i)
{
    return values && isfinite(values[i]) ? value_from_unit(values[i], s->unit) : p->slots.list[s->slot];
}

static void read_guest_states(Machine *m)
{
    const Program *p = m->program;

    for (size_t g = 0; p->guest_states.n > 0 && g < m->input->n_guests; g++)
        for (uint32_t i = 0; i < p->guest_states.n; i++)
            machine_guest_states(m, g)[i] = state_before(
                p, &p->guest_states.list[i], m->input->guests[g].state, (size_t) p->guest_states.first + i);
}

static void read_host_states(Machine *m)
{
    const Program *p = m->program;

    for (uint32_t i = 0; i < p->host_states.n; i++)
        m->slots[p->host_states.list[i].slot] =
            state_before(p, &p->host_states.list[i], m->input->state, (size_t) p->host_states.first + i);
}

static void write_states(Machine *m)
{
    const Program *p = m->program;

    for (uint32_t i = 0; m->output->state && i < p->host_states.n; i++)
        m->output->state[p->host_states.first + i] =
            value_to_unit(m->slots[p->host_states.list[i].slot], p->host_states.list[i].unit);
    for (uint32_t i = 0; m->output->guest_state && i < p->guest_states.n; i++)
        for (size_t g = 0; p->guest_states.list[i].unit == FIELD_UNIT_RATE && g < m->input->n_guests; g++) {
            double *v = &machine_guest_states(m, g)[i];

            *v = value_to_unit(*v, FIELD_UNIT_RATE);
        }
}

/* ---- files ---- */

/* Undoes everything that this program did, as it failed outside of its loops. No other file assigns to its
 * controls. */
static void undo_program(Machine *m)
{
    PolicyOutput *o = m->output;

    FOREACH_FIELD(f, &m->program->guest_controls) {
        GuestControl c = guest_control_of(f);

        for (size_t i = 0; i < m->input->n_guests; i++)
            o->assignments[c][i] = (PolicyAssignment){};
        m->order[c] = 0;
    }
    FOREACH_FIELD(f, &m->program->host_controls)
        o->host[f] = (PolicyAssignment){};
    read_host_states(m);
    read_guest_states(m);
}

static void run_program(Machine *m, const Program *p)
{
    PolicyOutput *o = m->output;
    size_t n_notes = o->n_notes, notes_total = o->notes_total, n_logs = o->n_logs, logs_total = o->logs_total;

    m->program = p;
    m->host_read = m->guest_read = (FieldSet){};
    memcpy(m->slots, p->slots.list, p->slots.n * sizeof(double));
    read_host_states(m);
    read_guest_states(m);
    if (eval_segment(m, p->main, m->stack, NULL)) {
        for (size_t i = 0; i < POLICY_THRESHOLD_MAX; i++)
            if (p->thresholds[i] != NO_SLOT && isnan(o->thresholds[i]))
                o->thresholds[i] = m->slots[p->thresholds[i]];
    } else {
        undo_program(m);
        o->n_logs = n_logs;
        o->logs_total = logs_total;
        o->n_notes = n_notes;
        o->notes_total = notes_total;
        tell_note(m, SIZE_MAX);
        o->failed++;
    }
    write_states(m);
}

int policy_run(const Policy *p, const PolicyInput *input, PolicyOutput *output)
{
    Machine m = {.input = input, .output = output, .n_guest_states = p->guest_states.n};
    _cleanup_(memory_done) Memory memory = {};
    int r;

    assert(input->n_guests < UINT32_MAX);
    r = machine_init(&m, p->programs, p->n_programs, &memory);
    if (r < 0)
        return r;
    output->n_notes = output->notes_total = output->n_logs = output->logs_total = 0;
    output->failed = 0;
    memset(output->host, 0, sizeof(output->host));
    for (size_t i = 0; i < POLICY_THRESHOLD_MAX; i++)
        output->thresholds[i] = NAN;
    for (size_t c = 0; c < GUEST_CONTROL_MAX; c++)
        if (output->assignments[c] && input->n_guests > 0)
            memset(output->assignments[c], 0, input->n_guests * sizeof(PolicyAssignment));

    for (size_t i = 0; i < p->n_programs; i++)
        run_program(&m, &p->programs[i]);
    return output->failed == p->n_programs ? -ECANCELED : 0;
}

int program_init_constants(Program *p, PolicyNote *ret)
{
    const PolicyInput input = {};
    PolicyOutput output = {};
    Machine m = {.input = &input, .output = &output};
    _cleanup_(memory_done) Memory memory = {};
    int r = machine_init(&m, p, 1, &memory);

    if (r < 0)
        return r;
    m.program = p;
    memset(m.slots, 0, p->slots.n * sizeof(double));
    if (!eval_segment(&m, 0, m.stack, NULL)) {
        tell_describe(&m, SIZE_MAX, ret);
        return -EINVAL;
    }
    memcpy(p->slots.list, m.slots, p->slots.n * sizeof(double));
    for (uint32_t i = 0; i < p->windows.n; i++)
        if (p->windows.list[i].slot != NO_SLOT)
            p->windows.list[i].usec = p->slots.list[p->windows.list[i].slot];
    return 0;
}

/* ---- what an assignment read ---- */

typedef struct Reads {
    PolicyRead *list;
    size_t n, max;
} Reads;

static void add_read(Reads *r, const char *object, const FieldInfo *info, double value)
{
    if (r->n < r->max && isfinite(value))
        r->list[r->n++] =
            (PolicyRead){.object = object, .name = info->name, .unit = info->unit, .value = value};
}

size_t policy_reads(const Policy *p, const PolicyInput *input, size_t guest, const PolicyAssignment *a,
                    PolicyRead *ret, size_t max)
{
    const GuestFields *g = guest == SIZE_MAX ? NULL : input->guests[guest].fields;
    Reads r = {.list = ret, .max = max};
    FieldSet known = {};
    const Program *program;
    const Assign *assign;

    if (a->line == 0)
        return 0;
    program = &p->programs[a->file];
    assign = &program->assigns.list[a->at];
    for (uint32_t i = 0; i < assign->n_variables; i++) {
        const Variable *v = &program->variables.list[assign->variables + i];

        add_read(&r, v->guest ? "g" : NULL,
                 &(FieldInfo){.name = program->texts.list[v->name], .unit = v->unit},
                 value_to_unit(a->variables[i], v->unit));
    }
    if (input->host)
        known = field_set_common(&a->host_read, &input->host->present);
    FOREACH_FIELD(f, &known)
        add_read(&r, "host", host_field_info((HostField) f), input->host->value[f]);
    known = g ? field_set_common(&a->guest_read, &g->present) : (FieldSet){};
    FOREACH_FIELD(f, &known)
        add_read(&r, "g", guest_field_info((GuestField) f), g->value[f]);
    return r.n;
}
