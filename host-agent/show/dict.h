/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Writes D-Bus dictionaries (a{sv}) into a message. The first failure sticks: nothing is written after it,
 * and the caller looks at error once, at the end. */

#include <systemd/sd-bus.h>

#include "base/macro.h"
#include "base/time-util.h"

typedef struct Dict {
    sd_bus_message *message;
    int error;
} Dict;

#define DICT_TEXT_MAX 4096U /* a longer text is cut */

/* The whole of an answer: an a{sv} of its own, and the same as an element of an aa{sv}. */
void dict_begin(Dict *d);
void dict_end(Dict *d);

/* One entry each. A text that is NULL and a number that isn't finite are left out: whoever reads takes a
 * missing key for "not known". Bytes of a text that aren't UTF-8 become '?', as D-Bus takes nothing else. */
void dict_text(Dict *d, const char *key, const char *value);
void dict_count(Dict *d, const char *key, uint64_t value);
void dict_real(Dict *d, const char *key, double value);
void dict_bool(Dict *d, const char *key, bool value);
/* Bytes that were worked out as a double: rounded, negative ones as 0. */
void dict_bytes(Dict *d, const char *key, double value);
/* The same where a negative one says something. */
void dict_signed(Dict *d, const char *key, double value);
/* A text that is empty where it isn't known; then it is left out. */
void dict_known(Dict *d, const char *key, const char *text);
/* A moment that may never have been (0, USEC_INFINITY), as the time since then. */
void dict_age(Dict *d, const char *key, usec_t then_usec, usec_t now_usec);

/* A text of any length, which isn't cut. */
void dict_long_text(Dict *d, const char *key, const char *text);

/* A dictionary within: entries between the two belong to it. */
void dict_open(Dict *d, const char *key);
void dict_close(Dict *d);
/* A list within; of texts ("as", with dict_item), of dictionaries ("aa{sv}", with dict_begin, dict_end), or
 * of lists of numbers ("aad", with dict_reals). */
void dict_list_open(Dict *d, const char *key, const char *type);
void dict_item(Dict *d, const char *text);
void dict_reals(Dict *d, const double *values, size_t n);
void dict_list_close(Dict *d);

/* Copies text into buf, cut to size, with '?' for each byte that isn't part of valid UTF-8. Returns buf. */
char *text_make_utf8(char *buf, size_t size, const char *text);
