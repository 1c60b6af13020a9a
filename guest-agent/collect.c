/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reads the guest's memory figures from procfs and sysfs into a Report. */

#include "guest-agent/collect.h"

#include <fcntl.h>
#include <string.h>

#include "guest-agent/reporting.h"

/* The watermarks change when memory is hotplugged or an administrator sets min_free_kbytes. On a large guest
 * zoneinfo, with a paragraph for each CPU and zone, costs more to read than all other files together. The other
 * figures of Seldom are an administrator's settings, too. */
#define SELDOM_USEC (30 * USEC_PER_SEC)

/* The largest order of most kernels: without huge pages, blocks of it are reported. */
#define ORDER_LARGEST 10

int collector_open(Collector *c, const char *root, const char *sys_root)
{
    int r;

    *c = COLLECTOR_INIT;
    c->root = root;
    c->sys_root = sys_root;
    c->page_bytes = (uint64_t) sysconf(_SC_PAGESIZE);

    r = proc_file_open(&c->meminfo, root, "meminfo");
    if (r < 0)
        return r;

    /* A missing file stays closed, and its fields are left out. */
    (void) proc_file_open(&c->vmstat, root, "vmstat");
    (void) proc_file_open(&c->buddyinfo, root, "buddyinfo");
    (void) proc_file_open(&c->psi_memory, root, "pressure/memory");
    (void) proc_file_open(&c->psi_io, root, "pressure/io");
    return 0;
}

void collector_done(Collector *c)
{
    proc_file_done(&c->meminfo);
    proc_file_done(&c->vmstat);
    proc_file_done(&c->buddyinfo);
    proc_file_done(&c->psi_memory);
    proc_file_done(&c->psi_io);
}

static int collect_meminfo(Collector *c, Report *r)
{
    Meminfo m;
    ssize_t n;
    int k;

    n = proc_file_read(&c->meminfo);
    if (n < 0)
        return (int) n;
    k = meminfo_parse(c->meminfo.buf, &m);
    if (k < 0)
        return k;

    report_set(r, REPORT_MEM_TOTAL, m.total);
    report_set(r, REPORT_MEM_FREE, m.free);
    if (m.has_available)
        report_set(r, REPORT_MEM_AVAILABLE, m.available);
    report_set(r, REPORT_BUFFERS, m.buffers);
    report_set(r, REPORT_CACHED, m.cached);
    report_set(r, REPORT_SRECLAIMABLE, m.sreclaimable);
    report_set(r, REPORT_SHMEM, m.shmem);
    report_set(r, REPORT_ANON_PAGES, m.anon_pages);
    report_set(r, REPORT_DIRTY, m.dirty);
    report_set(r, REPORT_MLOCKED, m.mlocked);
    report_set(r, REPORT_SWAP_TOTAL, m.swap_total);
    report_set(r, REPORT_SWAP_FREE, m.swap_free);
    if (m.has_lists) {
        report_set(r, REPORT_ACTIVE_FILE, m.active_file);
        report_set(r, REPORT_INACTIVE_FILE, m.inactive_file);
        report_set(r, REPORT_ACTIVE_ANON, m.active_anon);
        report_set(r, REPORT_INACTIVE_ANON, m.inactive_anon);
    }
    return 0;
}

static void set_counter(Report *r, ReportField f, uint64_t count, uint64_t unit)
{
    if (count != VMSTAT_MISSING)
        report_set(r, f, count * unit);
}

static void collect_vmstat(Collector *c, Report *r)
{
    Vmstat v;

    if (c->vmstat.fd < 0 || proc_file_read(&c->vmstat) < 0 || vmstat_parse(c->vmstat.buf, &v) < 0)
        return;

    set_counter(r, REPORT_SWAP_IN, v.pswpin, c->page_bytes);
    set_counter(r, REPORT_SWAP_OUT, v.pswpout, c->page_bytes);
    set_counter(r, REPORT_MAJOR_FAULTS, v.pgmajfault, 1);
    set_counter(r, REPORT_FAULTS, v.pgfault, 1);
    set_counter(r, REPORT_REFAULT_ANON, v.refault_anon, c->page_bytes);
    set_counter(r, REPORT_REFAULT_FILE, v.refault_file, c->page_bytes);
    set_counter(r, REPORT_SCAN_DIRECT, v.scan_direct, c->page_bytes);
    set_counter(r, REPORT_SCAN_KSWAPD, v.scan_kswapd, c->page_bytes);
    set_counter(r, REPORT_STEAL_DIRECT, v.steal_direct, c->page_bytes);
    set_counter(r, REPORT_STEAL_KSWAPD, v.steal_kswapd, c->page_bytes);
    set_counter(r, REPORT_ALLOC_STALLS, v.allocstall, 1);
    set_counter(r, REPORT_OOM_KILLS, v.oom_kill, 1);
}

static uint64_t centipercent(double ratio)
{
    return ratio >= 1 ? 10000 : ratio > 0 ? (uint64_t) (ratio * 10000 + 0.5) : 0;
}

