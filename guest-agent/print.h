/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A report for people, and for programs. */

#include <stdio.h>

#include "proto/codec.h"

/* A table with sizes and durations as people read them. */
void report_print_text(FILE *f, const Report *r);
/* A JSON object; the unit is in each name: _bytes, _usec, _ratio (0 … 1); a bare name counts events. */
void report_print_json(FILE *f, const Report *r);
