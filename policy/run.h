/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Evaluates a policy. */

#include "policy/values.h"

typedef struct Policy Policy;

/* Evaluates p on input, file by file; what one assigned another reads. Pure: no I/O, no clock, the same
 * output for the same input. Where the part of a file outside of loops fails, nothing that this file assigned
 * stands, its state is as before, and the others run. Returns 0, also where turns were undone (see notes);
 * -ENOMEM; -ECANCELED where each file failed. */
int policy_run(const Policy *p, const PolicyInput *input, PolicyOutput *output);

/* The values that an assignment read: the variables of its own expression, then the stats that the turn (or,
 * outside of loops, the file) had read by then; a control as it was when the evaluation began. guest: its
 * index, or SIZE_MAX for a control of the host. Names are owned by the policy. Returns how many of ret were
 * filled. */
size_t policy_reads(const Policy *p, const PolicyInput *input, size_t guest, const PolicyAssignment *a,
                    PolicyRead *ret, size_t max);
