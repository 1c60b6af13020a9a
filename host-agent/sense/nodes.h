/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The memory of the host's NUMA nodes, from <sys>/devices/system/node. A host with one node has none that is worth
 * reading. */

#include "host-agent/decide/snapshot.h"

typedef struct Nodes {
    uint64_t online; /* the nodes when they were last looked for; 0: not yet */
    size_t n_memory; /* nodes that have memory; below 2 nothing is known of any */
    SnapshotNode nodes[NODE_SET_MAX];
} Nodes;

/* Reads the nodes' memory; where there is only one node, nothing after the first time. host: the host's stats.
 *
 * The kernel doesn't say how much of a node is available. Free memory, page cache and reclaimable slabs are a little
 * more than that:
 *   most_n      = MemFree + Active(file) + Inactive(file) + SReclaimable of node n
 *   available_n = most_n × host.available / Σ most   while host.available is no more than Σ most; else
 *                 most_n + (host.available − Σ most) × MemTotal_n / Σ MemTotal (ZFS's cache, which is in no list)
 *   total_n     = MemTotal − the node's pools of huge pages
 * So all nodes together have what the host has, less reserve and with ZFS's cache; none has more than its total.
 *
 * 0, or -errno: then nothing is known of the nodes, and they are looked for again the next time. */
int nodes_read(Nodes *n, const char *sys_root, const HostFields *host);
/* Forgets them: they are looked for again. */
void nodes_forget(Nodes *n);
/* As in a snapshot: NULL if the host has only one, or nothing is known. */
const SnapshotNode *nodes_known(const Nodes *n);
