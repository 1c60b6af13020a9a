/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Prints a report, for people and for programs. */

#include <stdio.h>

#include "proto/codec.h"

/* A table with readable sizes and durations. */
void report_print_text(FILE *f, const Report *r);
/* A JSON object; each name ends in its unit: _bytes, _usec, _ratio (0 … 1). A name without a unit counts
 * events. */
void report_print_json(FILE *f, const Report *r);
