/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the language costs: loading and checking each policy that is shipped, and evaluating the default one
 * over many guests in the situations that it knows. Prints "metric value unit" lines; medians.
 *
 * Fails where loading the default policy takes more than the 1 ms that it may take, unless
 * BALLAST_BENCH_LENIENT is set (a build with sanitizers, or a machine busy with other things). */

#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/macro.h"
#include "base/units.h"
#include "policy/policy.h"
#include "tests/policy-load.h"

#define GUESTS_MAX  5000U
#define ROUNDS      31U
#define DEFAULT     "balloon"
#define BUDGET_USEC 1000.0

static double now_exact_usec(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec * 1e6 + (double) t.tv_nsec / 1e3;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;

    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof(values[0]), compare_doubles);
    return values[ROUNDS / 2];
}

typedef struct Text {
    char name[64]; /* "balloon" */
    char text[POLICY_SIZE_MAX];
    size_t length;
} Text;

static int read_text(const char *path, Text *ret)
{
    _cleanup_fclose_ FILE *f = fopen(path, "re");
    const char *base = strrchr(path, '/') + 1;

    if (!f)
        return -errno;
    ret->length = fread(ret->text, 1, sizeof(ret->text), f);
    (void) snprintf(ret->name, sizeof(ret->name), "%.*s", (int) strcspn(base, "."), base);
    return ferror(f) ? -EIO : 0;
}

/* The time to read each byte once: a measure of the machine's speed. */
static uint64_t hash(const Text *t)
{
    uint64_t h = 14695981039346656037U;

    for (size_t i = 0; i < t->length; i++)
        h = (h ^ (uint8_t) t->text[i]) * 1099511628211U;
    return h;
}

/* Loads, checks and compiles. Returns what that took, or < 0 where it is no policy. */
static double bench_load(const Text *t)
{
    double loads[ROUNDS], hashes[ROUNDS];
    volatile uint64_t sink = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        _cleanup_(policy_freep) Policy *p = NULL;
        double start = now_exact_usec(), middle;

        sink = sink + hash(t);
        middle = now_exact_usec();
        if (policy_load(t->text, t->length, t->name, NULL, &p) < 0)
            return -1;
        loads[i] = now_exact_usec() - middle;
        hashes[i] = middle - start;
    }
    printf("policy_load_%s %.1f us\n", t->name, median(loads));
    printf("policy_load_%s_to_hash %.1f ratio\n", t->name, median(loads) / median(hashes));
    return loads[ROUNDS / 2];
}

typedef struct World {
    GuestFields fields[GUESTS_MAX];
    PolicyGuest guests[GUESTS_MAX];
    PolicyAssignment assignments[GUESTS_MAX];
    char uuids[GUESTS_MAX][37];
} World;

/* Guests of 8 GiB that differ in what they have, reproducibly. */
static void fill(World *w)
{
    uint64_t x = 88172645463325252;

    for (unsigned i = 0; i < GUESTS_MAX; i++) {
        GuestFields *f = &w->fields[i];
        double free_bytes;

        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        free_bytes = (double) (x % 2048) * MIB;
        for (int field = GUEST_TEXTS_MAX; field < GUEST_FIELD_MAX; field++)
            guest_fields_set(f, (GuestField) field, 0); /* no field is missing */
        guest_fields_set(f, GUEST_FIELD_TARGET, 7.0 * GIB);
        guest_fields_set(f, GUEST_FIELD_CURRENT, 7.0 * GIB);
        guest_fields_set(f, GUEST_FIELD_FULL, 8.0 * GIB);
        guest_fields_set(f, GUEST_FIELD_SHARES, 500.0 * (double) (1 + i % 4));
        guest_fields_set(f, GUEST_FIELD_MOST, 8.0 * GIB);
        guest_fields_set(f, GUEST_FIELD_LEAST, 6.75 * GIB);
        guest_fields_set(f, GUEST_FIELD_FREE, free_bytes);
        guest_fields_set(f, GUEST_FIELD_IDLE, free_bytes / 2);
        guest_fields_set(f, GUEST_FIELD_CACHE, 2.5 * GIB - free_bytes);
        guest_fields_set(f, GUEST_FIELD_AVAILABLE, 2.5 * GIB);
        guest_fields_set(f, GUEST_FIELD_LOW_WATERMARK, 16.0 * MIB);
        guest_fields_set(f, GUEST_FIELD_STALL, 0);
        (void) snprintf(w->uuids[i], sizeof(w->uuids[i]), "00000000-0000-4000-8000-%012u", i);
        w->guests[i] = (PolicyGuest){.uuid = w->uuids[i], .fields = f};
    }
}

