/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The default policy as shipped: who gives what in which situation (the policy alone), the order over random
 * guests, and a simulated host that has to come to rest (with the guard, as the daemon runs it). */

#include <check.h>
#include <math.h>
#include <string.h>

#include "base/macro.h"
#include "base/units.h"
#include "policy/policy.h"
#include "tests/policy-load.h"
#include "tests/unit/run.h"

#define HOST_TOTAL (100.0 * GIB) /* thresholds: 20, 5 and 25 GiB */
#define GUESTS_MAX 8

static Policy *load_shipped(void)
{
    PolicyDiagnostics d = {};
    Policy *p = NULL;
    char path[4096];

    (void) snprintf(path, sizeof(path), "%s/policy/balloon.policy", getenv("BALLAST_SOURCE"));
    ck_assert_msg(policy_load_files((const char *[]){path}, 1, &d, &p, NULL) == 0, "%s", d.text);
    return p;
}

/* A guest of 10 GiB, unless full says otherwise. Sizes in GiB; MISSING: it has no such stat. */
#define MISSING (-1.0)
typedef struct TestGuest {
    double free, cache, used_cache; /* used_cache: not counted as available */
    double resident;                /* of the free memory */
    double least;                   /* 0: 2 GiB */
    double psi;
    double shares;  /* 0: 1000 */
    double full;    /* 0: 10 GiB */
    double current; /* 0: full; its target is the same */
    double target;  /* what is expected: 0: none */
    const char *because;
} TestGuest;

static void guest_fields(const TestGuest *t, GuestFields *f)
{
    double full = t->full > 0 ? t->full : 10, current = t->current > 0 ? t->current : full;

    *f = (GuestFields){};
    guest_fields_set(f, GUEST_FIELD_TARGET, current * GIB);
    guest_fields_set(f, GUEST_FIELD_CURRENT, current * GIB);
    guest_fields_set(f, GUEST_FIELD_FULL, full * GIB);
    guest_fields_set(f, GUEST_FIELD_MOST, full * GIB);
    guest_fields_set(f, GUEST_FIELD_SHARES, t->shares > 0 ? t->shares : 1000);
    guest_fields_set(f, GUEST_FIELD_LEAST, (t->least > 0 ? t->least : 2) * GIB);
    guest_fields_set(f, GUEST_FIELD_LOW_WATERMARK, 0);
    if (t->free != MISSING) {
        guest_fields_set(f, GUEST_FIELD_FREE, t->free * GIB);
        guest_fields_set(f, GUEST_FIELD_IDLE, t->resident * GIB);
        guest_fields_set(f, GUEST_FIELD_AVAILABLE, (t->free + t->cache) * GIB);
    }
    if (t->cache != MISSING)
        guest_fields_set(f, GUEST_FIELD_CACHE, (t->cache + t->used_cache) * GIB);
    if (t->psi != MISSING)
        guest_fields_set(f, GUEST_FIELD_STALL, t->psi);
}

#define FREE   "gives free memory"
#define CACHE  "gives a little page cache"
#define WAY    "gives free memory, which goes before its page cache"
#define IN_USE "gives page cache in use: the host is critical"
#define SWAPS  "gives memory in use: the host is critical"
#define GETS   "gets memory back"

