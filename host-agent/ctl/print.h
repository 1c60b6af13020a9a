/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Prints the daemon's answers for people. Each function returns 0 or -ENOMEM. */

#include "host-agent/ctl/json.h"
#include "host-agent/ctl/text.h"

/* json_entitlement(): a table. */
int print_entitlement(const Screen *screen, json_object *entitlement);
/* GetStatus: a paragraph. */
int print_status(const Screen *screen, json_object *status);
/* GetGuest: what counts of it, in at most 24 lines. */
int print_guest(const Screen *screen, json_object *guest);
/* Any object: entries under headings; sizes and times by the suffix of their key. */
int print_tree(const Screen *screen, json_object *object);
/* Prints "     Label: text", with the text made harmless, and wrapped to the screen. */
int print_line(const Screen *screen, const char *label, Style style, const char *text);
