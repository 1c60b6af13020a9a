/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The policies that are shipped, for tests of what each of them must keep to. One that is added to policy/
 * without being here fails test-shipped-policies. */

#include <check.h>
#include <stdbool.h>
#include <stdio.h>

#include "policy/policy.h"

typedef struct Shipped {
    const char *file;
    bool moves; /* assigns to g.target */
    /* Of full: free memory that it asks for at least (16 MiB to 1 GiB); page cache that it takes of a guest in one cycle, unless the host is critical; what it gives
     * back in one (each step that a guest can be given in). */
    double free_step, cache_step, return_step;
    bool any_cache; /* takes it of any that doesn't wait for memory; else only if it isn't missed */
    bool by_free;   /* asks who has most free memory first; else who has the fewest shares for what it has */
    bool before_need;  /* takes memory while there is enough, and keeps it until it is asked for */
    double pace;       /* of idle memory and page cache: what it takes in one move while there is enough */
    bool gives_back;   /* gives memory back at any time, to those who miss some */
    bool host_control; /* assigns to controls of the host */
} Shipped;

static const Shipped shipped[] = {
    {"balloon.policy", .moves = true, .free_step = 0.05, .cache_step = 0.02, .return_step = 1,
     .any_cache = true, .by_free = true},
    {"conservative.policy", .moves = true, .cache_step = 0.01, .return_step = 0.10, .by_free = true,
     .gives_back = true},
    {"dense.policy", .moves = true, .cache_step = 0.02, .return_step = 0.05, .by_free = true,
     .before_need = true, .pace = 0.06, .gives_back = true},
    {"shares.policy", .moves = true, .cache_step = 0.02, .return_step = 0.10, .any_cache = true},
    {"ksm.policy", .host_control = true},
};

static inline Policy *load_policy(const char *folder, const char *file)
{
    char path[4096];
    PolicyDiagnostics d = {};
    Policy *p = NULL;

    (void) snprintf(path, sizeof(path), "%s/%s/%s", getenv("BALLAST_SOURCE") ?: ".", folder, file);
    if (policy_load_files((const char *[]){path}, 1, &d, &p, NULL) < 0)
        ck_abort_msg("%s: %s", path, d.text ?: "can't be read");
    policy_diagnostics_done(&d);
    return p;
}

static inline Policy *load_shipped(size_t i)
{
    return load_policy("policy", shipped[i].file);
}
