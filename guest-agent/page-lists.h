/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The kernel's per-CPU lists of free pages.
 *
 * A page that was freed stays in the list of its CPU at first: there it can be had again without a lock, but it can't be
 * merged with the free memory around it. After a compaction hundreds of single pages stand in these lists, each in the
 * middle of a block that is free otherwise. Such a block isn't reported to the host: of 128 MiB in pieces of 63 pages a
 * compaction brings nothing until the lists are flushed (Linux 6.1).
 *
 * The kernel has no file for that. But it empties the list of a CPU on which much memory was freed at once and a block of
 * two to eight pages is freed then (Linux 5.14 and later). Since 6.16 it doesn't where high_min is above 62 batches, as in
 * large guests of few CPUs: there the lists stay as they are. */

#include <stdint.h>

/* Does so on each CPU whose lists hold more than a few pages, in a few milliseconds. A CPU is left out where that would take
 * more than 64 MiB or a quarter of the free memory for a moment. proc_root: "/proc", or a fixture's folder. Returns 0 or
 * -errno. */
int page_lists_flush(const char *proc_root, uint64_t page_bytes);
