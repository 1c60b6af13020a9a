/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs instructions: the stack machine.
 *
 * Nothing is allocated or searched, and nothing recurses but an aggregate, which runs a segment for each guest
 * (turn.c). A value that is missing is NaN with a failure; each instruction knows the innermost ?? around it,
 * and the machine goes on there. Without one the turn ends, and turn.c undoes it. */

#include <assert.h>
#include <fnmatch.h>
#include <math.h>
#include <string.h>

#include "policy/machine.h"

/* Larger values of controls are not exact; no guest is that large. */
#define CONTROL_MAX 0x1p53

typedef struct Frame {
    uint32_t back;            /* the call */
    const double *parameters; /* of the caller */
} Frame;

/* Texts are numbers: first the program's own, then those of the guests. */
static bool same_text(const Machine *m, double a, double b)
{
    return a == b || strcmp(tell_text(m, a), tell_text(m, b)) == 0;
}

/* ---- stats, controls, what is kept ---- */

/* A stat that is not finite counts as missing. */
static bool missing(double v)
{
    return !isfinite(v);
}

/* A stat or control as it stands in the input; NAN if it is missing. */
static double find_host(Machine *m, uint8_t field)
{
    const HostFields *h = m->input->host;

    field_set_add(&m->host_read, field);
    return h && host_fields_has(h, (HostField) field) ? h->value[field] : NAN;
}

/* The same in the machine's unit. No stat of a guest has another one. */
static double read_host(Machine *m, uint8_t field)
{
    return value_from_unit(find_host(m, field), host_field_info((HostField) field)->unit);
}

static double read_guest(Machine *m, uint8_t field)
{
    const GuestFields *g = m->input->guests[m->guest].fields;

    field_set_add(&m->guest_read, field);
    return guest_fields_has(g, (GuestField) field) ? g->value[field] : NAN;
}

/* The value assigned in this cycle, else the current one. */
static double read_host_control(Machine *m, uint8_t field)
{
    const PolicyAssignment *a = &m->output->host[field];
    double stands = read_host(m, field);

    return a->line > 0 ? a->value : stands;
}

static double read_guest_control(Machine *m, uint8_t field)
{
    const PolicyAssignment *a = m->output->assignments[guest_control_of(field)];
    double stands = read_guest(m, field);

    return a && a[m->guest].line > 0 ? a[m->guest].value : stands;
}

static double read_guest_text(const Machine *m, uint8_t field)
{
    if (!guest_fields_text(m->input->guests[m->guest].fields, (GuestField) field))
        return NAN;
    return (double) (m->program->texts.n + (uint64_t) m->guest * GUEST_TEXTS_MAX + field);
}

/* Of a rate the machine's unit is per µs: of bytes as of all bytes per second, of durations since they are
 * µs themselves, and their rate is a number. */
static double read_window(Machine *m, const Window *w)
{
    const FieldInfo *info =
        w->host ? host_field_info((HostField) w->field) : guest_field_info((GuestField) w->field);
    double present = w->host ? find_host(m, (uint8_t) w->field) : read_guest(m, (uint8_t) w->field);
    const SeriesSet *history = w->host ? m->input->history : m->input->guests[m->guest].history;
    double v =
        series_function(history ? series_set_find(history, w->field) : NULL, w->function, m->input->now_usec,
                        (usec_t) w->usec, present, info->kind == FIELD_KIND_COUNTER);

    if (w->function == SERIES_RATE)
        return info->unit != FIELD_UNIT_NUMBER ? v / USEC_PER_SEC : v;
    return value_from_unit(v, info->unit);
}

