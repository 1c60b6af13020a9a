/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* MOM's default ballooning rule, written in Ballast's language (tests/fixtures/mom.policy), gives what MOM
 * gives, to 0.1 kB: from averages over its ten samples of 5 s. */

#include <check.h>
#include <math.h>
#include <string.h>

#include "base/macro.h"
#include "base/units.h"
#include "policy/keep.h"
#include "tests/unit/run.h"

#define SAMPLES     10
#define SAMPLE_USEC (5 * USEC_PER_SEC)
#define HOST_TOTAL  (64.0 * GIB)

/* A value's samples: they differ by spread, and their mean is the one that is wanted. */
typedef enum Shape { FLAT, RISING, FALLING, SWINGING, SHAPE_MAX } Shape;

static double sample(Shape shape, unsigned i, double mean, double spread)
{
    double place = (double) i / (SAMPLES - 1) - 0.5;

    switch (shape) {
    case FLAT:
        return mean;
    case RISING:
        return mean + place * spread;
    case FALLING:
        return mean - place * spread;
    case SWINGING:
        return i % 2 ? mean + spread / 2 : mean - spread / 2;
    case SHAPE_MAX:
        break;
    }
    ck_abort();
    return NAN;
}

static Policy *load_fixture(void)
{
    PolicyDiagnostics d = {};
    char path[4096];
    Policy *p = NULL;

    (void) snprintf(path, sizeof(path), "%s/tests/fixtures/mom.policy", getenv("BALLAST_SOURCE"));
    ck_assert_msg(policy_load_files((const char *[]){path}, 1, &d, &p, NULL) == 0, "%s", d.text);
    return p;
}

/* Lets the samples pass, one each 5 s, and returns what the policy assigns at the last: kB, NAN for
 * nothing. */
static double decide(const Policy *p, Shape shape, double host_free, double current, double unused)
{
    HostFields host = {};
    GuestFields fields = {};
    PolicyKeep host_keep = {}, keep = {};
    PolicyAssignment assignment;
    PolicyOutput output = {.assignments = {[GUEST_CONTROL_TARGET] = &assignment}};
    PolicyGuest guest = {.uuid = "u", .fields = &fields, .history = &keep.history};
    PolicyInput input = {.host = &host, .history = &host_keep.history, .guests = &guest, .n_guests = 1};

    ck_assert_int_eq(policy_keep_copy(&host_keep, true, &(PolicyKeep){}, p, NULL), 0);
    ck_assert_int_eq(policy_keep_copy(&keep, false, &(PolicyKeep){}, p, NULL), 0);
    host_fields_set(&host, HOST_FIELD_TOTAL, HOST_TOTAL);
    guest_fields_set(&fields, GUEST_FIELD_CURRENT, current * KIB);
    guest_fields_set(&fields, GUEST_FIELD_MAXIMUM, 4.0 * GIB);
    guest_fields_set(&fields, GUEST_FIELD_FLOOR, 0);
    /* those before the ten don't count any more */
    for (unsigned i = 0; i < 2 * SAMPLES; i++) {
        bool old = i < SAMPLES;
        double free_bytes =
            HOST_TOTAL * (old ? 0.5 : sample(shape, i - SAMPLES, host_free, 0.02)); /* as MOM counts it */

        input.now_usec += SAMPLE_USEC;
        host_fields_set(&host, HOST_FIELD_FREE, 0.5 * free_bytes);
        host_fields_set(&host, HOST_FIELD_BUFFERS, 0.125 * free_bytes);
        host_fields_set(&host, HOST_FIELD_CACHED, 0.375 * free_bytes);
        guest_fields_set(&fields, GUEST_FIELD_FREE,
                         KIB * (old ? 1 : sample(shape, i - SAMPLES, unused, 50000)));
        series_set_add_host(&host_keep.history, input.now_usec, &host);
        series_set_add_guest(&keep.history, input.now_usec, &fields);
    }
    ck_assert_int_eq(policy_run(p, &input, &output), 0);
    ck_assert_uint_eq(output.notes_total, 0);
    policy_keep_done(&host_keep);
    policy_keep_done(&keep);
    return assignment.line > 0 ? assignment.value / KIB : NAN;
}

/* What MOM's own policy gave, in kB: maximum 4194304, floor 0. */
static const struct {
    double host_free, current, unused, target; /* NAN: none */
} vectors[] = {
    {.19, 4194304, 3000000, 3984588.8},
    {.10, 4194304, 400000, NAN},
    {.04, 4194304, 100000, 4052360.96},
    {.30, 2097152, 2000000, 2202009.6},
};

START_TEST(test_vector)
{
    _cleanup_(policy_freep) Policy *p = load_fixture();

    for (Shape s = FLAT; s < SHAPE_MAX; s++) {
        double target = decide(p, s, vectors[_i].host_free, vectors[_i].current, vectors[_i].unused);

        if (isnan(vectors[_i].target))
            ck_assert_msg(isnan(target), "shape %d: %f", (int) s, target);
        else
            ck_assert_double_eq_tol(target, vectors[_i].target, 0.1);
    }
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("policy-mom");

    tcase_add_loop_test(t, test_vector, 0, ELEMENTSOF(vectors));
    return run_tests(t);
}