static const struct {
    const char *what;
    double available, pending; /* GiB */
    TestGuest guests[3];
    enum { SWAP_UNKNOWN, SWAP_NONE, SWAP_SOME } swap; /* of the host */
} cases[] = {
    {"between the thresholds nothing moves",
     22,
     0,
     {{.free = 8, .resident = 8}, {.cache = 8}, {.current = 5}}},
    {"just above the pressure threshold",
     20.001,
     0,
     {{.free = 8, .resident = 8}, {.cache = 8}, {.current = 5}}},
    {"just below the relax threshold", 24.999, 0, {{.free = 8, .resident = 8}, {.cache = 8}, {.current = 5}}},
    {"what is on its way counts", 18, 2, {{.free = 8, .resident = 8}, {.cache = 8}, {.current = 5}}},
    {"and what will be taken", 30, -5, {{.free = 8, .resident = 8}, {.cache = 8}, {.current = 5}}},

    {"who has most free gives",
     18,
     0,
     {{.free = 5, .resident = 5},
      {.free = 6, .resident = 6, .target = 8, .because = FREE},
      {.free = 4, .resident = 4}}},
    {"then the next, each keeping 20 %",
     15,
     0,
     {{.free = 4, .resident = 4, .target = 9, .because = FREE},
      {.free = 6, .resident = 6, .target = 6, .because = FREE},
      {.free = 3, .resident = 3}}},
    {"free memory that isn't resident brings nothing",
     19,
     0,
     {{.free = 7, .resident = 0},
      {.free = 6, .resident = 0.5, .target = 9.5, .because = FREE},
      {.free = 5, .resident = 5, .target = 9.5, .because = FREE}}},
    {"free memory before page cache, of whichever guest",
     19,
     0,
     {{.cache = 9}, {.free = 4, .resident = 4, .target = 9, .because = FREE}, {.cache = 5}}},
    {"no further than the guard allows",
     19,
     0,
     {{.free = 6, .resident = 6, .least = 9.75, .target = 9.75, .because = FREE},
      {.free = 5, .resident = 5, .least = 10},
      {.free = 4, .resident = 4, .target = 9.25, .because = FREE}}},
    {"the last one gives enough for a move, not just what is missing",
     19.99,
     0,
     {{.free = 6, .resident = 6, .target = 9.5, .because = FREE}, {}, {}}},
    {"as far as it can: a small move is better than none",
     19.99,
     0,
     {{.free = 6, .resident = 6, .least = 9.9, .target = 9.9, .because = FREE}, {}, {}}},
    {"a guest without stats is left alone, and doesn't spoil it for the others",
     19,
     0,
     {{.free = MISSING, .cache = MISSING, .psi = MISSING, .least = 10},
      {.free = 4, .resident = 4, .target = 9, .because = FREE},
      {}}},

    {"page cache in small steps, most first, keeping 20 % available",
     19.5,
     0,
     {{.cache = 7, .target = 9.8, .because = CACHE},
      {.cache = 9, .target = 9.8, .because = CACHE},
      {.cache = 2}}},
    {"no page cache of a guest that waits for memory",
     19,
     0,
     {{.cache = 9, .psi = 0.02}, {.cache = 7, .target = 9.8, .because = CACHE}, {.psi = MISSING}}},
    {"guests without PSI give cache",
     19,
     0,
     {{.cache = 9, .psi = MISSING, .target = 9.8, .because = CACHE}, {}, {}}},
    {"what is in the way to the cache goes first, and isn't counted as a gain",
     19.9,
     0,
     {{.free = 1, .resident = 0, .cache = 7, .target = 8.9, .because = CACHE}, {.cache = 3}, {}}},
    {"and alone, where the guard allows no more in one go",
     19.9,
     0,
     {{.free = 4, .resident = 0, .cache = 5, .least = 9.75, .target = 9.75, .because = WAY},
      {.cache = 4, .target = 9.9, .because = CACHE},
      {.cache = 3}}},
    {"but not for cache that is kept anyway", 19, 0, {{.free = 1, .resident = 0, .cache = 1}, {}, {}}},
    {"free memory and cache of one guest in one move",
     18,
     0,
     {{.free = 1, .resident = 1, .cache = 7, .target = 8.8, .because = CACHE}, {}, {}}},
    {"and no more of both than it can spare",
     18,
     0,
     {{.free = 1, .resident = 1, .cache = 1.9, .target = 8.92, .because = CACHE}, {}, {}}},

    {"above critical no cache in use", 5.01, 0, {{.cache = 2, .used_cache = 3}, {}, {}}},
    {"critical: cache in use, most available first",
     4,
     0,
     {{.cache = 2, .target = 9, .because = IN_USE}, {.cache = 1}, {}}},
    {"critical: then the next, then until they swap, down to what the guard allows",
     0,
     0,
     {{.cache = 1, .least = 8, .target = 8, .because = SWAPS},
      {.least = 8, .target = 8, .because = SWAPS},
      {.cache = 1, .least = 9, .target = 9, .because = IN_USE}}},
    {"critical: free memory first, and no harder than needed",
     4,
     0,
     {{.free = 4, .resident = 4, .target = 8, .because = FREE}, {.cache = 2}, {}}},
    {"critical: free memory that is backed counts even where a guest would keep it",
     4.5,
     0,
     {{.free = 2, .resident = 2, .target = 9.5, .because = IN_USE}, {.cache = 1}, {}}},

    {"what was promised to others, and isn't used yet, makes no host critical",
     30,
     -28,
     {{.free = 2, .resident = 2}, {.cache = 1}, {.used_cache = 3}}},

    {"above relax they get back all that they lack, least of full first",
     35,
     0,
     {{.current = 8},
      {.current = 4, .target = 10, .because = GETS},
      {.current = 5, .target = 9, .because = GETS}}},
    {"not beyond the relax threshold",
     25.25,
     0,
     {{.current = 8}, {.current = 4, .target = 4.25, .because = GETS}, {.current = 5}}},
    {"nor beyond full",
     60,
     0,
     {{.current = 9.9, .target = 10, .because = GETS}, {}, {.current = 9.5, .target = 10, .because = GETS}}},
    {"guests without stats get back, too",
     25.5,
     0,
     {{.current = 5, .free = MISSING, .cache = MISSING, .psi = MISSING, .target = 5.5, .because = GETS},
      {},
      {}}},

    /* shares: below, taxed GiB are what is used + 4 * what is available */
    {"equally much free: who has the fewest shares gives",
     19,
     0,
     {{.free = 5, .resident = 5, .shares = 2000},
      {.free = 5, .resident = 5, .shares = 500, .target = 9, .because = FREE},
      {.free = 5, .resident = 5}}},
    {"then who has the next fewest",
     15,
     0,
     {{.free = 5, .resident = 5, .shares = 2000},
      {.free = 5, .resident = 5, .shares = 500, .target = 7, .because = FREE},
      {.free = 5, .resident = 5, .target = 8, .because = FREE}}},
    {"a few MiB more or less are equally much",
     19,
     0,
     {{.free = 5.1, .resident = 5},
      {.free = 4.9, .resident = 5, .shares = 500, .target = 9, .because = FREE},
      {}}},
    {"but who clearly has more free gives, whatever its shares",
     19,
     0,
     {{.free = 5.5, .resident = 5, .shares = 1e6, .target = 9, .because = FREE},
      {.free = 5, .resident = 5, .shares = 1},
      {}}},
    {"equal shares: the larger guest has fewer for each byte, and gives",
     19,
     0,
     {{.free = 5, .resident = 5},
      {.free = 5, .resident = 5, .full = 20, .target = 19, .because = FREE},
      {.free = 5, .resident = 5, .full = 15}}},
    {"10 GiB with 5 idle are 25 taxed for 1000 shares, 20 GiB are 35: at 1399 shares the larger one gives",
     19,
     0,
     {{.free = 5, .resident = 5},
      {.free = 5, .resident = 5, .full = 20, .shares = 1399, .target = 19, .because = FREE},
      {}}},
    {"and at 1401 shares the smaller one",
     19,
     0,
     {{.free = 5, .resident = 5, .target = 9, .because = FREE},
      {.free = 5, .resident = 5, .full = 20, .shares = 1401},
      {}}},
    {"equal shares and equally much free: the idle one gives, not the active one",
     19,
     0,
     {{.free = 4, .resident = 4}, {.free = 4, .resident = 4, .cache = 4, .target = 9, .because = FREE}, {}}},
    {"unless its shares outweigh the tax: 34 taxed GiB at 1600 shares against 22 at 1000",
     19,
     0,
     {{.free = 4, .resident = 4, .target = 9, .because = FREE},
      {.free = 4, .resident = 4, .cache = 4, .shares = 1600},
      {}}},
    {"and they don't at 1500 shares",
     19,
     0,
     {{.free = 4, .resident = 4},
      {.free = 4, .resident = 4, .cache = 4, .shares = 1500, .target = 9, .because = FREE},
      {}}},
    {"equally much cache: fewest shares first",
     19.85,
     0,
     {{.cache = 7, .shares = 2000},
      {.cache = 7, .shares = 500, .target = 9.85, .because = CACHE},
      {.cache = 7}}},
    {"critical, equally much available: fewest shares first",
     4,
     0,
     {{.cache = 2, .shares = 2000},
      {.cache = 2, .shares = 500, .target = 9, .because = IN_USE},
      {.cache = 2}}},
    {"critical, nothing available anywhere: fewest shares for each byte first",
     4,
     0,
     {{.shares = 2000}, {.full = 20, .shares = 1900, .target = 19, .because = SWAPS}, {}}},
    {"critical, what is left over to spare doesn't decide who swaps",
     4,
     0,
     {{.cache = 0.05}, {.shares = 500, .target = 9, .because = SWAPS}, {}}},
    {"equally little of full: most shares first",
     25.25,
     0,
     {{.current = 5, .shares = 500},
      {.current = 5.1, .shares = 2000, .target = 5.35, .because = GETS},
      {.current = 5}}},
    {"but who clearly has less of it goes first, whatever its shares",
     25.25,
     0,
     {{.current = 5, .shares = 1, .target = 5.25, .because = GETS}, {.current = 6, .shares = 1e6}, {}}},
    {"equal shares: the smaller guest gets back first",
     25.25,
     0,
     {{.current = 10, .full = 20}, {.current = 5, .target = 5.25, .because = GETS}, {}}},
    {"equal shares: the active guest gets back before the idle one",
     25.25,
     0,
     {{.current = 5, .free = 3, .resident = 3}, {.current = 5, .target = 5.25, .because = GETS}, {}}},

    /* what the guard holds */
    {"no cache of a guest that the guard holds because it hurt",
     19.85,
     0,
     {{.cache = 9, .least = 10}, {.cache = 7, .target = 9.85, .because = CACHE}, {}}},
    {"and no further than what it was found to need",
     19.75,
     0,
     {{.cache = 9, .least = 9.9, .target = 9.9, .because = CACHE},
      {.cache = 7, .target = 9.85, .because = CACHE},
      {}}},
    {"what is found to be needed fades: not worth a move yet",
     19.85,
     0,
     {{.cache = 9, .least = 9.97}, {.cache = 7, .target = 9.85, .because = CACHE}, {}}},

    {"no swap on the host: gives below twice the threshold",
     39,
     0,
     {{.free = 4, .resident = 4, .target = 9, .because = FREE}, {}, {}},
     SWAP_NONE},
    {"no swap on the host: rests between twice the thresholds",
     49,
     0,
     {{.free = 8, .resident = 8}, {.cache = 8}, {.current = 5}},
     SWAP_NONE},
    {"no swap on the host: gets back above twice the threshold",
     50.25,
     0,
     {{.current = 5, .target = 5.25, .because = GETS}, {}, {}},
     SWAP_NONE},
    {"no swap on the host: critical below twice the threshold",
     9,
     0,
     {{.cache = 2, .target = 9, .because = IN_USE}, {}, {}},
     SWAP_NONE},
    {"swap on the host", 21, 0, {{.free = 4, .resident = 4}, {}, {}}, SWAP_SOME},
};

