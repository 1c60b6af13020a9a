/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads values of a JSON text that may be written by hand. A value of the wrong type or range is refused with
 * its path and what it should be. */

#include "host-agent/ctl/json.h"

#define JSON_ERROR_MAX  512U
#define JSON_TEXT_MAX   1024U  /* bytes of a text */
#define JSON_NUMBER_MAX 0x1p53 /* larger ones with a fraction or an exponent aren't exact */
#define JSON_COUNT_MAX  0x1p64 /* of sizes and times, as a dump may have them */

/* The path of a value: "guests[2].free_bytes". up is NULL at the top level. */
typedef struct JsonPath {
    const struct JsonPath *up;
    const char *key; /* NULL: an element of a list */
    size_t index;
} JsonPath;

/* Each returns 0, or -EINVAL with error (JSON_ERROR_MAX bytes). A NULL path: the whole. */
int json_refuse(char *error, const JsonPath *path, const char *format, ...) _printf_(3, 4);
/* "… must be a text, not 5" */
int json_mismatch(char *error, const JsonPath *path, const char *wanted, json_object *value);

/* wanted: the text of the error for another type or a number outside of low … high. */
int json_read_number(char *error, const JsonPath *path, json_object *value, double low, double high,
                     const char *wanted, double *ret);
/* A whole number from 0 to UINT64_MAX, or written with a fraction or an exponent to JSON_NUMBER_MAX. */
int json_read_count(char *error, const JsonPath *path, json_object *value, const char *wanted, uint64_t *ret);
int json_read_flag(char *error, const JsonPath *path, json_object *value, bool *ret);
/* Borrowed from value: 1 to JSON_TEXT_MAX bytes. */
int json_read_text(char *error, const JsonPath *path, json_object *value, const char **ret);
int json_read_object(char *error, const JsonPath *path, json_object *value);
int json_read_list(char *error, const JsonPath *path, json_object *value, const char *wanted);

/* Strictly one JSON text, no larger than INT_MAX; *ret is the caller's to put, also on failure. Also
 * -ENOMEM. */
int json_parse(char *error, const char *text, size_t length, json_object **ret);