static int bench_run(const Policy *p, World *w, const char *name, double available, unsigned n)
{
    static PolicyOutput output;
    HostFields host = {};
    PolicyInput input = {.host = &host, .guests = w->guests, .n_guests = n};
    double took[ROUNDS];

    for (int field = 0; field < HOST_FIELD_MAX; field++)
        host_fields_set(&host, (HostField) field, 0);
    host_fields_set(&host, HOST_FIELD_TOTAL, 1.0 * TIB);
    host_fields_set(&host, HOST_FIELD_SWAP_TOTAL, 8.0 * GIB);
    host_fields_set(&host, HOST_FIELD_AVAILABLE, available);
    host_fields_set(&host, HOST_FIELD_PENDING, 0);
    output.assignments[GUEST_CONTROL_TARGET] = w->assignments;
    for (unsigned i = 0; i < ROUNDS; i++) {
        double start = now_exact_usec();
        int r = policy_run(p, &input, &output);

        took[i] = now_exact_usec() - start;
        if (r < 0 || output.notes_total > 0)
            return -EINVAL;
    }
    printf("policy_%s_%u %.1f us\n", name, n, median(took));
    return 0;
}

int main(void)
{
    static const unsigned counts[] = {10, 100, 1000, 5000};
    static const struct {
        const char *name;
        double available;
    } situations[] = {
        {"rest", 35.0 * GIB},
        {"pressure", 31.0 * GIB},
        {"critical", -2000.0 * GIB}, /* all that anyone has is asked for */
        {"return", 4000.0 * GIB},
    };
    _cleanup_(policy_freep) Policy *p = NULL;
    _cleanup_free_ World *w = calloc(1, sizeof(*w));
    _cleanup_free_ Text *t = calloc(1, sizeof(*t));
    bool slow = false;
    char pattern[4096];
    glob_t found;

    (void) snprintf(pattern, sizeof(pattern), "%s/policy/*.policy", getenv("BALLAST_SOURCE") ?: ".");
    if (!w || !t || glob(pattern, 0, NULL, &found) != 0)
        return EXIT_FAILURE;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        double took;

        if (read_text(found.gl_pathv[i], t) < 0 || (took = bench_load(t)) < 0) {
            fprintf(stderr, "%s can't be loaded.\n", found.gl_pathv[i]);
            return EXIT_FAILURE;
        }
        if (strcmp(t->name, DEFAULT) != 0)
            continue;
        slow = took > BUDGET_USEC;
        if (policy_load(t->text, t->length, t->name, NULL, &p) < 0)
            return EXIT_FAILURE;
    }
    globfree(&found);
    if (!p)
        return EXIT_FAILURE;
    fill(w);
    for (size_t i = 0; i < ELEMENTSOF(situations); i++)
        for (size_t j = 0; j < ELEMENTSOF(counts); j++)
            if (bench_run(p, w, situations[i].name, situations[i].available, counts[j]) < 0)
                return EXIT_FAILURE;
    if (slow)
        fprintf(stderr, "To load the default policy takes more than %.0f us.\n", BUDGET_USEC);
    return slow && !getenv("BALLAST_BENCH_LENIENT") ? EXIT_FAILURE : EXIT_SUCCESS;
}