START_TEST(test_case)
{
    _cleanup_(policy_freep) Policy *p = load_shipped();
    GuestFields fields[3];
    PolicyGuest guests[3];
    PolicyAssignment assignments[3];
    PolicyOutput output = {.assignments = {[GUEST_CONTROL_TARGET] = assignments}};
    HostFields host = {};
    PolicyInput input = {.host = &host, .guests = guests, .n_guests = 3};
    static const char *const uuids[3] = {"a", "b", "c"};

    host_fields_set(&host, HOST_FIELD_TOTAL, HOST_TOTAL);
    host_fields_set(&host, HOST_FIELD_AVAILABLE, cases[_i].available * GIB);
    host_fields_set(&host, HOST_FIELD_PENDING, cases[_i].pending * GIB);
    host_fields_set(&host, HOST_FIELD_UPTIME, 1e12);
    if (cases[_i].swap != SWAP_UNKNOWN)
        host_fields_set(&host, HOST_FIELD_SWAP_TOTAL, cases[_i].swap == SWAP_SOME ? 8.0 * GIB : 0);
    for (size_t i = 0; i < 3; i++) {
        guest_fields(&cases[_i].guests[i], &fields[i]);
        guests[i] = (PolicyGuest){.uuid = uuids[i], .fields = &fields[i]};
    }
    ck_assert_int_eq(policy_run(p, &input, &output), 0);
    ck_assert_uint_eq(output.notes_total, 0);
    for (size_t i = 0; i < 3; i++) {
        const TestGuest *t = &cases[_i].guests[i];
        const PolicyAssignment *a = &assignments[i];

        if (t->target == 0) {
            ck_assert_msg(a->line == 0, "%s: guest %zu: %.3f GiB (%s)", cases[_i].what, i, a->value / GIB,
                          a->because);
            continue;
        }
        ck_assert_msg(a->line > 0, "%s: guest %zu: no target", cases[_i].what, i);
        ck_assert_msg(fabs(a->value / GIB - t->target) < 1e-6, "%s: guest %zu: %.3f GiB (%s)", cases[_i].what,
                      i, a->value / GIB, a->because);
        ck_assert_msg(strcmp(a->because, t->because) == 0, "%s: guest %zu: %s", cases[_i].what, i,
                      a->because);
    }
}
END_TEST

