/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The settings of ballastd.conf. Their names, parsers, defaults and help are in config.def. */

#include "base/macro.h"
#include "host-agent/decide/bytes.h"
#include "host-agent/decide/entitlement.h"
#include "host-agent/decide/guard.h"
#include "host-agent/guest/guest-host.h"

typedef enum OnStop { ON_STOP_KEEP, ON_STOP_RELEASE, ON_STOP_MAX, ON_STOP_INVALID = -EINVAL } OnStop;

#define CONFIG_PATTERNS_MAX 64U

#define SETTING(...) +1
enum {
    CONFIG_SETTINGS = 0
#include "host-agent/config/config.def"
};
#undef SETTING

/* A section [Guest PATTERN]. */
typedef struct ConfigGuests {
    char *pattern; /* of names, for fnmatch() */
    unsigned line; /* of the section */
    Entitlement entitlement;
} ConfigGuests;

typedef struct Config {
    GuestMode mode; /* AUTO or OBSERVE */
    char *connect;
    usec_t interval_usec;
    int log_level;
    SizeOrRatio reserve;
    char *policy_files; /* names and paths, separated by blanks */
    OnStop on_stop;
    usec_t stats_period_usec;
    GuardConfig guard;
    GuestRules guest_rules;
    char *scope;          /* [Host] Scope=: "system", or a memory cgroup */
    ConfigGuests *guests; /* as they stand in the file, at most CONFIG_PATTERNS_MAX */
    size_t n_guests;
    char *path;                      /* the file; NULL: only defaults */
    unsigned lines[CONFIG_SETTINGS]; /* where each setting is set, in the table's order; 0: nowhere */
} Config;

Config *config_free(Config *c);
DEFINE_CLEANUP_FUNC(Config, config_free);
/* c becomes what other is, which is freed: whoever has a pointer to c goes on with the new settings. */
void config_replace(Config *c, Config *other);

/* Whether the section's pattern matches this name. */
bool config_guests_match(const ConfigGuests *g, const char *name);
/* The grants for a guest of this name, from the sections whose pattern matches it: for each value the last
 * section that sets it wins. */
Entitlement config_entitlement(const Config *c, const char *name);