static Failure assign(Machine *m, const Instruction *i, uint32_t line, double value)
{
    const Program *p = m->program;
    const Assign *s = &p->assigns.list[i->arg];
    bool guest = i->op == OP_ASSIGN_GUEST;
    GuestControl control = guest ? guest_control_of(i->field) : GUEST_CONTROL_INVALID;
    PolicyAssignment *a = guest ? &m->output->assignments[control][m->guest] : &m->output->host[i->field];
    const FieldInfo *info =
        guest ? guest_field_info((GuestField) i->field) : host_field_info((HostField) i->field);

    if (value < 0)
        return FAILURE_NEGATIVE;
    if (value > CONTROL_MAX)
        return FAILURE_LARGE;
    a->value = info->unit == FIELD_UNIT_BOOLEAN ? value != 0 : value;
    a->file = p->file;
    a->line = line;
    a->because = s->because == NO_TEXT ? NULL : p->texts.list[s->because];
    if (guest && a->order == 0)
        a->order = ++m->order[control];
    a->at = i->arg;
    a->host_read = m->host_read;
    a->guest_read = m->guest_read;
    for (uint32_t n = 0; n < s->n_variables; n++) {
        const Variable *v = &p->variables.list[s->variables + n];

        a->variables[n] = v->guest ? machine_guest_states(m, m->guest)[v->number] : m->slots[v->number];
    }
    return FAILURE_NONE;
}

/* ---- instructions ---- */

/* Finds the ?? for a missing stat, in this function or in its callers. Returns the top of the stack to
 * continue with, and sets *at to the next instruction; NULL: no ??. */
static double *fall_back(const Program *p, double *stack, const Frame *frames, unsigned *depth,
                         const double **parameters, uint32_t *at)
{
    for (uint32_t i = *at;; i = frames[*depth].back) {
        uint32_t f = p->sites[i].fallback;

        if (f != NO_FALLBACK) {
            double *base =
                *depth > 0 ? (double *) *parameters + p->code[frames[*depth - 1].back].field : stack;

            *at = p->fallbacks.list[f].target;
            return base + p->fallbacks.list[f].depth - 1;
        }
        if (*depth == 0)
            return NULL;
        *parameters = frames[--*depth].parameters;
    }
}

/* The result of an operation that can leave the range of a double. */
#define CHECKED(operation)           \
    ({                               \
        double _v = (operation);     \
        if (!isfinite(_v))           \
            failure = FAILURE_RANGE; \
        _v;                          \
    })

/* Pushes a value that may be missing. */
#define PUSH_STAT(operation)           \
    ({                                 \
        *++top = (operation);          \
        if (missing(*top))             \
            failure = FAILURE_MISSING; \
    })

/* One long switch, which is a table of all operations. Operations that can fail break out of it; the others
 * continue at once. */