static char *shipped_text(size_t *ret_length)
{
    static char text[POLICY_SIZE_MAX];
    _cleanup_fclose_ FILE *f = NULL;
    char path[4096];

    (void) snprintf(path, sizeof(path), "%s/policy/balloon.policy", getenv("BALLAST_SOURCE"));
    f = fopen(path, "re");
    ck_assert_msg(f, "can't open %s", path);
    *ret_length = fread(text, 1, sizeof(text) - 1024, f);
    return text;
}

/* The policy's taxed_per_share(), which is 1 / rho, against rho = S / (P * (f + k * (1 - f))) worked out by
 * hand, with k = 1 / (1 - 75%) = 4, P in GiB and the result in shares per GiB:
 *
 *   1000 shares, 8 GiB, 2 of them idle: f = 6/8;  1000 / (8 * (0.75 + 4 * 0.25)) = 1000 / 14 = 71.43
 *   1000 shares, 8 GiB, none idle:      f = 1;    1000 / (8 * 1)                 = 125
 *   1000 shares, 8 GiB, all idle:       f = 0;    1000 / (8 * 4)                 = 31.25
 *   2500 shares, 4 GiB, 3 of them idle: f = 1/4;  2500 / (4 * (0.25 + 4 * 0.75)) = 2500 / 13 = 192.31
 *      1 share,  2 GiB, half of it idle: f = 1/2;    1 / (2 * (0.5 + 4 * 0.5))   = 1 / 5 = 0.2
 *
 * Memory that was taken in this cycle no longer counts; here 1 GiB of the first guest's idle memory:
 *   1000 shares, 7 GiB, 1 of them idle: f = 6/7;  1000 / (7 * (6/7 + 4 * 1/7))   = 1000 / 10 = 100 */
