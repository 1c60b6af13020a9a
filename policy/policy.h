/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A policy: one or several files that run together. They are loaded from text, checked as a whole, and then
 * evaluated as a pure function of their input. */

#include "policy/run.h"
#include "policy/values.h"

/* ---- Loading ---- */

typedef struct PolicySource {
    const char *text; /* need not be NUL-terminated */
    size_t length;
    const char *origin; /* the file's name, for messages */
} PolicySource;

/* Loads and checks n files (1 … POLICY_FILES_MAX) that run together, in this order; everything is copied. If
 * one has a mistake, all are refused: -EINVAL with diagnostics (up to POLICY_DIAGNOSTICS_MAX of each file),
 * also if two assign to the same control or have the same origin; -EFBIG; -ENOMEM. diagnostics may be NULL;
 * else it is {} or has some to add to. A byte order mark at the start of a text is skipped. */
int policy_load_sources(const PolicySource *sources, size_t n, PolicyDiagnostics *diagnostics, Policy **ret);
/* Reads the files and loads them. Also -errno of reading, as fileio_read_regular() returns it; then
 * *ret_failed (may be NULL) is the file's path. */
int policy_load_files(const char *const *paths, size_t n, PolicyDiagnostics *diagnostics, Policy **ret,
                      const char **ret_failed);
Policy *policy_free(Policy *p);
DEFINE_CLEANUP_FUNC(Policy, policy_free);

/* What is no mistake, but can't be meant; owned by the policy. Its text is NULL if there is nothing. */
const PolicyDiagnostics *policy_warnings(const Policy *p);

/* A loaded file; texts are owned by the policy. */
typedef struct PolicyFile {
    const char *origin; /* as given; for a file, its path */
    const char *name;   /* the origin without folders */
    const char *text;   /* NUL-terminated */
    size_t length;
    FieldSet host_controls, guest_controls; /* that it assigns to */
} PolicyFile;

size_t policy_n_files(const Policy *p);
PolicyFile policy_file(const Policy *p, size_t i);
/* The controls of guests, or of the host, that any of its files assigns to. */
FieldSet policy_controls(const Policy *p, bool host);
/* "balloon.policy, ksm.policy": the files without their folders. Owned by the policy. */
const char *policy_name(const Policy *p);

/* ---- What a policy needs to be kept for it from one evaluation to the next ---- */

/* The stats of which the policy needs history; owned by the policy. */
const SeriesNeed *policy_needs(const Policy *p, size_t *ret_n);

/* All state variables of the host, or of each guest; owned by the policy. */
const PolicyState *policy_states(const Policy *p, bool host, size_t *ret_n);
/* Fills values with the initial ones, or with those of variables of the same file, name and unit in old
 * (unless it is NULL), so that a policy that is loaded again goes on where it was. */
void policy_states_carry(const Policy *p, bool host, const Policy *old, const double *old_values,
                         double *values);
