/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the daemon knows, as dictionaries. org.ballast1(5) describes the keys; `ballastctl --json` prints them
 * unchanged. Each function writes entries into a dictionary that is open. */

#include "host-agent/daemon/manager.h"
#include "host-agent/show/describe-snapshot.h"

/* The most guests in one dump and its snapshot. A D-Bus daemon disconnects a client that sends more than 32
 * MiB at once. A guest takes about 12 KiB, a fifth of that in the snapshot (half as much without an agent),
 * and all history together takes at most 6 MiB (SNAPSHOT_HISTORY_MAX). Further guests are only counted
 * ("guests_left_out"); GetGuest shows each. */
#define DUMP_GUESTS_MAX 1500U

/* Mode, host, KSM, policy, libvirt, and counts of guests. */
void describe_status(Dict *d, const Manager *m, usec_t now_usec);
/* The running policy in short, for a status: the names of its files, and the notes of the last cycle. */
void describe_policy(Dict *d, const Manager *m);
/* The running policy in full: each file with its text and the controls that it assigns. */
void describe_policy_files(Dict *d, const Manager *m, usec_t now_usec);
/* A guest's row in a list. */
void describe_guest_row(Dict *d, const GuestEntry *e, usec_t now_usec);
/* Everything that is known about a guest: its row, and a dictionary for each part. */
void describe_guest(Dict *d, const GuestEntry *e, usec_t now_usec);
/* A domain that is shut off (guest_new_shut_off()): its row in a list, and everything that is known about it. */
void describe_shut_off_row(Dict *d, const Guest *g);
void describe_shut_off(Dict *d, const Guest *g);
/* Status, configuration in force, counters of libvirt, guests, and a snapshot. */
void describe_dump(Dict *d, const Manager *m, usec_t now_usec);

/* For describe*.c only. */
#define DESCRIBE_KEY_MAX 64U
/* The values that an assignment was made from: "g.free_bytes", "give_bytes". */
void describe_reads(Dict *d, const PolicyRead *reads, size_t n);
/* What the guest holds of the host's memory. What follows from it is among the stats. */
void describe_held(Dict *d, const GuestEntry *e, usec_t now_usec);
/* What a shrink of the guest brings the host. */
void describe_gain(Dict *d, const Guest *g, usec_t now_usec);
/* What the guest's kernel was asked for. */
void describe_levers(Dict *d, const Guest *g, usec_t now_usec);
/* By which lever the host gets its memory back, at the moment or last, and when that was. reporting: free page
 * reporting is on in the guest. */
void describe_means(Dict *d, const Guest *g, bool reporting, usec_t now_usec);
/* The decisions about KSM's controls, and which controls are changed. KSM's state is among the host's
 * stats. */
void describe_ksm(Dict *d, const Manager *m);
/* The settings in force, in the form that ballastd.conf has. */
void describe_config(Dict *d, const Manager *m);
