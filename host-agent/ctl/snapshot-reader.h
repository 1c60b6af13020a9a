/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the readers of a snapshot: snapshot.c, snapshot-keep.c for a policy's history and state, and
 * snapshot-nodes.c for NUMA nodes. All functions return 0, -EINVAL with error, or -ENOMEM. */

#include "host-agent/ctl/json-value.h"
#include "policy/keep.h"

typedef struct SnapshotFile SnapshotFile;

typedef struct Reader {
    SnapshotFile *file;
    const Policy *policy;
    char *error;
    FILE *warnings;
} Reader;

/* The stat of this key; -1: none. Texts have no key. */
int reader_find_field(bool host, const char *key);
FieldUnit reader_field_unit(bool host, int f);
/* A stat in this unit. It may be below 0 only if signed_. */
int reader_stat(Reader *r, const JsonPath *path, json_object *value, FieldUnit unit, bool signed_,
                double *ret);
/* Refuses an unknown key; the error names the nearest of n keys and of the stats in fields. */
int reader_refuse_key(Reader *r, const JsonPath *path, const char *key, bool host, FieldSet fields,
                      const char *const *keys, size_t n);

/* The part "history", or "state", of the host or of a guest. */
int reader_history(Reader *r, const JsonPath *parent, json_object *object, bool host, SeriesSet *set);
int reader_state(Reader *r, const JsonPath *parent, json_object *object, bool host, double *values);

/* "0-1" */
int reader_node_set(Reader *r, const JsonPath *path, json_object *value, uint64_t *ret);
/* The parts "nodes" and "node_states". */
int reader_nodes(Reader *r, json_object *list);
int reader_node_states(Reader *r, json_object *list);
