/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the lever helper does to the kernel: compaction, and reclaim of page cache.
 *
 * Page cache alone, and no anonymous memory, can be reclaimed in four ways. The first that the kernel allows
 * is used:
 *
 * 1. memory.reclaim of the root cgroup with "swappiness=0" (kernels since 6.9 know that);
 * 2. memory.reclaim alone, where the guest has no swap: then nothing but page cache can be reclaimed;
 * 3. the multi-gen LRU's eviction through debugfs, where it is on: also for cgroup v1;
 * 4. memory.reclaim while vm.swappiness is 0, which it is for just that write.
 *
 * A write to memory.reclaim ends with EAGAIN if less could be reclaimed than asked: that is no failure. */

#include "guest-agent/lever-wire.h"
#include "guest-agent/swappiness.h"

typedef enum ReclaimMethod {
    RECLAIM_METHOD_NONE,
    RECLAIM_METHOD_ARGUMENT,
    RECLAIM_METHOD_PLAIN,
    RECLAIM_METHOD_MGLRU,
    RECLAIM_METHOD_SWAPPINESS,
    RECLAIM_METHOD_MAX,
} ReclaimMethod;

typedef struct LeverKernel {
    const char *proc_root, *sys_root; /* borrowed: "/proc" and "/sys", or a fixture's folders */
    Swappiness swappiness;
    uint64_t page_bytes;
    int logged_method; /* the last method that was logged; -1: none yet */
    int logged_error;  /* the last error that was logged */
} LeverKernel;

/* Returns 0 or -ENOMEM. *k may be uninitialized, and needs lever_kernel_done() also on failure. */
int lever_kernel_init(LeverKernel *k, const char *proc_root, const char *sys_root, const char *run_folder);
void lever_kernel_done(LeverKernel *k);

/* Puts back what a helper that was killed left changed. Logs what it does. */
void lever_kernel_restore(LeverKernel *k);

/* Carries out a request and fills *ret. Blocks for as long as the kernel takes. Everything that it changes is
 * put back before it returns. A request that isn't valid gets the error -EINVAL, and one for a lever that is
 * missing -EOPNOTSUPP. */
void lever_kernel_serve(LeverKernel *k, const LeverRequest *q, LeverAnswer *ret);
