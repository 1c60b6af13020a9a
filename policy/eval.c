/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "policy/program.h"

/* Balloon targets above this aren't exact any more; no guest is so large. */
#define TARGET_MAX 0x1p53

typedef enum Failure {
    FAILURE_NONE,
    FAILURE_MISSING, /* a stat */
    FAILURE_ZERO,    /* division */
    FAILURE_STEP,    /* to round to */
    FAILURE_RANGE,   /* not finite */
    FAILURE_NEGATIVE,
    FAILURE_TARGET,
} Failure;

typedef struct Frame {
    uint32_t back; /* where to go on */
    const double *parameters;
} Frame;

/* One guest's place in a loop: by its keys, then by UUID. */
typedef struct Place {
    double key;    /* the first; the others are in Machine.keys */
    uint32_t rank; /* in the order of UUIDs */
    uint32_t guest;
} Place;

typedef struct Machine {
    const Program *program;
    const PolicyInput *input;
    PolicyOutput *output;
    double *slots, *stack, *saved;
    double *keys; /* the n_more further keys of each guest, by rank */
    uint32_t n_more;
    Place *places;
    uint32_t *by_uuid; /* guests in the order of their UUIDs; NULL: as they are */
    uint32_t guest;    /* whose turn it is */
    unsigned order;    /* given out so far */
    Failure failure;
    uint32_t failed; /* the instruction */
} Machine;

static bool missing(double v)
{
    return !isfinite(v);
}

/* A stat or control; NAN where it isn't there. A stat that isn't finite isn't there either. */
static double read_host(const Machine *m, uint8_t field)
{
    const HostFields *h = m->input->host;

    return h && host_has(h, (HostField) field) ? h->value[field] : NAN;
}

static double read_guest(const Machine *m, uint8_t field)
{
    const GuestFields *g = m->input->guests[m->guest].fields;

    return guest_has(g, (GuestField) field) ? g->value[field] : NAN;
}

static double read_control(const Machine *m, uint8_t field)
{
    const PolicyAssignment *a = &m->output->assignments[m->guest];

    assert(field == GUEST_FIELD_TARGET);
    return a->line > 0 ? a->value : read_guest(m, field);
}

static Failure assign(Machine *m, const Instruction *i, uint32_t line, double value)
{
    PolicyAssignment *a = &m->output->assignments[m->guest];

    assert(i->field == GUEST_FIELD_TARGET);
    if (value < 0)
        return FAILURE_NEGATIVE;
    if (value > TARGET_MAX)
        return FAILURE_TARGET;
    a->value = value;
    a->file = m->program->file;
    a->line = line;
    a->because = i->arg == NO_TEXT ? NULL : m->program->texts[i->arg];
    if (a->order == 0)
        a->order = ++m->order;
    return FAILURE_NONE;
}

static void run_loop(Machine *m, const Loop *l);

/* The result of an operation that can leave what a double holds. */
#define CHECKED(operation)           \
    ({                               \
        double _v = (operation);     \
        if (!isfinite(_v))           \
            failure = FAILURE_RANGE; \
        _v;                          \
    })

/* Runs from the instruction to the end of its segment. Returns whether it got there; else m->failure says why
 * not. One long switch: it is a table of what each operation does. A value that the segment leaves is at the
 * bottom of the stack given. */
