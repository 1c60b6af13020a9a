/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Says in one sentence what moves, or why nothing does. Internal to decide/. */

#include "host-agent/decide/reason.h"

/* Sets p->summary; the rest of p is complete. */
void summary_write(const ReasonContext *x, Plan *p);