START_TEST(test_rho)
{
    static const struct {
        double shares, current, available, target, rho;
    } table[] = {
        {1000, 8, 2, 8, 1000.0 / 14}, {1000, 8, 0, 8, 125}, {1000, 8, 8, 8, 31.25},
        {2500, 4, 3, 4, 2500.0 / 13}, {1, 2, 1, 2, 0.2},    {1000, 8, 2, 7, 100},
        {1000, 8, 9, 8, 31.25},    /* more available than it has: all of it is idle */
        {0, 8, 2, 8, 1000.0 / 14}, /* no shares set: 1000 */
    };
    size_t length = 0;
    char *text = shipped_text(&length);
    _cleanup_(policy_freep) Policy *p = NULL;
    HostFields host = {};

    length += (size_t) sprintf(text + length, "\nfor g in guests { g.target = taxed_per_share(g) }\n");
    ck_assert_int_eq(policy_load(text, length, "balloon.policy", NULL, &p), 0);
    host_fields_set(&host, HOST_FIELD_TOTAL, HOST_TOTAL);
    host_fields_set(&host, HOST_FIELD_AVAILABLE,
                    22.0 * GIB); /* between the thresholds: nothing else is assigned */
    host_fields_set(&host, HOST_FIELD_PENDING, 0);
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        GuestFields fields = {};
        PolicyGuest guest = {.uuid = "u", .fields = &fields};
        PolicyInput input = {.host = &host, .guests = &guest, .n_guests = 1};
        PolicyAssignment assignment;
        PolicyOutput output = {.assignments = {[GUEST_CONTROL_TARGET] = &assignment}};

        guest_fields_set(&fields, GUEST_FIELD_CURRENT, table[i].current * GIB);
        guest_fields_set(&fields, GUEST_FIELD_TARGET, table[i].target * GIB);
        guest_fields_set(&fields, GUEST_FIELD_FULL, table[i].current * GIB);
        guest_fields_set(&fields, GUEST_FIELD_AVAILABLE, table[i].available * GIB);
        if (table[i].shares > 0)
            guest_fields_set(&fields, GUEST_FIELD_SHARES, table[i].shares);
        ck_assert_int_eq(policy_run(p, &input, &output), 0);
        ck_assert_uint_eq(output.notes_total, 0);
        ck_assert_double_eq_tol(GIB / assignment.value, table[i].rho, table[i].rho * 1e-12);
    }
}
END_TEST

static double random_up_to(uint64_t *state, double limit)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (double) (*state >> 11) * 0x1p-53 * limit;
}

/* How much of its free memory a guest could give, in bytes, as the policy's comments describe it. */
static double can_give_free(const GuestFields *f)
{
    double spare = guest_fields_get(f, GUEST_FIELD_AVAILABLE) - 0.2 * guest_fields_get(f, GUEST_FIELD_TARGET);

    return fmin(fmin(spare, guest_fields_get(f, GUEST_FIELD_IDLE)),
                fmin(guest_fields_get(f, GUEST_FIELD_FREE),
                     guest_fields_get(f, GUEST_FIELD_TARGET) - guest_fields_get(f, GUEST_FIELD_LEAST)));
}