/* first: the resource's first field. Its other fields follow in report.def's order. */
static void collect_psi(ProcFile *f, Report *r, ReportField first)
{
    Psi p;

    if (f->fd < 0 || proc_file_read(f) < 0 || psi_parse(f->buf, &p) < 0)
        return;

    report_set(r, first, centipercent(p.some.avg10));
    report_set(r, first + 1, p.some.total_usec);
    if (!p.has_full)
        return;
    report_set(r, first + 2, centipercent(p.full.avg10));
    report_set(r, first + 3, p.full.total_usec);
}

/* vm.overcommit_memory: 2 is strict. */
static bool overcommit_is_strict(const char *root)
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;

    return proc_file_slurp(&f, root, "sys/vm/overcommit_memory") >= 0 && f.buf[0] == '2';
}

static void read_seldom(Collector *c, usec_t now, uint64_t swap_total_bytes)
{
    Seldom *s = &c->seldom;
    uint64_t pages;
    bool on;
    int order;

    s->read_usec = now;
    s->low_bytes = zoneinfo_read_low(c->root, &pages) < 0 ? 0 : pages * c->page_bytes;
    s->reporting = reporting_read(c->sys_root, &on) < 0 ? -1 : on;
    order = reporting_read_order(c->sys_root);
    s->order = order < 0 ? ORDER_LARGEST : (unsigned) order;
    s->strict = overcommit_is_strict(c->root);
    s->has_arc = arcstats_read(c->root, &(Arcstats){}) >= 0;
    s->swap_error = swaps_read_memory(c->root, &s->swap_memory);
    s->swap_total_bytes = swap_total_bytes;
}

static void collect_seldom(Collector *c, Report *r)
{
    const Seldom *s = &c->seldom;
    uint64_t swap_total = report_get(r, REPORT_SWAP_TOTAL);

    if (usec_since(s->read_usec, r->at_usec) >= SELDOM_USEC || s->swap_total_bytes != swap_total)
        read_seldom(c, r->at_usec, swap_total);
    if (s->low_bytes > 0)
        report_set(r, REPORT_LOW_WATERMARK, s->low_bytes);
    if (s->reporting >= 0)
        report_set(r, REPORT_REPORTING, (uint64_t) s->reporting);
    if (s->swap_error >= 0)
        report_set(r, REPORT_SWAP_MEMORY, s->swap_memory.total);
}

/* What changes all the time, in guests that have it. */
static void collect_details(Collector *c, Report *r)
{
    uint64_t pages, limit, committed;
    SwapMemory swap;
    Arcstats arc;

    if (c->buddyinfo.fd >= 0 && proc_file_read(&c->buddyinfo) >= 0 &&
        buddyinfo_parse(c->buddyinfo.buf, c->seldom.order, &pages) >= 0)
        report_set(r, REPORT_FREE_BLOCKS, pages * c->page_bytes);
    if (c->seldom.strict && meminfo_parse_commit(c->meminfo.buf, &limit, &committed) >= 0) {
        report_set(r, REPORT_COMMITTED, committed);
        report_set(r, REPORT_COMMIT_LIMIT, limit);
    }
    if (report_get(r, REPORT_SWAP_MEMORY) > 0 && swaps_read_memory(c->root, &swap) >= 0)
        report_set(r, REPORT_SWAP_MEMORY_FREE, swap.free);
    if (c->seldom.has_arc && arcstats_read(c->root, &arc) >= 0) {
        report_set(r, REPORT_ARC, arc.size);
        report_set(r, REPORT_ARC_MIN, arc.minimum);
    }
    for (unsigned i = 0; c->has_cold && i < ELEMENTSOF(c->cold_bytes); i++)
        report_set(r, REPORT_COLD_10S + i, c->cold_bytes[i]);
}

void collector_set_cold(Collector *c, const uint64_t *cold_bytes)
{
    c->has_cold = cold_bytes;
    if (cold_bytes)
        memcpy(c->cold_bytes, cold_bytes, sizeof(c->cold_bytes));
}

int collector_read(Collector *c, Report *ret)
{
    Report r = {.at_usec = now_usec(CLOCK_BOOTTIME)};
    int k;

    k = collect_meminfo(c, &r);
    if (k < 0)
        return k;
    collect_vmstat(c, &r);
    collect_psi(&c->psi_memory, &r, REPORT_PSI_MEMORY_SOME_AVG10);
    collect_psi(&c->psi_io, &r, REPORT_PSI_IO_SOME_AVG10);
    collect_seldom(c, &r);
    collect_details(c, &r);
    /* The kernel doesn't take all figures at the same moment. */
    report_fit(&r, GUEST_MEMORY_MAX_BYTES);

    *ret = r;
    return 0;
}

void collector_read_counters(Collector *c, Report *ret)
{
    *ret = (Report){.at_usec = now_usec(CLOCK_BOOTTIME)};
    collect_vmstat(c, ret);
    collect_psi(&c->psi_memory, ret, REPORT_PSI_MEMORY_SOME_AVG10);
}

int read_boot_id(const char *root, char ret[static 37])
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    ssize_t n;
    int r;

    r = proc_file_open(&f, root, "sys/kernel/random/boot_id");
    if (r < 0)
        return r;
    n = proc_file_read(&f);
    if (n < 0)
        return (int) n;
    f.buf[strcspn(f.buf, "\n")] = '\0';
    if (strlen(f.buf) != 36)
        return -EBADMSG;
    memcpy(ret, f.buf, 37);
    return 0;
}
