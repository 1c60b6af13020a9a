/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A text as a policy: read, checked, and where it is one, evaluated over a few guests, some with stats
 * missing or absurd. Whatever it says, what comes out is in bounds, and the same each time. */

#include <math.h>
#include <string.h>

#include "base/macro.h"
#include "policy/policy.h"
#include "tests/fuzz/fuzz.h"

#define N_GUESTS 5

/* Values that a stat can't be expected to have, but might. */
static const double odd[] = {0, 1, -1, 1e-300, 1e300, -1e300, 0x1p53, 0x1p64, 0.2, NAN, INFINITY};

typedef struct Input {
    HostFields host;
    GuestFields fields[N_GUESTS];
    PolicyGuest guests[N_GUESTS];
} Input;

static void fill(Input *in, unsigned variant)
{
    static const char *const uuids[N_GUESTS] = {"b", "a", "c", "a", "d"};

    *in = (Input){};
    for (int f = 0; f < HOST_FIELD_MAX; f++)
        if (variant != 2 || f % 3 != 0)
            host_set(&in->host, (HostField) f,
                     variant == 1 ? odd[(size_t) f % ELEMENTSOF(odd)] : 1e9 * (double) (f + 1));
    for (unsigned g = 0; g < N_GUESTS; g++) {
        for (int f = 0; f < GUEST_FIELD_MAX; f++)
            if (variant != 2 || ((unsigned) f + g) % 3 != 0)
                guest_set(&in->fields[g], (GuestField) f,
                          variant == 1 ? odd[((size_t) f + g) % ELEMENTSOF(odd)]
                                       : 1e8 * (double) ((unsigned) f + g + 1));
        in->guests[g] = (PolicyGuest){.uuid = uuids[g], .fields = &in->fields[g]};
    }
}

static void check_output(int r, const PolicyOutput *o)
{
    bool orders[N_GUESTS] = {};
    unsigned assigned = 0;

    assert(r == 0 || r == -ECANCELED || r == -ENOMEM);
    assert(o->n_notes <= POLICY_NOTES_MAX && o->n_notes <= o->notes_total);
    for (size_t i = 0; i < o->n_notes; i++) {
        const PolicyNote *n = &o->notes[i];

        assert(r == -ECANCELED ? n->guest == SIZE_MAX : n->guest < N_GUESTS);
        assert(n->line > 0 && n->column > 0 && n->text[0] && memchr(n->text, '\0', sizeof(n->text)));
    }
    for (size_t i = 0; i < N_GUESTS; i++) {
        const PolicyAssignment *a = &o->assignments[i];

        if (a->line == 0) {
            assert(a->order == 0 && !a->because);
            continue;
        }
        assert(r == 0);
        assert(a->value >= 0 && a->value <= 0x1p53);
        assert(!a->because || (a->because[0] && strlen(a->because) <= 60));
        assert(a->order >= 1 && a->order <= N_GUESTS && !orders[a->order - 1]);
        orders[a->order - 1] = true;
        assigned++;
    }
    for (unsigned i = 0; i < assigned; i++)
        assert(orders[i]); /* 1, 2, … without a gap */
    for (size_t i = 0; i < POLICY_MARK_MAX; i++)
        assert(!isinf(o->marks[i]));
}

static void evaluate(const Policy *p, unsigned variant)
{
    static PolicyOutput once, again;
    PolicyAssignment assignments[2][N_GUESTS];
    PolicyInput input;
    Input in;
    int r;

    fill(&in, variant);
    input = (PolicyInput){.host = &in.host, .guests = in.guests, .n_guests = N_GUESTS};
    memset(assignments, 0xff, sizeof(assignments)); /* what lies there doesn't matter */
    once.assignments = assignments[0];
    again.assignments = assignments[1];
    r = policy_run(p, &input, &once);
    check_output(r, &once);
    assert(policy_run(p, &input, &again) == r);
    check_output(r, &again);
    for (size_t i = 0; i < N_GUESTS; i++) {
        assert(assignments[0][i].value == assignments[1][i].value);
        assert(assignments[0][i].line == assignments[1][i].line);
        assert(assignments[0][i].order == assignments[1][i].order);
    }
    assert(once.notes_total == again.notes_total);

    input.n_guests = 0;
    (void) policy_run(p, &input, &once);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(policy_freep) Policy *p = NULL;
    PolicyDiagnostics d = {};
    int r = policy_load((const char *) data, size, "fuzz.policy", &d, &p);

    if (r == 0) {
        assert(p && !d.text && d.count == 0);
        for (unsigned variant = 0; variant < 3; variant++)
            evaluate(p, variant);
    } else {
        assert(!p && (r == -EINVAL || r == -EFBIG || r == -ENOMEM));
        assert(r != -EINVAL ||
               (d.count >= 1 && d.count <= POLICY_DIAGNOSTICS_MAX && strlen(d.text) == d.length));
    }
    policy_diagnostics_done(&d);
    return 0;
}
