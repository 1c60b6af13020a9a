/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads ballastd.conf. */

#include "host-agent/config/config.h"

#define CONFIG_FILE_MAX (64U * 1024U)

/* All defaults. */
int config_new(Config **ret);

/* Called for each finding: LOG_WARNING (such as an unknown section or key, with the nearest known one: it is
 * ignored) or LOG_ERR (the file is refused). line is 0 if the finding has none. */
typedef void (*ConfigReporter)(void *userdata, int level, const char *path, unsigned line, const char *text);

/* Reads path over the defaults into a new Config. Returns -ENOENT if there is no such file, -EINVAL if a value
 * is bad (each bad one is reported; nothing of the file is used), or another -errno. */
int config_load(const char *path, ConfigReporter report, void *userdata, Config **ret);
/* The line of the file that sets this member of c; 0: none does. */
unsigned config_line(const Config *c, const void *member);
