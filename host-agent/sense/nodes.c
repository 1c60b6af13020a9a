/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the memory of each NUMA node. */

#include "host-agent/sense/nodes.h"

#include <dirent.h>
#include <limits.h>
#include <string.h>

#include "base/proc-table.h"
#include "base/procfs.h"
#include "base/units.h"
#include "host-agent/decide/bytes.h"

#define NODE_FOLDER "%s/devices/system/node"

/* Of a node's meminfo. */
typedef struct NodeMeminfo {
    uint64_t total, free, active_file, inactive_file, sreclaimable;
} NodeMeminfo;

/* A kernel without NUMA has no such file: one node. */
static int read_online(const char *sys_root, uint64_t *ret)
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    char folder[PATH_MAX];
    int r;

    if ((size_t) snprintf(folder, sizeof(folder), NODE_FOLDER, sys_root) >= sizeof(folder))
        return -ENAMETOOLONG;
    r = proc_file_slurp(&f, folder, "online");
    if (r == -ENOENT) {
        *ret = 1;
        return 0;
    }
    if (r >= 0)
        r = node_set_parse(f.buf, ret);
    return r == -EINVAL ? -EBADMSG : r;
}

/* Each line begins with "Node 0 ". */
static int read_meminfo(const char *folder, unsigned node, NodeMeminfo *ret)
{
    static const struct {
        const char *name;
        size_t offset;
    } members[] = {
        {"MemTotal", offsetof(NodeMeminfo, total)},
        {"MemFree", offsetof(NodeMeminfo, free)},
        {"Active(file)", offsetof(NodeMeminfo, active_file)},
        {"Inactive(file)", offsetof(NodeMeminfo, inactive_file)},
        {"SReclaimable", offsetof(NodeMeminfo, sreclaimable)},
    };
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    char names[ELEMENTSOF(members)][32];
    ProcKey keys[ELEMENTSOF(members)];
    NodeMeminfo m = {};
    uint32_t found;
    int r;

    for (size_t i = 0; i < ELEMENTSOF(members); i++) {
        int length = snprintf(names[i], sizeof(names[i]), "Node %u %s", node, members[i].name);

        keys[i] = (ProcKey){.name = names[i],
                            .length = (uint8_t) length,
                            .required = true,
                            .offset = (uint16_t) members[i].offset};
    }
    r = proc_file_slurp(&f, folder, "meminfo");
    if (r >= 0)
        r = proc_parse_table(f.buf, ':', "kB", KIB, keys, ELEMENTSOF(keys), &m, &found);
    if (r < 0)
        return r;
    *ret = m;
    return 0;
}

/* All pools of a node; 0 without huge pages. A folder of a pool is "hugepages-2048kB". */
static uint64_t read_pools(const char *folder)
{
    char path[PATH_MAX + 16];
    uint64_t bytes = 0;
    struct dirent *e;
    DIR *d;

    (void) snprintf(path, sizeof(path), "%s/hugepages", folder);
    d = opendir(path);
    if (!d)
        return 0;
    while ((e = readdir(d))) {
        _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
        char name[NAME_MAX + 32];
        uint64_t kib, pages;

        if (strncmp(e->d_name, "hugepages-", 10) != 0 || !proc_parse_number(e->d_name + 10, &kib))
            continue;
        (void) snprintf(name, sizeof(name), "%s/nr_hugepages", e->d_name);
        if (proc_file_slurp(&f, path, name) >= 0 && proc_parse_value(f.buf, "", 1, &pages) >= 0 &&
            !__builtin_mul_overflow(kib, KIB, &kib) && !__builtin_mul_overflow(pages, kib, &pages))
            bytes = bytes_add(bytes, pages);
    }
    (void) closedir(d);
    return bytes;
}

/* available_bytes is most_n of the header's formula. */
static int read_node(const char *sys_root, unsigned node, SnapshotNode *ret)
{
    char folder[PATH_MAX];
    NodeMeminfo m;
    int r;

    if ((size_t) snprintf(folder, sizeof(folder), NODE_FOLDER "/node%u", sys_root, node) >= sizeof(folder))
        return -ENAMETOOLONG;
    r = read_meminfo(folder, node, &m);
    if (r < 0)
        return r;
    *ret = (SnapshotNode){
        .total_bytes = LESS_BY(m.total, read_pools(folder)),
        .free_bytes = m.free,
        .available_bytes =
            bytes_add(bytes_add(m.free, m.sreclaimable), bytes_add(m.active_file, m.inactive_file)),
    };
    return 0;
}

static void scale(SnapshotNode *nodes, double host_available)
{
    double total = 0, most = 0;

    for (size_t i = 0; i < NODE_SET_MAX; i++) {
        total += (double) nodes[i].total_bytes;
        most += (double) nodes[i].available_bytes;
    }
    for (size_t i = 0; i < NODE_SET_MAX && total > 0; i++) {
        double own = (double) nodes[i].available_bytes;
        double available = host_available <= most
                               ? own * host_available / most
                               : own + (host_available - most) * (double) nodes[i].total_bytes / total;

        nodes[i].available_bytes =
            most > 0 ? MIN(bytes_from_double(available), nodes[i].total_bytes) : UINT64_C(0);
    }
}

int nodes_read(Nodes *n, const char *sys_root, const HostFields *host)
{
    Nodes new = {.online = n->online};
    int r = 0;

    if (n->online > 0 && n->n_memory < 2)
        return 0;
    if (new.online == 0)
        r = read_online(sys_root, &new.online);
    for (unsigned i = 0; i < NODE_SET_MAX && r >= 0 && __builtin_popcountll(new.online) > 1; i++)
        if (node_set_has(new.online, i)) {
            r = read_node(sys_root, i, &new.nodes[i]);
            new.n_memory += new.nodes[i].total_bytes > 0;
        }
    if (r < 0) {
        nodes_forget(n);
        return r;
    }
    scale(new.nodes, host_fields_get(host, HOST_FIELD_AVAILABLE));
    *n = new;
    return 0;
}

void nodes_forget(Nodes *n)
{
    *n = (Nodes){};
}

const SnapshotNode *nodes_known(const Nodes *n)
{
    return n->n_memory > 1 ? n->nodes : NULL;
}