static bool run(Machine *m, uint32_t at, double *stack)
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
            *++top = p->constants[i->arg];
            break;
        case OP_SLOT:
            *++top = m->slots[i->arg];
            break;
        case OP_SET:
            m->slots[i->arg] = *top--;
            break;
        case OP_PARAMETER:
            *++top = frames[depth - 1].parameters[i->arg];
            break;
        case OP_HOST:
        case OP_GUEST:
        case OP_CONTROL:
            v = i->op == OP_HOST    ? read_host(m, i->field)
                : i->op == OP_GUEST ? read_guest(m, i->field)
                                    : read_control(m, i->field);
            if (missing(v))
                failure = FAILURE_MISSING;
            *++top = v;
            break;
        case OP_HOST_OR:
        case OP_GUEST_OR:
        case OP_CONTROL_OR:
            v = i->op == OP_HOST_OR    ? read_host(m, i->field)
                : i->op == OP_GUEST_OR ? read_guest(m, i->field)
                                       : read_control(m, i->field);
            if (missing(v))
                break;
            *++top = v;
            at = i->arg - 1;
            break;
        case OP_ASSIGN:
            failure = assign(m, i, p->positions[at].line, *top--);
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
            break;
        case OP_MAX:
            top--;
            *top = MAX(top[0], top[1]);
            break;
        case OP_LT:
            top--;
            *top = top[0] < top[1];
            break;
        case OP_LE:
            top--;
            *top = top[0] <= top[1];
            break;
        case OP_GT:
            top--;
            *top = top[0] > top[1];
            break;
        case OP_GE:
            top--;
            *top = top[0] >= top[1];
            break;
        case OP_EQ:
            top--;
            *top = top[0] == top[1];
            break;
        case OP_NE:
            top--;
            *top = top[0] != top[1];
            break;
        case OP_NEG:
            *top = -*top;
            break;
        case OP_NOT:
            *top = *top == 0;
            break;
        case OP_ABS:
            *top = fabs(*top);
            break;
        case OP_CLAMP: /* where the bounds cross, the low one holds */
            top -= 2;
            *top = MAX(top[1], MIN(top[0], top[2]));
            break;
        case OP_ROUND:
            top--;
            if (top[1] <= 0)
                failure = FAILURE_STEP;
            else
                *top = CHECKED(round(top[0] / top[1]) * top[1]);
            break;
        case OP_JUMP:
            at = i->arg - 1;
            break;
        case OP_JUMP_UNLESS:
            if (*top-- == 0)
                at = i->arg - 1;
            break;
        case OP_AND:
        case OP_OR:
            if ((*top == 0) == (i->op == OP_AND))
                at = i->arg - 1;
            else
                top--;
            break;
        case OP_CALL:
            assert(depth < POLICY_DEPTH_MAX);
            frames[depth++] = (Frame){.back = at, .parameters = top - i->field + 1};
            at = i->arg - 1;
            break;
        case OP_RETURN:
            v = *top;
            top -= i->field;
            *top = v;
            at = frames[--depth].back;
            break;
        case OP_LOOP:
            run_loop(m, &p->loops[i->arg]);
            at = p->loops[i->arg].next - 1;
            break;
        }
        if (failure != FAILURE_NONE) {
            m->failure = failure;
            m->failed = at;
            return false;
        }
    }
}

/* Tells why a turn was undone. */
static void describe(const Machine *m, size_t guest, PolicyNote *ret)
{
    const Instruction *i = &m->program->code[m->failed];
    Position at = m->program->positions[m->failed];
    const char *text = NULL;

    *ret = (PolicyNote){.guest = guest, .file = m->program->file, .line = at.line, .column = at.column};
    switch (m->failure) {
    case FAILURE_MISSING:
        (void) snprintf(ret->text, sizeof(ret->text), "%s.%s is missing", i->op == OP_HOST ? "host" : "g",
                        i->op == OP_HOST ? host_field_info((HostField) i->field)->name
                                         : guest_field_info((GuestField) i->field)->name);
        return;
    case FAILURE_ZERO:
        text = "division by zero";
        break;
    case FAILURE_STEP:
        text = "rounded to a step that isn't above 0";
        break;
    case FAILURE_RANGE:
        text = "the result is too large";
        break;
    case FAILURE_NEGATIVE:
        text = "a target below 0";
        break;
    case FAILURE_TARGET:
        text = "a target above 8 PiB";
        break;
    case FAILURE_NONE:
        assert(false);
    }
    (void) snprintf(ret->text, sizeof(ret->text), "%s", text);
}

