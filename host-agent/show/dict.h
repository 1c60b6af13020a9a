/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Writes D-Bus dictionaries (a{sv}) into a message. After the first failure nothing more is written, so the
 * caller checks error only once, at the end. */

#include <systemd/sd-bus.h>

#include "base/macro.h"
#include "base/time-util.h"

typedef struct Dict {
    sd_bus_message *message;
    int error;
} Dict;

#define DICT_TEXT_MAX 4096U /* a longer text is cut off */

/* Begin and end an a{sv}: a whole answer, or an element of an aa{sv}. */
void dict_begin(Dict *d);
void dict_end(Dict *d);

/* Each writes one entry. A text that is NULL and a number that isn't finite are left out: a missing key means
 * that the value isn't known. Bytes of a text that aren't UTF-8 become '?', because D-Bus allows only
 * UTF-8. */
void dict_text(Dict *d, const char *key, const char *value);
void dict_count(Dict *d, const char *key, uint64_t value);
void dict_real(Dict *d, const char *key, double value);
void dict_bool(Dict *d, const char *key, bool value);
/* A number of bytes from a calculation: rounded, and 0 if negative. */
void dict_bytes(Dict *d, const char *key, double value);
/* The same, but it may be negative. */
void dict_signed(Dict *d, const char *key, double value);
/* A text that is left out if it is empty, because it isn't known then. */
void dict_known(Dict *d, const char *key, const char *text);
/* The time since then_usec; left out if that never was (0, USEC_INFINITY). */
void dict_age(Dict *d, const char *key, usec_t then_usec, usec_t now_usec);

/* A text of any length, which isn't cut off. */
void dict_long_text(Dict *d, const char *key, const char *text);

/* Begin and end a dictionary within: entries between the two belong to it. */
void dict_open(Dict *d, const char *key);
void dict_close(Dict *d);
/* Begin and end a list within: of texts ("as", with dict_item), of dictionaries ("aa{sv}", with dict_begin
 * and dict_end), or of lists of numbers ("aad", with dict_reals). */
void dict_list_open(Dict *d, const char *key, const char *type);
void dict_item(Dict *d, const char *text);
void dict_reals(Dict *d, const double *values, size_t n);
void dict_list_close(Dict *d);

/* Copies text into buf, cut off at size, with '?' for each byte that isn't valid UTF-8. Returns buf. */
char *text_make_utf8(char *buf, size_t size, const char *text);
