/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs the policy over a snapshot; plan_apply() then fits its wishes to the rules. */
#include "host-agent/decide/evaluate.h"

#include <math.h>
#include <string.h>

#include "host-agent/decide/group.h"
#include "host-agent/decide/plan.h"
#include "host-agent/decide/view.h"

typedef struct Evaluation {
    const Policy *policy;
    HostFields host;
    GuestBounds *bounds;
    GuestFields *fields;
    PolicyGuest *guests;
    PolicyInput input;
    PolicyAssignment *assignments[GUEST_CONTROL_MAX]; /* NULL: of a control that the policy leaves alone */
    double *state, *guest_state;                      /* after the run; NULL: the policy has no state */
    const char *files[POLICY_FILES_MAX];
} Evaluation;

static void assignments_free(PolicyAssignment *assignments[static GUEST_CONTROL_MAX])
{
    for (size_t c = 0; c < GUEST_CONTROL_MAX; c++)
        free(assignments[c]);
}

/* Makes room for those that the policy may make. On failure, too, ret is to be freed. */
static int assignments_new(const Policy *policy, size_t n_guests,
                           PolicyAssignment *ret[static GUEST_CONTROL_MAX])
{
    FieldSet controls = policy_controls(policy, false);

    FOREACH_FIELD(f, &controls) {
        ret[guest_control_of(f)] = calloc(n_guests + 1, sizeof(PolicyAssignment));
        if (!ret[guest_control_of(f)])
            return -ENOMEM;
    }
    return 0;
}

static void evaluation_done(Evaluation *e)
{
    free(e->bounds);
    free(e->fields);
    free(e->guests);
    assignments_free(e->assignments);
    free(e->state);
    free(e->guest_state);
}

/* Allocates room for the policy's state. */
static int prepare_state(Evaluation *e, size_t n_guests)
{
    size_t n_host, n_guest;

    (void) policy_states(e->policy, true, &n_host);
    (void) policy_states(e->policy, false, &n_guest);
    if (n_host > 0)
        e->state = calloc(n_host, sizeof *e->state);
    if (n_guest > 0)
        e->guest_state = calloc(n_guests + 1, n_guest * sizeof *e->guest_state);
    return (n_host > 0 && !e->state) || (n_guest > 0 && !e->guest_state) ? -ENOMEM : 0;
}

static int evaluation_init(Evaluation *e, const Snapshot *s, const GuardConfig *c, const Policy *policy)
{
    *e = (Evaluation){.policy = policy,
                      .bounds = calloc(s->n_guests + 1, sizeof *e->bounds),
                      .fields = calloc(s->n_guests + 1, sizeof *e->fields),
                      .guests = calloc(s->n_guests + 1, sizeof *e->guests)};
    if (!e->bounds || !e->fields || !e->guests || assignments_new(policy, s->n_guests, e->assignments) < 0 ||
        prepare_state(e, s->n_guests) < 0)
        return -ENOMEM;

    view_host_fields(s, &e->host);
    guard_bounds(s, c, e->bounds);
    for (size_t i = 0; i < s->n_guests; i++)
        e->guests[i] = (PolicyGuest){.uuid = s->guests[i].uuid,
                                     .fields = e->fields + i,
                                     .history = s->guests[i].history,
                                     .state = s->guests[i].state};
    for (size_t i = 0; i < policy_n_files(policy); i++)
        e->files[i] = policy_file(policy, i).name;
    e->input = (PolicyInput){.now_usec = s->now_usec,
                             .host = &e->host,
                             .history = s->history,
                             .state = s->state,
                             .guests = e->guests,
                             .n_guests = s->n_guests};
    return 0;
}

/* hold_observed: as if guests that are only observed could not be moved. ret points to where the results
 * go. */
static int evaluate(Evaluation *e, const Snapshot *s, bool hold_observed, PolicyOutput *ret)
{
    for (size_t i = 0; i < s->n_guests; i++) {
        const SnapshotGuest *g = s->guests + i;
        const GuestBounds held = {g->sizes.standing_bytes, g->sizes.standing_bytes};

        view_guest_fields(g, hold_observed && g->mode == GUEST_MODE_OBSERVE ? &held : e->bounds + i,
                          e->fields + i);
    }
    return policy_run(e->policy, &e->input, ret);
}

/* The values that led to each assignment. Those of guests that are only observed may come from a separate
 * evaluation; the fields are of the last one. */