/* Shares for each byte that a guest is charged for: the published formula. */
static double rho(const GuestFields *g)
{
    double p = guest_fields_get(g, GUEST_FIELD_TARGET),
           idle = fmin(guest_fields_get(g, GUEST_FIELD_AVAILABLE), p);
    double f = 1 - idle / p, k = 1 / (1 - 0.75);

    return guest_fields_get(g, GUEST_FIELD_SHARES) / (p * (f + k * (1 - f)));
}

/* Whether g has to give free memory before h does. */
static bool gives_before(const GuestFields *g, const GuestFields *h)
{
    double a = round(guest_fields_get(g, GUEST_FIELD_FREE) / (256.0 * MIB)),
           b = round(guest_fields_get(h, GUEST_FIELD_FREE) / (256.0 * MIB));

    return a > b || (a == b && rho(g) < rho(h) * (1 - 1e-9));
}

/* With random guests, below the pressure threshold: before a guest gives free memory, all guests ahead of it
 * have given all they can; no target is outside the guard's limits; the host's need is covered, or no guest
 * has free memory left to give; and no more is taken than is needed. */
START_TEST(test_random_order)
{
    _cleanup_(policy_freep) Policy *p = load_shipped();
    uint64_t state = 88172645463325252U + (uint64_t) _i;
    const double smallest = 0.006 * 10 * GIB;

    for (unsigned round = 0; round < 500; round++) {
        GuestFields fields[GUESTS_MAX];
        PolicyGuest guests[GUESTS_MAX];
        PolicyAssignment assignments[GUESTS_MAX];
        PolicyOutput output = {.assignments = {[GUEST_CONTROL_TARGET] = assignments}};
        HostFields host = {};
        PolicyInput input = {.host = &host, .guests = guests, .n_guests = GUESTS_MAX};
        char uuids[GUESTS_MAX][2];
        double need = random_up_to(&state, 14.9 * GIB), given = 0;
        bool any_left = false;

        host_fields_set(&host, HOST_FIELD_TOTAL, HOST_TOTAL);
        host_fields_set(&host, HOST_FIELD_AVAILABLE, 20.0 * GIB - need);
        host_fields_set(&host, HOST_FIELD_PENDING, 0);
        for (size_t i = 0; i < GUESTS_MAX; i++) {
            TestGuest t = {.free = random_up_to(&state, 6), .least = 2 + random_up_to(&state, 8), .psi = 1};

            t.resident = random_up_to(&state, t.free);
            t.cache = random_up_to(&state, 10 - t.free);
            t.shares = 1 + random_up_to(&state, 5000);
            guest_fields(&t, &fields[i]);
            (void) snprintf(uuids[i], sizeof(uuids[i]), "%c", (char) ('a' + i));
            guests[i] = (PolicyGuest){.uuid = uuids[i], .fields = &fields[i]};
        }
        ck_assert_int_eq(policy_run(p, &input, &output), 0);
        ck_assert_uint_eq(output.notes_total, 0);

        for (size_t i = 0; i < GUESTS_MAX; i++) {
            double can = can_give_free(&fields[i]);
            double gave = assignments[i].line > 0 ? 10.0 * GIB - assignments[i].value : 0;

            given += gave;
            any_left = any_left || (can >= smallest && gave < can - 1);
            ck_assert(gave == 0 || gave >= smallest - 1);
            ck_assert(gave <= fmax(can, 0) + 1);
            if (gave == 0)
                continue;
            for (size_t j = 0; j < GUESTS_MAX; j++) {
                double more = can_give_free(&fields[j]);

                if (gives_before(&fields[j], &fields[i]) && more >= smallest)
                    ck_assert_msg(assignments[j].line > 0 && 10.0 * GIB - assignments[j].value > more - 1,
                                  "guest %zu gave, but guest %zu comes first", i, j);
            }
        }
        ck_assert(given < need + 0.05 * 10 * GIB);
        ck_assert(given >= need - 1 || !any_left);
    }
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("balloon-policy");

    tcase_add_loop_test(t, test_case, 0, ELEMENTSOF(cases));
    tcase_add_test(t, test_rho);
    tcase_add_loop_test(t, test_random_order, 0, 4);
    return run_tests(t);
}
