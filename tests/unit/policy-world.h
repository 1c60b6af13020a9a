/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A small world to try policies on: a host of 64 GiB with 16 GiB available, and three guests of 8 GiB. Their
 * UUIDs are in another order than they are, and "b" has no agent. */

#include <check.h>
#include <math.h>
#include <string.h>

#include "base/macro.h"
#include "base/units.h"
#include "policy/policy.h"
#include "tests/unit/run.h"

#define N_GUESTS   3
#define STATES_MAX 8U
#define WORLD_NOW  (1000 * USEC_PER_SEC)

enum { C, A, B }; /* where each guest is */

typedef struct World {
    HostFields host;
    SeriesSet history;
    double state[STATES_MAX], state_after[STATES_MAX];
    GuestFields fields[N_GUESTS];
    SeriesSet guest_history[N_GUESTS];
    double guest_state[N_GUESTS][STATES_MAX], guest_state_after[N_GUESTS * STATES_MAX];
    PolicyGuest guests[N_GUESTS];
    PolicyInput input;
    PolicyAssignment assignments[N_GUESTS], reclaims[N_GUESTS]; /* of g.target, of g.reclaim */
    PolicyOutput output;
} World;

static inline void world_init(World *w)
{
    static const char *const uuids[N_GUESTS] = {[C] = "c", [A] = "a", [B] = "b"};
    static const char *const names[N_GUESTS] = {[C] = "db1", [A] = "web1", [B] = "web2"};
    static const double free_gib[N_GUESTS] = {[C] = 3, [A] = 1, [B] = 3};

    *w = (World){};
    host_fields_set(&w->host, HOST_FIELD_TOTAL, 64.0 * GIB);
    host_fields_set(&w->host, HOST_FIELD_AVAILABLE, 16.0 * GIB);
    host_fields_set(&w->host, HOST_FIELD_PENDING, -1.0 * GIB);
    host_fields_set(&w->host, HOST_FIELD_KSM_RUN, 0);
    host_fields_set(&w->host, HOST_FIELD_KSM_PAGES_TO_SCAN, 100);
    host_fields_set(&w->host, HOST_FIELD_KSM_SLEEP, 20 * USEC_PER_MSEC);
    for (size_t i = 0; i < N_GUESTS; i++) {
        GuestFields *g = &w->fields[i];

        guest_fields_set_text(g, GUEST_FIELD_NAME, names[i]);
        guest_fields_set_text(g, GUEST_FIELD_UUID, uuids[i]);
        guest_fields_set_text(g, GUEST_FIELD_MODE, i == C ? "observe" : "auto");
        guest_fields_set(g, GUEST_FIELD_TARGET, 8.0 * GIB);
        guest_fields_set(g, GUEST_FIELD_RECLAIM, 0);
        guest_fields_set(g, GUEST_FIELD_CURRENT, 8.0 * GIB);
        guest_fields_set(g, GUEST_FIELD_FULL, 8.0 * GIB);
        guest_fields_set(g, GUEST_FIELD_LEAST, 2.0 * GIB);
        guest_fields_set(g, GUEST_FIELD_FREE, free_gib[i] * GIB);
        guest_fields_set(g, GUEST_FIELD_AGE, 1.5e6);
        guest_fields_set(g, GUEST_FIELD_DISTRESS, 0);
        if (i != B) {
            guest_fields_set_text(g, GUEST_FIELD_SOURCE, "agent");
            guest_fields_set(g, GUEST_FIELD_PSI_MEMORY_SOME, 0.25);
        }
        w->guests[i] = (PolicyGuest){.uuid = uuids[i], .fields = g};
    }
    w->input =
        (PolicyInput){.now_usec = WORLD_NOW, .host = &w->host, .guests = w->guests, .n_guests = N_GUESTS};
    w->output.assignments[GUEST_CONTROL_TARGET] = w->assignments;
    w->output.assignments[GUEST_CONTROL_RECLAIM] = w->reclaims;
}

