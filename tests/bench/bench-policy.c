/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the language costs: loading the default policy, and evaluating it over many guests in the situations
 * that it knows. Prints "metric value unit" lines; medians. */

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/macro.h"
#include "base/units.h"
#include "policy/policy.h"

#define GUESTS_MAX 5000U
#define ROUNDS     31U

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

static char *read_policy(size_t *ret_length)
{
    static char text[POLICY_SIZE_MAX];
    _cleanup_fclose_ FILE *f = NULL;
    char path[4096];

    (void) snprintf(path, sizeof(path), "%s/policy/balloon.policy", getenv("BALLAST_SOURCE") ?: ".");
    f = fopen(path, "re");
    if (!f) {
        perror(path);
        return NULL;
    }
    *ret_length = fread(text, 1, sizeof(text), f);
    return text;
}

static Policy *bench_load(const char *text, size_t length)
{
    _cleanup_(policy_freep) Policy *p = NULL;
    double took[ROUNDS];

    for (unsigned i = 0; i < ROUNDS; i++) {
        double start = now_exact_usec();

        p = policy_free(p);
        if (policy_load(text, length, "balloon.policy", NULL, &p) < 0)
            return NULL;
        took[i] = now_exact_usec() - start;
    }
    printf("policy_load %.1f us\n", median(took));
    return TAKE_PTR(p);
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
        guest_set(f, GUEST_FIELD_TARGET, 7.0 * GIB);
        guest_set(f, GUEST_FIELD_CURRENT, 7.0 * GIB);
        guest_set(f, GUEST_FIELD_FULL, 8.0 * GIB);
        guest_set(f, GUEST_FIELD_SHARES, 500.0 * (double) (1 + i % 4));
        guest_set(f, GUEST_FIELD_MOST, 8.0 * GIB);
        guest_set(f, GUEST_FIELD_LEAST, 6.75 * GIB);
        guest_set(f, GUEST_FIELD_FREE, free_bytes);
        guest_set(f, GUEST_FIELD_RESIDENT_FREE, free_bytes / 2);
        guest_set(f, GUEST_FIELD_CACHE, 2.5 * GIB - free_bytes);
        guest_set(f, GUEST_FIELD_AVAILABLE, 2.5 * GIB);
        guest_set(f, GUEST_FIELD_LOW_WATERMARK, 16.0 * MIB);
        guest_set(f, GUEST_FIELD_STALL, 0);
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

    host_set(&host, HOST_FIELD_TOTAL, 1.0 * TIB);
    host_set(&host, HOST_FIELD_AVAILABLE, available);
    host_set(&host, HOST_FIELD_PENDING, 0);
    output.assignments = w->assignments;
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
    size_t length = 0;
    const char *text = read_policy(&length);

    if (!w || !text)
        return EXIT_FAILURE;
    p = bench_load(text, length);
    if (!p)
        return EXIT_FAILURE;
    fill(w);
    for (size_t i = 0; i < ELEMENTSOF(situations); i++)
        for (size_t j = 0; j < ELEMENTSOF(counts); j++)
            if (bench_run(p, w, situations[i].name, situations[i].available, counts[j]) < 0)
                return EXIT_FAILURE;
    return EXIT_SUCCESS;
}
