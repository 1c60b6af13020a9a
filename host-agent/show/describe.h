/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the daemon knows, as dictionaries. The keys are documented in org.ballast1(5); `ballastctl --json`
 * prints them as they are. Each function writes entries into a dictionary that is open. */

#include "host-agent/daemon/manager.h"
#include "host-agent/show/describe-snapshot.h"

/* Guests that one dump tells in full, and has in its snapshot. A D-Bus daemon drops whoever sends it more
 * than 32 MiB at once. A guest takes about 12 KiB, a fifth of that in the snapshot (half as much without
 * agent), and all history together at most 6 MiB (SNAPSHOT_HISTORY_MAX); the others are counted
 * ("guests_left_out"), and GetGuest tells each. */
#define DUMP_GUESTS_MAX 1500U

void describe_status(Dict *d, const Manager *m, usec_t now_usec);
/* What runs, as in a status: the files in one text, what was undone. */
void describe_policy(Dict *d, const Manager *m);
/* The same for those who want to know all: each file with its text and the controls that it assigns. */
void describe_policy_files(Dict *d, const Manager *m, usec_t now_usec);
/* The row that a list has for each guest. */
void describe_guest_row(Dict *d, const GuestEntry *e, usec_t now_usec);
/* All that is known of one: its row, and a dictionary for each part. */
void describe_guest(Dict *d, const GuestEntry *e, usec_t now_usec);
/* Status, configuration in force, counters of libvirt, guests. */
void describe_dump(Dict *d, const Manager *m, usec_t now_usec);

/* For describe*.c. */
#define DESCRIBE_KEY_MAX 64U
/* What an assignment was made from: "g.free_bytes", "give_bytes". */
void describe_reads(Dict *d, const PolicyRead *reads, size_t n);
/* What was decided of KSM's controls, and which were changed. Its state is among the host's stats. */
void describe_ksm(Dict *d, const Manager *m);
/* The settings in force, as in ballastd.conf. */
void describe_config(Dict *d, const Manager *m);