static void note(Machine *m, size_t guest)
{
    PolicyOutput *o = m->output;

    o->notes_total++;
    if (o->n_notes < POLICY_NOTES_MAX)
        describe(m, guest, &o->notes[o->n_notes++]);
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

/* Fills m->places with the loop's guests in the order of their turns. Filter and keys of all are worked out
 * before the first turn; a guest for which that fails is left out. */
static size_t select_guests(Machine *m, const Loop *l)
{
    double *result = m->stack;
    size_t n = 0;

    m->n_more = l->n_keys > 0 ? l->n_keys - 1 : 0;
    for (uint32_t rank = 0; rank < m->input->n_guests; rank++) {
        Place p = {.rank = rank, .guest = m->by_uuid ? m->by_uuid[rank] : rank};

        m->guest = p.guest;
        if (l->where != NO_CODE) {
            if (!run(m, l->where, result)) {
                note(m, p.guest);
                continue;
            }
            if (*result == 0)
                continue;
        }
        if (l->by != NO_CODE) {
            if (!run(m, l->by, result)) {
                note(m, p.guest);
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

/* A loop is a statement: the stack is empty when it begins. */
static void run_loop(Machine *m, const Loop *l)
{
    const uint32_t *saved = m->program->saved_slots;
    size_t n = select_guests(m, l);

    for (size_t i = 0; i < n; i++) {
        PolicyAssignment *a = &m->output->assignments[m->places[i].guest], before = *a;
        unsigned order = m->order;

        m->guest = m->places[i].guest;
        for (uint32_t s = 0; s < l->n_saved; s++)
            m->saved[s] = m->slots[saved[l->saved + s]];
        if (run(m, l->body, m->stack))
            continue;

        for (uint32_t s = 0; s < l->n_saved; s++)
            m->slots[saved[l->saved + s]] = m->saved[s];
        *a = before;
        m->order = order;
        note(m, m->guest);
    }
}

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

/* All the memory that an evaluation needs, in one piece. */
static int machine_init(Machine *m, double **ret_memory)
{
    const Program *p = m->program;
    size_t n = m->input->n_guests, n_keys = n * (p->n_keys_max > 0 ? p->n_keys_max - 1 : 0);
    size_t n_doubles = (size_t) p->n_slots + p->n_stack + p->n_saved_max + n_keys + 1;
    double *memory = malloc(n_doubles * sizeof(double) + n * (sizeof(Place) + sizeof(uint32_t)));

    if (!memory)
        return -ENOMEM;
    m->slots = memory;
    m->stack = m->slots + p->n_slots;
    m->saved = m->stack + p->n_stack;
    m->keys = m->saved + p->n_saved_max;
    m->places = (Place *) (memory + n_doubles);
    memcpy(m->slots, p->slots, p->n_slots * sizeof(double));
    if (!sorted_by_uuid(m->input)) {
        m->by_uuid = (uint32_t *) (m->places + n);
        for (uint32_t i = 0; i < n; i++)
            m->by_uuid[i] = i;
        qsort_r(m->by_uuid, n, sizeof(uint32_t), uuid_compare, (void *) m->input->guests);
    }
    *ret_memory = memory;
    return 0;
}

/* Nothing that this program assigned stands, as it failed outside of its loops. */
static void undo_program(Machine *m)
{
    PolicyOutput *o = m->output;

    for (size_t i = 0; i < m->input->n_guests; i++)
        if (o->assignments[i].line > 0 && o->assignments[i].file == m->program->file)
            o->assignments[i] = (PolicyAssignment){};
}

static int run_program(const Program *p, const PolicyInput *input, unsigned *order, PolicyOutput *output)
{
    size_t n_notes = output->n_notes, notes_total = output->notes_total;
    Machine m = {.program = p, .input = input, .output = output, .order = *order};
    _cleanup_free_ double *memory = NULL;
    int r = machine_init(&m, &memory);

    if (r < 0)
        return r;
    if (!run(&m, p->main, m.stack)) {
        undo_program(&m);
        output->n_notes = n_notes;
        output->notes_total = notes_total;
        note(&m, SIZE_MAX);
        output->failed++;
        return 0;
    }
    *order = m.order;
    for (size_t i = 0; i < POLICY_MARK_MAX; i++)
        if (p->marks[i] != NO_SLOT && isnan(output->marks[i]))
            output->marks[i] = m.slots[p->marks[i]];
    return 0;
}

int policy_run(const Policy *p, const PolicyInput *input, PolicyOutput *output)
{
    unsigned order = 0;

    assert(input->n_guests < UINT32_MAX);
    output->n_notes = output->notes_total = output->n_logs = output->logs_total = 0;
    output->failed = 0;
    memset(output->host, 0, sizeof(output->host));
    for (size_t i = 0; i < POLICY_MARK_MAX; i++)
        output->marks[i] = NAN;
    if (input->n_guests > 0)
        memset(output->assignments, 0, input->n_guests * sizeof(output->assignments[0]));

    for (size_t i = 0; i < p->n_programs; i++) {
        int r = run_program(&p->programs[i], input, &order, output);

        if (r < 0)
            return r;
    }
    return output->failed == p->n_programs ? -ECANCELED : 0;
}

size_t policy_reads(const Policy *p, const PolicyInput *input, size_t guest, const PolicyAssignment *a,
                    PolicyRead *ret, size_t max)
{
    return 0;
}

int program_init_constants(Program *p, PolicyNote *ret)
{
    const PolicyInput input = {};
    PolicyOutput output = {};
    Machine m = {.program = p, .input = &input, .output = &output};
    _cleanup_free_ double *memory = NULL;
    int r = machine_init(&m, &memory);

    if (r < 0)
        return r;
    if (!run(&m, 0, m.stack)) {
        describe(&m, SIZE_MAX, ret);
        return -EINVAL;
    }
    memcpy(p->slots, m.slots, p->n_slots * sizeof(double));
    return 0;
}
