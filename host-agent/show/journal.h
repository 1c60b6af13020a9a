/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The log lines that have a MESSAGE_ID and fields: one for each notice of ballastd(8)'s list. */

#include "host-agent/notice.h"

/* A listener; userdata is not used. */
void journal_hear(void *userdata, const Notice *n);
