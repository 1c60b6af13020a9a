/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Loads a policy of one text. */

#include "policy/policy.h"

static inline int policy_load(const char *text, size_t length, const char *origin,
                              PolicyDiagnostics *diagnostics, Policy **ret)
{
    const PolicySource source = {.text = text, .length = length, .origin = origin};

    return policy_load_sources(&source, 1, diagnostics, ret);
}
