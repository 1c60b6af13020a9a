/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Decides about the host's own controls: KSM. Pure. */

#include "host-agent/decide/decision.h"

/* Decides about each control that the policy assigned to, in the order of fields.def, and returns their
 * number. host: the current state. files: as with plan_apply(). mode: the daemon's; only in mode AUTO is
 * anything sent. reads are left empty. ret holds PLAN_HOST_MAX. */
size_t host_decide(const HostFields *host, const PolicyOutput *output, const char *const *files,
                   GuestMode mode, HostDecision *ret);
