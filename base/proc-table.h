/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tables of the kernel: lines of "key<separator> value<unit>". */

#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"

/* A key that a table may have, and where its value goes. */
typedef struct ProcKey {
    const char *name;
    uint8_t length;
    bool required;
    bool zones; /* kernels have, or had, one for each zone, "<name>_<zone>": their sum is meant */
    uint16_t offset;
} ProcKey;

#define PROC_KEY(_name, type, member, ...)                                                          \
    {                                                                                               \
        .name = _name, .length = sizeof(_name) - 1, .offset = offsetof(type, member), ##__VA_ARGS__ \
    }

/* Goes once over text and puts what the keys say into the uint64_t members of base. Lines that begin like no
 * key are passed over; -EBADMSG where a required key is missing, or a value isn't a number or was cut off.
 * *ret_found: one bit for each of the n (at most 32) keys. */
int proc_parse_table(const char *text, char separator, const char *unit, uint64_t factor, const ProcKey *keys,
                     size_t n, void *base, uint32_t *ret_found);
/* The number that ends a line, with blanks before it and its unit behind. A line without its end was cut off,
 * and so may be its number: -EBADMSG. */
int proc_parse_value(const char *p, const char *unit, uint64_t factor, uint64_t *ret);
/* Digits only: what is negative, too large, or nothing, is no number. Returns what follows, or NULL. */
const char *proc_parse_number(const char *p, uint64_t *ret);
const char *proc_skip_blanks(const char *p);