static void explain(const Evaluation *e, Plan *p)
{
    for (size_t i = 0; i < p->n_decisions; i++) {
        Decision *d = p->decisions + i;

        if (d->line > 0)
            d->n_reads = policy_reads(e->policy, &e->input, i, e->assignments[GUEST_CONTROL_TARGET] + i,
                                      d->reads, DECISION_READS_MAX);
        if (d->reclaim.line > 0)
            d->reclaim.n_reads =
                policy_reads(e->policy, &e->input, i, e->assignments[GUEST_CONTROL_RECLAIM] + i,
                             d->reclaim.reads, DECISION_READS_MAX);
    }
}

static void explain_host(const Evaluation *e, const PolicyOutput *output, Plan *p)
{
    for (size_t i = 0; i < p->n_host; i++) {
        HostDecision *d = p->host + i;

        d->n_reads = policy_reads(e->policy, &e->input, SIZE_MAX, output->host + d->control, d->reads,
                                  DECISION_READS_MAX);
    }
}

/* output: NULL: nothing is assigned to them. */
static void take_observed(Evaluation *e, const Snapshot *s, const PolicyOutput *output)
{
    for (size_t c = 0; c < GUEST_CONTROL_MAX; c++)
        for (size_t i = 0; e->assignments[c] && i < s->n_guests; i++)
            if (s->guests[i].mode == GUEST_MODE_OBSERVE)
                e->assignments[c][i] = output ? output->assignments[c][i] : (PolicyAssignment){};
}

/* For guests that are only observed: what the policy would do if all could be moved. If it fails then,
 * nothing is assigned to them. */
static int evaluate_observed(Evaluation *e, const Snapshot *s)
{
    PolicyOutput output = {};
    int r = assignments_new(e->policy, s->n_guests, output.assignments);

    if (r >= 0)
        r = evaluate(e, s, false, &output);
    if (r >= 0 || r == -ECANCELED)
        take_observed(e, s, r >= 0 ? &output : NULL);
    assignments_free(output.assignments);
    return r == -ECANCELED ? 0 : r;
}

static bool has_mode(const Snapshot *s, GuestMode mode)
{
    for (size_t i = 0; i < s->n_guests; i++)
        if (s->guests[i].mode == mode)
            return true;
    return false;
}

/* Decides about guests that share the same memory. */
static int make_part(const Snapshot *s, const Policy *policy, const GuardConfig *c, Plan *ret)
{
    _cleanup_(evaluation_done) Evaluation e = {};
    PolicyOutput output;
    bool mixed;
    int r, error;

    if (!policy)
        return plan_apply(s, c, NULL, NULL, NULL, 0, ret);

    r = evaluation_init(&e, s, c, policy);
    if (r < 0)
        return r;
    output = (PolicyOutput){.state = e.state, .guest_state = e.guest_state, .thresholds = {NAN, NAN, NAN}};
    memcpy(output.assignments, e.assignments, sizeof output.assignments);
    mixed = has_mode(s, GUEST_MODE_AUTO) && has_mode(s, GUEST_MODE_OBSERVE);
    error = evaluate(&e, s, mixed, &output);
    if (error < 0 && error != -ECANCELED)
        return error;
    if (error == 0 && mixed) {
        r = evaluate_observed(&e, s);
        if (r < 0)
            return r;
    }
    r = plan_apply(s, c, e.bounds, e.files, &output, error, ret);
    if (r < 0)
        return r;
    explain(&e, ret);
    explain_host(&e, &output, ret);
    ret->state = TAKE_PTR(e.state);
    ret->guest_state = TAKE_PTR(e.guest_state);
    return 0;
}

int plan_make(const Snapshot *s, const Policy *policy, const GuardConfig *c, Plan *ret)
{
    _cleanup_(groups_done) Groups groups = {};
    _cleanup_(plan_done) Plan plan = {};
    size_t n_states = 0;
    int r = groups_find(s, &groups);

    if (r < 0)
        return r;
    if (groups.n == 0)
        return make_part(s, policy, c, ret);
    if (policy)
        (void) policy_states(policy, false, &n_states);
    r = groups_begin(&groups, n_states, &plan);
    for (size_t i = 0; i <= groups.n && r >= 0; i++) {
        Plan part = {};
        Snapshot p;

        groups_part(&groups, i, c, &p);
        r = make_part(&p, policy, c, &part);
        if (r >= 0)
            groups_add(&groups, i, n_states, &part, &plan);
    }
    if (r < 0)
        return r;
    *ret = plan;
    plan = (Plan){};
    return 0;
}
