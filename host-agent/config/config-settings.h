/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The table of settings (config.def), for the reader of the file. */

#include <stddef.h>

#include "host-agent/config/config.h"

typedef struct Setting Setting;

/* Parses a value into the member. Returns -EINVAL or -ERANGE if the setting does not take it, -ENOTUNIQ if a number
 * lacks its unit. */
typedef int (*SettingParser)(const Setting *s, const char *text, void *member);

struct Setting {
    const char *section, *key;
    SettingParser parse;
    const char *takes; /* what the parser takes, in words */
    size_t offset;     /* of the member in Config */
    const char *standard, *low, *high;
};

extern const Setting config_settings[CONFIG_SETTINGS];

/* After -ENOTUNIQ: see units_meant(). */
char *setting_units_meant(const Setting *s, char *buf, const char *text);

/* "error" … "debug" → LOG_ERR … LOG_DEBUG, or -EINVAL. */
int config_parse_log_level(const char *text);