bool eval_segment(Machine *m, uint32_t at, double *stack, const double *parameters)
{
    const Program *p = m->program;
    Frame frames[POLICY_DEPTH_MAX];
    unsigned depth = 0;
    double *top = stack - 1, v;
    Failure failure = FAILURE_NONE;

    for (;; at++) {
        const Instruction *i = &p->code[at];

        switch ((Operation) i->op) {
        case OP_END:
            return true;
        case OP_CONSTANT:
            *++top = p->constants.list[i->arg];
            continue;
        case OP_TEXT:
            *++top = i->arg;
            continue;
        case OP_SLOT:
            *++top = m->slots[i->arg];
            continue;
        case OP_SET:
            m->slots[i->arg] = *top--;
            continue;
        case OP_PARAMETER:
            *++top = parameters[i->arg];
            continue;
        case OP_HOST:
            PUSH_STAT(read_host(m, i->field));
            break;
        case OP_HOST_CONTROL:
            PUSH_STAT(read_host_control(m, i->field));
            break;
        case OP_GUEST:
            PUSH_STAT(read_guest(m, i->field));
            break;
        case OP_GUEST_CONTROL:
            PUSH_STAT(read_guest_control(m, i->field));
            break;
        case OP_GUEST_TEXT:
            PUSH_STAT(read_guest_text(m, i->field));
            break;
        case OP_GUEST_STATE:
            *++top = machine_guest_states(m, m->guest)[i->arg];
            continue;
        case OP_SET_STATE:
            machine_guest_states(m, m->guest)[i->arg] = *top--;
            continue;
        case OP_WINDOW:
            PUSH_STAT(read_window(m, &p->windows.list[i->arg]));
            break;
        case OP_ASSIGN_HOST:
        case OP_ASSIGN_GUEST:
            failure = assign(m, i, p->sites[at].at.line, *top--);
            break;
        case OP_ADD:
            top--;
            *top = CHECKED(top[0] + top[1]);
            break;
        case OP_SUB:
            top--;
            *top = CHECKED(top[0] - top[1]);
            break;
        case OP_MUL:
            top--;
            *top = CHECKED(top[0] * top[1]);
            break;
        case OP_DIV:
            top--;
            if (top[1] == 0)
                failure = FAILURE_ZERO;
            else
                *top = CHECKED(top[0] / top[1]);
            break;
        case OP_MIN:
            top--;
            *top = MIN(top[0], top[1]);
            continue;
        case OP_MAX:
            top--;
            *top = MAX(top[0], top[1]);
            continue;
        case OP_LT:
            top--;
            *top = top[0] < top[1];
            continue;
        case OP_LE:
            top--;
            *top = top[0] <= top[1];
            continue;
        case OP_GT:
            top--;
            *top = top[0] > top[1];
            continue;
        case OP_GE:
            top--;
            *top = top[0] >= top[1];
            continue;
        case OP_EQ:
            top--;
            *top = top[0] == top[1];
            continue;
        case OP_NE:
            top--;
            *top = top[0] != top[1];
            continue;
        case OP_EQ_TEXT:
            top--;
            *top = same_text(m, top[0], top[1]);
            continue;
        case OP_NE_TEXT:
            top--;
            *top = !same_text(m, top[0], top[1]);
            continue;
        case OP_NEG:
            *top = -*top;
            continue;
        case OP_NOT:
            *top = *top == 0;
            continue;
        case OP_ABS:
            *top = fabs(*top);
            continue;
        case OP_CLAMP: /* if the bounds cross, the low one counts */
            top -= 2;
            *top = MAX(top[1], MIN(top[0], top[2]));
            continue;
        case OP_ROUND:
            top--;
            if (top[1] <= 0)
                failure = FAILURE_STEP;
            else
                *top = CHECKED(round(top[0] / top[1]) * top[1]);
            break;
        case OP_MATCHES:
            top--;
            *top = fnmatch(tell_text(m, top[1]), tell_text(m, top[0]), 0) == 0;
            continue;
        case OP_JUMP:
            at = i->arg - 1;
            continue;
        case OP_JUMP_UNLESS:
            if (*top-- == 0)
                at = i->arg - 1;
            continue;
        case OP_AND:
        case OP_OR:
            if ((*top == 0) == (i->op == OP_AND))
                at = i->arg - 1;
            else
                top--;
            continue;
        case OP_CALL:
            assert(depth < POLICY_DEPTH_MAX);
            frames[depth++] = (Frame){.back = at, .parameters = parameters};
            parameters = top - i->field + 1;
            at = i->arg - 1;
            continue;
        case OP_RETURN:
            v = *top;
            top -= i->field;
            *top = v;
            depth--;
            at = frames[depth].back;
            parameters = frames[depth].parameters;
            continue;
        case OP_AGGREGATE:
            failure = turn_aggregate(m, at, top + 1, parameters, &v);
            *++top = v;
            if (failure == FAILURE_NONE)
                at = p->aggregates.list[i->arg].next - 1;
            break;
        case OP_LOOP:
            turn_loop(m, &p->loops.list[i->arg]);
            at = p->loops.list[i->arg].next - 1;
            continue;
        case OP_LOG:
            top -= i->field;
            tell_log(m, &p->logs.list[i->arg], p->sites[at].at.line, top + 1, i->field);
            continue;
        }
        if (failure != FAILURE_NONE) {
            m->failure = failure;
            if (i->op != OP_AGGREGATE) /* which says itself where */
                m->failed = at;
            top = failure == FAILURE_MISSING ? fall_back(p, stack, frames, &depth, &parameters, &at) : NULL;
            if (!top)
                return false;
            failure = FAILURE_NONE;
            at--;
        }
    }
}
