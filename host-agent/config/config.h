/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* ballastd.conf. Settings, their parsers, defaults and help are in config.def. */

#include "base/macro.h"
#include "host-agent/decide/bytes.h"
#include "host-agent/decide/entitlement.h"
#include "host-agent/decide/guard.h"
#include "host-agent/guest/guest-host.h"

typedef enum OnStop { ON_STOP_KEEP, ON_STOP_RELEASE, ON_STOP_MAX, ON_STOP_INVALID = -EINVAL } OnStop;

#define CONFIG_PATTERNS_MAX 64U
#define CONFIG_FILE_MAX     (64U * 1024U)

/* A section [Guest PATTERN]. */
typedef struct ConfigGuests {
    char *pattern; /* of names, for fnmatch() */
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
} Config;

/* All defaults. */
int config_new(Config **ret);
Config *config_free(Config *c);
DEFINE_CLEANUP_FUNC(Config, config_free);
/* c becomes what other is, which is freed: whoever has a pointer to c goes on with the new settings. */
void config_replace(Config *c, Config *other);

/* Told of each finding: level LOG_WARNING (unknown section or key, with the nearest known one: it is ignored)
 * or LOG_ERR (the file is refused). line is 0 where none applies. */
typedef void (*ConfigReporter)(void *userdata, int level, const char *path, unsigned line, const char *text);

/* Reads path over the defaults into a new Config. -ENOENT where there is no such file, -EINVAL where a value
 * is bad (all bad ones are told; nothing of the file is used), or -errno. */
int config_load(const char *path, ConfigReporter report, void *userdata, Config **ret);

/* The sample file, every setting commented out with its default and its help; and the settings' part of the
 * manual page. 0 or -EIO. */
int config_write_sample(FILE *f);
int config_write_man(FILE *f);

/* "error" … "debug" → LOG_ERR … LOG_DEBUG, or -EINVAL. */
int config_parse_log_level(const char *text);
/* What the sections whose pattern fits a guest's name grant it: of those that say something the last wins. */
Entitlement config_entitlement(const Config *c, const char *name);
