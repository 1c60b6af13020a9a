/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The multi-gen LRU's file in debugfs, lru_gen: how old the page cache is, and commands that age or evict it.
 *
 * For each memory cgroup and NUMA node the kernel keeps up to four generations of pages. Aging looks which
 * mapped pages were used since the last time, and moves them to a new, youngest generation; so what stayed in
 * generation N was not seen in use between the birth of N and the birth of the youngest. This doesn't hold for
 * cache that is read by read(2) and not mapped: that enters the oldest generation and stays there, however
 * often it is read. */

#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"
#include "base/time-util.h"

#define MGLRU_GENERATIONS_MAX 8U /* kernels have four */

typedef struct MglruGeneration {
    uint64_t number;
    usec_t age_usec; /* since its birth */
    uint64_t file_pages;
} MglruGeneration;

/* One memory cgroup on one node; the oldest generation comes first. */
typedef struct MglruList {
    uint64_t memcg, node;
    unsigned n;
    MglruGeneration generation[MGLRU_GENERATIONS_MAX];
} MglruList;

/* Walks over the text of lru_gen: *at points to it at first, memcg is for the walk's use and starts at 0.
 * Returns 1 and fills *ret, 0 at the end, or -EBADMSG. */
int mglru_next(const char **at, uint64_t *memcg, MglruList *ret);

/* Whether generation i of l has page cache that may be evicted: the kernel spares the two youngest. */
bool mglru_may_evict(const MglruList *l, unsigned i);
/* Pages of file cache that were not used for at least age_usec, as far as aging has seen. */
uint64_t mglru_cold_pages(const MglruList *l, usec_t age_usec);

#define MGLRU_COMMAND_MAX 96
/* Commands for lru_gen; each returns buf (at least MGLRU_COMMAND_MAX). */
/* Makes a new generation. */
char *mglru_age_command(char *buf, const MglruList *l);
/* Takes up to pages of page cache, and no anonymous memory, from generation i and older ones. */
char *mglru_evict_command(char *buf, const MglruList *l, unsigned i, uint64_t pages);
