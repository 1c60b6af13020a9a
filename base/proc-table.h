/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tables of the kernel: lines of "key<separator> value<unit>". */

#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"

/* A key of a table, and the member that takes its value. */
typedef struct ProcKey {
    const char *name;
    uint8_t length;
    bool required;
    bool zones; /* some kernels have one for each zone, "<name>_<zone>": they are summed */
    uint16_t offset;
} ProcKey;

#define PROC_KEY(_name, type, member, ...)                                                          \
    {                                                                                               \
        .name = _name, .length = sizeof(_name) - 1, .offset = offsetof(type, member), ##__VA_ARGS__ \
    }

/* Goes once over text and stores the values of keys in the uint64_t members of base. Lines with other keys
 * are skipped. Returns 0, or -EBADMSG if a required key is missing, or a value is no number or was cut off.
 * *ret_found: one bit for each of the n (at most 32) keys. */
int proc_parse_table(const char *text, char separator, const char *unit, uint64_t factor, const ProcKey *keys,
                     size_t n, void *base, uint32_t *ret_found);
/* Parses the number at the end of a line, with blanks before it and its unit after it. -EBADMSG without a
 * newline: then the number may be cut off, too. */
int proc_parse_value(const char *p, const char *unit, uint64_t factor, uint64_t *ret);
/* Parses digits. Returns the text after them, or NULL for a negative or too large number or none at all. */
const char *proc_parse_number(const char *p, uint64_t *ret);
const char *proc_skip_blanks(const char *p);
