/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads a snapshot from JSON: the output of `ballastctl dump`, or written by hand: ballast-snapshot(5). */

#include "host-agent/ctl/json-value.h"
#include "host-agent/decide/guard.h"
#include "policy/keep.h"

#define SNAPSHOT_FILE_MAX (64U * 1024U * 1024U)

/* Used as the name if none is given. */
#define SNAPSHOT_UUID_MAX 40U

typedef struct SnapshotFile {
    Snapshot snapshot;
    GuardConfig guard;
    /* Warnings that are not errors, one line each, with a newline; NULL: none. */
    char *warnings;

    /* Memory that the snapshot borrows. */
    json_object *root;                /* owns the texts */
    char (*uuids)[SNAPSHOT_UUID_MAX]; /* made up if none is given */
    PolicyKeep *host_keep, *keeps;    /* one for each guest; one for the host */
    SnapshotNode *nodes;              /* NULL: the snapshot has none */
    SnapshotNodeState *node_states;
} SnapshotFile;

void snapshot_file_done(SnapshotFile *f);
/* Reads a snapshot or a whole dump, with the history and state that the policy uses. -EINVAL with error
 * (JSON_ERROR_MAX bytes), which says what is wrong and where: "guests[2].free_bytes: …"; -EFBIG; -ENOMEM. */
int snapshot_parse(const char *text, size_t length, const Policy *policy, SnapshotFile *ret, char *error);
