/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A folder of a test's own, whose files it writes and changes: a /proc or a /sys. */

#include <check.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/units.h"
#include "tests/unit/run.h"

static inline void temp_folder_init(char folder[static TEMP_FOLDER_MAX])
{
    run_make_folder(folder);
}

static inline void temp_folder_done(const char *folder)
{
    ck_assert_int_eq(nftw(folder, run_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* Writes folder/name with the text, and the folders that name has; NULL: it is gone. */
static inline void temp_file(const char *folder, const char *name, const char *text)
{
    char path[256];
    FILE *f;

    ck_assert_int_lt(snprintf(path, sizeof(path), "%s/%s", folder, name), (int) sizeof(path));
    if (!text) {
        ck_assert_int_eq(unlink(path), 0);
        return;
    }
    for (char *at = path + strlen(folder) + 1; (at = strchr(at, '/')); *at++ = '/') {
        *at = '\0';
        (void) mkdir(path, 0755);
    }
    f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

/* A /proc/meminfo, of which half of what is available is free. */
static inline void temp_meminfo(const char *folder, uint64_t total, uint64_t available, uint64_t swap_total,
                                uint64_t swap_free)
{
    char text[512];

    (void) snprintf(
        text, sizeof(text),
        "MemTotal: %llu kB\nMemFree: %llu kB\nMemAvailable: %llu kB\nBuffers: 0 kB\nCached: 0 kB\n"
        "SwapTotal: %llu kB\nSwapFree: %llu kB\n",
        (unsigned long long) (total / KIB), (unsigned long long) (available / 2 / KIB),
        (unsigned long long) (available / KIB), (unsigned long long) (swap_total / KIB),
        (unsigned long long) (swap_free / KIB));
    temp_file(folder, "meminfo", text);
}

/* A node of /sys/devices/system/node: what is free, and cache: page cache and reclaimable slabs. */
static inline void temp_node(const char *folder, unsigned node, uint64_t total, uint64_t free, uint64_t cache)
{
    char name[64], text[512];

    (void) snprintf(name, sizeof(name), "devices/system/node/node%u/meminfo", node);
    (void) snprintf(text, sizeof(text),
                    "Node %u MemTotal:       %llu kB\nNode %u MemFree:        %llu kB\n"
                    "Node %u Active(file):   %llu kB\nNode %u Inactive(file): %llu kB\n"
                    "Node %u SReclaimable:   %llu kB\nNode %u HugePages_Total:     0\n",
                    node, (unsigned long long) (total / KIB), node, (unsigned long long) (free / KIB), node,
                    (unsigned long long) (cache / 4 / KIB), node, (unsigned long long) (cache / 4 / KIB),
                    node, (unsigned long long) (cache / 2 / KIB), node);
    temp_file(folder, name, text);
}
