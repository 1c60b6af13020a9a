/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Writes the log lines that have a MESSAGE_ID and fields: those that ballastd(8) lists. */

#include "host-agent/notice.h"

/* Logs a notice. To be added as a listener; userdata is not used. */
void journal_hear(void *userdata, const Notice *n);
