/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The settings as people read them. */

#include <stdio.h>

/* The sample file, with every setting commented out, its default and its help; and the settings' part of the
 * manual page. Return 0 or -EIO. */
int config_write_sample(FILE *f);
int config_write_man(FILE *f);
