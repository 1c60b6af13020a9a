/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration in force, as a dictionary. */

#include "base/log.h"
#include "base/units.h"
#include "host-agent/show/describe.h"

/* Each setting in the form that ballastd.conf has. */
static void setting_mode(Dict *d, const char *key, const GuestMode *mode)
{
    dict_text(d, key, guest_mode_to_string(*mode));
}

static void setting_text(Dict *d, const char *key, char *const *text)
{
    dict_text(d, key, *text ? *text : "");
}

static void setting_duration(Dict *d, const char *key, const usec_t *usec)
{
    char buf[UNITS_FORMAT_MAX];

    dict_text(d, key, format_duration(buf, *usec));
}

static void setting_ratio(Dict *d, const char *key, const double *ratio)
{
    char buf[UNITS_FORMAT_MAX];

    dict_text(d, key, format_ratio(buf, *ratio));
}

static void setting_size(Dict *d, const char *key, const double *bytes)
{
    char buf[UNITS_FORMAT_MAX];

    dict_text(d, key, format_size(buf, (uint64_t) *bytes));
}

static void setting_count(Dict *d, const char *key, const double *count)
{
    char buf[UNITS_FORMAT_MAX];

    snprintf(buf, sizeof(buf), "%g", *count);
    dict_text(d, key, buf);
}

static void setting_size_or_ratio(Dict *d, const char *key, const SizeOrRatio *value)
{
    char buf[UNITS_FORMAT_MAX];

    if (value->ratio > 0)
        dict_text(d, key, format_ratio(buf, value->ratio));
    else
        dict_text(d, key, format_size(buf, value->bytes));
}

static void setting_log_level(Dict *d, const char *key, const int *level)
{
    static const char *const names[] = {
        [LOG_ERR] = "error", [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
        [LOG_INFO] = "info", [LOG_DEBUG] = "debug",
    };

    if (*level >= LOG_ERR && *level <= LOG_DEBUG)
        dict_text(d, key, names[*level]);
}

static void setting_on_stop(Dict *d, const char *key, const OnStop *value)
{
    dict_text(d, key, *value == ON_STOP_RELEASE ? "release" : "keep");
}

/* The values of a section [Guest PATTERN]. */
static void describe_pattern(Dict *d, const ConfigGuests *p)
{
    const Entitlement *e = &p->entitlement;

    dict_begin(d);
    dict_text(d, "name", p->pattern);
    if (e->min_bytes > 0)
        dict_count(d, "min_bytes", e->min_bytes);
    if (e->full_bytes > 0)
        dict_count(d, "full_bytes", e->full_bytes);
    if (e->growth_bytes > 0)
        dict_count(d, "max_bytes", e->growth_bytes);
    if (e->shares > 0)
        dict_bytes(d, "shares", e->shares);
    if (e->mode != GUEST_MODE_INVALID)
        dict_text(d, "mode", guest_mode_to_string(e->mode));
    dict_end(d);
}

void describe_config(Dict *d, const Manager *m)
{
    const Config *c = m->config;

#define SETTING_MODE          setting_mode
#define SETTING_TEXT          setting_text
#define SETTING_DURATION      setting_duration
#define SETTING_RATIO         setting_ratio
#define SETTING_SIZE          setting_size
#define SETTING_COUNT         setting_count
#define SETTING_SIZE_OR_RATIO setting_size_or_ratio
#define SETTING_LOG_LEVEL     setting_log_level
#define SETTING_ON_STOP       setting_on_stop
#define SETTING_FILES         SETTING_TEXT
#define SETTING_SCOPE         SETTING_TEXT
#define SETTING_SECONDS       SETTING_DURATION

    dict_open(d, "config");
    dict_known(d, "file", m->config->path);
#define SETTING(section, key, type, member, def, low, high, help) \
    SETTING_##type(d, section "." key, &c->member);
#include "host-agent/config/config.def"
#undef SETTING
    dict_list_open(d, "guests", "aa{sv}");
    for (size_t i = 0; i < c->n_guests; i++)
        describe_pattern(d, &c->guests[i]);
    dict_list_close(d);
    dict_close(d);
}
