/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the parts of a snapshot about NUMA nodes: their memory, and a policy's state for guests that are bound. */

#include <string.h>

#include "host-agent/ctl/snapshot-reader.h"
#include "host-agent/ctl/snapshot.h"

#define NODE_WANTED  "a node's number from 0 to 63"
#define NODES_WANTED "NUMA nodes from 0 to 63, such as \"0\" or \"0-1,3\""

int reader_node_set(Reader *r, const JsonPath *path, json_object *value, uint64_t *ret)
{
    if (!json_object_is_type(value, json_type_string) ||
        node_set_parse(json_object_get_string(value), ret) < 0)
        return json_mismatch(r->error, path, NODES_WANTED, value);
    return 0;
}

/* One element of "nodes", without its number. */
static int read_sizes(Reader *r, const JsonPath *path, json_object *object, SnapshotNode *ret)
{
    static const char *const keys[] = {"node", "total_bytes", "free_bytes", "available_bytes"};
    uint64_t *const sizes[] = {NULL, &ret->total_bytes, &ret->free_bytes, &ret->available_bytes};
    int e = 0;

    json_object_object_foreach(object, key, value)
    {
        const JsonPath at = {.up = path, .key = key};
        size_t i = 0;

        while (i < ELEMENTSOF(keys) && strcmp(keys[i], key) != 0)
            i++;
        if (i == ELEMENTSOF(keys))
            return reader_refuse_key(r, path, key, false, (FieldSet){}, keys, ELEMENTSOF(keys));
        if (sizes[i])
            e = json_read_count(r->error, &at, value, "a number of bytes from 0 to 2^53", sizes[i]);
        if (e < 0)
            return e;
    }
    if (ret->available_bytes > ret->total_bytes)
        return json_refuse(r->error, path, "available_bytes is more than total_bytes");
    return 0;
}

int reader_nodes(Reader *r, json_object *list)
{
    const JsonPath path = {.key = "nodes"};
    SnapshotFile *f = r->file;
    int e = json_read_list(r->error, &path, list, "a list of nodes");

    if (e < 0)
        return e;
    f->nodes = calloc(NODE_SET_MAX, sizeof(*f->nodes));
    if (!f->nodes)
        return -ENOMEM;
    f->snapshot.nodes = f->nodes;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        json_object *object = json_object_array_get_idx(list, i), *number = NULL;
        const JsonPath at = {.up = &path, .index = i}, number_path = {.up = &at, .key = "node"};
        uint64_t node = 0;

        e = json_read_object(r->error, &at, object);
        if (e >= 0 && !json_object_object_get_ex(object, "node", &number))
            return json_refuse(r->error, &at, "node is missing: its number");
        if (e >= 0)
            e = json_read_count(r->error, &number_path, number, NODE_WANTED, &node);
        if (e >= 0 && node >= NODE_SET_MAX)
            return json_mismatch(r->error, &number_path, NODE_WANTED, number);
        if (e >= 0)
            e = read_sizes(r, &at, object, &f->nodes[node]);
        if (e < 0)
            return e;
    }
    return 0;
}

/* One element of "node_states". */
static int read_node_state(Reader *r, const JsonPath *path, json_object *object, SnapshotNodeState *ret)
{
    static const char *const keys[] = {"nodes", "state"};
    int e = json_read_object(r->error, path, object);

    if (e < 0)
        return e;
    json_object_object_foreach(object, key, value)
    {
        const JsonPath at = {.up = path, .key = key};

        if (strcmp(key, "nodes") == 0)
            e = reader_node_set(r, &at, value, &ret->nodes);
        else if (strcmp(key, "state") == 0)
            e = reader_state(r, path, value, true, ret->state);
        else
            e = reader_refuse_key(r, path, key, false, (FieldSet){}, keys, ELEMENTSOF(keys));
        if (e < 0)
            return e;
    }
    return 0;
}

int reader_node_states(Reader *r, json_object *list)
{
    const JsonPath path = {.key = "node_states"};
    SnapshotFile *f = r->file;
    size_t n, n_states;
    int e = json_read_list(r->error, &path, list, "a list");

    if (e < 0)
        return e;
    n = json_object_array_length(list);
    (void) policy_states(r->policy, true, &n_states);
    f->node_states = calloc(n + 1, sizeof(*f->node_states));
    if (!f->node_states)
        return -ENOMEM;
    f->snapshot.node_states = f->node_states;
    for (size_t i = 0; i < n && e >= 0; i++) {
        const JsonPath at = {.up = &path, .index = i};
        SnapshotNodeState *s = &f->node_states[f->snapshot.n_node_states++];

        s->state = calloc(n_states + 1, sizeof(*s->state));
        if (!s->state)
            return -ENOMEM;
        policy_states_carry(r->policy, true, NULL, NULL, s->state);
        e = read_node_state(r, &at, json_object_array_get_idx(list, i), s);
    }
    return e;
}
