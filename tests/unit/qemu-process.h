/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A process in a /proc of the test's own. */

#include "tests/unit/temp-folder.h"

typedef struct FakeProcess {
    int pid;
    const char *arguments; /* with a '|' for each NUL */
    unsigned users[3];
    unsigned long rss_kib, swap_kib, shmem_kib;
    unsigned long start;
} FakeProcess;

static inline void fake_arguments(const char *folder, const FakeProcess *p)
{
    char path[256];
    FILE *f;

    (void) snprintf(path, sizeof(path), "%s/%d/cmdline", folder, p->pid);
    f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    for (const char *c = p->arguments; *c; c++)
        ck_assert_int_ne(fputc(*c == '|' ? 0 : *c, f), EOF);
    ck_assert_int_eq(fclose(f), 0);
}

static inline void fake_process(const char *folder, const FakeProcess *p)
{
    char name[64], text[1024];

    (void) snprintf(name, sizeof(name), "%d/status", p->pid);
    (void) snprintf(text, sizeof(text),
                    "Name:\tqemu\nState:\tS (sleeping)\nUid:\t%u\t%u\t%u\t%u\nVmRSS:\t%lu kB\nRssShmem:\t%lu "
                    "kB\nVmSwap:\t%lu kB\n",
                    p->users[0], p->users[1], p->users[2], p->users[1], p->rss_kib, p->shmem_kib,
                    p->swap_kib);
    temp_file(folder, name, text);
    (void) snprintf(name, sizeof(name), "%d/stat", p->pid);
    (void) snprintf(text, sizeof(text), "%d (qemu) S 1 1 1 0 -1 0 9 0 55 1 300 200 0 0 20 0 6 0 %lu 3 %lu\n",
                    p->pid, p->start, p->rss_kib * 1024 / (unsigned long) sysconf(_SC_PAGESIZE));
    temp_file(folder, name, text);
    fake_arguments(folder, p);
}
