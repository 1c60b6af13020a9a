/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Goes over guests: loops, whose turns are undone where they fail, and aggregates.
 *
 * A turn is all or nothing. Before it, turn_begin() saves what it may change: the variables of outside and the
 * controls that the loop's body assigns to (the compiler listed both), the guest's own states, and how far the
 * log is. Where something can't be worked out, turn_undo() puts all that back, and a note says where. The other
 * guests' turns stand. */

#include <assert.h>
#include <math.h>
#include <string.h>

#include "policy/machine.h"

/* ---- whose turn it is ---- */

/* The guest at that place in the order of UUIDs. */
static uint32_t guest_at(const Machine *m, uint32_t rank)
{
    return m->by_uuid ? m->by_uuid[rank] : rank;
}

static int place_compare(const void *a, const void *b, void *machine)
{
    const Place *x = a, *y = b;
    const Machine *m = machine;

    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    for (uint32_t i = 0; i < m->n_more; i++) {
        double k = m->keys[(size_t) x->rank * m->n_more + i], l = m->keys[(size_t) y->rank * m->n_more + i];

        if (k != l)
            return k < l ? -1 : 1;
    }
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

/* Fills m->places with the loop's guests in the order of their turns. Filter and keys of all guests are
 * evaluated before the first turn; a guest for which that fails is left out. */
static size_t select_guests(Machine *m, const Loop *l)
{
    double *result = m->stack;
    size_t n = 0;

    m->n_more = l->n_keys > 0 ? l->n_keys - 1 : 0;
    for (uint32_t rank = 0; rank < m->input->n_guests; rank++) {
        Place p = {.rank = rank, .guest = guest_at(m, rank)};

        m->guest = p.guest;
        if (l->where != NO_CODE) {
            if (!eval_segment(m, l->where, result, NULL)) {
                tell_note(m, p.guest);
                continue;
            }
            if (*result == 0)
                continue;
        }
        if (l->by != NO_CODE) {
            if (!eval_segment(m, l->by, result, NULL)) {
                tell_note(m, p.guest);
                continue;
            }
            p.key = result[0];
            for (uint32_t i = 0; i < m->n_more; i++)
                m->keys[(size_t) rank * m->n_more + i] = result[1 + i];
        }
        m->places[n++] = p;
    }
    if (l->by != NO_CODE && n > 1)
        qsort_r(m->places, n, sizeof(m->places[0]), place_compare, m);
    return n;
}

/* ---- turns ---- */

static void turn_begin(Machine *m, const Loop *l)
{
    const Program *p = m->program;
    const PolicyOutput *o = m->output;

    m->host_read = m->guest_read = (FieldSet){};
    for (uint32_t i = 0; i < l->n_saved; i++)
        m->saved[i] = m->slots[p->saved_slots.list[l->saved + i]];
    if (l->guest_states)
        memcpy(m->saved_state, machine_guest_states(m, m->guest), p->guest_states.n * sizeof(double));
    FOREACH_FIELD(f, &l->host_controls)
        m->turn.host[f] = o->host[f];
    FOREACH_FIELD(f, &l->guest_controls)
        m->turn.guest[guest_control_of(f)] = o->assignments[guest_control_of(f)][m->guest];
    memcpy(m->turn.order, m->order, sizeof(m->order));
    m->turn.n_logs = o->n_logs;
    m->turn.logs_total = o->logs_total;
}

static void turn_undo(Machine *m, const Loop *l)
{
    const Program *p = m->program;
    PolicyOutput *o = m->output;

    for (uint32_t i = 0; i < l->n_saved; i++)
        m->slots[p->saved_slots.list[l->saved + i]] = m->saved[i];
    if (l->guest_states)
        memcpy(machine_guest_states(m, m->guest), m->saved_state, p->guest_states.n * sizeof(double));
    FOREACH_FIELD(f, &l->host_controls)
        o->host[f] = m->turn.host[f];
    FOREACH_FIELD(f, &l->guest_controls)
        o->assignments[guest_control_of(f)][m->guest] = m->turn.guest[guest_control_of(f)];
    memcpy(m->order, m->turn.order, sizeof(m->order));
    o->n_logs = m->turn.n_logs;
    o->logs_total = m->turn.logs_total;
}

/* A loop is a statement: the stack is empty when it begins. */
void turn_loop(Machine *m, const Loop *l)
{
    FieldSet host_read = m->host_read, guest_read = m->guest_read;
    size_t n = select_guests(m, l);

    m->in_turn = true;
    for (size_t i = 0; i < n; i++) {
        m->guest = m->places[i].guest;
        turn_begin(m, l);
        if (eval_segment(m, l->body, m->stack, NULL))
            continue;
        turn_undo(m, l);
        tell_note(m, m->guest);
    }
    m->in_turn = false;
    m->host_read = host_read;
    m->guest_read = guest_read;
}

/* ---- aggregates ---- */

/* The aggregate so far. */
typedef struct Gathered {
    size_t n; /* guests; of COUNT and ANY those for which it is true, of ALL those for which it isn't */
    double sum, least, most;
} Gathered;

static void gather(Gathered *g, AggregateFunction function, double v)
{
    switch (function) {
    case AGGREGATE_COUNT:
    case AGGREGATE_ANY:
        g->n += v != 0;
        return;
    case AGGREGATE_ALL:
        g->n += v == 0;
        return;
    case AGGREGATE_SUM:
    case AGGREGATE_AVG:
    case AGGREGATE_MIN:
    case AGGREGATE_MAX:
        g->sum += v;
        g->least = g->n > 0 ? MIN(g->least, v) : v;
        g->most = g->n > 0 ? MAX(g->most, v) : v;
        g->n++;
        return;
    }
    assert(false);
}

static Failure gathered(const Gathered *g, AggregateFunction function, double *ret)
{
    switch (function) {
    case AGGREGATE_COUNT:
        *ret = (double) g->n;
        return FAILURE_NONE;
    case AGGREGATE_ANY:
        *ret = g->n > 0;
        return FAILURE_NONE;
    case AGGREGATE_ALL:
        *ret = g->n == 0;
        return FAILURE_NONE;
    case AGGREGATE_SUM:
        *ret = g->sum;
        return isfinite(g->sum) ? FAILURE_NONE : FAILURE_RANGE;
    case AGGREGATE_AVG:
        if (g->n == 0)
            return FAILURE_MISSING;
        *ret = g->sum / (double) g->n;
        return isfinite(g->sum) ? FAILURE_NONE : FAILURE_RANGE;
    case AGGREGATE_MIN:
    case AGGREGATE_MAX:
        *ret = function == AGGREGATE_MIN ? g->least : g->most;
        return g->n > 0 ? FAILURE_NONE : FAILURE_MISSING;
    }
    assert(false);
    return FAILURE_NONE;
}

/* A missing stat of the host is missing for every guest. To leave all of them out would look as if there were
 * none. */
static bool host_misses(const Machine *m)
{
    const Instruction *i = &m->program->code[m->failed];

    return m->failure == FAILURE_MISSING && (i->op == OP_HOST || i->op == OP_HOST_CONTROL ||
                                             (i->op == OP_WINDOW && m->program->windows.list[i->arg].host));
}

/* Whether *stack has a value for the guest whose turn it is. An aggregate leaves out a guest that lacks a
 * stat it needs; other failures are reported. */
static bool look(Machine *m, const Aggregate *a, double *stack, const double *parameters, bool *ret_failed)
{
    bool known = a->where == NO_CODE || eval_segment(m, a->where, stack, parameters);

    if (known && a->where != NO_CODE && *stack == 0)
        return false;
    if (a->value == NO_CODE)
        *stack = 1;
    else
        known = known && eval_segment(m, a->value, stack, parameters);
    if (known)
        return true;
    *ret_failed = host_misses(m);
    if (m->failure != FAILURE_MISSING)
        tell_note(m, m->guest);
    return false;
}

/* In the order of UUIDs, so that a sum does not depend on the order of the guests. */
Failure turn_aggregate(Machine *m, uint32_t at, double *stack, const double *parameters, double *ret)
{
    const Aggregate *a = &m->program->aggregates.list[m->program->code[at].arg];
    uint32_t guest = m->guest;
    Gathered g = {};
    bool failed = false;

    for (uint32_t rank = 0; rank < m->input->n_guests && !failed; rank++) {
        m->guest = guest_at(m, rank);
        if (look(m, a, stack, parameters, &failed))
            gather(&g, a->function, *stack);
    }
    m->guest = guest;
    *ret = 0;
    if (failed)
        return FAILURE_MISSING;
    m->failed = at;
    return gathered(&g, a->function, ret);
}
