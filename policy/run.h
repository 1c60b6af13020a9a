/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Evaluates a policy. */

#include "policy/values.h"

typedef struct Policy Policy;

/* Evaluates p on input, file by file; a file reads what earlier ones assigned. Pure: no I/O, no clock, the
 * same output for the same input. If the part of a file outside of loops fails, all its assignments are
 * undone, its state is as before, and the other files run. Returns 0, also if turns were undone (see notes);
 * -ENOMEM; -ECANCELED if all files failed. */
int policy_run(const Policy *p, const PolicyInput *input, PolicyOutput *output);

/* The values that an assignment read: the variables of its own expression, then the stats that the turn (or,
 * outside of loops, the file) had read by then; a control as it was when the evaluation began. guest: its
 * index, or SIZE_MAX for a control of the host. Names are owned by the policy. Returns how many of ret were
 * filled. */
size_t policy_reads(const Policy *p, const PolicyInput *input, size_t guest, const PolicyAssignment *a,
                    PolicyRead *ret, size_t max);