/* Several files: "0.policy", "1.policy" and so on. */
static inline int load_texts(const char *const *texts, size_t n, PolicyDiagnostics *d, Policy **ret)
{
    PolicySource sources[POLICY_FILES_MAX];
    char origins[POLICY_FILES_MAX][16];

    for (size_t i = 0; i < n; i++) {
        (void) snprintf(origins[i], sizeof(origins[i]), "%zu.policy", i);
        sources[i] = (PolicySource){.text = texts[i], .length = strlen(texts[i]), .origin = origins[i]};
    }
    return policy_load_sources(sources, n, d, ret);
}

static inline Policy *load_files(const char *const *texts, size_t n)
{
    PolicyDiagnostics d = {};
    Policy *p = NULL;
    int r = load_texts(texts, n, &d, &p);

    ck_assert_msg(r == 0, "%s\n%s", texts[0], d.text ? d.text : strerror(-r));
    ck_assert_ptr_null(d.text);
    return p;
}

static inline Policy *load(const char *text)
{
    return load_files(&text, 1);
}

/* Loads what is refused, and returns what is said about it; to be freed. */
static inline char *load_refused(const char *const *texts, size_t n)
{
    PolicyDiagnostics d = {};
    Policy *p = NULL;
    char *text;

    ck_assert_int_eq(load_texts(texts, n, &d, &p), -EINVAL);
    ck_assert_ptr_null(p);
    ck_assert_ptr_nonnull(d.text);
    text = TAKE_PTR(d.text);
    policy_diagnostics_done(&d);
    return text;
}

/* Evaluates the text once. What belongs to the policy is gone then: of a "because" it is only said that there
 * was one. */
static inline int world_run(World *w, const char *text)
{
    _cleanup_(policy_freep) Policy *p = load(text);
    int r = policy_run(p, &w->input, &w->output);

    for (size_t i = 0; i < N_GUESTS; i++) {
        w->assignments[i].because = w->assignments[i].because ? "" : NULL;
        w->reclaims[i].because = w->reclaims[i].because ? "" : NULL;
    }
    for (size_t f = 0; f < HOST_FIELD_MAX; f++)
        w->output.host[f].because = w->output.host[f].because ? "" : NULL;
    return r;
}

/* One cycle with state: what it leaves is what the next one begins with. */
static inline int world_cycle(World *w, const Policy *p)
{
    size_t n, n_guest;
    int r;

    (void) policy_states(p, true, &n);
    (void) policy_states(p, false, &n_guest);
    ck_assert_uint_le(MAX(n, n_guest), STATES_MAX);
    w->output.state = w->state_after;
    w->output.guest_state = w->guest_state_after;
    r = policy_run(p, &w->input, &w->output);

    memcpy(w->state, w->state_after, n * sizeof(double));
    w->input.state = w->state;
    for (size_t i = 0; i < N_GUESTS; i++) {
        memcpy(w->guest_state[i], w->guest_state_after + i * n_guest, n_guest * sizeof(double));
        w->guests[i].state = w->guest_state[i];
    }
    return r;
}

static inline double target(const World *w, size_t guest)
{
    return w->assignments[guest].line > 0 ? w->assignments[guest].value : NAN;
}

static inline double reclaim(const World *w, size_t guest)
{
    return w->reclaims[guest].line > 0 ? w->reclaims[guest].value : NAN;
}

static inline double threshold(const World *w, const char *text, PolicyThreshold m)
{
    ck_assert_msg(w->output.n_notes == 0, "%s: %s", text, w->output.notes[0].text);
    return w->output.thresholds[m];
}

/* The expression's value. One that is no number of bytes is multiplied with 1B or asked for with 'if'. */
static inline double world_value(World *w, const char *expr)
{
    char text[512];

    ck_assert_int_lt(snprintf(text, sizeof(text), "let pressure_threshold = %s", expr), sizeof(text));
    ck_assert_msg(world_run(w, text) == 0, "%s: %s", text, w->output.notes[0].text);
    return w->output.thresholds[POLICY_THRESHOLD_PRESSURE];
}
