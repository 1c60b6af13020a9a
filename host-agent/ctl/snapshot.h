/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads a snapshot from JSON, as `ballastctl dump` prints it or as written by hand: ballast-snapshot(5). */

#include "host-agent/ctl/json-value.h"
#include "host-agent/decide/guard.h"
#include "policy/keep.h"

#define SNAPSHOT_FILE_MAX (64U * 1024U * 1024U)

/* What a name would be where none is said. */
#define SNAPSHOT_UUID_MAX 40U

typedef struct SnapshotFile {
    Snapshot snapshot;
    GuardConfig guard;
    /* What is odd about it but no mistake, a line each, each with its newline; NULL: nothing. */
    char *warnings;

    /* Behind the snapshot. */
    json_object *root;                /* has the texts */
    char (*uuids)[SNAPSHOT_UUID_MAX]; /* made up where none is said */
    PolicyKeep *host_keep, *keeps;    /* of each guest; of the host one */
} SnapshotFile;

void snapshot_file_done(SnapshotFile *f);
/* Takes a snapshot or a whole dump, and of its history and state what the policy has use for. -EINVAL with
 * error (JSON_ERROR_MAX bytes): what is wrong and where, as "guests[2].free_bytes: …"; -EFBIG; -ENOMEM. */
int snapshot_parse(const char *text, size_t length, const Policy *policy, SnapshotFile *ret, char *error);
