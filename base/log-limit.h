/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Limits log lines of one kind whose pace somebody else sets, such as a guest: LOG_LIMIT_LINES within
 * LOG_LIMIT_USEC. Further ones are counted. */

#include <stdbool.h>

#include "base/time-util.h"

#define LOG_LIMIT_LINES 5U
#define LOG_LIMIT_USEC  (60 * USEC_PER_SEC)

typedef struct LogLimit {
    usec_t since_usec; /* when the present minute began; 0: none has */
    unsigned logged, left_out;
} LogLimit;

/* Whether one more line may be logged now. If not, it is counted. */
bool log_limit_take(LogLimit *l, usec_t now_usec);
/* How many lines were left out in a minute that is over; 0: none. Each is reported once. */
unsigned log_limit_left_out(LogLimit *l, usec_t now_usec);
/* Whether the present minute is over, and nothing is left to be reported. */
bool log_limit_is_idle(const LogLimit *l, usec_t now_usec);
